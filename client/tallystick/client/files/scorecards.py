"""Scorecards in files."""

from __future__ import annotations

from pathlib import Path

from tallystick.client.exceptions import FileInvalid
from tallystick.contract.limits import MAX_SCORECARD
from tallystick.credit.rating import Scorecard, ScorecardError, read_scorecard


def load_scorecard(path: Path) -> Scorecard:
    """Reads one. Raises FileInvalid, which names the file and the key that is wrong."""
    try:
        with path.open("rb") as file:
            return read_scorecard(file.read(MAX_SCORECARD + 1))
    except ScorecardError as error:
        raise FileInvalid(f"{path}: {error}") from None
    except OSError as error:
        raise FileInvalid(f"{path} cannot be read: {error.strerror}") from None

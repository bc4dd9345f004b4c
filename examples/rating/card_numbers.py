"""The numbers of a scorecard as its development gives them, and what its scale says of a score."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

BASE_SCORE, BASE_ODDS, POINTS_TO_DOUBLE = 620, 20, 40
"""At odds of 20 good to 1 bad the score is 620, and 40 points double the odds."""
FACTOR = POINTS_TO_DOUBLE / math.log(2)

Values = NDArray[np.int64]


@dataclass(frozen=True)
class Bins:
    """The bins of one characteristic, with their points."""

    up_to: tuple[int, ...]
    points: tuple[int, ...]
    counts: tuple[int, ...]
    """How many clients of the development are in each."""


@dataclass(frozen=True)
class Numbers:
    """A scorecard's numbers."""

    base_points: int
    bins: tuple[Bins, ...]

    def scores(self, columns: Sequence[Values]) -> Values:
        """The score of each client by its values."""
        found = np.full(len(columns[0]), self.base_points, dtype=np.int64)
        for bins, column in zip(self.bins, columns, strict=True):
            found += np.array(bins.points, dtype=np.int64)[np.searchsorted(bins.up_to, column, side="left")]
        return found


def default_rate(scores: Values) -> NDArray[np.float64]:
    """What the scale says of a score."""
    rates: NDArray[np.float64] = 1 / (1 + np.exp((scores - BASE_SCORE) / FACTOR + math.log(BASE_ODDS)))
    return rates


def develop(python: Path, cards: Sequence[Sequence[Values]], defaulted: Values) -> list[Numbers]:
    """The numbers of a scorecard for each list of columns, made by development.py under the interpreter `python`."""
    asked = {"defaulted": defaulted.tolist(), "cards": [[column.tolist() for column in columns] for columns in cards]}
    return [
        Numbers(
            card["base_points"],
            tuple(Bins(tuple(each["up_to"]), tuple(each["points"]), tuple(each["counts"])) for each in card["bins"]),
        )
        for card in _run(python, "development", given=json.dumps(asked))
    ]


def scores_of_model(python: Path, features: NDArray[np.float64], defaulted: Values, chosen: NDArray[np.bool_]) -> Values:
    """Each row's score by ceiling.py, which learns from the chosen rows alone; a greater one is better."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "features.npz"
        np.savez(path, features=features, defaulted=defaulted, chosen=chosen)
        return np.array(_run(python, "ceiling", str(path)), dtype=np.int64)


def _run(python: Path, module: str, *arguments: str, given: str | None = None) -> Any:
    done = subprocess.run(
        [python.absolute(), "-m", f"examples.rating.{module}", *arguments],
        cwd=Path(__file__).parent.parent.parent,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{module} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)

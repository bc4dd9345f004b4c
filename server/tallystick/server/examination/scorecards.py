"""The scorecards: what the entries about them installed, held against the table."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from tallystick.contract.methods import INSTALL_SCORECARD
from tallystick.credit.rating import ScorecardError, read_scorecard
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined

SCORECARDS = "SELECT name, toml, digest FROM scorecard ORDER BY name"


class Scorecards:
    """Replays the installations."""

    def __init__(self, anomalies: Anomalies) -> None:
        self._anomalies = anomalies
        self._installed: dict[str, bytes] = {}
        self._whole = True
        """Whether the evidence of every installation was there."""

    def take(self, entry: Examined) -> None:
        """One entry, in the order of the log."""
        if entry.leaf.method != INSTALL_SCORECARD.path or not entry.carried_out:
            return
        if entry.message is None:
            self._whole = False
            return
        try:
            # Of a retry it is the same card.
            self._installed.setdefault(read_scorecard(entry.message.toml).name, entry.message.toml)
        except ScorecardError:
            self._anomalies.add("audit_entry", entry.index, "installed a scorecard that is none")

    def finish(self, rows: Sequence[tuple[str, bytes, bytes]]) -> None:
        """All entries were taken; these are the rows."""
        if not self._whole:
            self._anomalies.untold["entries about scorecards whose evidence is gone: scorecards that no other entry installed"] += 1
        stored = {name: (toml, digest) for name, toml, digest in rows}
        for name, (_, digest) in stored.items():
            if name not in self._installed and self._whole:
                self._anomalies.add("scorecard", name, "no entry of the log installed it: somebody added or renamed it")
            elif name not in self._installed and sha256(stored[name][0]).digest() != digest:
                self._anomalies.add("scorecard", name, "its digest is not that of its text")
        for name, toml in self._installed.items():
            if name not in stored:
                self._anomalies.add("scorecard", name, "MISSING: the log installed it")
            elif stored[name] != (toml, sha256(toml).digest()):
                self._anomalies.add("scorecard", name, "is not what the log installed")

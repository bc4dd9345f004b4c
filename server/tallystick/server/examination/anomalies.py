"""What an examination finds wrong, by table and row, and what it could not tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MAX_LISTED = 1000
"""Anomalies of a table that are listed; those after it are counted."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One row that is not what the log, or its evidence, says."""

    table: str
    row: str
    """Which row: the index of an entry where there is one. Never a token or a consent reference."""
    text: str

    def __str__(self) -> str:
        return f"{self.table} {self.row}: {self.text}"


class Anomalies:
    """All that was found, in the order of finding."""

    def __init__(self) -> None:
        self.found: list[Anomaly] = []
        self.counts: Counter[str] = Counter()
        """By table, those that are not listed among them."""
        self.untold: Counter[str] = Counter()
        """What could not be told, and of how many rows or entries."""

    def add(self, table: str, row: object, text: str) -> None:
        """One anomaly."""
        self.counts[table] += 1
        if self.counts[table] <= MAX_LISTED:
            self.found.append(Anomaly(table, str(row), text))

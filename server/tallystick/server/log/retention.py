"""Retention of evidence: partitions made ahead of time, and months ended with their keys."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from psycopg2 import extensions

from tallystick.server.storage.partitions import (
    create_evidence_partitions,
    drop_evidence_partition,
    evidence_months,
    month_of,
    running_month,
)


class DestructibleKeys(Protocol):
    """The keys of the evidence, one a month."""

    def months(self) -> list[date]:
        """The months that have a key."""
        ...

    def destroy(self, month: date) -> bool:
        """Removes the month's key for good."""
        ...


def rotate_evidence(connection: extensions.connection, keys: DestructibleKeys, *, kept_months: int) -> list[date]:
    """Makes the partitions that are needed soon and ends those whose time is over; returns the months that ended.

    Beside the running month, `kept_months` whole ones are kept.

    The key goes first: from then on nothing of the month can be read, wherever copies of the rows may still be. Crash
    after it: the rows are left, unreadable, and dropped by the next round.
    """
    create_evidence_partitions(connection)
    first_kept = month_of(running_month(connection), -kept_months)
    ended = set()
    for month in keys.months():
        if month < first_kept and keys.destroy(month):
            ended.add(month)
    for month in evidence_months(connection):
        if month < first_kept:
            drop_evidence_partition(connection, month)
            ended.add(month)
    return sorted(ended)

"""How large the tables are and how far the partitions reach: counted now and then, so that no scrape asks the database."""

from __future__ import annotations

import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date

from psycopg2 import extensions

from tallystick.server.storage.partitions import attached_months, evidence_month_of, month_of, running_month
from tallystick.server.storage.tables import metadata


@dataclass(frozen=True, slots=True)
class Census:
    """What was found, and when."""

    counted_at: float
    """By this machine's clock, in Unix seconds."""
    log_entries: int
    table_bytes: Mapping[str, int]
    """With indices; a partitioned table with its partitions."""
    months: tuple[date, ...]
    """The months that have a partition to write to, oldest first."""
    running_month: date

    @property
    def covered_until(self) -> date:
        """The first day without a partition, from the running month on: that month's own first day when it has none."""
        return unbroken_until(self.running_month, frozenset(self.months))


class CensusTaker:
    """Counts, and remembers the last result for whoever reports it."""

    def __init__(self) -> None:
        self.latest: Census | None = None

    def count(self, connection: extensions.connection) -> None:
        """Counts anew. The cost does not grow with the rows: the head's own row, and the sizes of the files."""
        self.latest = Census(
            counted_at=time.time(),
            log_entries=_log_entries(connection),
            table_bytes=_table_bytes(connection),
            months=tuple(attached_months(connection)),
            running_month=running_month(connection),
        )


def unbroken_until(month: date, months: Set[date]) -> date:
    """The first month from `month` on that is not among `months`."""
    while month in months:
        month = month_of(month, 1)
    return month


def _log_entries(connection: extensions.connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT size FROM log_head")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _table_bytes(connection: extensions.connection) -> dict[str, int]:
    sizes = dict.fromkeys(metadata.tables, 0)
    with connection.cursor() as cursor:
        # A table that is dropped meanwhile has no size.
        cursor.execute(
            "SELECT relname, coalesce(pg_total_relation_size(oid), 0) FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        )
        for relation, size in cursor.fetchall():
            table = "evidence" if evidence_month_of(relation) else relation
            if table in sizes:
                sizes[table] += size
    return sizes

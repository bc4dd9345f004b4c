"""Month partitions of the evidence: made ahead of time, dropped whole after their period."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date

from psycopg2 import errors, extensions

MONTHS_AHEAD = 2
"""Partitions are made for the running month and this many more: upkeep may be down that long."""

_OVERTAKEN = (errors.DuplicateTable, errors.DuplicateObject, errors.UniqueViolation)
"""How PostgreSQL says that somebody else has made a table meanwhile: by its name, its row type, or the index of either."""

_NAME = re.compile(r"evidence_(\d{4})_(0[1-9]|1[0-2])", re.ASCII)


def month_of(day: date, offset: int = 0) -> date:
    """The first of the month that lies `offset` months after the one of `day`."""
    years, month = divmod(day.year * 12 + day.month - 1 + offset, 12)
    return date(years, month + 1, 1)


def evidence_months(connection: extensions.connection) -> list[date]:
    """The months that have a partition, attached or (by an earlier release that crashed while dropping) detached; oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
            " AND relname ~ '^evidence_[0-9]{4}_[0-9]{2}$'"
        )
        return _months(name for (name,) in cursor.fetchall())


def attached_months(connection: extensions.connection) -> list[date]:
    """The months that have a partition to write to; oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = 'evidence'::regclass AND NOT inhdetachpending"
        )
        return _months(name for (name,) in cursor.fetchall())


def evidence_month_of(relation: str) -> date | None:
    """The month whose partition a table is, by its name; None for any other table."""
    match = _NAME.fullmatch(relation)
    return date(int(match[1]), int(match[2]), 1) if match else None


def _months(relations: Iterable[str]) -> list[date]:
    return sorted(month for relation in relations if (month := evidence_month_of(relation)))


def running_month(connection: extensions.connection) -> date:
    """The month that it is by the database's clock, in UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date")
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError("the database's clock gave nothing")
    return date(row[0].year, row[0].month, 1)


def create_evidence_partitions(connection: extensions.connection) -> list[date]:
    """Makes the partitions of the running month and the next ones that are missing; returns which it made.

    `connection` is in autocommit mode; each partition is one transaction. The database's own function makes it, with the rights of
    who owns the tables, and without locking out who writes to the others (migrations/versions/0004_serving_role.py).
    """
    made = []
    existing, first = set(evidence_months(connection)), running_month(connection)
    for month in (month_of(first, offset) for offset in range(MONTHS_AHEAD + 1)):
        if month in existing:
            continue
        # Who finds it there already was overtaken by another process, which has made it then.
        with connection.cursor() as cursor, suppress(*_OVERTAKEN):
            cursor.execute("SELECT create_evidence_partition(%s)", (month,))
            made.append(month)
    return made


def drop_evidence_partition(connection: extensions.connection, month: date) -> None:
    """Drops the month's partition with all that is in it; nothing when there is none. `connection` is in autocommit mode.

    Raises LockNotAvailable when somebody reads the evidence all the while: the next call tries again.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT drop_evidence_partition(%s)", (month,))

"""Month partitions of the evidence: made ahead of time, dropped whole after their period."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date

from psycopg2 import errors, extensions, sql

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
    """The months that have a partition, attached or (after a crash while dropping) detached; oldest first."""
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

    A partition is made as a table and then attached: that lets writers to the others go on, where CREATE … PARTITION OF
    would lock them out. `connection` is in autocommit mode; each partition is one transaction.
    """
    made = []
    existing, first = set(evidence_months(connection)), running_month(connection)
    for month in (month_of(first, offset) for offset in range(MONTHS_AHEAD + 1)):
        if month in existing:
            continue
        # Who finds it there already was overtaken by another process, which has made it then.
        with connection.cursor() as cursor, suppress(*_OVERTAKEN):
            cursor.execute(_create_statement(month, month_of(month, 1)))
            made.append(month)
    return made


def drop_evidence_partition(connection: extensions.connection, month: date) -> None:
    """Drops the month's partition with all that is in it. `connection` is in autocommit mode.

    Detached without locking writers out, then dropped. Crash in between: the table is left detached, and the next call
    drops it.
    """
    name = _identifier(month)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhdetachpending FROM pg_inherits WHERE inhparent = 'evidence'::regclass AND inhrelid = to_regclass(%s)",
            (name.string,),
        )
        attached = cursor.fetchone()
        if attached is not None:
            how = sql.SQL("FINALIZE" if attached[0] else "CONCURRENTLY")
            cursor.execute(sql.SQL("ALTER TABLE evidence DETACH PARTITION {} {}").format(name, how))
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))


def _identifier(month: date) -> sql.Identifier:
    return sql.Identifier(f"evidence_{month:%Y_%m}")


def _create_statement(month: date, end: date) -> sql.Composed:
    # Several statements sent as one are one transaction.
    return sql.SQL(
        "CREATE TABLE {name} (LIKE evidence INCLUDING ALL);"
        " ALTER TABLE evidence ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})"
    ).format(name=_identifier(month), begin=sql.Literal(month.isoformat()), end=sql.Literal(end.isoformat()))

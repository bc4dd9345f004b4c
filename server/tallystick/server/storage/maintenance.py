"""Maintenance: what must be made ahead of time, and what may be forgotten. Every step is bounded and repeatable.

Whoever runs it holds an advisory lock, so that of several servers on one database one does the work. Crash at any
point: the next round finds what is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass
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

NONCE_MINUTES = 10
"""How long nonces are kept: a request is fresh for a minute, and clocks and transactions may lag by minutes."""
ROWS_PER_STATEMENT = 5_000
LOCK = 0x74616C6C794D
"""Advisory lock of the session that does the maintenance."""

_SETTINGS = "SET statement_timeout = '60s'; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '30s'"


class MonthKeys(Protocol):
    """The keys of the evidence, one a month."""

    def months(self) -> list[date]:
        """The months that have a key."""
        ...

    def destroy(self, month: date) -> bool:
        """Removes the month's key for good."""
        ...


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept."""

    request_days: int
    """Days after which a query's request_id is forgotten: a retry after that is a new request."""
    submission_days: int
    """The same for submissions, which are also listed that long."""
    evidence_months: int
    """Whole months, beside the running one, for which evidence can be opened."""


def prepare(connection: extensions.connection) -> None:
    """Sets what a connection for maintenance needs: autocommit, and limits on waiting and running."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)


def try_lock(connection: extensions.connection) -> bool:
    """Whether this session gets to be the one that does the maintenance; it then stays so until it is closed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
        row = cursor.fetchone()
    return bool(row and row[0])


def purge_nonces(connection: extensions.connection) -> int:
    """Forgets nonces that are older than NONCE_MINUTES; returns how many.

    The horizon is raised first, and no further than to the newest nonce that goes: were it raised to the clock's time,
    a clock that runs ahead for a moment would lock everybody out until that time has come. Crash after it: nonces are
    left that nothing needs any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH due AS (SELECT max(minute) AS minute FROM nonce"
            " WHERE minute <= floor(extract(epoch FROM clock_timestamp()) / 60)::integer - %s)"
            " UPDATE replay_horizon SET minute = due.minute FROM due WHERE replay_horizon.minute < due.minute",
            (NONCE_MINUTES,),
        )
    return _delete_in_steps(
        connection,
        "DELETE FROM nonce WHERE ctid = ANY (ARRAY("
        "SELECT ctid FROM nonce WHERE minute <= (SELECT minute FROM replay_horizon) LIMIT %(limit)s))",
    )


def purge_requests(connection: extensions.connection, retention: Retention) -> int:
    """Forgets the effects of requests whose time is over, so that their request_id is free again; returns how many."""
    statement = (
        "DELETE FROM request WHERE ctid = ANY (ARRAY(SELECT ctid FROM request"
        " WHERE create_time < clock_timestamp() - %(days)s * interval '1 day' AND accepted_count IS {kind} NULL"
        " LIMIT %(limit)s))"
    )
    queries = _delete_in_steps(connection, statement.format(kind=""), days=retention.request_days)
    return queries + _delete_in_steps(connection, statement.format(kind="NOT"), days=retention.submission_days)


def rotate_evidence(connection: extensions.connection, keys: MonthKeys, retention: Retention) -> list[date]:
    """Makes the partitions that are needed soon and ends those whose time is over; returns the months that ended.

    The key goes first: from then on nothing of the month can be read, wherever copies of the rows may still be. Crash
    after it: the rows are left, unreadable, and dropped by the next round.
    """
    create_evidence_partitions(connection)
    first_kept = month_of(running_month(connection), -retention.evidence_months)
    ended = set()
    for month in keys.months():
        if month < first_kept and keys.destroy(month):
            ended.add(month)
    for month in evidence_months(connection):
        if month < first_kept:
            drop_evidence_partition(connection, month)
            ended.add(month)
    return sorted(ended)


def _delete_in_steps(connection: extensions.connection, statement: str, **parameters: int) -> int:
    """Repeats a delete of at most ROWS_PER_STATEMENT rows, each its own transaction, until it finds fewer."""
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, "limit": ROWS_PER_STATEMENT})
            count = cursor.rowcount
        deleted += count
        if count < ROWS_PER_STATEMENT:
            return deleted

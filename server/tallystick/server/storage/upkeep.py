"""Upkeep steps: what must be made ahead of time, and what may be forgotten. Every step is bounded and repeatable.

The process that runs them holds an advisory lock, so that of several servers on one database one does the work. Crash at any
point: the next round finds what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg2 import extensions

ROWS_PER_STATEMENT = 5_000
LOCK = 0x74616C6C794D
"""Advisory lock of the session that does the upkeep."""
SWEEP_LOCK = 0x74616C6C7953
"""The same for the sweep of the watches, which may take longer than upkeep can wait."""

_SETTINGS = "SET statement_timeout = '60s'; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '30s'"


@dataclass(slots=True)
class Step:
    """One periodic step; `run` returns something falsy when there was nothing to do."""

    name: str
    period: float
    """Seconds from the end of one run to the next."""
    run: Callable[[extensions.connection], object]
    alone: bool = True
    """Whether of several servers on one database only the one that holds the lock runs it."""
    due: float = field(default=0.0)
    """When it is next to run, by time.monotonic()."""
    succeeded: float = field(default=0.0)
    """When this process last ran it to its end, in Unix seconds; 0 for never."""
    failures: int = field(default=0)
    """How often it failed in this process."""


def prepare(connection: extensions.connection) -> None:
    """Sets what a connection for upkeep needs: autocommit, and limits on waiting and running."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)


def try_lock(connection: extensions.connection, lock: int = LOCK) -> bool:
    """Whether this session is the one that does the upkeep of this lock; it then stays so until it is closed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (lock,))
        row = cursor.fetchone()
    return bool(row and row[0])


def delete_in_steps(connection: extensions.connection, statement: str, **parameters: int) -> int:
    """Repeats a delete of at most ROWS_PER_STATEMENT rows, each its own transaction, until it finds fewer."""
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, "limit": ROWS_PER_STATEMENT})
            count = cursor.rowcount
        deleted += count
        if count < ROWS_PER_STATEMENT:
            return deleted

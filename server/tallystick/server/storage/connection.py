"""A PostgreSQL connection that the event loop drives: psycopg2's asynchronous mode, awaited.

psycopg2 with `async_=True` never blocks: it says whether its socket is to be watched for reading or writing. So a request needs no
second thread, and no hand-over between threads (docs/adr/ says why not a driver that is asynchronous by itself).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2 import errorcodes, extensions

from tallystick.server.storage.statements import Execution, Statement

Parameters = Sequence[Any] | Mapping[str, Any] | None

SESSION_SETTINGS = {
    "application_name": "tallystick",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
    "client_encoding": "utf8",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
"""A statement that runs away, a lock that is never given, or a worker that hangs inside a transaction must not stop the others.

A prepared statement keeps the one plan that serves any values: a test looks at each. Compiled code would be made anew each time."""

UNUSABLE_STATEMENT_STATES = frozenset({errorcodes.INVALID_SQL_STATEMENT_NAME, errorcodes.FEATURE_NOT_SUPPORTED})
"""How PostgreSQL says that a prepared statement is gone, or that a migration has changed the types of what it returns."""

STATEMENT_SECONDS = 20.0
"""Longest wait for a statement: the database should have ended it at its own timeout, so by now it hangs."""


class Connection:
    """One connection and its one statement at a time. Not for several tasks at once."""

    def __init__(self, raw: extensions.connection) -> None:
        self._raw = raw
        self._cursor = raw.cursor()
        self._prepared: set[Statement] | None = set()
        """None once the session turned out not to have, or not to be able to use, what it had prepared."""

    @classmethod
    async def open(cls, dsn: str, *, within: float = 10.0) -> Connection:
        """Connects; raises psycopg2.OperationalError when the database cannot be reached within `within` seconds."""
        options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in SESSION_SETTINGS.items())
        raw = psycopg2.connect(
            dsn,
            async_=True,
            options=options,
            tcp_user_timeout=int(within * 1000),
            # A machine that vanishes while we wait for its answer is missed by nothing else for hours.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
        )
        try:
            async with asyncio.timeout(within):
                await _wait(raw)
        except BaseException as error:
            raw.close()
            if isinstance(error, TimeoutError):
                raise psycopg2.OperationalError("the database did not answer in time") from error
            raise
        connection = cls(raw)
        if await connection.fetch("SHOW synchronous_commit") == [("off",)]:
            # A role or database may be set so; a receipt for what a power cut undoes would be a lie.
            await connection.execute("SET synchronous_commit = on")
        return connection

    async def execute(
        self, sql: str | bytes, parameters: Parameters = None, *, meanwhile: Callable[[], None] | None = None
    ) -> None:
        """Runs a statement, or several joined by ";". `meanwhile` is called once they are sent, while the database is at work."""
        self._cursor.execute(sql, parameters)
        await self._finish(meanwhile)

    async def fetch(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """Runs a statement (of several joined by ";" the last one counts) and returns its rows; bytea columns are memoryviews."""
        self._cursor.execute(sql, parameters)
        await self._finish()
        return self._cursor.fetchall()

    async def run(self, *steps: str | Execution, meanwhile: Callable[[], None] | None = None) -> list[tuple[Any, ...]]:
        """Runs several statements in one round trip, once this session has prepared those of them that it lacks; returns the rows
        of the last one, if it has any. `meanwhile` is called once they are sent."""
        await self._prepare(step.statement for step in steps if isinstance(step, Execution))
        try:
            await self.execute(b";".join(map(self._text, steps)), meanwhile=meanwhile)
        except psycopg2.Error as error:
            if error.pgcode in UNUSABLE_STATEMENT_STATES:
                self._prepared = None
            raise
        return self._cursor.fetchall() if self._cursor.description else []

    async def _prepare(self, statements: Iterable[Statement]) -> None:
        """Each by itself: PostgreSQL keeps the whole string that a statement was prepared in, and copies it at each execution.

        What is prepared stays so whatever becomes of the transaction."""
        if self._prepared is None:
            await self.execute("DEALLOCATE ALL")
            self._prepared = set()
        for statement in statements:
            if statement not in self._prepared:
                await self.execute(statement.preparation)
                self._prepared.add(statement)

    def _text(self, step: str | Execution) -> bytes:
        if isinstance(step, str):
            return step.encode()
        text: bytes = self._cursor.mogrify(step.statement.execution, step.values)
        return text

    async def _finish(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Waits for the statement's end. One that does not end, nor is ended by the database, or is left by its caller, takes the
        connection with it: what it would still answer must not meet the next statement."""
        try:
            if meanwhile is not None:
                meanwhile()
            async with asyncio.timeout(STATEMENT_SECONDS):
                await _wait(self._raw)
        except TimeoutError:
            self._raw.close()
            raise psycopg2.OperationalError("the database does not answer") from None
        except psycopg2.Error:
            raise
        except BaseException:
            self._raw.close()
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        status: int = self._raw.info.transaction_status
        return status in (extensions.TRANSACTION_STATUS_INTRANS, extensions.TRANSACTION_STATUS_INERROR)

    @property
    def closed(self) -> bool:
        """Whether the connection is of no more use."""
        return bool(self._raw.closed) or self._raw.info.transaction_status == extensions.TRANSACTION_STATUS_UNKNOWN

    def close(self) -> None:
        """Closes the connection; an open transaction is rolled back by the server."""
        self._raw.close()


async def _wait(raw: extensions.connection) -> None:
    """Waits until psycopg2 is done, raising what the statement raised."""
    loop = asyncio.get_running_loop()
    while True:
        state = raw.poll()
        if state == extensions.POLL_OK:
            return
        ready: asyncio.Future[None] = loop.create_future()
        descriptor = raw.fileno()
        add, remove = (
            (loop.add_reader, loop.remove_reader) if state == extensions.POLL_READ else (loop.add_writer, loop.remove_writer)
        )
        add(descriptor, _resolve, ready)
        try:
            await ready
        finally:
            remove(descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

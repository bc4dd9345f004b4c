"""Small reads outside the ledger: key look-ups, health, checkpoints and proofs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg2

from tallystick.server.errors import Refusal
from tallystick.server.storage.connection import Connection
from tallystick.v1 import errors_pb2

Result = TypeVar("Result")

MAX_WAITING = 256
"""Most reads that wait for their turn."""
RETRY_AFTER = 0.25


class Reader:
    """One connection, opened when needed, one read at a time."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def read(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Runs a read in autocommit; once more on a new connection if the old one turned out lost. Raises Refusal.

        A caller that is cancelled while it waits leaves the queue, and its read never runs. One whose read is running leaves it to
        end by itself, since stopping it would cost the connection that others wait for; until then nobody else has the turn."""
        if self._waiting >= MAX_WAITING:
            raise Refusal(errors_pb2.ERROR_REASON_QUEUE_FULL, "too many wait to read; wait", retry_after=RETRY_AFTER)
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        outcome = await asyncio.shield(asyncio.create_task(self._run(query)))
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    async def _run(self, query: Callable[[Connection], Awaitable[Result]]) -> Result | Refusal:
        """Runs a read and gives the turn back. A refusal is returned: raised with its caller gone, it would be reported as lost."""
        try:
            return await self._query(query)
        except Refusal as refusal:
            return refusal
        finally:
            self._turn.release()

    async def _query(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        for attempt in range(2):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await self._connect()
                return await query(self._connection)
            except psycopg2.Error:
                lost = self._connection is None or self._connection.closed
                self.close()
                if not lost or attempt:
                    break
        raise Refusal(errors_pb2.ERROR_REASON_DATABASE_UNAVAILABLE, "the database cannot be reached; try again")

    def close(self) -> None:
        """Closes the connection; the next read opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

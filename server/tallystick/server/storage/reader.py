"""Small reads outside the ledger: key look-ups, checkpoints and proofs, on a connection of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg2

from tallystick.server.refusals import Refusal
from tallystick.server.storage.connection import Connection
from tallystick.v1 import errors_pb2 as errors

Result = TypeVar("Result")

READ_SECONDS = 10.0
"""Longest that one read may take."""


class Reader:
    """One connection, opened when needed, one read at a time."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def read(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Runs a read in autocommit; once more on a new connection if the old one turned out lost. Raises Refusal."""
        async with self._turn:
            for attempt in range(2):
                try:
                    if self._connection is None or self._connection.closed:
                        self._connection = await self._connect()
                    async with asyncio.timeout(READ_SECONDS):
                        return await query(self._connection)
                except TimeoutError:
                    # A database that hangs: what the statement would still answer must not meet the next one.
                    self.close()
                    break
                except psycopg2.Error:
                    lost = self._connection is None or self._connection.closed
                    self.close()
                    if not lost or attempt:
                        break
        raise Refusal(errors.ERROR_REASON_DATABASE_UNAVAILABLE, "the database cannot be reached; try again")

    def close(self) -> None:
        """Closes the connection; the next read opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

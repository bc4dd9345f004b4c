"""Turns: one at a time, the members in rotation, so that the many calls of one do not keep the single call of another waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """What one call at a time may do."""

    def __init__(self) -> None:
        self._taken = False
        # A line for each member that waits; the first one is called next, and goes behind the others if more of its calls wait.
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, member_id: str) -> AsyncIterator[None]:
        """Waits for a turn of the member, and holds it. Who is cancelled meanwhile leaves the line."""
        if self._taken:
            await self._wait(member_id)
        self._taken = True
        try:
            yield
        finally:
            self._call_next()

    async def _wait(self, member_id: str) -> None:
        called = asyncio.get_running_loop().create_future()
        line = self._lines.setdefault(member_id, deque())
        line.append(called)
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():
                # Called, and cancelled before it could begin: the turn is the next one's.
                self._call_next()
            raise

    def _call_next(self) -> None:
        while self._lines:
            member_id = next(iter(self._lines))
            line = self._lines.pop(member_id)
            while line and line[0].cancelled():
                line.popleft()
            if not line:
                continue
            called = line.popleft()
            if line:
                self._lines[member_id] = line
            called.set_result(None)
            return
        self._taken = False

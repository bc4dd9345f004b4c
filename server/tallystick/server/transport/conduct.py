"""Conduct: what the holder of a client certificate may get wrong, and how fast it may ask for what needs no signature.

A refusal costs little, and can be asked for again as soon as it has come: many streams that do nothing else keep a server from
everybody. So faults are counted for each certificate's member. Who makes too many is barred for a while: its connections are ended
as they call, with all that waits on them.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError

from tallystick.contract.reasons import BY_VALUE, Family
from tallystick.server.errors import Refusal
from tallystick.server.telemetry.metrics import BARRED
from tallystick.server.transport.connections import Connections
from tallystick.v1 import errors_pb2

Context = grpc.aio.ServicerContext[Any, Any]

FAULTS_AT_ONCE = 500
FAULTS_A_SECOND = 100.0
"""What is forgiven. A client that retries as it is told (QUEUE_FULL: after 250 ms) stays far below."""
BARRED_SECONDS = 10.0
END_SECONDS = 1.0
"""Within which a connection that is ended must be gone."""
PUBLIC_AT_ONCE = 1000
PUBLIC_A_SECOND = 500.0
"""Calls without a signature: faster ones wait for their turn, in their places."""
MANY = 4096
"""Members that are remembered before those are looked for whom nothing is held against any more."""

_CALLERS_OWN = {errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, errors_pb2.ERROR_REASON_MESSAGE_TOO_LARGE}

events = structlog.get_logger()


class Pace:
    """So many a second of each caller, and so many at once."""

    def __init__(self, at_once: int, a_second: float) -> None:
        self._ahead = at_once / a_second
        self._interval = 1 / a_second
        self._next: dict[str, float] = {}

    def take(self, caller: str, now: float) -> float:
        """Takes one; the seconds by which the caller is too fast, 0 when it is not."""
        turn = max(self._next.get(caller, 0.0), now - self._ahead) + self._interval
        self._next[caller] = turn
        if len(self._next) > MANY:
            self._next = {name: at for name, at in self._next.items() if at > now - self._ahead}
        return max(turn - now, 0.0)

    def forget(self, caller: str) -> None:
        """Begins anew with a caller."""
        self._next.pop(caller, None)


class Conduct:
    """Who is barred, and who is about to be. Of one process."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._faults = Pace(FAULTS_AT_ONCE, FAULTS_A_SECOND)
        self._public = Pace(PUBLIC_AT_ONCE, PUBLIC_A_SECOND)
        self._barred: dict[str, float] = {}
        """Until when."""

    def is_barred(self, caller: str) -> bool:
        """Whether a caller is barred."""
        if not self._barred or caller not in self._barred:
            return False
        if self._barred[caller] > time.monotonic():
            return True
        del self._barred[caller]
        return False

    async def turn_away(self, caller: str, context: Context) -> NoReturn:
        """Ends the connection of a call; waits for that end. Raises Refusal QUEUE_FULL when it does not come."""
        self._connections.end(context.peer())
        # The end cancels this call, and sooner than an answer would be sent, on which the caller would only call again.
        await asyncio.sleep(END_SECONDS)
        left = max(self._barred.get(caller, 0.0) - time.monotonic(), 0.0)
        text = f"too many calls of this certificate failed; it is served again in {left:.0f} seconds"
        raise Refusal(errors_pb2.ERROR_REASON_QUEUE_FULL, text, retry_after=left)

    def fault(self, caller: str, context: Context) -> None:
        """Counts a fault of the caller, and bars it when it is one too many."""
        now = time.monotonic()
        if self._faults.take(caller, now) == 0.0 or caller in self._barred:
            return
        self._faults.forget(caller)
        self._barred[caller] = now + BARRED_SECONDS
        self._connections.end(context.peer())
        BARRED.inc()
        events.warning("caller_barred", peer=context.peer(), seconds=BARRED_SECONDS)

    async def take_turn(self, caller: str) -> None:
        """Waits for the caller's turn to have something for which it need not sign."""
        if (seconds := self._public.take(caller, time.monotonic())) > 0:
            await asyncio.sleep(seconds)


def is_fault(error: Refusal | DecodeError) -> bool:
    """Whether it is the caller's fault that a call was refused before anybody was authenticated; not when the server is busy."""
    if isinstance(error, DecodeError):
        return True
    return error.reason in _CALLERS_OWN or BY_VALUE[error.reason].family is Family.NOT_AUTHENTICATED

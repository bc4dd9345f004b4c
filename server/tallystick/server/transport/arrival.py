"""Arrival: a call takes its place when its headers are there, and its message must follow soon.

gRPC would read the message of a unary call before it asks anybody, and wait for it as long as the caller likes: headers alone, on
many streams, then hold every place of the server, and unfinished messages its memory. So every method is served as a stream of
requests, of which the first is read, under a timeout, and each client certificate has a share of places and bytes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from google.protobuf.message import DecodeError

from tallystick.contract.reasons import BY_VALUE
from tallystick.server.errors import Refusal
from tallystick.server.ledger.queue import RETRY_AFTER
from tallystick.server.transport.conduct import Conduct, Context, is_fault
from tallystick.server.transport.connections import Connections
from tallystick.server.transport.tls import member_of_certificate
from tallystick.v1 import errors_pb2

_STATUS_CODE = {code.value[0]: code for code in grpc.StatusCode}

MAX_STREAMS = 128
"""Most calls at once on one connection."""
MAX_CALLS = 256
"""Most calls at once of one client certificate's member, over all connections of this process."""
MAX_READS = 32
"""Most messages of one client certificate's member that gRPC is asked for at once; the others take LOOKAHEAD bytes each."""
LOOKAHEAD = 64 * 1024
"""Bytes of a stream that gRPC takes before anybody asks for them."""
MAX_HELD = 256 * 1024 * 1024
"""Most bytes of request messages that this process holds at once, authenticated or not."""
MAX_HELD_OF_ONE = MAX_HELD // 4
"""Most of them of one client certificate's member."""
ARRIVAL_SECONDS = 10.0
"""Within which a message must have arrived, from the call's headers on."""


class Arrivals:
    """The places and bytes of one process, and who has them."""

    def __init__(self, seconds: float = ARRIVAL_SECONDS) -> None:
        self._seconds = seconds
        self._calls: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._reads: dict[str, asyncio.Semaphore] = {}
        self.conduct = Conduct(Connections())

    @asynccontextmanager
    async def place(self, context: Context) -> AsyncIterator[str]:
        """A place for a call; the member that the client certificate names. Raises Refusal QUEUE_FULL."""
        caller = await self._take_place(context)
        try:
            yield caller
        finally:
            self._give_place_back(caller)

    @asynccontextmanager
    async def message(self, context: Context, *, public: bool = False) -> AsyncIterator[tuple[str, bytes]]:
        """The member that the client certificate names, and the message of a call, held for the time of its block. What is public,
        and asks for no signature, waits for its turn.

        Raises Refusal: QUEUE_FULL, DEADLINE_PASSED when it does not arrive in time, MESSAGE_MALFORMED when there is none."""
        # One context and no more: this is on the way of every call.
        caller = await self._take_place(context)
        held = 0
        try:
            message = await self._arrived(caller, context)
            held = self._hold(caller, len(message))
            if public:
                await self.conduct.take_turn(caller)
            try:
                yield caller, message
            except (Refusal, DecodeError) as error:
                if is_fault(error):
                    self.conduct.fault(caller, context)
                raise
        finally:
            _take_off(self._held, caller, held)
            self._give_place_back(caller)

    async def _take_place(self, context: Context) -> str:
        caller = member_of_certificate(context.auth_context())
        if self.conduct.is_barred(caller):
            await self.conduct.turn_away(caller, context)
        if self._calls[caller] >= MAX_CALLS:
            self.conduct.fault(caller, context)
            raise Refusal(errors_pb2.ERROR_REASON_QUEUE_FULL, "this member has too many calls open; wait", retry_after=RETRY_AFTER)
        self._calls[caller] += 1
        return caller

    def _give_place_back(self, caller: str) -> None:
        _take_off(self._calls, caller, 1)
        if caller not in self._calls:
            self._reads.pop(caller, None)

    async def _arrived(self, caller: str, context: Context) -> bytes:
        reads = self._reads.get(caller) or self._reads.setdefault(caller, asyncio.Semaphore(MAX_READS))
        message: bytes | object = grpc.aio.EOF
        arrived = False
        try:
            async with asyncio.timeout(self._seconds), reads:
                # Not by the iterator of requests: a generator more for each call.
                message = await context.read()
            arrived = message is not grpc.aio.EOF
        except TimeoutError:
            text = f"the message did not arrive within {self._seconds:g} seconds of its headers"
            raise Refusal(errors_pb2.ERROR_REASON_DEADLINE_PASSED, text) from None
        finally:
            # Also of a call that was begun and reset.
            if not arrived:
                self.conduct.fault(caller, context)
        if not isinstance(message, bytes):
            raise Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, "the call ended without a message")
        return message

    def _hold(self, caller: str, size: int) -> int:
        if self._held[caller] + size > MAX_HELD_OF_ONE or self._held.total() + size > MAX_HELD:
            text = "the server holds as many requests as it can; wait"
            raise Refusal(errors_pb2.ERROR_REASON_QUEUE_FULL, text, retry_after=RETRY_AFTER)
        self._held[caller] += size
        return size


def status_code(refusal: Refusal) -> grpc.StatusCode:
    """The code that a refusal's reason goes with."""
    return _STATUS_CODE[BY_VALUE[refusal.reason].code]


def _take_off(counter: Counter[str], caller: str, amount: int) -> None:
    """Certificates may name anybody: what is over is forgotten."""
    left = counter[caller] - amount
    if left:
        counter[caller] = left
    else:
        counter.pop(caller, None)

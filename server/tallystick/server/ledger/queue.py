"""The request queue: requests that wait for a transaction, bounded, and which of them go together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tallystick.server.errors import Refusal
from tallystick.server.requests.calls import Answer
from tallystick.server.requests.operation import Request
from tallystick.server.telemetry.metrics import QUEUE_LENGTH
from tallystick.v1 import errors_pb2

RETRY_AFTER = 0.25
"""Seconds after which a caller that found the queue full may try again."""
MAX_BYTES = 128 * 1024 * 1024
"""Most bytes of messages in the queue, however few they are."""
SCANNED = 4
"""How many times a full batch is looked at to fill one, past those that must wait for another."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A request with what its caller waits for."""

    request: Request
    future: asyncio.Future[Answer]

    def settle(self, result: Answer | Refusal) -> None:
        """Tells the caller, unless it has gone."""
        if self.future.done():
            return
        if isinstance(result, Refusal):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


@dataclass(slots=True)
class _Batch:
    """A batch while it is put together."""

    tickets: list[Ticket] = field(default_factory=list)
    weight: int = 0
    identities: set[tuple[str, bytes]] = field(default_factory=set)
    locks: dict[str, str] = field(default_factory=dict)

    def takes(self, request: Request) -> bool:
        """Whether the request may share a transaction with those that are in: no request_id twice, since only what is committed
        tells a retry; and of the operations that lock the same rows only one, since each locks its own in their order."""
        if request.identity is not None and request.identity in self.identities:
            return False
        operation = request.operation
        return not operation.locks or self.locks.get(operation.locks, operation.method) == operation.method

    def add(self, ticket: Ticket) -> None:
        """Takes one in."""
        request = ticket.request
        self.tickets.append(ticket)
        self.weight += len(request.call.message) + request.operation.cost
        if request.identity is not None:
            self.identities.add(request.identity)
        if request.operation.locks:
            self.locks[request.operation.locks] = request.operation.method


class RequestQueue:
    """First in, first out, except for requests that cannot share a transaction."""

    def __init__(self, *, length: int, batch_size: int, batch_weight: int) -> None:
        self._length = length
        self._batch_size = batch_size
        self._batch_weight = batch_weight
        self._tickets: deque[Ticket] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._tickets)

    def require_room(self, size: int) -> None:
        """Raises Refusal QUEUE_FULL when a message of `size` bytes has no place; asked before a message is parsed, too."""
        if len(self._tickets) >= self._length or self._bytes + size > MAX_BYTES:
            raise Refusal(
                errors_pb2.ERROR_REASON_QUEUE_FULL, "the server has more to do than it can; wait", retry_after=RETRY_AFTER
            )

    def join(self, request: Request) -> asyncio.Future[Answer]:
        """Puts a request at the end; raises Refusal QUEUE_FULL."""
        self.require_room(len(request.call.message))
        ticket = Ticket(request, asyncio.get_running_loop().create_future())
        self._tickets.append(ticket)
        self._bytes += len(request.call.message)
        QUEUE_LENGTH.set(len(self._tickets))
        return ticket.future

    def take(self) -> list[Ticket]:
        """The next batch, bounded in number and weight. Those that must wait for the one after keep their places."""
        batch, postponed = _Batch(), []
        for ticket in self._waiting():
            if batch.takes(ticket.request):
                batch.add(ticket)
            else:
                postponed.append(ticket)
            if len(batch.tickets) >= self._batch_size or batch.weight >= self._batch_weight:
                break
            if len(batch.tickets) + len(postponed) >= SCANNED * self._batch_size:
                break
        self._tickets.extendleft(reversed(postponed))
        self._bytes += sum(len(ticket.request.call.message) for ticket in postponed)
        QUEUE_LENGTH.set(len(self._tickets))
        return batch.tickets

    def _waiting(self) -> Iterator[Ticket]:
        """Takes tickets off the queue, but for callers that have gone or whose deadline has passed."""
        now = asyncio.get_running_loop().time()
        while self._tickets:
            ticket = self._tickets.popleft()
            self._bytes -= len(ticket.request.call.message)
            if ticket.future.done():
                continue
            deadline = ticket.request.call.deadline
            if deadline is not None and deadline <= now:
                text = "the deadline passed before the request was run"
                ticket.settle(Refusal(errors_pb2.ERROR_REASON_DEADLINE_PASSED, text))
                continue
            yield ticket

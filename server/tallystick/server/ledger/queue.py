"""The request queue: requests that wait for a transaction, bounded, fair among members, and which of them go together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tallystick.server.errors import Refusal
from tallystick.server.requests.calls import Answer
from tallystick.server.requests.operation import FULL_BATCH, Request
from tallystick.server.telemetry.metrics import QUEUE_LENGTH
from tallystick.v1 import errors_pb2

RETRY_AFTER = 0.25
"""Seconds after which a caller that found the queue full may try again."""
MAX_BYTES = 128 * 1024 * 1024
"""Most bytes of messages in the queue, however few they are."""
SCANNED = 4
"""How many times a full batch is looked at to fill one, past those that must wait for another."""
OWN_COST = 2 * 1024
"""What a request weighs beside its bytes and its operation's cost: that of a call, a signature and an entry."""
HEAVY = FULL_BATCH // 8
"""The weight from which on a request shares no transaction with those of other members."""
FULL_USE = 32 * OWN_COST
"""The weight of a batch whose time is its requests' and no longer its commit's."""
SHARES = 8
"""A member fills this part of a batch, where others have come."""
SHARE_OF_TIME = 1 / 5
"""A member has at most this part of a worker's time, where others have come. It is less than the third that would leave theirs the
median of a quiet hour, since a worker's processor is not all of what it takes."""
MOST_BESIDE = 4.0
"""Most of the processor that is laid to a batch, as a multiple of its own time."""
RECENT = 1.0
"""Seconds for which a member counts as there after its last request."""


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


def weight(request: Request) -> int:
    """What a request costs, in bytes of request."""
    operation = request.operation
    return len(request.call.message) + operation.cost + operation.item_cost * request.items + OWN_COST


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
        self.weight += weight(request)
        if request.identity is not None:
            self.identities.add(request.identity)
        if request.operation.locks:
            self.locks[request.operation.locks] = request.operation.method


@dataclass(slots=True)
class _Line:
    """What one member has waiting, and what it has had lately."""

    light: deque[Ticket] = field(default_factory=deque)
    heavy: deque[Ticket] = field(default_factory=deque)
    seen: float = 0.0
    """When its last request came."""
    resumes: float = 0.0
    """Until when it waits for others to have their turn."""

    def __bool__(self) -> bool:
        return bool(self.light or self.heavy)


class RequestQueue:
    """A line for each member: they take turns, and each is served in the order of its own arrivals.

    A member alone has all of a transaction and all of the time. Where others have come within the last second, no member fills a
    transaction, and each has no more than its share of the time: however much it asks, most of the time is theirs.
    Heavy requests share no transaction with those of other members: what goes wrong with them is its sender's alone.
    """

    def __init__(
        self, *, length: int, batch_size: int, batch_weight: int, processor: Callable[[], float] = time.process_time
    ) -> None:
        self._length = length
        self._batch_size = batch_size
        self._batch_weight = batch_weight
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        """By member_id, the one that was served longest ago first."""
        self._count = 0
        self._bytes = 0
        self._heavy_next = False
        self._processor = processor
        """Seconds of the processor that this process had so far."""
        self._processor_then = processor()

    def __len__(self) -> int:
        return self._count

    def require_room(self, size: int) -> None:
        """Raises Refusal QUEUE_FULL when a message of `size` bytes would be too much."""
        # One of any size finds room in an empty queue.
        if self._count >= self._length or (self._bytes and self._bytes + size > MAX_BYTES):
            text = "the server has more requests than it can take; wait"
            raise Refusal(errors_pb2.ERROR_REASON_QUEUE_FULL, text, retry_after=RETRY_AFTER)

    def join(self, request: Request) -> asyncio.Future[Answer]:
        """Puts a request at the end of its member's line; raises Refusal QUEUE_FULL."""
        size = len(request.call.message)
        self.require_room(size)
        loop = asyncio.get_running_loop()
        ticket = Ticket(request, loop.create_future())
        line = self._lines.get(request.member_id)
        if line is None:
            line = self._lines[request.member_id] = _Line()
        line.seen = loop.time()
        (line.heavy if weight(request) >= HEAVY else line.light).append(ticket)
        self._count += 1
        self._bytes += size
        QUEUE_LENGTH.set(self._count)
        return ticket.future

    def take(self) -> list[Ticket]:
        """The next batch, bounded in number and weight; empty when all that wait must wait longer, see `ready_in`."""
        now = asyncio.get_running_loop().time()
        self._forget(now)
        ready = [(member, line) for member, line in self._lines.items() if line.resumes <= now]
        kinds = (self._take_heavy, self._take_light) if self._heavy_next else (self._take_light, self._take_heavy)
        batch = kinds[0](ready, now) or kinds[1](ready, now)
        for member in {ticket.request.member_id: None for ticket in batch}:
            self._lines.move_to_end(member)
        QUEUE_LENGTH.set(self._count)
        return batch

    def ready_in(self) -> float:
        """Seconds until a request that waits may be taken."""
        now = asyncio.get_running_loop().time()
        return max(min((line.resumes for line in self._lines.values() if line), default=now) - now, 0.0)

    def charge(self, batch: Sequence[Ticket], seconds: float) -> None:
        """Lays the time that a batch took to the members that had part in it, and what of the processor their calls took beside it:
        to be received, verified, parsed and answered."""
        processor = self._processor()
        beside, self._processor_then = processor - self._processor_then, processor
        # Calls that came to no transaction took some of it too, and nobody here is to wait for them.
        charged = min(max(seconds, beside), MOST_BESIDE * seconds)
        weights: Counter[str] = Counter()
        for ticket in batch:
            weights[ticket.request.member_id] += weight(ticket.request)
        # What is waited for is not what costs: a transaction of one small request is mostly its commit.
        total = max(weights.total(), FULL_USE)
        now = asyncio.get_running_loop().time()
        for member, used in weights.items():
            line = self._lines.get(member)
            if line is not None and self._others_came(member, now):
                line.resumes = now - seconds + charged * used / total / SHARE_OF_TIME

    def _forget(self, now: float) -> None:
        """Lines of members that have had nothing for a while."""
        for member in [m for m, line in self._lines.items() if not line and max(line.seen + RECENT, line.resumes) < now]:
            del self._lines[member]

    def _others_came(self, member: str, now: float) -> bool:
        return any(other != member and (line or line.seen + RECENT >= now) for other, line in self._lines.items())

    def _take_light(self, ready: Sequence[tuple[str, _Line]], now: float) -> list[Ticket]:
        """In turns, one of each member; of none more than its share."""
        batch, postponed = _Batch(), []
        turns = deque((line, self._share(member, now)) for member, line in ready if line.light)
        while turns and len(batch.tickets) < self._batch_size and batch.weight < self._batch_weight:
            line, left = turns.popleft()
            ticket = self._next(line.light)
            if ticket is None:
                continue
            if batch.takes(ticket.request):
                batch.add(ticket)
            else:
                postponed.append((line, ticket))
            if left > 1:
                turns.append((line, left - 1))
            if len(batch.tickets) + len(postponed) >= SCANNED * self._batch_size:
                break
        for line, ticket in reversed(postponed):
            self._put_back(line.light, ticket)
        if batch.tickets:
            self._heavy_next = True
        return batch.tickets

    def _take_heavy(self, ready: Sequence[tuple[str, _Line]], now: float) -> list[Ticket]:
        """Of the member that was served longest ago."""
        for _, line in ready:
            batch = _Batch()
            while batch.weight < self._batch_weight and (ticket := self._next(line.heavy)) is not None:
                if not batch.takes(ticket.request):
                    self._put_back(line.heavy, ticket)
                    break
                batch.add(ticket)
            if batch.tickets:
                self._heavy_next = False
                return batch.tickets
        return []

    def _share(self, member: str, now: float) -> int:
        """How many of a member's requests may be in one batch."""
        return max(self._batch_size // SHARES, 1) if self._others_came(member, now) else SCANNED * self._batch_size

    def _put_back(self, line: deque[Ticket], ticket: Ticket) -> None:
        """To the place that it was taken from."""
        line.appendleft(ticket)
        self._count += 1
        self._bytes += len(ticket.request.call.message)

    def _next(self, line: deque[Ticket]) -> Ticket | None:
        """Takes a ticket off a line; those of callers that have gone or whose deadline has passed are let go."""
        now = asyncio.get_running_loop().time()
        while line:
            ticket = line.popleft()
            self._count -= 1
            self._bytes -= len(ticket.request.call.message)
            if ticket.future.done():
                continue
            deadline = ticket.request.call.deadline
            if deadline is not None and deadline <= now:
                text = "the deadline passed before the request was run"
                ticket.settle(Refusal(errors_pb2.ERROR_REASON_DEADLINE_PASSED, text))
                continue
            return ticket
        return None

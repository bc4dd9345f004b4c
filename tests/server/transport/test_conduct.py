"""Conduct: how much a caller may get wrong, and what becomes of one that gets more wrong."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError

from tallystick.server.errors import Refusal
from tallystick.server.transport import conduct
from tallystick.server.transport.arrival import MAX_CALLS, MAX_READS, Arrivals
from tallystick.server.transport.conduct import BARRED_SECONDS, FAULTS_AT_ONCE, Conduct, Pace, is_fault
from tallystick.v1 import errors_pb2

PEER = "ipv4:192.0.2.1:4711"


class Ended:
    """Connections, of which only is noted which are ended."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    def end(self, peer: str) -> None:
        """Notes it."""
        self.peers.append(peer)


class FakeContext:
    """A call's context, of which a certificate names the member, and whose message comes when it is let."""

    def __init__(self, member: str, message: object = b"") -> None:
        self._member = member
        self._message = message
        self.come = asyncio.Event()
        self.reading = False

    def auth_context(self) -> dict[str, list[bytes]]:
        """The certificate's URI."""
        return {"peer_uri": [f"urn:tallystick:member:{self._member}".encode()]}

    def peer(self) -> str:
        """The address."""
        return PEER

    async def read(self) -> object:
        """The message."""
        self.reading = True
        await self.come.wait()
        return self._message


def conduct_of(ended: Ended) -> Conduct:
    made: Any = ended
    return Conduct(made)


async def turn_away(subject: Conduct, caller: str) -> Refusal:
    context: Any = FakeContext(caller)
    with pytest.raises(Refusal) as refused:
        await subject.turn_away(caller, context)
    return refused.value


def test_a_pace_forgives_a_burst_and_then_its_rate() -> None:
    pace = Pace(10, 5.0)
    assert [pace.take("a", 100.0) for _ in range(10)] == pytest.approx([0.0] * 10)
    assert pace.take("a", 100.0) == pytest.approx(0.2)
    assert pace.take("b", 100.0) == 0.0, "one caller's pace is not another's"
    # Two seconds later ten more are forgiven, and no more however long one waits.
    assert pace.take("a", 102.2) == 0.0
    assert [pace.take("a", 1000.0) > 0.1 for _ in range(11)] == [False] * 10 + [True]


def test_a_pace_forgets_whom_nothing_is_held_against(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "MANY", 100)
    pace = Pace(10, 5.0)
    for number in range(1000):
        pace.take(f"member-{number}", float(number))
    assert len(pace._next) <= 101


async def test_one_fault_too_many_bars_for_a_while_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(conduct, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(conduct, "END_SECONDS", 0.01)
    ended = Ended()
    subject, context = conduct_of(ended), FakeContext("mallory")
    call: Any = context
    for _ in range(FAULTS_AT_ONCE):
        subject.fault("mallory", call)
    assert not subject.is_barred("mallory")
    assert ended.peers == []
    while not subject.is_barred("mallory"):
        subject.fault("mallory", call)
    assert ended.peers == [PEER], "the connection of the last fault"
    assert not subject.is_barred("bank-a")
    refusal = await turn_away(subject, "mallory")
    assert refusal.reason == errors_pb2.ERROR_REASON_QUEUE_FULL
    assert refusal.retry_after == BARRED_SECONDS
    assert ended.peers == [PEER, PEER], "and that of every later call"
    now += BARRED_SECONDS - 1
    assert subject.is_barred("mallory")
    now += 1
    assert not subject.is_barred("mallory")
    subject.fault("mallory", call)
    assert not subject.is_barred("mallory"), "it begins anew"


async def test_public_calls_past_the_pace_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = conduct_of(Ended())
    monkeypatch.setattr(subject, "_public", Pace(2, 50.0))
    began = asyncio.get_running_loop().time()
    for _ in range(7):
        await subject.take_turn("bank-a")
    assert asyncio.get_running_loop().time() - began >= 0.095


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (Refusal(errors_pb2.ERROR_REASON_SIGNATURE_INVALID, ""), True),
        (Refusal(errors_pb2.ERROR_REASON_KEY_UNKNOWN, ""), True),
        (Refusal(errors_pb2.ERROR_REASON_MESSAGE_TOO_LARGE, ""), True),
        (DecodeError(), True),
        # The server's own troubles.
        (Refusal(errors_pb2.ERROR_REASON_QUEUE_FULL, ""), False),
        (Refusal(errors_pb2.ERROR_REASON_DATABASE_UNAVAILABLE, ""), False),
        (Refusal(errors_pb2.ERROR_REASON_DEADLINE_PASSED, ""), False),
        (Refusal(errors_pb2.ERROR_REASON_INTERNAL, ""), False),
    ],
)
def test_only_what_the_caller_did_is_its_fault(error: Refusal | DecodeError, fault: bool) -> None:
    assert is_fault(error) is fault


async def test_only_so_many_messages_of_one_member_are_asked_for_at_once() -> None:
    arrivals = Arrivals()
    contexts = [FakeContext("mallory") for _ in range(MAX_CALLS)]

    async def call(context: Any) -> bytes:
        async with arrivals.message(context) as (_, message):
            return message

    calls = [asyncio.create_task(call(context)) for context in contexts]
    await asyncio.sleep(0.05)
    assert sum(context.reading for context in contexts) == MAX_READS
    other = FakeContext("bank-a", b"its own")
    other.come.set()
    assert await call(other) == b"its own"
    with pytest.raises(Refusal, match="too many calls"):
        await call(FakeContext("mallory"))
    for context in contexts:
        context.come.set()
    assert await asyncio.gather(*calls) == [b""] * MAX_CALLS
    assert arrivals._reads == {}, "what is over is forgotten"


@pytest.mark.parametrize("end", ["too late", "no message", "cancelled", "refused", "no place"])
async def test_what_counts_as_a_fault(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals(seconds=0.05)
    faults: list[str] = []
    monkeypatch.setattr(arrivals.conduct, "fault", lambda caller, context: faults.append(caller))
    context = FakeContext("mallory", grpc.aio.EOF if end == "no message" else b"")
    if end not in ("too late", "cancelled"):
        context.come.set()
    if end == "no place":
        arrivals._calls["mallory"] = MAX_CALLS

    async def call(made: Any) -> None:
        async with arrivals.message(made):
            if end == "refused":
                raise Refusal(errors_pb2.ERROR_REASON_SIGNATURE_INVALID, "")

    task = asyncio.create_task(call(context))
    if end == "cancelled":
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises((Refusal, asyncio.CancelledError)):
        await task
    assert faults == ["mallory"]


async def test_a_right_call_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals()
    monkeypatch.setattr(arrivals.conduct, "fault", lambda *_: pytest.fail("a fault"))
    context: Any = FakeContext("bank-a", b"a message")
    context.come.set()
    async with arrivals.message(context) as (_, message):
        assert message == b"a message"

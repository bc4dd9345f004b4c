"""The request queue: which requests share a transaction, which wait, and which are refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tallystick.server.errors import Refusal
from tallystick.server.ledger.queue import MAX_BYTES, RequestQueue
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import FULL_BATCH, Request


def request(
    name: int,
    *,
    member: str = "bank-a",
    request_id: bytes | None = None,
    method: str = "query",
    locks: str = "",
    cost: int = 0,
    size: int = 10,
) -> Request:
    """As much of a request as the queue looks at."""
    operation = SimpleNamespace(method=method, locks=locks, cost=cost, item_cost=0)
    identity = None if request_id is None else (member, request_id)
    call = Call("", (), bytes(size), None)
    fields: dict[str, Any] = {
        "operation": operation,
        "identity": identity,
        "call": call,
        "name": name,
        "member_id": member,
        "items": 0,
    }
    return cast("Request", SimpleNamespace(**fields))


@dataclass
class Clock:
    """The loop's, which goes when the test says so: however slow the machine, nobody is gone for a second meanwhile."""

    now: float = 1000.0


@pytest.fixture(autouse=True)
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of the loop of each test."""
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock.now)
    return clock


def names(tickets: list[Any]) -> list[int]:
    return [ticket.request.name for ticket in tickets]


async def test_a_request_id_stands_once_in_a_transaction_and_holds_up_nobody() -> None:
    queue = RequestQueue(length=100, batch_size=8, batch_weight=FULL_BATCH)
    for name in range(6):
        queue.join(request(name, request_id=b"same" if name < 3 else None))
    assert names(queue.take()) == [0, 3, 4, 5]
    assert names(queue.take()) == [1]
    assert names(queue.take()) == [2]
    assert len(queue) == 0


async def test_operations_that_lock_the_same_rows_do_not_share_a_transaction() -> None:
    queue = RequestQueue(length=100, batch_size=8, batch_weight=FULL_BATCH)
    for name, method in enumerate(("submit", "withdraw", "query", "submit", "withdraw")):
        queue.join(request(name, method=method, locks="" if method == "query" else "accounts"))
    assert names(queue.take()) == [0, 2, 3]
    assert names(queue.take()) == [1, 4]


async def test_heavy_requests_share_a_transaction_with_no_other_member_s() -> None:
    queue = RequestQueue(length=100, batch_size=8, batch_weight=FULL_BATCH)
    for name, member in enumerate(("bank-a", "bank-b", "bank-b", "bank-a")):
        queue.join(request(name, member=member, cost=FULL_BATCH // 4))
    queue.join(request(4, member="bank-b"))
    assert [sorted(names(queue.take())) for _ in range(3)] == [[4], [0, 3], [1, 2]]
    for name in (5, 6):
        queue.join(request(name, cost=FULL_BATCH))
    assert [names(queue.take()) for _ in range(2)] == [[5], [6]]


async def test_heavy_requests_and_others_take_turns() -> None:
    queue = RequestQueue(length=100, batch_size=2, batch_weight=FULL_BATCH)
    for name in range(4):
        queue.join(request(name, cost=FULL_BATCH))
        queue.join(request(10 + 2 * name))
        queue.join(request(11 + 2 * name))
    assert [len(queue.take()) for _ in range(8)] == [2, 1] * 4


async def test_members_take_turns_and_none_fills_a_batch_while_others_are_there() -> None:
    queue = RequestQueue(length=1000, batch_size=16, batch_weight=FULL_BATCH)
    for name in range(100):
        queue.join(request(name, member="flood"))
    for name in range(3):
        queue.join(request(1000 + name, member="bank-a"))
    queue.join(request(2000, member="bank-b"))
    assert names(queue.take()) == [0, 1000, 2000, 1, 1001]
    assert names(queue.take()) == [2, 1002, 3]
    assert names(queue.take()) == [4, 5]


async def test_a_member_alone_has_the_whole_batch_and_never_pauses() -> None:
    queue = RequestQueue(length=1000, batch_size=16, batch_weight=FULL_BATCH)
    for name in range(40):
        queue.join(request(name))
    first = queue.take()
    queue.charge(first, 10.0)
    assert [len(first), len(queue.take())] == [16, 16]


async def test_who_had_much_of_the_time_waits_while_others_are_there_and_no_longer(clock: Clock) -> None:
    queue = RequestQueue(length=1000, batch_size=256, batch_weight=FULL_BATCH, processor=lambda: 0.0)
    for name in range(200):
        queue.join(request(name, member="flood"))
    queue.join(request(1000, member="bank-a"))
    batch = queue.take()
    queue.charge(batch, 0.1)
    # Its part is 32 of 33: for nearly four times as long as the batch took, only the other is served.
    assert 0.35 < queue.ready_in() < 0.4
    assert queue.take() == []
    queue.join(request(1001, member="bank-a"))
    small = queue.take()
    assert names(small) == [1001]
    # A small request never waits: its transaction was mostly a commit.
    queue.charge(small, 0.005)
    queue.join(request(1002, member="bank-a"))
    assert names(queue.take()) == [1002]
    clock.now += 0.4
    assert len(queue.take()) == 32


async def test_members_that_share_the_time_fairly_do_not_wait_for_one_another() -> None:
    queue = RequestQueue(length=1000, batch_size=256, batch_weight=FULL_BATCH, processor=lambda: 0.0)
    for name in range(200):
        for member in ("a", "b", "c", "d", "e"):
            queue.join(request(name, member=member))
    batch = queue.take()
    assert len(batch) == 5 * 32
    queue.charge(batch, 0.1)
    assert queue.ready_in() < 0.005


async def test_the_processor_that_calls_took_beside_their_batch_is_laid_to_them() -> None:
    seconds = iter([0.0, 0.2])
    queue = RequestQueue(length=1000, batch_size=256, batch_weight=FULL_BATCH, processor=lambda: next(seconds))
    queue.join(request(0, member="bank-a"))
    for name in range(200):
        queue.join(request(name, member="flood"))
    queue.charge(queue.take(), 0.1)
    assert 0.8 < queue.ready_in() < 0.9


async def test_bounds() -> None:
    queue = RequestQueue(length=3, batch_size=2, batch_weight=FULL_BATCH)
    for name in range(3):
        queue.join(request(name))
    with pytest.raises(Refusal) as refused:
        queue.join(request(3))
    assert refused.value.reason_name == "QUEUE_FULL"
    assert refused.value.retry_after
    assert [names(queue.take()) for _ in range(2)] == [[0, 1], [2]]
    queue.join(request(4, size=MAX_BYTES))
    with pytest.raises(Refusal):
        queue.join(request(5, size=1))
    queue.take()
    queue.join(request(6, size=1))


async def test_callers_that_have_gone_are_passed_over() -> None:
    queue = RequestQueue(length=10, batch_size=8, batch_weight=FULL_BATCH)
    futures = [queue.join(request(name)) for name in range(3)]
    futures[1].cancel()
    late = request(3)
    cast("Any", late).call = Call("", (), b"", None, deadline=asyncio.get_running_loop().time() - 1)
    expired = queue.join(late)
    assert names(queue.take()) == [0, 2]
    with pytest.raises(Refusal) as refused:
        expired.result()
    assert refused.value.reason_name == "DEADLINE_PASSED"


async def test_many_that_must_wait_do_not_make_the_line_be_searched_to_its_end() -> None:
    queue = RequestQueue(length=1000, batch_size=4, batch_weight=FULL_BATCH)
    for name in range(500):
        queue.join(request(name, request_id=b"same"))
    queue.join(request(500))
    assert names(queue.take()) == [0]
    assert names(queue.take()) == [1]
    assert len(queue) == 499

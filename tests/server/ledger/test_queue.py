"""The request queue: which requests share a transaction, which wait, and which are refused."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tallystick.server.errors import Refusal
from tallystick.server.ledger.queue import MAX_BYTES, RequestQueue
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import FULL_BATCH, Request


def request(
    name: int, *, request_id: bytes | None = None, method: str = "query", locks: str = "", cost: int = 0, size: int = 10
) -> Request:
    """As much of a request as the queue looks at."""
    operation = SimpleNamespace(method=method, locks=locks, cost=cost)
    identity = None if request_id is None else ("bank-a", request_id)
    call = Call("", (), bytes(size), None)
    fields: dict[str, Any] = {"operation": operation, "identity": identity, "call": call, "name": name}
    return cast("Request", SimpleNamespace(**fields))


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


async def test_what_costs_a_full_batch_is_the_last_of_its_own() -> None:
    queue = RequestQueue(length=100, batch_size=8, batch_weight=FULL_BATCH)
    for name in range(4):
        queue.join(request(name, cost=FULL_BATCH if name in (1, 2) else 0))
    assert [names(queue.take()) for _ in range(3)] == [[0, 1], [2], [3]]


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

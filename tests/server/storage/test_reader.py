"""The reader's queue: a caller that goes away takes nothing from those that stay."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg2
import pytest

from tallystick.server.errors import Refusal
from tallystick.server.storage.reader import MAX_WAITING, Reader


class FakeConnection:
    """A connection that is never asked for anything but whether it is closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Work:
    """Queries that end when told to, and what ran of them."""

    def __init__(self) -> None:
        self.opened: list[FakeConnection] = []
        self.ran: list[str] = []
        self.at_once = 0
        self.go = asyncio.Event()
        self.reader = Reader(self._connect)

    async def _connect(self) -> Any:
        self.opened.append(FakeConnection())
        return self.opened[-1]

    def read(self, name: str, error: Exception | None = None) -> asyncio.Task[str]:
        async def query(_: object) -> str:
            self.ran.append(name)
            self.at_once += 1
            assert self.at_once == 1
            await self.go.wait()
            self.at_once -= 1
            if error is not None:
                raise error
            return name

        return asyncio.create_task(self.reader.read(query))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_cancelled_callers_give_their_places_up_and_are_never_run() -> None:
    work = Work()
    running = work.read("running")
    await settle()
    waiting = [work.read(f"waiting {number}") for number in range(MAX_WAITING)]
    await settle()
    with pytest.raises(Refusal, match="QUEUE_FULL"):
        await work.read("one too many")
    for task in waiting:
        task.cancel()
    await settle()
    after = work.read("after")
    await settle()
    work.go.set()
    assert (await running, await after) == ("running", "after")
    assert work.ran == ["running", "after"]


async def test_a_running_read_ends_by_itself_and_holds_the_turn_until_then() -> None:
    work = Work()
    running = work.read("running")
    await settle()
    running.cancel()
    after = work.read("after")
    await settle()
    assert work.ran == ["running"]
    work.go.set()
    assert await after == "after"
    assert len(work.opened) == 1
    assert not work.opened[0].closed


async def test_many_callers_that_come_and_go_do_not_crowd_others_off() -> None:
    work = Work()
    running = work.read("running")
    await settle()
    for number in range(4 * MAX_WAITING):
        task = work.read(f"gone {number}")
        await settle()
        task.cancel()
    await settle()
    after = work.read("after")
    await settle()
    work.go.set()
    assert (await running, await after) == ("running", "after")


async def test_an_abandoned_read_that_fails_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    running = work.read("running", psycopg2.DataError("a fault"))
    await settle()
    running.cancel()
    work.go.set()
    await settle()
    assert await work.read("after") == "after"
    assert not caplog.records


async def test_a_lost_connection_is_replaced_once() -> None:
    work = Work()
    work.go.set()
    assert await work.read("first") == "first"
    work.opened[0].closed = True
    assert await work.read("second") == "second"
    assert len(work.opened) == 2
    with pytest.raises(Refusal, match="DATABASE_UNAVAILABLE"):
        await work.read("failing", psycopg2.OperationalError("gone"))

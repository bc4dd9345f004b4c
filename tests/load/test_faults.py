"""Killing workers and PostgreSQL under load: what was acknowledged stands, and no retry has a second effect."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from tests.load import clients, system
from tests.load.conftest import Load
from tests.load.killing import kill_and_start_again

KILLS = 20
PAUSE = (0.3, 1.5)
"""Seconds of load between two kills."""

pytestmark = pytest.mark.slow


async def _under_load(load: Load, kill: Callable[[int], Awaitable[None]]) -> list[clients.Told]:
    stop = asyncio.Event()
    running = asyncio.create_task(clients.run_all(load.profiles, 0, 0, stop))
    await asyncio.sleep(3)
    for number in range(KILLS):
        await asyncio.sleep(random.uniform(*PAUSE))
        assert not running.done(), running.exception()
        await kill(number)
    await asyncio.sleep(2)
    stop.set()
    return list(await running)


def _check(load: Load, told: list[clients.Told]) -> None:
    database = load.database()
    database.check_told(told, database.check_log())
    # The load went on through it all: nobody gave up.
    assert all(len(each.queries) > KILLS and len(each.batches) > KILLS for each in told)
    database.close()
    assert system.examine(load.exchange.folder) == []


def test_a_worker_is_killed_twenty_times(load: Load) -> None:
    async def kill(number: int) -> None:
        load.exchange.kill_worker(number)

    _check(load, asyncio.run(_under_load(load, kill)))


def test_postgresql_is_killed_twenty_times(load: Load) -> None:
    async def kill(_number: int) -> None:
        await asyncio.to_thread(kill_and_start_again, load)

    _check(load, asyncio.run(_under_load(load, kill)))

"""Killing workers and PostgreSQL under load: what was acknowledged stands, and no retry has a second effect."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import psycopg2
import pytest
from tests.load import clients, system
from tests.load.conftest import Load
from tests.load.ledger_checks import Database

KILLS = 20
PAUSE = (0.3, 1.5)
"""Seconds of load between two kills."""

_START = """
import pathlib, sys
from tallystick.server.installation.embedded import embedded_postgresql
with embedded_postgresql(pathlib.Path(sys.argv[1])):
    pass
"""

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
        await asyncio.to_thread(_kill_and_start_again, load)

    _check(load, asyncio.run(_under_load(load, kill)))


def _kill_and_start_again(load: Load) -> None:
    system.kill_postgresql(load.data)
    time.sleep(0.5)
    # In a process of its own: this one has gRPC's threads, and must not fork. Who enters finds PostgreSQL down and starts it; it
    # stays up on leaving, for the fixture still holds it.
    subprocess.run([sys.executable, "-c", _START, str(load.data)], check=True)
    _wait_for(load.url)


def _wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            Database(url).close()
        except psycopg2.OperationalError:
            assert time.monotonic() < until, "PostgreSQL does not come back"
            time.sleep(0.1)
        else:
            return

"""Turns: one call at a time, the members in rotation, and nothing is lost by who gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tallystick.server.requests.turns import Turns


async def _take(turns: Turns, member_id: str, order: list[str], running: list[int]) -> None:
    async with turns.turn(member_id):
        running[0] += 1
        assert running[0] == 1
        try:
            await asyncio.sleep(0)
            order.append(member_id)
        finally:
            running[0] -= 1


async def _queued(turns: Turns, members: Sequence[str], order: list[str]) -> list[asyncio.Task[None]]:
    running = [0]
    tasks = [asyncio.create_task(_take(turns, member, order, running)) for member in members]
    await asyncio.sleep(0)
    return tasks


async def test_a_member_with_many_delays_another_by_one() -> None:
    turns, order = Turns(), list[str]()
    tasks = await _queued(turns, ["many"] * 20 + ["other", "third", "other"], order)
    await asyncio.gather(*tasks)
    assert order[:6] == ["many", "many", "other", "third", "many", "other"]
    assert order[6:] == ["many"] * 17


@pytest.mark.parametrize("leaving", [[1], [1, 2, 3], [0], [0, 1], [4], [1, 2, 3, 4], [0, 1, 2, 3, 4]])
async def test_who_is_cancelled_leaves_the_line(leaving: list[int]) -> None:
    turns, order = Turns(), list[str]()
    members = ["a", "a", "b", "b", "c"]
    tasks = await _queued(turns, members, order)
    for place in leaving:
        tasks[place].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [place in leaving for place in range(5)]
    assert sorted(order) == sorted(member for place, member in enumerate(members) if place not in leaving)
    # The turn is free again, whoever left.
    await asyncio.wait_for(_take(turns, "d", order, [0]), 1)


async def test_who_is_called_and_cancelled_at_once_passes_the_turn_on() -> None:
    turns, order = Turns(), list[str]()
    release = asyncio.Event()

    async def hold() -> None:
        async with turns.turn("a"):
            await release.wait()
        # In the step in which b was called: it has not run yet.
        called.cancel()

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0)
    called, after = await _queued(turns, ["b", "c"], order)
    release.set()
    await holder
    await asyncio.wait_for(after, 1)
    assert order == ["c"]


async def test_a_turn_that_fails_is_over() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="broken"):
        async with turns.turn("a"):
            raise ValueError("broken")
    await asyncio.wait_for(_take(turns, "b", [], [0]), 1)

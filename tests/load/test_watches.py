"""Watches through a hundred kills: every alert that was due is told at least once, and none for a watch that has ended."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.load import clients, system
from tests.load.clients import PATIENT, subject
from tests.load.conftest import Load
from tests.load.killing import kill_and_start_again
from tests.load.replay import Alert, Due, replay

from tallystick.client import AccountWatch, AsyncExchange, Report, ReportOutcome, WatchResult
from tallystick.credit import Account, Watch
from tallystick.credit import Alert as ToldAlert
from tallystick.credit.enums import CollectionStage
from tallystick.credit.history import RunningOverdue
from tallystick.server.installation.key_folder import KeyFolder

KILLS = 100
PAUSE = (0.2, 0.9)
"""Seconds of load between two kills."""
WATCHED = range(10_000, 10_200)
WATCHERS, REPORTERS = ("bank-a", "bank-b"), ("bank-c", "bank-d")
BATCH = 20
WAIT = dt.timedelta(seconds=2)

pytestmark = pytest.mark.slow


@dataclass
class Heard:
    """What one watcher was told, by the message's id, and when it asked."""

    alerts: dict[bytes, Alert] = field(default_factory=dict)
    asked: dict[bytes, dt.datetime] = field(default_factory=dict)
    """When the last pull was begun that told it."""
    different: list[bytes] = field(default_factory=list)
    pulls: int = 0
    again: int = 0
    """Messages that came more than once."""


async def report(exchange: AsyncExchange, stop: asyncio.Event, chance: random.Random) -> int:
    """Reports changes of accounts until it is stopped; returns how many batches were taken."""
    batches = 0
    while not stop.is_set():
        reports = [Report(subject(i), f"watched-{i}", _state(chance)) for i in chance.sample(WATCHED, BATCH)]
        results = [result async for result in exchange.report_many(reports)]
        assert all(result.outcome is not ReportOutcome.REJECTED for result in results)
        batches += 1
    return batches


def _state(chance: random.Random) -> Account:
    account = clients.account(chance.randrange(1000, 9000))
    days = chance.choice((0, 0, 5, 40, 75, 120, 200))
    if not days:
        return account
    since = account.as_of.date() - dt.timedelta(days=days)
    stage = chance.choice((CollectionStage.NONE, CollectionStage.REMINDER, CollectionStage.FIELD))
    running = RunningOverdue(since_date=since, days_past_due=days, amount=100_000, collection_stage=stage)
    return replace(account, running_overdue=running)


async def put(exchange: AsyncExchange, numbers: list[int]) -> list[WatchResult]:
    watches = [AccountWatch(subject(i), f"own-{i}", Watch(consent_reference=f"contract-{i}")) for i in numbers]
    return [result async for result in exchange.monitoring.put(watches)]


async def end_and_put_again(exchange: AsyncExchange, ids: dict[int, bytes], stop: asyncio.Event, chance: random.Random) -> None:
    """Ends some watches, by their ids or by closing their accounts, and puts them again."""
    while not stop.is_set():
        chosen = chance.sample(list(ids), 5)
        if chance.random() < 0.5:
            await exchange.monitoring.end([ids[number] for number in chosen])
        else:
            closed = [replace(clients.account(0), status=4, closed_date=dt.date(2026, 1, 1)) for _ in chosen]
            reports = [Report(subject(i), f"own-{i}", account) for i, account in zip(chosen, closed, strict=True)]
            async for _ in exchange.report_many(reports):
                pass
            # Times of reports are whole seconds.
            await asyncio.sleep(1.1)
            async for _ in exchange.report_many([Report(subject(i), f"own-{i}", clients.account(1)) for i in chosen]):
                pass
        await asyncio.sleep(0.3)
        assert all(result.accepted for result in await put(exchange, chosen))


async def listen(exchange: AsyncExchange, heard: Heard, stop: asyncio.Event, chance: random.Random) -> None:
    """Pulls on, acknowledges now and then, and now and then begins again behind that; at the end until nothing comes."""
    cursor, silent = "", 0
    while silent < 3:
        asked = dt.datetime.now(dt.UTC)
        pulled = await exchange.monitoring.pull(cursor, page_size=50, wait=WAIT)
        heard.pulls += 1
        silent = silent + 1 if stop.is_set() and not pulled.messages and pulled.next_cursor == cursor else 0
        for message in pulled.messages:
            if isinstance(message.content, ToldAlert):
                content = message.content
                alert = message.watch_id, int(content.type), content.before, content.after
                key = message.message_id.bytes
                heard.again += key in heard.alerts
                if heard.alerts.setdefault(key, alert) != alert:
                    heard.different.append(key)
                heard.asked[key] = asked
        cursor = pulled.next_cursor
        if chance.random() < 0.3 and cursor:
            await exchange.monitoring.acknowledge(cursor)
        elif chance.random() < 0.1 and not stop.is_set():
            cursor = ""


async def run(load: Load, profiles: Path) -> list[Heard]:
    stop, quiet = asyncio.Event(), asyncio.Event()
    heard = [Heard() for _ in WATCHERS]
    exchanges = [AsyncExchange.from_profile(profiles / bank, PATIENT) for bank in (*WATCHERS, *REPORTERS)]
    chances = [random.Random(seed) for seed in range(8)]
    try:
        ids: list[dict[int, bytes]] = []
        for exchange in exchanges[:2]:
            own = [Report(subject(i), f"own-{i}", clients.account(1)) for i in WATCHED]
            assert all([result.outcome is ReportOutcome.ACCEPTED async for result in exchange.report_many(own)])
            results = await put(exchange, list(WATCHED))
            ids.append({number: result.watch_id for number, result in zip(WATCHED, results, strict=True)})
        working = [
            *(asyncio.create_task(report(each, stop, chance)) for each, chance in zip(exchanges[2:], chances[:2], strict=True)),
            *(
                # The first fifth of the watches is ended and put again; the others stand all the time.
                asyncio.create_task(end_and_put_again(each, dict(list(of.items())[:40]), stop, chance))
                for each, of, chance in zip(exchanges[:2], ids, chances[2:4], strict=True)
            ),
        ]
        listening = [
            asyncio.create_task(listen(each, to, quiet, chance))
            for each, to, chance in zip(exchanges[:2], heard, chances[4:6], strict=True)
        ]
        await asyncio.sleep(2)
        for number in range(KILLS):
            await asyncio.sleep(random.uniform(*PAUSE))
            assert not any(task.done() for task in working)
            if number % 2:
                await asyncio.to_thread(kill_and_start_again, load)
            else:
                load.exchange.kill_worker(number)
        await asyncio.sleep(2)
        stop.set()
        batches = await asyncio.gather(*working)
        assert min(count for count in batches if count is not None) > KILLS / 2
        quiet.set()
        await asyncio.gather(*listening)
    finally:
        for exchange in exchanges:
            await exchange.close()
    return heard


def test_watches_through_a_hundred_kills(load: Load) -> None:
    began = time.monotonic()
    heard = asyncio.run(run(load, load.profiles))
    database = load.database()
    database.check_log()
    due = replay(database, KeyFolder(load.exchange.folder / "keys"))
    database.close()
    told = Counter(alert for each in heard for alert in each.alerts.values())
    print(
        f"\n{due.alerts.total()} alerts due, {told.total()} told in {sum(each.pulls for each in heard)} pulls,"
        f" {sum(each.again for each in heard)} again; {sum(map(len, due.ended.values()))} ends; {time.monotonic() - began:.0f} s"
    )
    assert due.alerts.total() > 1000
    assert [each.different for each in heard] == [[], []]
    # Of a watch that never ended all that was due is told, and each once; of the others no more than was due.
    ended = set(due.ended)
    lasting = Counter({alert: count for alert, count in due.alerts.items() if alert[0] not in ended})
    assert Counter({alert: count for alert, count in told.items() if alert[0] not in ended}) == lasting
    assert lasting.total() > 500
    assert told <= due.alerts
    assert _after_the_end(heard, due) == []
    assert system.examine(load.exchange.folder) == []


def _after_the_end(heard: list[Heard], due: Due) -> list[Alert]:
    """Alerts that a pull told which was begun after their watch had ended, and before it was put again."""
    found = []
    for each in heard:
        for key, asked in each.asked.items():
            alert = each.alerts[key]
            ends = [time for time in due.ended.get(alert[0], ()) if time < asked]
            if ends and not any(time > max(ends) for time in due.put[alert[0]]):
                found.append(alert)
    return found

"""Watches that are put while others report: each entry is told to every watch whose own entry comes before it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.system import System

from tallystick.v1 import codes_pb2

HELD = 0.7
"""Seconds: longer than a request needs until it waits for the head of the log."""


def late(subject: Any) -> Any:
    state = requests.account()
    state.running_overdue.since_date, state.running_overdue.days_past_due = 20250101, 40
    return requests.report(subject, state)


def test_a_watch_that_is_put_while_a_report_is_under_way(system: System, second_worker_caller: RawCaller) -> None:
    """The report has read that nobody watches when the watch commits; it goes to the log behind it, so it must look again."""
    watcher, reporter = second_worker_caller, system["bank-b"].exchange
    borrower = requests.report(system.mint.stranger())
    assert watcher.call(requests.SUBMIT, requests.submission([borrower])).ok
    cursor = watcher.call(requests.PULL, requests.pull(page_size=1000)).message.next_cursor
    holder = psycopg2.connect(system.exchange.installation.database)
    with ThreadPoolExecutor(2) as pool, holder, holder.cursor() as held:
        held.execute("SELECT FROM log_head FOR UPDATE")
        putting = pool.submit(watcher.call, requests.PUT_WATCHES, requests.put([requests.watch(borrower)]))
        time.sleep(HELD)
        reporting = pool.submit(reporter.call, requests.SUBMIT, requests.submission([late(borrower.subject)]))
        time.sleep(HELD)
        assert not putting.done()
        assert not reporting.done()
        holder.commit()
        put, reported = putting.result(), reporting.result()
    holder.close()
    assert put.message.verdicts[0].accepted
    assert watcher.verified_receipt(put).index < reporter.verified_receipt(reported).index
    messages = watcher.call(requests.PULL, requests.pull(cursor, wait_seconds=5)).message.messages
    found = [each.alert.type for each in messages if each.watch_id == put.message.verdicts[0].watch_id]
    assert found == [codes_pb2.TRIGGER_TYPE_OVERDUE_BEGAN]


def test_what_is_due_is_told_though_nobody_asks_anything(system: System) -> None:
    """The log stands still behind the report: the look of who waits moves the fence."""
    watcher, reporter = system["bank-a"].exchange, system["bank-b"].exchange
    borrower = requests.report(system.mint.stranger())
    assert watcher.call(requests.SUBMIT, requests.submission([borrower])).ok
    (verdict,) = watcher.call(requests.PUT_WATCHES, requests.put([requests.watch(borrower)])).message.verdicts
    cursor = watcher.call(requests.PULL, requests.pull(page_size=1000)).message.next_cursor
    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(watcher.call, requests.PULL, requests.pull(cursor, wait_seconds=20))
        time.sleep(HELD)
        assert reporter.call(requests.SUBMIT, requests.submission([late(borrower.subject)])).ok
        began = time.monotonic()
        pulled = pulling.result()
    assert time.monotonic() - began < 15
    assert [each.watch_id for each in pulled.message.messages] == [verdict.watch_id]
    ((fence, last),) = system.exchange.database_view.rows("SELECT fence_time, last_time FROM log_head")
    assert last >= fence

"""Watches and messages over the real server: what others report is told, to whom it may be told, and once it may be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.system import INQUIRER, REPORTER, System

from tallystick.v1 import codes_pb2

BEGAN, WORSENED, CURED = (
    codes_pb2.TRIGGER_TYPE_OVERDUE_BEGAN,
    codes_pb2.TRIGGER_TYPE_OVERDUE_WORSENED,
    codes_pb2.TRIGGER_TYPE_OVERDUE_CURED,
)


class Bank:
    """A member with nothing but its own watches, which pulls on from where it was."""

    def __init__(self, caller: RawCaller) -> None:
        self.caller = caller
        self.cursor = ""

    def borrower(self, system: System) -> Any:
        """A borrower of its own, with a good account."""
        report = requests.report(system.mint.stranger())
        assert self.caller.call(requests.SUBMIT, requests.submission([report])).ok
        return report

    def watch(self, *reports: Any, triggers: Sequence[tuple[int, int]] = (), **changes: Any) -> list[bytes]:
        """Watches the borrowers of reports; the ids."""
        watches = [requests.watch(report, triggers, **changes) for report in reports]
        verdicts = self.caller.call(requests.PUT_WATCHES, requests.put(watches)).message.verdicts
        assert all(verdict.accepted for verdict in verdicts), verdicts
        return [bytes(verdict.watch_id) for verdict in verdicts]

    def pull(self, wait: int = 0) -> list[Any]:
        """All messages from the cursor on."""
        messages: list[Any] = []
        while True:
            answer = self.caller.call(requests.PULL, requests.pull(self.cursor, wait_seconds=wait)).message
            if answer.next_cursor == self.cursor:
                return messages
            self.cursor, wait = answer.next_cursor, 0
            messages += answer.messages

    def report(self, subject: Any, days: int = 0, of: Any = None, after: int = 0, **changes: Any) -> Any:
        """Reports an account of a subject that is overdue for so many days; `after` are seconds from now."""
        state = requests.account(as_of=requests.now() + timedelta(seconds=after), **changes)
        if days:
            state.running_overdue.since_date = 20250101
            state.running_overdue.days_past_due = days
            state.running_overdue.amount = 1_234_500
        report = requests.report(subject, state, of)
        verdicts = self.caller.call(requests.SUBMIT, requests.submission([report])).message.verdicts
        assert [verdict.outcome for verdict in verdicts] == [1], verdicts
        return report


_names = iter(range(10**6))


def new_bank(system: System, purposes: tuple[int, ...] = (1, 2, 21)) -> Bank:
    return Bank(system.admit_caller(f"watcher-{next(_names)}", [REPORTER, INQUIRER], purposes))


@pytest.fixture
def banks(system: System) -> tuple[Bank, Bank]:
    """Who watches, and who reports."""
    return new_bank(system), new_bank(system)


def alerts(messages: Sequence[Any]) -> list[tuple[int, int, int]]:
    return [(each.alert.type, each.alert.before, each.alert.after) for each in messages if each.HasField("alert")]


def test_what_another_reports_is_told(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    (watch_id,) = watcher.watch(borrower)
    assert watcher.pull() == []
    reported = reporter.report(borrower.subject, days=10)
    (message,) = watcher.pull()
    assert alerts([message]) == [(BEGAN, 0, 1)]
    assert (message.subject, message.watch_id) == (borrower.subject, watch_id)
    assert message.account_reference == borrower.account_reference
    assert (message.purpose, message.consent_reference) == (codes_pb2.PURPOSE_POST_LOAN_MANAGEMENT, "contract-1")
    assert message.date == int(f"{requests.now():%Y%m%d}")
    assert (message.alert.amount.currency, message.alert.amount.at_least, message.alert.amount.below) == (
        "CNY",
        1_000_000,
        2_000_000,
    )
    assert watcher.pull() == []
    reporter.report(borrower.subject, days=75, of=reported.account_reference, after=1)
    assert alerts(watcher.pull()) == [(WORSENED, 1, 3)]
    assert reporter.pull() == []


def test_a_pull_waits_for_what_comes(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    began = time.monotonic()
    assert watcher.pull(wait=1) == []
    assert 0.9 < time.monotonic() - began < 5
    reporter.report(borrower.subject, days=10)
    began = time.monotonic()
    assert alerts(watcher.pull(wait=20)) == [(BEGAN, 0, 1)]
    assert time.monotonic() - began < 5

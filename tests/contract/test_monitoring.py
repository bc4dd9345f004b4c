"""Watches and messages over the real server: what others report is told, to whom it may be told, and once it may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.system import INQUIRER, REPORTER, System

from tallystick.client import Exchange
from tallystick.credit import Alert
from tallystick.v1 import audit_service_pb2, codes_pb2, membership_service_pb2, monitoring_service_pb2

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
    assert time.monotonic() - began > 0.9
    reporter.report(borrower.subject, days=10)
    began = time.monotonic()
    assert alerts(watcher.pull(wait=20)) == [(BEGAN, 0, 1)]
    assert time.monotonic() - began < 15


def test_the_own_report_is_no_news(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, _ = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    watcher.report(borrower.subject, days=40, of=borrower.account_reference, after=1)
    assert watcher.pull() == []


def test_only_what_the_watch_is_for_is_told(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower, triggers=[(BEGAN, 3)])
    of = reporter.report(borrower.subject, days=10).account_reference
    reporter.report(borrower.subject, days=40, of=of, after=1)
    assert watcher.pull() == []
    reporter.report(borrower.subject, days=100)
    assert alerts(watcher.pull()) == [(BEGAN, 0, 4)]


def test_a_debt_that_is_paid_is_told(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    of = reporter.report(borrower.subject, days=100).account_reference
    reporter.report(borrower.subject, of=of, after=1)
    assert alerts(watcher.pull()) == [(BEGAN, 0, 4), (CURED, 4, 0)]


def test_an_account_that_ends_ends_its_watch_and_what_it_had_to_tell(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    (watch_id,) = watcher.watch(borrower)
    reporter.report(borrower.subject, days=10)
    closed = int(f"{requests.now() - timedelta(days=1):%Y%m%d}")
    watcher.report(borrower.subject, of=borrower.account_reference, after=1, status=4, balance=0, closed_date=closed)
    (message,) = watcher.pull()
    assert message.watch_id == watch_id
    assert message.watch_ended.reason == codes_pb2.WATCH_STATE_REASON_ACCOUNT_NOT_LIVING
    assert message.watch_ended.discarded_count == 1
    reporter.report(borrower.subject, days=10)
    assert watcher.pull() == []
    (listed,) = watcher.caller.call(requests.LIST_WATCHES, b"").message.watches
    assert (listed.state, listed.reason) == (codes_pb2.WATCH_STATE_ENDED, codes_pb2.WATCH_STATE_REASON_ACCOUNT_NOT_LIVING)


def test_an_account_that_is_withdrawn_ends_its_watch(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    withdrawal = requests.withdrawal(borrower.subject, borrower.account_reference, requests.now() + timedelta(seconds=1))
    assert watcher.caller.call(requests.WITHDRAW, withdrawal).message.withdrawn
    reporter.report(borrower.subject, days=10)
    (message,) = watcher.pull()
    assert message.watch_ended.reason == codes_pb2.WATCH_STATE_REASON_ACCOUNT_WITHDRAWN
    assert message.watch_ended.discarded_count == 0


def test_a_watch_that_its_member_ends_says_nothing_more(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    (watch_id,) = watcher.watch(borrower)
    reporter.report(borrower.subject, days=10)
    request = requests.ending([watch_id])
    assert watcher.caller.call(requests.END_WATCHES, request).message.ended_count == 1
    assert watcher.caller.call(requests.END_WATCHES, request).message.ended_count == 1
    assert watcher.caller.call(requests.END_WATCHES, requests.ending([watch_id])).message.ended_count == 0
    reporter.report(borrower.subject, days=10)
    assert watcher.pull() == []
    # Put again it is the same watch, and begins anew.
    assert watcher.watch(borrower) == [watch_id]
    reporter.report(borrower.subject, days=40)
    assert alerts(watcher.pull()) == [(BEGAN, 0, 2)]


def test_a_retry_of_putting_gets_the_first_answer(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, _ = banks
    request = requests.put([requests.watch(watcher.borrower(system))])
    first, again = (watcher.caller.call(requests.PUT_WATCHES, request) for _ in range(2))
    assert first.answer == again.answer
    assert len(watcher.caller.call(requests.LIST_WATCHES, b"").message.watches) == 1


def test_a_stale_report_pauses_its_watch(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    stored = system.exchange.database_view
    age = "UPDATE account SET update_time = now() - interval '93 days' WHERE account_reference = %s"
    reference = borrower.account_reference.secret_id + borrower.account_reference.digest
    stored.rows(age, (reference,))
    reporter.report(borrower.subject, days=10)
    assert watcher.pull() == []
    (listed,) = watcher.caller.call(requests.LIST_WATCHES, b"").message.watches
    assert (listed.state, listed.reason) == (codes_pb2.WATCH_STATE_PAUSED, codes_pb2.WATCH_STATE_REASON_REPORT_STALE)
    watcher.report(borrower.subject, of=borrower.account_reference, after=1)
    reporter.report(borrower.subject, days=40)
    assert alerts(watcher.pull()) == [(BEGAN, 0, 2)]


def test_a_member_that_loses_the_purpose_is_told_nothing(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    reporter.report(borrower.subject, days=10)
    members = {each.member_id: each for each in system.operator.call(requests.LIST_MEMBERS, b"").message.members}
    member = members[watcher.caller.member_id]
    purposes = list(member.purposes)
    del member.purposes[:]
    update = membership_service_pb2.UpdateMemberRequest(request_id=requests.request_id(), member=member)
    assert system.operator.call(requests.UPDATE_MEMBER, update).ok
    assert watcher.pull() == []
    (listed,) = watcher.caller.call(requests.LIST_WATCHES, b"").message.watches
    assert listed.reason == codes_pb2.WATCH_STATE_REASON_PURPOSE_NOT_ALLOWED
    member.purposes.extend(purposes)
    update = membership_service_pb2.UpdateMemberRequest(request_id=requests.request_id(), member=member)
    assert system.operator.call(requests.UPDATE_MEMBER, update).ok


def test_messages_come_again_until_they_are_acknowledged(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrowers = [watcher.borrower(system) for _ in range(5)]
    watcher.watch(*borrowers)
    for borrower in borrowers:
        reporter.report(borrower.subject, days=10)
    first = watcher.pull()
    end, watcher.cursor = watcher.cursor, ""
    assert [each.message_id for each in watcher.pull()] == [each.message_id for each in first]
    half = watcher.caller.call(requests.PULL, requests.pull(page_size=2)).message
    assert [each.message_id for each in half.messages] == [each.message_id for each in first[:2]]
    acknowledged = watcher.caller.call(requests.ACKNOWLEDGE, requests.acknowledgement(half.next_cursor)).message
    assert (acknowledged.acknowledged_cursor, acknowledged.waiting_count) == (half.next_cursor, 3)
    watcher.cursor = ""
    assert [each.message_id for each in watcher.pull()] == [each.message_id for each in first[2:]]
    assert watcher.caller.call(requests.ACKNOWLEDGE, requests.acknowledgement(end)).message.waiting_count == 0
    # Backwards it does not move.
    back = watcher.caller.call(requests.ACKNOWLEDGE, requests.acknowledgement(half.next_cursor)).message
    assert (back.acknowledged_cursor, back.waiting_count) == (end, 0)
    watcher.cursor = half.next_cursor
    assert [each.message_id for each in watcher.pull()] == [each.message_id for each in first[2:]]


def test_who_was_told_of_a_person_is_in_the_log(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    reporter.report(borrower.subject, days=10)
    reply = watcher.caller.call(requests.PULL, requests.pull())
    index = watcher.caller.verified_receipt(reply).index
    auditor = system["auditor"].exchange
    listed = auditor.call(
        requests.LIST_ENTRIES, audit_service_pb2.ListAuditEntriesRequest(subject=borrower.subject, page_size=100)
    ).message
    assert index in {each.logged_entry.index for each in listed.entries}
    details = auditor.call(requests.GET_ENTRY, audit_service_pb2.GetAuditEntryRequest(index=index)).message.details
    told = details[1].subject
    assert (told.subject, told.purpose, told.consent_reference) == (borrower.subject, 1, "contract-1")
    # Others who ask are not told of it as of an inquiry: only a query leaves a footprint.
    history = reporter.caller.call(requests.QUERY, requests.query(borrower.subject)).message.credit_history
    assert history.inquiry_summary.count_1_month == 0


def test_erasing_takes_watches_and_messages(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    reporter.report(borrower.subject, days=10)
    pulled = watcher.caller.call(requests.PULL, requests.pull())
    assert len(pulled.message.messages) == 1
    erase = audit_service_pb2.EraseSubjectRequest(request_id=requests.request_id(), subject=borrower.subject)
    assert system.operator.call(requests.ERASE, erase).ok
    assert watcher.pull() == []
    assert list(watcher.caller.call(requests.LIST_WATCHES, b"").message.watches) == []
    index = watcher.caller.verified_receipt(pulled).index
    shown = system["auditor"].exchange.call(requests.GET_ENTRY, audit_service_pb2.GetAuditEntryRequest(index=index)).message
    assert [leaf.WhichOneof("content") for leaf in shown.details] == ["erased_leaf_hash", "erased_leaf_hash"]


def test_a_query_shows_who_asked_in_order_to_lend(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    assert reporter.caller.call(requests.QUERY, requests.query(borrower.subject)).ok
    summary = watcher.caller.call(requests.QUERY, requests.query(borrower.subject)).message.credit_history.inquiry_summary
    assert (summary.lending_institutions_1_month, summary.count_1_month) == (1, 1)


def test_a_digest_of_few_borrowers_is_none(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, _ = banks
    watcher.watch(watcher.borrower(system))
    month = audit_digest(requests.months_back(2)[1])
    answer = watcher.caller.call(requests.DIGEST, month).message
    assert (answer.watched_count, answer.too_small, list(answer.rows)) == (1, True, [])


def test_a_digest_counts_what_was_released_in_its_month(system: System, banks: tuple[Bank, Bank]) -> None:
    watcher, reporter = banks
    borrowers = [requests.report(system.mint.stranger()) for _ in range(50)]
    assert watcher.caller.call(requests.SUBMIT, requests.submission(borrowers)).ok
    watcher.watch(*borrowers)
    for borrower in borrowers[:3]:
        of = reporter.report(borrower.subject, days=10).account_reference
        reporter.report(borrower.subject, days=70, of=of, after=1)
    assert len(watcher.pull()) == 6
    last = requests.months_back(2)[1]
    stored = system.exchange.database_view
    stored.rows(
        "UPDATE message SET release_time = to_timestamp(%s::text, 'YYYYMMDD') + interval '10 days'"
        " WHERE member = (SELECT id FROM member WHERE member_id = %s)",
        (last, watcher.caller.member_id),
    )
    answer = watcher.caller.call(requests.DIGEST, audit_digest(last)).message
    rows = [(row.type, row.before, row.after, row.alert_count, row.subject_count) for row in answer.rows]
    assert rows == [(BEGAN, 0, 1, 3, 3), (WORSENED, 1, 3, 3, 3)]
    assert (answer.watched_count, answer.too_small) == (50, False)


def audit_digest(month: int) -> Any:
    return monitoring_service_pb2.GetPortfolioDigestRequest(month=month)


def test_the_sdk_tells_and_verifies_it(system: System, banks: tuple[Bank, Bank], sdk: Callable[[str], Exchange]) -> None:
    watcher, reporter = banks
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    reporter.report(borrower.subject, days=10)
    exchange = sdk(watcher.caller.member_id)
    (message,) = exchange.monitoring.messages()
    assert isinstance(message.content, Alert)
    assert str(message.content) == "an account elsewhere became overdue: 1–30 days past due, 10,000 to 20,000 CNY"
    assert list(exchange.monitoring.messages()) == []
    (listed,) = exchange.monitoring.list()
    assert exchange.monitoring.end([listed.watch_id]) == 1

"""What may have ended a watch, read from entries: by whom, why and on which day; nothing is accused where evidence is gone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tallystick.contract.methods import END_WATCHES, SUBMIT_REPORTS, WITHDRAW_ACCOUNT, Method
from tallystick.contract.subjects import of_token
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.subjects import Subjects
from tallystick.server.examination.watch_ends import WatchEnds
from tallystick.v1 import log_pb2
from tallystick.v1 import monitoring_service_pb2 as monitoring
from tallystick.v1 import reporting_service_pb2 as reporting

MEMBER, OTHER = 7, 8
WATCH = b"w" * 16
BY_MEMBER, NOT_LIVING, WITHDRAWN, BY_DATE = 1, 2, 3, 4
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAY = NOON.date()


class Case:
    """The ends that a few entries give."""

    def __init__(self) -> None:
        self._subjects = Subjects(Anomalies(), b"s" * 32, b"e" * 20)
        self._ends = WatchEnds(Scratch(), self._subjects)
        report: Any = reporting.AccountReport()
        report.subject.epoch_id, report.subject.element = b"e" * 20, b"p" * 32
        report.account_reference.secret_id, report.account_reference.digest = b"i" * 8, b"d" * 32
        report.account.status = 1
        self.report = report
        self.key = (self._subjects.key(of_token(report.subject)), MEMBER, b"i" * 8 + b"d" * 32)

    def entry(self, method: Method[Any, Any], message: Any, time: datetime = NOON, *, repeated: bool = False) -> None:
        leaf = log_pb2.AuditEntry(method=method.path, outcome=log_pb2.ENTRY_OUTCOME_OK)
        entry = Examined(5, leaf, time, MEMBER, repeated=repeated)
        entry.message = message
        self._ends.take(entry)

    def days(self, reason: int, watch_id: bytes = WATCH, member: int = MEMBER) -> list[date]:
        """On which days about noon's the watch may have ended for that reason."""
        key = self.key[0], member, self.key[2]
        around = [DAY + timedelta(days=days) for days in range(-2, 3)]
        return [day for day in around if self._ends.may_have_ended(key, watch_id, reason, day)]

    def all_days(self) -> dict[int, list[date]]:
        return {reason: days for reason in range(7) if (days := self.days(reason))}


@pytest.fixture
def case() -> Case:
    return Case()


def closed(case: Case) -> Any:
    report = reporting.AccountReport()
    report.CopyFrom(case.report)
    report.account.status, report.account.closed_date, report.account.balance = 4, 20260304, 0
    return report


def test_its_member_ends_the_watch_that_it_names(case: Case) -> None:
    case.entry(END_WATCHES, monitoring.EndWatchesRequest(watch_ids=[b"v" * 16, WATCH]))
    assert case.all_days() == {BY_MEMBER: [DAY]}
    assert case.days(BY_MEMBER, b"u" * 16) == case.days(BY_MEMBER, member=OTHER) == []


def test_an_account_that_is_withdrawn_ends_its_watch(case: Case) -> None:
    request = reporting.WithdrawAccountRequest(subject=case.report.subject, account_reference=case.report.account_reference)
    case.entry(WITHDRAW_ACCOUNT, request)
    assert case.all_days() == {WITHDRAWN: [DAY]}
    assert case.days(WITHDRAWN, member=OTHER) == []


def test_only_a_report_of_an_account_that_is_over_ends_its_watch(case: Case) -> None:
    case.entry(SUBMIT_REPORTS, reporting.SubmitReportsRequest(reports=[case.report]))
    assert case.all_days() == {}
    case.entry(SUBMIT_REPORTS, reporting.SubmitReportsRequest(reports=[case.report, closed(case)]))
    assert case.all_days() == {NOT_LIVING: [DAY]}


def test_a_retry_ends_nothing(case: Case) -> None:
    case.entry(END_WATCHES, monitoring.EndWatchesRequest(watch_ids=[WATCH]), repeated=True)
    assert case.all_days() == {}


def test_a_transaction_over_midnight_is_of_both_days(case: Case) -> None:
    case.entry(END_WATCHES, monitoring.EndWatchesRequest(watch_ids=[WATCH]), NOON.replace(hour=0, second=5))
    assert case.all_days() == {BY_MEMBER: [DAY - timedelta(days=1), DAY]}


def test_nobody_is_accused_where_evidence_is_gone(case: Case) -> None:
    case.entry(SUBMIT_REPORTS, None)
    assert len(case.days(NOT_LIVING)) == len(case.days(BY_MEMBER)) == 5
    assert case.days(NOT_LIVING, member=OTHER) == []


def test_a_report_without_a_good_token_is_passed_over(case: Case) -> None:
    spoiled = closed(case)
    spoiled.subject.element, spoiled.subject.epoch_id = b"short", b""
    nothing = reporting.AccountReport()
    case.entry(SUBMIT_REPORTS, reporting.SubmitReportsRequest(reports=[spoiled, nothing, closed(case)]))
    assert case.all_days() == {NOT_LIVING: [DAY]}

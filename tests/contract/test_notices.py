"""Notice before bad information: what an exchange makes of the report that first makes a person's account bad, by its setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract import requests
from tests.contract.examined import examine
from tests.contract.raw_caller import RawCaller
from tests.contract.requests import GET_SUBMISSION, SUBMIT
from tests.contract.system import System

from tallystick.client import Exchange, Identity, Report, ReportOutcome
from tallystick.credit.enums import AccountType, Disposition, SubjectKind
from tallystick.credit.history import Account, AccountMonth
from tallystick.v1 import account_pb2, codes_pb2, reporting_service_pb2, subject_pb2

TAKEN, SUPERSEDED, REJECTED = 1, 2, 3
FIELD = "reports[{}].bad_record_notice_date"
RULES = ["off", "warn", "reject"]


@contextmanager
def exchange(system: System, rule: str) -> Iterator[RawCaller]:
    """A worker with this setting, and bank-a that calls it."""
    worker = system.exchange.installation.start(TALLYSTICK_REQUIRE_NOTICE=rule)
    member = system["bank-a"]
    caller = RawCaller(system.exchange.installation, worker.address, member.member_id, member.key)
    try:
        yield caller
    finally:
        caller.close()
        worker.stop()


def days_before(count: int) -> int:
    """The day so many days before today, as a number; both in UTC."""
    return int(f"{datetime.now(UTC) - timedelta(days=count):%Y%m%d}")


def bad(**changes: Any) -> account_pb2.Account:
    late = requests.month(requests.months_back(2)[1], codes_pb2.DISPOSITION_OVERDUE_1)
    state: account_pb2.Account = requests.account(months=[late], **changes)
    return state


def report(subject: Any, state: Any, of: Any = None, notice: int = 0) -> Any:
    message = requests.report(subject, state, of)
    message.bad_record_notice_date = notice
    return message


def verdicts(caller: RawCaller, *reports: Any) -> list[reporting_service_pb2.ReportVerdict]:
    answer = caller.call(SUBMIT, requests.submission(reports)).message
    assert answer.accepted_count + answer.rejected_count == len(reports)
    return list(answer.verdicts)


def told(verdict: reporting_service_pb2.ReportVerdict) -> tuple[int, list[tuple[str, str]], list[tuple[str, str]]]:
    """Outcome, violations, warnings."""
    violations, warnings = ([(v.field, v.reason) for v in each] for each in (verdict.violations, verdict.warnings))
    return verdict.outcome, violations, warnings


def missing(rule: str, place: int = 0) -> tuple[int, list[tuple[str, str]], list[tuple[str, str]]]:
    said = [(FIELD.format(place), "FIELD_REQUIRED")]
    return {"off": (TAKEN, [], []), "warn": (TAKEN, [], said), "reject": (REJECTED, said, [])}[rule]


@pytest.mark.parametrize("rule", RULES)
def test_only_the_first_bad_report_of_a_person_needs_a_notice(system: System, rule: str) -> None:
    with exchange(system, rule) as caller:
        now, good = requests.now(), requests.account
        first, second = system.mint.stranger(), system.mint.stranger()
        of, other = requests.reference(), requests.reference()
        running = account_pb2.RunningOverdue(since_date=days_before(5), days_past_due=2)
        overdue: Any = good(as_of=now - timedelta(days=3))
        overdue.running_overdue.CopyFrom(running)
        organisation = bad(subject_kind=subject_pb2.SUBJECT_KIND_ORGANISATION)
        early = now - timedelta(days=4)
        assert [told(each) for each in verdicts(caller, report(first, bad(as_of=early), of))] == [missing(rule)]
        assert [told(each) for each in verdicts(caller, report(second, good(as_of=early), other))] == [(TAKEN, [], [])]
        # A good account that becomes bad; an organisation's; and one that says when the person was told.
        found = verdicts(
            caller,
            report(second, overdue, other),
            report(system.mint.stranger(), organisation),
            report(system.mint.stranger(), bad(), notice=days_before(1)),
        )
        assert [told(each) for each in found] == [missing(rule), (TAKEN, [], []), (TAKEN, [], [])]
        # With a notice both are bad from now on, and what comes after them needs none.
        later = now - timedelta(days=2)
        notice = days_before(5)
        verdicts(caller, report(first, bad(as_of=later), of, notice), report(second, bad(as_of=later), other, notice))
        last = now - timedelta(days=1)
        found = verdicts(caller, report(first, bad(as_of=last), of), report(second, good(as_of=last), other))
        assert [told(each) for each in found] == [(TAKEN, [], [])] * 2


def test_what_is_rejected_leaves_nothing_and_is_logged(system: System) -> None:
    with exchange(system, "reject") as caller:
        subject, of = system.mint.stranger(), requests.reference()
        stored = "SELECT count(*) FROM account WHERE account_reference = %s"
        reference = (of.secret_id + of.digest,)
        size = system.exchange.database_view.size
        request = requests.submission([report(subject, bad(), of), report(system.mint.stranger(), bad(), notice=days_before(1))])
        reply = caller.call(SUBMIT, request)
        assert [told(each) for each in reply.message.verdicts] == [missing("reject"), (TAKEN, [], [])]
        system.expect_entry(caller, reply, size, refused=False)
        assert system.exchange.database_view.rows(stored, reference) == [(0,)]
        # In one batch the later state, with a notice, is taken where the earlier one is not.
        earlier, later = bad(as_of=requests.now() - timedelta(days=1)), bad()
        found = verdicts(caller, report(subject, earlier, of), report(subject, later, of, days_before(1)))
        assert [told(each) for each in found] == [missing("reject"), (TAKEN, [], [])]
        assert system.exchange.database_view.rows(stored, reference) == [(1,)]


def test_a_retry_and_a_look_back_say_the_same(system: System) -> None:
    caller = system["bank-a"].exchange
    request = requests.submission([report(system.mint.stranger(), bad())])
    first, again = caller.call(SUBMIT, request).message, caller.call(SUBMIT, request).message
    assert [told(each) for each in first.verdicts] == [missing("warn")]
    assert first == again
    asked = reporting_service_pb2.GetSubmissionRequest(submission_request_id=request.request_id)
    assert list(caller.call(GET_SUBMISSION, asked).message.verdicts) == list(first.verdicts)


@pytest.mark.parametrize(
    ("notice", "reason"),
    [
        (lambda: days_before(0), "FIELD_OUT_OF_RANGE"),
        (lambda: days_before(-1), "FIELD_OUT_OF_RANGE"),
        (lambda: days_before(91), "FIELD_OUT_OF_RANGE"),
        (lambda: 20250230, "FIELD_MALFORMED"),
        (lambda: 1, "FIELD_MALFORMED"),
        (lambda: 2**32 - 1, "FIELD_MALFORMED"),
    ],
)
@pytest.mark.parametrize("state", [bad, requests.account])
def test_a_day_that_is_no_notice_s(system: System, notice: Callable[[], int], reason: str, state: Callable[[], Any]) -> None:
    found = verdicts(system["bank-a"].exchange, report(system.mint.stranger(), state(), notice=notice()))
    assert [told(each) for each in found] == [(REJECTED, [(FIELD.format(0), reason)], [])]


@pytest.mark.parametrize("days", [1, 90])
def test_the_earliest_and_the_latest_day(system: System, days: int) -> None:
    found = verdicts(system["bank-a"].exchange, report(system.mint.stranger(), bad(), notice=days_before(days)))
    assert [told(each) for each in found] == [(TAKEN, [], [])]


def test_an_account_without_as_of_says_only_that(system: System) -> None:
    state = bad()
    state.as_of.seconds = -(2**62)
    found = verdicts(system["bank-a"].exchange, report(system.mint.stranger(), state, notice=days_before(1)))
    assert ("reports[0].account.as_of", "FIELD_OUT_OF_RANGE") in told(found[0])[1]


def test_the_doctor_accuses_nobody_of_what_may_have_been_rejected(own_system: System) -> None:
    with exchange(own_system, "reject") as caller:
        request = requests.submission([report(own_system.mint.stranger(), bad(), requests.reference())])
        assert [told(each) for each in caller.call(SUBMIT, request).message.verdicts] == [missing("reject")]
    assert [str(each) for each in examine(own_system.exchange).found if each.table == "account"] == []
    # Once its verdicts are forgotten nobody knows what the exchange asked for.
    own_system.exchange.database_view.rows("DELETE FROM request WHERE request_id = %s RETURNING 1", (request.request_id,))
    examined = examine(own_system.exchange)
    assert [str(each) for each in examined.found if each.table == "account"] == []
    assert sum(count for what, count in examined.untold.items() if what.startswith("accounts some of whose reports")) == 1


def test_the_sdk_says_and_hears_of_notices(system: System, sdk: Callable[[str], Exchange]) -> None:
    now = requests.now()
    last = requests.months_back(2)[1]
    late = AccountMonth(month=datetime(last // 10_000, last // 100 % 100, 1).date(), disposition=Disposition.OVERDUE_1)
    account = Account(
        as_of=now,
        account_type=AccountType.R2,
        status=1,
        currency="CNY",
        opened_date=datetime(2020, 1, 1).date(),
        subject_kind=SubjectKind.PERSON,
        months=(late,),
    )
    somebody, other = (Identity.resident_id(requests.resident_number(910_000 + n)) for n in range(2))
    bank = sdk("bank-a")
    warned = bank.report(Report(somebody, "notice-1", account))
    assert (warned.outcome, [(w.field, w.reason) for w in warned.warnings]) == (
        ReportOutcome.ACCEPTED,
        [("bad_record_notice_date", "FIELD_REQUIRED")],
    )
    assert warned.request_id is not None
    (seen,) = bank.get_submission(warned.request_id).verdicts
    assert [w.reason for w in seen.warnings] == ["FIELD_REQUIRED"]
    told_before = bank.report(Report(other, "notice-2", account, (now - timedelta(days=2)).date()))
    assert (told_before.outcome, told_before.warnings) == (ReportOutcome.ACCEPTED, ())

"""Bad reports, and messages of the wrong size.

What is wrong with one record of a report is that record's verdict, and no refusal: its neighbours are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.reported import known_accounts
from tests.contract.requests import BATCH_QUERY, QUERY, SUBMIT, WITHDRAW
from tests.contract.system import System

from tallystick.contract.limits import SMALL_REQUEST
from tallystick.v1 import account_pb2, codes_pb2
from tallystick.v1 import reporting_service_pb2 as reporting

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
MIB = 1024 * 1024


# --- Records of a report --------------------------------------------------------------------------------------------------------

FUTURE = datetime.now(UTC) + timedelta(days=2)
FAULTY_ACCOUNTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "month in the future": (
        lambda: requests.account(months=[requests.month(requests.next_month())]),
        "months[0].month",
        "FIELD_OUT_OF_RANGE",
    ),
    "as_of in the future": (lambda: requests.account(as_of=FUTURE), "as_of", "FIELD_OUT_OF_RANGE"),
    "negative balance": (lambda: requests.account(balance=-1), "balance", "FIELD_OUT_OF_RANGE"),
    "least balance": (lambda: requests.account(balance=-(2**63)), "balance", "FIELD_OUT_OF_RANGE"),
    "negative overdue": (
        lambda: requests.account(months=[requests.month(20250901, 1, overdue_amount=-500)]),
        "months[0].overdue_amount",
        "FIELD_OUT_OF_RANGE",
    ),
    "no such currency": (lambda: requests.account(currency="QQQ"), "currency", "CODE_UNKNOWN"),
    "currency in small letters": (lambda: requests.account(currency="cny"), "currency", "FIELD_MALFORMED"),
    "currency with NUL": (lambda: requests.account(currency="CN\x00"), "currency", "FIELD_MALFORMED"),
    "status of another type": (lambda: requests.account(status=77), "status", "FIELDS_INCONSISTENT"),
    "a person's discounting": (
        lambda: requests.account(account_type=codes_pb2.ACCOUNT_TYPE_D2, status=1),
        "account_type",
        "FIELDS_INCONSISTENT",
    ),
    "unknown account type": (lambda: requests.account(account_type=2**31 - 1), "account_type", "CODE_UNKNOWN"),
    "negative account type": (lambda: requests.account(account_type=-1), "account_type", "CODE_UNKNOWN"),
    "unknown disposition": (
        lambda: requests.account(months=[requests.month(20250901, -7)]),
        "months[0].disposition",
        "CODE_UNKNOWN",
    ),
    "no month": (lambda: requests.account(months=[requests.month(20251301)]), "months[0].month", "FIELD_MALFORMED"),
    "a month twice": (
        lambda: requests.account(months=[requests.month(20250901)] * 2),
        "months[1].month",
        "FIELDS_INCONSISTENT",
    ),
    "no account": (account_pb2.Account, "as_of", "FIELD_REQUIRED"),
}


@pytest.mark.parametrize(("make", "field", "reason"), FAULTY_ACCOUNTS.values(), ids=FAULTY_ACCOUNTS)
def test_faulty_record_is_rejected_and_its_neighbours_are_taken(
    system: System, make: Callable[[], Any], field: str, reason: str
) -> None:
    caller, subjects = system["bank-a"].exchange, [system.mint.stranger() for _ in range(3)]
    size = system.exchange.database_view.size
    reports = [requests.report(subjects[0]), requests.report(subjects[1], make()), requests.report(subjects[2])]
    reply = caller.call(SUBMIT, requests.submission(reports))
    system.expect_entry(caller, reply, size, refused=False)
    answer = reply.message
    assert [verdict.outcome for verdict in answer.verdicts] == [1, 3, 1]
    assert (answer.accepted_count, answer.rejected_count) == (2, 1)
    assert (f"reports[1].account.{field}", reason) in [(v.field, v.reason) for v in answer.verdicts[1].violations]
    histories = system["bank-b"].exchange.call(BATCH_QUERY, requests.batch_query(map(requests.inquiry, subjects)))
    assert [len(each.accounts) for each in histories.message.credit_histories] == [1, 0, 1]


def test_four_hundred_faulty_records_in_a_batch_of_a_thousand(system: System) -> None:
    # As many subjects as leave each below the number of accounts that a member may report of it.
    caller, subjects = system["bank-a"].exchange, [system.mint.stranger() for _ in range(20)]
    faulty = {i for i in range(1000) if i % 5 in (1, 3)}
    states = [requests.account(currency="QQQ", status=77) if i in faulty else requests.account() for i in range(1000)]
    before = len(system.exchange.database_view.rows("SELECT 1 FROM account"))
    reply = caller.call(SUBMIT, requests.submission(requests.report(subjects[i // 50], states[i]) for i in range(1000)))
    answer = reply.message
    assert (answer.accepted_count, answer.rejected_count) == (600, 400)
    for i, verdict in enumerate(answer.verdicts):
        assert verdict.outcome == (3 if i in faulty else 1)
        expected = {(f"reports[{i}].account.status", "FIELDS_INCONSISTENT"), (f"reports[{i}].account.currency", "CODE_UNKNOWN")}
        assert {(v.field, v.reason) for v in verdict.violations} == (expected if i in faulty else set())
    assert len(system.exchange.database_view.rows("SELECT 1 FROM account")) == before + 600
    caller.verified_receipt(reply)


def test_five_thousand_records_in_a_batch_of_a_thousand(system: System) -> None:
    caller = system["bank-a"].exchange
    request = requests.submission([requests.report(system.mint.stranger())] * 5000)
    assert request.ByteSize() < 4 * MIB
    system.expect_refusal(caller, SUBMIT, request, INVALID, "BATCH_TOO_LARGE", "reports")


@pytest.mark.parametrize("count", [0, 201])
def test_batches_of_the_wrong_size(system: System, count: int) -> None:
    caller = system["bank-a"].exchange
    queries = requests.batch_query([requests.inquiry(system.mint.stranger())] * count)
    reason = "BATCH_TOO_LARGE" if count else "FIELD_REQUIRED"
    system.expect_refusal(caller, BATCH_QUERY, queries, INVALID, reason, "inquiries")
    if not count:
        system.expect_refusal(caller, SUBMIT, requests.submission([]), INVALID, "FIELD_REQUIRED", "reports")


def test_report_older_than_a_withdrawal_stays_dead(system: System) -> None:
    caller, subject, account = system["bank-a"].exchange, system.mint.stranger(), requests.reference()
    withdrawn = datetime.now(UTC) - timedelta(minutes=5)
    older = requests.report(subject, requests.account(as_of=withdrawn - timedelta(seconds=1)), account)
    equal = requests.report(subject, requests.account(as_of=withdrawn), account)
    newer = requests.report(subject, requests.account(as_of=withdrawn + timedelta(seconds=1)), account)

    def visible() -> int:
        return len(system["bank-b"].exchange.call(QUERY, requests.query(subject)).message.credit_history.accounts)

    assert caller.call(SUBMIT, requests.submission([older])).message.verdicts[0].outcome == 1
    assert caller.call(WITHDRAW, requests.withdrawal(subject, account, withdrawn)).message.withdrawn
    for dead in (older, equal):
        verdict = caller.call(SUBMIT, requests.submission([dead])).message.verdicts[0]
        assert verdict.outcome == reporting.REPORT_OUTCOME_SUPERSEDED
        assert visible() == 0
    assert caller.call(SUBMIT, requests.submission([newer])).message.verdicts[0].outcome == 1
    assert visible() == 1


# --- Sizes ----------------------------------------------------------------------------------------------------------------------


def sized_query(system: System, size: int) -> bytes:
    """A request of exactly that many bytes: a consent reference that is far too long fills it up."""
    request = requests.query(system.mint.stranger(), consent="x" * (size - 200))
    request.inquiry.consent_reference += "x" * (size - request.ByteSize())
    assert request.ByteSize() == size
    return bytes(request.SerializeToString())


def test_largest_message_reaches_the_log(system: System) -> None:
    caller, data = system["bank-a"].exchange, sized_query(system, SMALL_REQUEST)
    system.expect_refusal(caller, QUERY, data, INVALID, "FIELD_MALFORMED", "inquiry.consent_reference")


@pytest.mark.parametrize("size", [SMALL_REQUEST + 1, 5 * MIB])
def test_message_above_the_limit(system: System, size: int) -> None:
    caller, data = system["bank-a"].exchange, sized_query(system, size)
    system.expect_refusal(caller, QUERY, data, EXHAUSTED, "MESSAGE_TOO_LARGE", logged=False)


def test_message_above_the_transport_s_limit(system: System) -> None:
    caller, data = system["bank-a"].exchange, sized_query(system, 9 * MIB)
    system.expect_refusal(caller, QUERY, data, EXHAUSTED, "", logged=False)


def test_answer_above_the_limit(system: System) -> None:
    inquirer, large = system["bank-a"].exchange, 10**14
    state = requests.account(
        opened_date=20150101,
        months=[
            requests.month(number, 1, days_past_due=30, overdue_amount=large, billed_amount=large, paid_amount=large)
            for number in requests.months_back(60)
        ],
    )
    subjects = [system.mint.stranger() for _ in range(25)]
    for subject in subjects:
        known_accounts(system, subject, 90, state)
    fits = inquirer.call(BATCH_QUERY, requests.batch_query(map(requests.inquiry, subjects[:20])))
    assert 3 * MIB < len(fits.answer) < 4 * MIB

    request = requests.batch_query(map(requests.inquiry, subjects))
    system.expect_refusal(inquirer, BATCH_QUERY, request, EXHAUSTED, "ANSWER_TOO_LARGE")


def test_subject_with_more_accounts_than_an_answer_holds(system: System) -> None:
    inquirer, subject = system["bank-a"].exchange, system.mint.stranger()
    known_accounts(system, subject, 499)
    assert system["bank-a"].exchange.call(SUBMIT, requests.submission([requests.report(subject)])).message.accepted_count == 1
    most = inquirer.call(QUERY, requests.query(subject))
    assert len(most.message.credit_history.accounts) == 500

    assert system["bank-a"].exchange.call(SUBMIT, requests.submission([requests.report(subject)])).message.accepted_count == 1
    history = inquirer.call(QUERY, requests.query(subject)).message.credit_history
    assert (len(history.accounts), history.truncated) == (500, True)

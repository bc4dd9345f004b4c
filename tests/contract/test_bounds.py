"""What nobody can make too much of: accounts of a subject, subjects of a batch, bytes of an answer, footprints of a query."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.reported import known_accounts
from tests.contract.requests import BATCH_QUERY, GET_SUBMISSION, QUERY, SUBMIT, WITHDRAW
from tests.contract.system import System

from tallystick.v1 import reporting_service_pb2 as reporting
from tallystick.v1 import subject_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
MAX_OWN_ACCOUNTS = 50
ACCEPTED, SUPERSEDED, REJECTED = 1, 2, 3


def known(system: System, subject: subject_pb2.SubjectToken) -> int:
    """How many accounts others are told of."""
    return len(system["bank-b"].exchange.call(QUERY, requests.query(subject)).message.credit_history.accounts)


# --- Accounts of one subject ----------------------------------------------------------------------------------------------------


def test_one_account_too_many_is_rejected_alone(system: System) -> None:
    caller, subject, other = system["bank-a"].exchange, system.mint.stranger(), system.mint.stranger()
    reports = [requests.report(subject) for _ in range(MAX_OWN_ACCOUNTS + 1)]
    request = requests.submission([*reports, requests.report(other)])
    answer = caller.call(SUBMIT, request).message
    assert [verdict.outcome for verdict in answer.verdicts] == [ACCEPTED] * MAX_OWN_ACCOUNTS + [REJECTED, ACCEPTED]
    assert (answer.accepted_count, answer.rejected_count) == (MAX_OWN_ACCOUNTS + 1, 1)
    (violation,) = answer.verdicts[MAX_OWN_ACCOUNTS].violations
    assert (violation.field, violation.reason) == (f"reports[{MAX_OWN_ACCOUNTS}].account_reference", "FIELD_OUT_OF_RANGE")
    assert (known(system, subject), known(system, other)) == (MAX_OWN_ACCOUNTS, 1)

    later = reporting.GetSubmissionRequest(submission_request_id=request.request_id)
    assert caller.call(GET_SUBMISSION, later).message.submission.rejected_count == 1
    # Nobody else is kept from reporting by it.
    assert system["reporter-d"].exchange.call(SUBMIT, requests.submission([requests.report(subject)])).message.accepted_count == 1
    assert known(system, subject) == MAX_OWN_ACCOUNTS + 1


def test_full_subject_takes_changes_and_has_room_again_after_a_withdrawal(system: System) -> None:
    caller, subject = system["bank-a"].exchange, system.mint.stranger()
    begin = datetime.now(UTC) - timedelta(hours=1)
    accounts = [requests.reference() for _ in range(MAX_OWN_ACCOUNTS + 1)]

    def report(number: int, minutes: int) -> int:
        state = requests.account(as_of=begin + timedelta(minutes=minutes))
        (verdict,) = caller.call(SUBMIT, requests.submission([requests.report(subject, state, accounts[number])])).message.verdicts
        return int(verdict.outcome)

    full = requests.submission(
        requests.report(subject, requests.account(as_of=begin), each) for each in accounts[:MAX_OWN_ACCOUNTS]
    )
    assert caller.call(SUBMIT, full).message.accepted_count == MAX_OWN_ACCOUNTS
    assert report(0, 1) == ACCEPTED
    assert report(MAX_OWN_ACCOUNTS, 1) == REJECTED
    assert caller.call(WITHDRAW, requests.withdrawal(subject, accounts[1], begin + timedelta(minutes=1))).message.withdrawn
    assert report(MAX_OWN_ACCOUNTS, 1) == ACCEPTED
    # What comes back to life takes up room; what stays dead does not.
    assert report(1, 2) == REJECTED
    assert report(1, 1) == SUPERSEDED
    assert known(system, subject) == MAX_OWN_ACCOUNTS


@pytest.mark.parametrize(("before", "first", "second"), [(0, 40, 40), (0, 10, 50), (0, 50, 10), (49, 1, 1)])
def test_two_servers_do_not_both_fill_a_subject_up(
    system: System, second_worker_caller: RawCaller, before: int, first: int, second: int
) -> None:
    caller, subject, stored = system["bank-a"].exchange, system.mint.stranger(), system.exchange.database_view
    if before:
        caller.call(SUBMIT, requests.submission(requests.report(subject) for _ in range(before)))

    def submit(by: RawCaller, count: int) -> int:
        return int(by.call(SUBMIT, requests.submission(requests.report(subject) for _ in range(count))).message.accepted_count)

    def waiting(count: int) -> bool:
        sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return len(stored.rows(sessions)) == count

    with ThreadPoolExecutor(2) as pool:
        with stored.head_locked():
            # The first one has added its accounts and waits to commit; the second one comes while they cannot be seen.
            one = pool.submit(submit, caller, first)
            requests.wait_until(lambda: waiting(1))
            two = pool.submit(submit, second_worker_caller, second)
            requests.wait_until(lambda: waiting(2))
        assert one.result() == first
        assert two.result() == min(second, MAX_OWN_ACCOUNTS - before - first)
    assert known(system, subject) == MAX_OWN_ACCOUNTS


# --- Subjects of one batch ------------------------------------------------------------------------------------------------------


def test_subject_that_a_batch_names_twice(system: System) -> None:
    caller, subjects = system["bank-a"].exchange, [system.mint.stranger() for _ in range(3)]
    # Neither another purpose nor another consent makes it another subject.
    twice = [*map(requests.inquiry, subjects), requests.inquiry(subjects[1], 1, "consent-2")]
    request = requests.batch_query(twice)
    reply = system.expect_refusal(caller, BATCH_QUERY, request, INVALID, "FIELDS_INCONSISTENT", "inquiries[3].subject")
    assert len(reply.violations) == 1


# --- Bytes of one answer --------------------------------------------------------------------------------------------------------


def test_who_asks_for_too_much_does_not_keep_others_from_their_answers(system: System) -> None:
    """Far more than a run may read, in the same batch as what others ask."""
    stored, large, other, small = system.exchange.database_view, *(system.mint.stranger() for _ in range(3))
    references = [known_accounts(system, subject, 40) for subject in (large, other)]
    for reference in references:
        # Twice the same message, one after the other, is a message still; ten thousand times it is a large one.
        stored.rows(
            "UPDATE account SET record = decode(repeat(encode(record, 'hex'), 30000), 'hex') WHERE account_reference = %s",
            (reference,),
        )
        ((total,),) = stored.rows("SELECT sum(octet_length(record)) FROM account WHERE account_reference = %s", (reference,))
        assert total > 32 * 1024 * 1024
    known_accounts(system, small, 2)

    callers = [system["bank-a"].exchange, system["bank-b"].exchange]
    with ThreadPoolExecutor(8) as pool:
        with stored.head_locked():
            held = pool.submit(known, system, system.mint.stranger())
            requests.wait_until(
                lambda: bool(
                    stored.rows("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
                )
            )
            asked = [pool.submit(callers[i % 2].call, QUERY, requests.query(small)) for i in range(4)]
            too_much = pool.submit(callers[0].call, BATCH_QUERY, requests.batch_query(map(requests.inquiry, (large, other))))
        assert held.result() == 0
        assert [len(each.result().message.credit_history.accounts) for each in asked] == [2] * 4
        refused = too_much.result()
    assert (refused.code, refused.reason) == (EXHAUSTED, "ANSWER_TOO_LARGE")
    callers[0].verified_receipt(refused)
    # One subject by itself is answered, as far as there is room.
    for subject in (large, other):
        history = callers[0].call(QUERY, requests.query(subject)).message.credit_history
        assert history.truncated
        assert 0 < len(history.accounts) < 40
    for reference in references:
        stored.rows("DELETE FROM account WHERE account_reference = %s", (reference,))


def test_a_subject_with_too_many_accounts_is_answered_with_those_overdue_first(system: System) -> None:
    subject, stored = system.mint.stranger(), system.exchange.database_view
    paid = known_accounts(system, subject, 520)
    late = requests.account(months=[requests.month(20250801, 7)])
    overdue = known_accounts(system, subject, 7, late)
    history = system["bank-a"].exchange.call(QUERY, requests.query(subject)).message.credit_history
    assert (history.truncated, len(history.accounts)) == (True, 500)
    assert sum(account.account.months[0].disposition == 7 for account in history.accounts if account.account.months) == 7
    stored.rows("DELETE FROM account WHERE account_reference = ANY(%s)", ([paid, overdue],))
    known_accounts(system, subject, 500)
    history = system["bank-a"].exchange.call(QUERY, requests.query(subject)).message.credit_history
    assert (history.truncated, len(history.accounts)) == (False, 500)


# --- Accounts that never were ---------------------------------------------------------------------------------------------------


def test_withdrawing_what_was_never_reported_leaves_no_row(system: System) -> None:
    caller, subject, stored = system["bank-a"].exchange, system.mint.stranger(), system.exchange.database_view
    count = "SELECT count(*) FROM account"
    before = stored.rows(count)
    for _ in range(3):
        reply = caller.call(WITHDRAW, requests.withdrawal(subject, requests.reference(), datetime.now(UTC)))
        assert (reply.ok, reply.message.withdrawn) == (True, False)
    assert stored.rows(count) == before


def test_withdrawn_accounts_are_passed_over_by_an_index(system: System) -> None:
    """However many a member has withdrawn of a subject: a query does not look at them."""
    caller, subject, stored = system["bank-a"].exchange, system.mint.stranger(), system.exchange.database_view
    reference = known_accounts(system, subject, 1)
    stored.rows(
        """INSERT INTO account SELECT subject, member, account_reference || int4send(number), NULL, versions, update_time, 0, false
           FROM (SELECT subject, member, account_reference, versions, update_time FROM account WHERE account_reference = %s) AS one,
                generate_series(1, 20000) AS number""",
        (reference,),
    )
    ((key,),) = stored.rows("SELECT subject FROM account WHERE account_reference = %s", (reference,))
    plan = stored.rows(
        """EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON)
           SELECT member, record, standing FROM account WHERE subject = %s AND standing > 0 ORDER BY standing DESC LIMIT 501""",
        (bytes(key),),
    )
    ((read,),) = plan
    assert read[0]["Plan"]["Shared Hit Blocks"] + read[0]["Plan"]["Shared Read Blocks"] < 20
    assert len(caller.call(QUERY, requests.query(subject)).message.credit_history.accounts) == 1
    stored.rows("DELETE FROM account WHERE subject = %s", (bytes(key),))


# --- Footprints -----------------------------------------------------------------------------------------------------------------


def test_one_institution_s_inquiries_hide_nobody_else_s(system: System) -> None:
    caller, stored, subject = system["bank-a"].exchange, system.exchange.database_view, system.mint.stranger()
    flooding = system["lender-c"].exchange
    index = flooding.verified_receipt(flooding.call(QUERY, requests.query(subject))).index
    system["bank-b"].exchange.call(QUERY, requests.query(subject))

    def summary() -> tuple[int, int, int, int, bool]:
        told = caller.call(QUERY, requests.query(subject)).message.credit_history.inquiry_summary
        return len(told.inquiries), told.count_1_month, told.count_6_months, told.institutions_6_months, told.truncated

    def ask_often(first: int, last: int) -> None:
        """As if that institution had, long after: these entries exist in no log."""
        stored.rows(
            """INSERT INTO audit_subject SELECT subject, 1000000000 + number, 1, member, 3, consent_reference, now(), true
               FROM audit_subject, generate_series(%s::int, %s) AS number WHERE entry_index = %s""",
            (first, last, index),
        )

    assert summary() == (2, 2, 2, 2, False)
    ask_often(1, 250)
    # All are counted; listed are as many as there is room for, that of the other institution among them.
    assert summary() == (100, 252, 252, 2, False)
    ask_often(251, 20_000)
    # bank-b's one, and the share of the other; the caller's own are not told.
    assert summary() == (21, 21, 21, 2, True)
    told = caller.call(QUERY, requests.query(subject)).message.credit_history.inquiry_summary
    assert sorted({each.purpose for each in told.inquiries}) == sorted({requests.query(subject).inquiry.purpose, 3})
    stored.rows("DELETE FROM audit_subject WHERE entry_index > 1000000000")


def test_footprints_are_listed_newest_first_and_counted_by_window(system: System) -> None:
    stored, subject = system.exchange.database_view, system.mint.stranger()
    others = [system["bank-b"].exchange, system["lender-c"].exchange]
    days_ago = [400, 200, 100, 40, 20, 1]
    for i, days in enumerate(days_ago):
        reply = others[i % 2].call(QUERY, requests.query(subject, 2))
        index = others[i % 2].verified_receipt(reply).index
        stored.rows(
            "UPDATE audit_subject SET create_time = create_time - make_interval(days => %s) WHERE entry_index = %s", (days, index)
        )
    told = system["bank-a"].exchange.call(QUERY, requests.query(subject)).message.credit_history.inquiry_summary
    expected = [int(f"{datetime.now(UTC) - timedelta(days=days):%Y%m%d}") for days in reversed(days_ago)]
    assert [(each.date, each.purpose) for each in told.inquiries] == [(date, 2) for date in expected]
    assert (told.count_1_month, told.count_6_months, told.institutions_6_months) == (2, 4, 2)

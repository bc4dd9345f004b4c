"""Purposes that take a contract: a member asks for them only about who has a living account with it, reported lately."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.requests import BATCH_QUERY, QUERY, SUBMIT, WITHDRAW
from tests.contract.system import System

from tallystick.v1 import account_pb2, codes_pb2

DENIED = grpc.StatusCode.PERMISSION_DENIED
POST_LOAN, POST_GUARANTEE = codes_pb2.PURPOSE_POST_LOAN_MANAGEMENT, codes_pb2.PURPOSE_POST_GUARANTEE_MANAGEMENT
LOAN, CARD, COLLECTION = codes_pb2.ACCOUNT_TYPE_D1, codes_pb2.ACCOUNT_TYPE_R2, codes_pb2.ACCOUNT_TYPE_C1
TODAY = int(f"{datetime.now(UTC) - timedelta(days=1):%Y%m%d}")


def reported(system: System, subject: Any, by: str = "bank-a", **changes: Any) -> account_pb2.AccountReference:
    """An account of the member's own, reported now."""
    of = requests.reference()
    answer = system[by].exchange.call(SUBMIT, requests.submission([requests.report(subject, requests.account(**changes), of)]))
    assert answer.message.accepted_count == 1, answer.message
    return of


def settled(**changes: Any) -> dict[str, Any]:
    return {"account_type": LOAN, "status": 3, "balance": 0, "closed_date": TODAY} | changes


def refused(system: System, subject: Any, purpose: int = POST_LOAN) -> None:
    request = requests.query(subject, purpose)
    system.expect_refusal(system["bank-a"].exchange, QUERY, request, DENIED, "PURPOSE_WITHOUT_ACCOUNT", "inquiry.purpose")


def answered(system: System, subject: Any, purpose: int = POST_LOAN) -> None:
    answer = system["bank-a"].exchange.call(QUERY, requests.query(subject, purpose))
    assert answer.code is grpc.StatusCode.OK, answer.reason


@pytest.mark.parametrize("purpose", [POST_LOAN, POST_GUARANTEE])
def test_who_has_no_account_may_not_ask(system: System, purpose: int) -> None:
    subject = system.mint.stranger()
    refused(system, subject, purpose)
    # Nor does another member's account help.
    reported(system, subject, by="bank-b")
    refused(system, subject, purpose)
    reported(system, subject)
    answered(system, subject, purpose)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"account_type": LOAN, "status": 2},
        {"account_type": LOAN, "status": 4, "balance": 0},
        {"account_type": CARD, "status": 6, "balance": 0},
        {"account_type": COLLECTION, "status": 1},
        settled(balance=1),
        settled(account_type=CARD, status=4, balance=1),
        settled(status=5, balance=5),
        settled(account_type=COLLECTION, status=2, balance=3),
    ],
)
def test_an_account_that_is_open_or_owed_is_a_ground(system: System, changes: dict[str, Any]) -> None:
    subject = system.mint.stranger()
    reported(system, subject, **changes)
    answered(system, subject)


@pytest.mark.parametrize(
    "changes",
    [
        settled(),
        settled(account_type=CARD, status=4),
        settled(account_type=COLLECTION, status=2),
        settled(status=5),
    ],
)
def test_an_account_that_is_over_is_none(system: System, changes: dict[str, Any]) -> None:
    subject = system.mint.stranger()
    reported(system, subject, **changes)
    refused(system, subject)


def test_an_account_ends_by_the_report_that_settles_it(system: System) -> None:
    subject, caller = system.mint.stranger(), system["bank-a"].exchange
    now = requests.now()
    of = reported(system, subject, as_of=now - timedelta(days=2))
    answered(system, subject)
    after = requests.account(as_of=now - timedelta(days=1), **settled(account_type=CARD, status=4))
    assert caller.call(SUBMIT, requests.submission([requests.report(subject, after, of)])).message.accepted_count == 1
    refused(system, subject)
    # A report from before the settlement that comes late brings nothing back.
    late = requests.account(as_of=now - timedelta(days=3))
    assert caller.call(SUBMIT, requests.submission([requests.report(subject, late, of)])).message.accepted_count == 1
    refused(system, subject)


def test_an_account_ends_by_its_withdrawal(system: System) -> None:
    subject = system.mint.stranger()
    of = reported(system, subject)
    answered(system, subject)
    assert system["bank-a"].exchange.call(WITHDRAW, requests.withdrawal(subject, of, datetime.now(UTC))).message.withdrawn
    refused(system, subject)


@pytest.mark.parametrize(("days", "ask"), [(91, answered), (93, refused)])
def test_an_account_that_nobody_reports_any_more_is_none(system: System, days: int, ask: Callable[[System, Any], None]) -> None:
    subject = system.mint.stranger()
    of = reported(system, subject)
    system.exchange.database_view.rows(
        "UPDATE account SET update_time = update_time - %s * interval '1 day' WHERE account_reference = %s RETURNING 1",
        (days, of.secret_id + of.digest),
    )
    ask(system, subject)


@pytest.mark.parametrize("places", [[0], [2], [0, 2]])
def test_each_inquiry_without_an_account_is_named(system: System, places: list[int]) -> None:
    subjects = [system.mint.stranger() for _ in range(4)]
    for place, subject in enumerate(subjects):
        if place not in places:
            reported(system, subject)
    # The last asks for a purpose that takes no account, of somebody whom nobody knows.
    inquiries = [requests.inquiry(subject, POST_LOAN) for subject in subjects] + [requests.inquiry(system.mint.stranger())]
    fields = [f"inquiries[{place}].purpose" for place in places]
    caller = system["bank-a"].exchange
    system.expect_refusal(caller, BATCH_QUERY, requests.batch_query(inquiries), DENIED, "PURPOSE_WITHOUT_ACCOUNT", *fields)
    others = [inquiry for place, inquiry in enumerate(inquiries) if place not in places]
    assert caller.call(BATCH_QUERY, requests.batch_query(others)).code is grpc.StatusCode.OK

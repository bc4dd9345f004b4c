"""Requests about watches and messages that are wrong: code, reason, field, the entry in the log, and nothing half-written."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.system import System

from tallystick.v1 import codes_pb2, monitoring_service_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def bank(system: System) -> RawCaller:
    return system["bank-a"].exchange


@pytest.fixture(scope="module")
def borrower(system: System, bank: RawCaller) -> Any:
    report = requests.report(system.mint.stranger())
    assert bank.call(requests.SUBMIT, requests.submission([report])).ok
    return report


def rejected(bank: RawCaller, watch: Any) -> list[tuple[str, str]]:
    """What is wrong with one watch, put beside nothing else; no row is left of it."""
    (verdict,) = bank.call(requests.PUT_WATCHES, requests.put([watch])).message.verdicts
    assert (verdict.accepted, verdict.watch_id) == (False, b"")
    return [(each.field, each.reason) for each in verdict.violations]


def test_a_watch_takes_a_living_account_of_ones_own(system: System, bank: RawCaller, borrower: Any) -> None:
    stored = system.exchange.database_view
    watches = "SELECT count(*) FROM watch"
    before = stored.rows(watches)
    expected = [("watches[0].account_reference", "PURPOSE_WITHOUT_ACCOUNT")]
    stranger = requests.report(system.mint.stranger())
    assert rejected(bank, requests.watch(stranger)) == expected
    # Another's account of the same subject is none, nor is one's own reference for another subject.
    other = system["bank-b"].exchange
    assert rejected(other, requests.watch(borrower)) == expected
    mixed = requests.watch(borrower)
    mixed.subject.CopyFrom(stranger.subject)
    assert rejected(bank, mixed) == expected
    day = int(f"{requests.now() - timedelta(days=1):%Y%m%d}")
    settled = requests.report(system.mint.stranger(), requests.account(status=4, balance=0, closed_date=day))
    assert bank.call(requests.SUBMIT, requests.submission([settled])).message.accepted_count == 1
    assert rejected(bank, requests.watch(settled)) == expected
    stale = requests.report(system.mint.stranger())
    assert bank.call(requests.SUBMIT, requests.submission([stale])).ok
    reference = stale.account_reference.secret_id + stale.account_reference.digest
    stored.rows("UPDATE account SET update_time = now() - interval '93 days' WHERE account_reference = %s", (reference,))
    assert rejected(bank, requests.watch(stale)) == expected
    stored.rows("UPDATE account SET update_time = now() - interval '91 days' WHERE account_reference = %s", (reference,))
    assert stored.rows(watches) == before
    (verdict,) = bank.call(requests.PUT_WATCHES, requests.put([requests.watch(stale)])).message.verdicts
    assert verdict.accepted


def test_a_watch_takes_a_purpose_that_the_member_has(system: System) -> None:
    other = system["bank-b"].exchange
    report = requests.report(system.mint.stranger())
    assert other.call(requests.SUBMIT, requests.submission([report])).ok
    guarantee = requests.watch(report, purpose=codes_pb2.PURPOSE_POST_GUARANTEE_MANAGEMENT)
    assert rejected(other, guarantee) == [("watches[0].purpose", "PURPOSE_NOT_ALLOWED")]


def triggers(*given: tuple[int, int]) -> Callable[[Any], None]:
    def add(watch: Any) -> None:
        for type_, threshold in given:
            watch.triggers.add(type=type_, threshold=threshold)

    return add


def day(ahead: int) -> int:
    return int(f"{requests.now() + timedelta(days=ahead):%Y%m%d}")


WATCHES: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "for an approval": (lambda watch: setattr(watch, "purpose", 2), "purpose", "FIELD_OUT_OF_RANGE"),
    "for nothing": (lambda watch: setattr(watch, "purpose", 0), "purpose", "FIELD_REQUIRED"),
    "without consent": (lambda watch: setattr(watch, "consent_reference", ""), "consent_reference", "FIELD_REQUIRED"),
    "of an unknown trigger": (triggers((99, 0)), "triggers[0].type", "CODE_UNKNOWN"),
    "of a trigger twice": (triggers((1, 0), (1, 0)), "triggers[1].type", "FIELDS_INCONSISTENT"),
    "from too much on": (triggers((1, 8)), "triggers[0].threshold", "FIELD_OUT_OF_RANGE"),
    "that ended yesterday": (lambda watch: setattr(watch, "end_date", day(-1)), "end_date", "FIELD_OUT_OF_RANGE"),
    "for more than two years": (lambda watch: setattr(watch, "end_date", day(740)), "end_date", "FIELD_OUT_OF_RANGE"),
    "until no day": (lambda watch: setattr(watch, "end_date", 20261131), "end_date", "FIELD_MALFORMED"),
    "of no token": (lambda watch: setattr(watch.subject, "element", bytes(32)), "subject.element", "ELEMENT_INVALID"),
    "without a token": (lambda watch: watch.ClearField("subject"), "subject", "FIELD_REQUIRED"),
    "without an account": (lambda watch: watch.ClearField("account_reference"), "account_reference.secret_id", "FIELD_REQUIRED"),
}


@pytest.mark.parametrize("name", WATCHES)
def test_what_is_wrong_with_one_watch_rejects_it_alone(system: System, bank: RawCaller, borrower: Any, name: str) -> None:
    spoil, field, reason = WATCHES[name]
    wrong = requests.watch(borrower)
    spoil(wrong)
    fine = requests.report(system.mint.stranger())
    assert bank.call(requests.SUBMIT, requests.submission([fine])).ok
    size = system.exchange.database_view.size
    reply = bank.call(requests.PUT_WATCHES, requests.put([requests.watch(fine), wrong]))
    system.expect_entry(bank, reply, size, refused=False)
    first, second = reply.message.verdicts
    assert (first.accepted, second.accepted) == (True, False)
    assert (second.violations[0].field, second.violations[0].reason) == (f"watches[1].{field}", reason)


def test_the_same_account_twice(bank: RawCaller, borrower: Any) -> None:
    verdicts = bank.call(requests.PUT_WATCHES, requests.put([requests.watch(borrower)] * 2)).message.verdicts
    assert [verdict.accepted for verdict in verdicts] == [True, False]
    assert [(each.field, each.reason) for each in verdicts[1].violations] == [
        ("watches[1].account_reference", "FIELDS_INCONSISTENT")
    ]


def listing(**fields: int) -> Any:
    message: Any = monitoring_service_pb2.ListWatchesRequest()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def digest(month: int) -> Any:
    return monitoring_service_pb2.GetPortfolioDigestRequest(month=month)


def some_watch() -> Any:
    return requests.watch(requests.report(monitoring_service_pb2.Watch().subject))


REFUSED: dict[str, tuple[str, Callable[[], Any], str, str]] = {
    "no watch": (requests.PUT_WATCHES, lambda: requests.put([]), "FIELD_REQUIRED", "watches"),
    "too many watches": (requests.PUT_WATCHES, lambda: requests.put([some_watch()] * 1001), "BATCH_TOO_LARGE", "watches"),
    "no watch to end": (requests.END_WATCHES, lambda: requests.ending([]), "FIELD_REQUIRED", "watch_ids"),
    "too many to end": (requests.END_WATCHES, lambda: requests.ending([bytes(16)] * 1001), "BATCH_TOO_LARGE", "watch_ids"),
    "a short watch_id": (requests.END_WATCHES, lambda: requests.ending([bytes(15)]), "FIELD_MALFORMED", "watch_ids[0]"),
    "a watch_id twice": (requests.END_WATCHES, lambda: requests.ending([bytes(16)] * 2), "FIELDS_INCONSISTENT", "watch_ids[1]"),
    "an unknown state": (requests.LIST_WATCHES, lambda: listing(state=9), "CODE_UNKNOWN", "state"),
    "a large page of watches": (requests.LIST_WATCHES, lambda: listing(page_size=1001), "FIELD_OUT_OF_RANGE", "page_size"),
    "a long wait": (requests.PULL, lambda: requests.pull(wait_seconds=26), "FIELD_OUT_OF_RANGE", "wait_seconds"),
    "a large page of messages": (requests.PULL, lambda: requests.pull(page_size=1001), "FIELD_OUT_OF_RANGE", "page_size"),
    "a cursor that is none": (requests.PULL, lambda: requests.pull("x" * 60), "CURSOR_INVALID", "cursor"),
    "a cursor that is none, with a wait": (
        requests.PULL,
        lambda: requests.pull("x" * 60, wait_seconds=25),
        "CURSOR_INVALID",
        "cursor",
    ),
    "a long cursor": (requests.PULL, lambda: requests.pull("x" * 129), "CURSOR_INVALID", "cursor"),
    "nothing acknowledged": (requests.ACKNOWLEDGE, lambda: requests.acknowledgement(""), "FIELD_REQUIRED", "cursor"),
    "what is no cursor acknowledged": (
        requests.ACKNOWLEDGE,
        lambda: requests.acknowledgement("A" * 60),
        "CURSOR_INVALID",
        "cursor",
    ),
    "the running month": (requests.DIGEST, lambda: digest(requests.months_back(1)[0]), "FIELD_OUT_OF_RANGE", "month"),
    "a month that is forgotten": (requests.DIGEST, lambda: digest(requests.months_back(4)[3]), "FIELD_OUT_OF_RANGE", "month"),
    "no month": (requests.DIGEST, lambda: digest(20261301), "FIELD_MALFORMED", "month"),
    "a day of a month": (requests.DIGEST, lambda: digest(requests.months_back(2)[1] + 1), "FIELD_MALFORMED", "month"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(system: System, bank: RawCaller, name: str) -> None:
    method, make, reason, field = REFUSED[name]
    system.expect_refusal(bank, method, make(), INVALID, reason, field)


def test_cursors_are_their_members_own(system: System, bank: RawCaller) -> None:
    report = requests.report(system.mint.stranger())
    assert bank.call(requests.SUBMIT, requests.submission([report])).ok
    assert bank.call(requests.PUT_WATCHES, requests.put([requests.watch(report)])).ok
    until = requests.now() + timedelta(seconds=1)
    assert bank.call(requests.WITHDRAW, requests.withdrawal(report.subject, report.account_reference, until)).ok
    cursor = bank.call(requests.PULL, requests.pull()).message.next_cursor
    other = system["bank-b"].exchange
    for method, request in ((requests.PULL, requests.pull(cursor)), (requests.ACKNOWLEDGE, requests.acknowledgement(cursor))):
        system.expect_refusal(other, method, request, INVALID, "CURSOR_INVALID", "cursor")
    raw = bytearray(base64.urlsafe_b64decode(cursor))
    raw[20] ^= 1
    altered = base64.urlsafe_b64encode(bytes(raw)).decode()
    system.expect_refusal(bank, requests.PULL, requests.pull(altered), INVALID, "CURSOR_INVALID", "cursor")
    assert bank.call(requests.PULL, requests.pull(cursor)).ok


def test_the_watches_of_others_are_not_ended(system: System, bank: RawCaller, borrower: Any) -> None:
    (verdict,) = bank.call(requests.PUT_WATCHES, requests.put([requests.watch(borrower)])).message.verdicts
    other = system["bank-b"].exchange
    assert other.call(requests.END_WATCHES, requests.ending([verdict.watch_id])).message.ended_count == 0
    assert bank.call(requests.END_WATCHES, requests.ending([verdict.watch_id])).message.ended_count == 1


@pytest.mark.parametrize("method", [requests.PUT_WATCHES, requests.PULL, requests.LIST_WATCHES, requests.DIGEST, requests.SWEEP])
def test_who_has_not_the_role(system: System, method: str) -> None:
    caller = system["bank-a" if method == requests.SWEEP else "reporter-d"].exchange
    request = requests.sweeping() if method == requests.SWEEP else b""
    reply = caller.call(method, request)
    assert (reply.code, reply.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")


def test_a_request_id_that_was_used(system: System, bank: RawCaller, borrower: Any) -> None:
    request = requests.put([requests.watch(borrower)])
    assert bank.call(requests.PUT_WATCHES, request).ok
    request.watches[0].consent_reference = "another"
    already = grpc.StatusCode.ALREADY_EXISTS
    system.expect_refusal(bank, requests.PUT_WATCHES, request, already, "REQUEST_ID_REUSED", "request_id")

"""Validation: what is taken, and for each rule what is refused, with the field and the reason."""

import datetime as dt
import re
from typing import Any

import pytest
from google.protobuf.message import Message

from tallystick.credit.validation import (
    MAX_VIOLATIONS_PER_REPORT,
    validate_account,
    validate_inquiry,
    validate_report,
    validate_subject,
    validate_withdrawal,
)
from tallystick.v1 import codes_pb2
from tallystick.v1.account_pb2 import Account, AccountMonth
from tallystick.v1.inquiry_service_pb2 import Inquiry
from tallystick.v1.reporting_service_pb2 import AccountReport, WithdrawAccountRequest
from tallystick.v1.subject_pb2 import SubjectToken

ABSENT = object()
"""Stands for a field that is not set."""
LIMIT = 10**15
SECONDS = int(dt.datetime(2025, 9, 20, 12, tzinfo=dt.UTC).timestamp())

REQUIRED = "FIELD_REQUIRED"
MALFORMED = "FIELD_MALFORMED"
RANGE = "FIELD_OUT_OF_RANGE"
UNKNOWN = "CODE_UNKNOWN"
INCONSISTENT = "FIELDS_INCONSISTENT"


def change(message: Message, changes: dict[str, Any]) -> None:
    """Sets fields by their paths, such as "months[0].month"."""
    for path, value in changes.items():
        target: Any = message
        *parents, last = re.findall(r"\w+|\[\d+\]", path)
        for step in parents:
            target = target[int(step[1:-1])] if step.startswith("[") else getattr(target, step)
        if value is ABSENT:
            target.ClearField(last)
        elif last.startswith("["):
            target[int(last[1:-1])] = value
        elif isinstance(value, list):
            target.ClearField(last)
            getattr(target, last).extend(value)
        else:
            setattr(target, last, value)


def instant(text: str) -> int:
    """Seconds since 1970 of a time in UTC."""
    return int(dt.datetime.fromisoformat(text).timestamp())


BARE = {
    "months": ABSENT,
    "running_overdue": ABSENT,
    "special_transactions": ABSENT,
    "related_obligors": ABSENT,
    "annotations": ABSENT,
}
"""Leaves the account's own fields alone."""
AGREED = AccountMonth(month=20250901, disposition=codes_pb2.DISPOSITION_PAID_AS_AGREED)

TAKEN: dict[str, dict[str, Any]] = {
    "as it is": {},
    "bare": BARE,
    "amounts not known": {"credit_limit": ABSENT, "balance": ABSENT, "months[0].overdue_amount": ABSENT},
    "days not known": {"months[0].days_past_due": ABSENT, "months[2].days_past_due": ABSENT},
    "largest amounts": {"credit_limit": LIMIT, "balance": LIMIT, "months[0].billed_amount": LIMIT},
    "credit balance": {"months[0].billed_amount": -LIMIT},
    "overdue at the billing day, paid since": {"months[0].overdue_amount": 0},
    "as_of a minute ahead of our clock": {"as_of.seconds": SECONDS + 60},
    "as_of in 1990": {**BARE, "as_of.seconds": instant("1990-01-01T00:00:00Z"), "opened_date": 19000101},
    "opened on a day that has begun in the east": {**BARE, "opened_date": 20250920},
    "opened on 29 February": {"opened_date": 20200229},
    "closed on the day it was opened": {**BARE, "closed_date": 20200115, "status": 4},
    "month of the opening": {"months[2].month": 20200101},
    "not yet open": {"months[2].month": 20191201, "months[2].disposition": 20},
    "bad debt of unknown age": {"months[0].disposition": 15, "months[0].days_past_due": ABSENT},
    "bad debt, ten years": {"months[0].disposition": 15, "months[0].days_past_due": 3650},
    "unknown month": {"months[0].disposition": 19, "months[0].days_past_due": ABSENT},
    "quality and stage not known": {"asset_quality": 0, "running_overdue.collection_stage": 0},
    "guarantor with a liability": {"role": 2, "liability_amount": 100, "related_obligors[0].role": 10},
    "guarantor of unknown liability": {"role": 2},
    "organisation's discounting": {"subject_kind": 2, "account_type": 7},
    "in collection, overdue before": {"account_type": 6, "opened_date": 20250901, "months": ABSENT},
    "status 31 of a card": {"status": 31},
    "first day of the overdue counted": {"running_overdue.since_date": 20250807},
    "overdue rolled forward": {"running_overdue.since_date": 20250105},
    "all annotations": {"annotations": [1, 2, 3, 4, 5]},
    "term shortened": {"special_transactions[0].months_changed": -600},
}

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no as_of", {"as_of": ABSENT}, "as_of", REQUIRED),
    ("fraction of a second", {"as_of.nanos": 1}, "as_of", MALFORMED),
    ("negative fraction", {"as_of.nanos": -1}, "as_of", MALFORMED),
    ("as_of in the future", {"as_of.seconds": SECONDS + 61}, "as_of", RANGE),
    ("as_of beyond all calendars", {"as_of.seconds": 2**62}, "as_of", RANGE),
    ("as_of before 1990", {"as_of.seconds": instant("1989-12-31T23:59:59Z")}, "as_of", RANGE),
    ("as_of far before 1970", {"as_of.seconds": -(2**62)}, "as_of", RANGE),
    ("no account type", {"account_type": 0}, "account_type", REQUIRED),
    ("unknown account type", {"account_type": 8}, "account_type", UNKNOWN),
    ("negative account type", {"account_type": -1}, "account_type", UNKNOWN),
    ("a person's discounting", {"account_type": 7}, "account_type", INCONSISTENT),
    ("no status", {"status": 0}, "status", REQUIRED),
    ("a card with a loan's status", {"status": 7}, "status", INCONSISTENT),
    ("a loan with a card's status", {"account_type": 1, "status": 31}, "status", INCONSISTENT),
    ("a collection account with a third status", {"account_type": 6, "status": 3, "months": ABSENT}, "status", INCONSISTENT),
    ("a sub-account transferred out", {"account_type": 5, "status": 5}, "status", INCONSISTENT),
    ("discounting with collateral short", {"account_type": 7, "subject_kind": 2, "status": 6}, "status", INCONSISTENT),
    ("unknown quality", {"asset_quality": 6}, "asset_quality", UNKNOWN),
    ("no currency", {"currency": ""}, "currency", REQUIRED),
    ("lower case", {"currency": "cny"}, "currency", MALFORMED),
    ("four letters", {"currency": "CNYY"}, "currency", MALFORMED),
    ("letters beyond ASCII", {"currency": "ČNY"}, "currency", MALFORMED),
    ("no such currency", {"currency": "RMB"}, "currency", UNKNOWN),
    ("gold has no minor unit", {"currency": "XAU"}, "currency", UNKNOWN),
    ("negative limit", {"credit_limit": -1}, "credit_limit", RANGE),
    ("too large a limit", {"credit_limit": LIMIT + 1}, "credit_limit", RANGE),
    ("negative balance", {"balance": -1}, "balance", RANGE),
    ("too large a balance", {"balance": 2**63 - 1}, "balance", RANGE),
    ("no opening", {"opened_date": 0}, "opened_date", REQUIRED),
    ("30 February", {"opened_date": 20200230}, "opened_date", MALFORMED),
    ("29 February of no leap year", {"opened_date": 20190229}, "opened_date", MALFORMED),
    ("month 13", {"opened_date": 20201301}, "opened_date", MALFORMED),
    ("19th century", {"opened_date": 18991231}, "opened_date", MALFORMED),
    ("22nd century", {"opened_date": 21010101}, "opened_date", MALFORMED),
    ("nine digits", {"opened_date": 202001015}, "opened_date", MALFORMED),
    ("the largest number", {"opened_date": 2**32 - 1}, "opened_date", MALFORMED),
    ("opened tomorrow", {**BARE, "opened_date": 20250921}, "opened_date", RANGE),
    ("closed on no day", {"closed_date": 20250931}, "closed_date", MALFORMED),
    ("closed tomorrow", {"closed_date": 20250921}, "closed_date", RANGE),
    ("closed before it was opened", {"closed_date": 20200114}, "closed_date", INCONSISTENT),
    ("no kind", {"subject_kind": 0}, "subject_kind", REQUIRED),
    ("unknown kind", {"subject_kind": 3}, "subject_kind", UNKNOWN),
    ("no role", {"role": 0}, "role", REQUIRED),
    ("unknown role", {"role": 6}, "role", UNKNOWN),
    ("a borrower's liability", {"liability_amount": 1}, "liability_amount", INCONSISTENT),
    ("a borrower's liability of nothing", {"liability_amount": 0}, "liability_amount", INCONSISTENT),
    ("negative liability", {"role": 2, "liability_amount": -1}, "liability_amount", RANGE),
    ("no month", {"months[2].month": 0}, "months[2].month", REQUIRED),
    ("not the first of the month", {"months[2].month": 20250715}, "months[2].month", MALFORMED),
    ("no such month", {"months[2].month": 20251301}, "months[2].month", MALFORMED),
    ("a month twice", {"months[2].month": 20250901}, "months[2].month", INCONSISTENT),
    ("a month after as_of", {"months[0].month": 20251001}, "months[0].month", RANGE),
    (
        "a month after as_of though it has begun",
        {
            **BARE,
            "as_of.seconds": instant("2025-08-31T23:59:59Z"),
            "months": [Account().months.add(month=20250901, disposition=10)],
        },
        "months[0].month",
        RANGE,
    ),
    ("a month before the opening", {"months[2].month": 20191201}, "months[2].month", INCONSISTENT),
    ("not yet open after the opening", {"months[2].disposition": 20}, "months[2].disposition", INCONSISTENT),
    ("no disposition", {"months[1].disposition": 0}, "months[1].disposition", REQUIRED),
    ("unknown disposition", {"months[1].disposition": 8}, "months[1].disposition", UNKNOWN),
    ("negative disposition", {"months[1].disposition": -(2**31)}, "months[1].disposition", UNKNOWN),
    ("agreed and late", {"months[2].days_past_due": 1}, "months[2].days_past_due", INCONSISTENT),
    ("nothing due and late", {"months[2].disposition": 11, "months[2].days_past_due": 1}, "months[2].days_past_due", INCONSISTENT),
    ("agreed and owing", {"months[2].overdue_amount": 1}, "months[2].overdue_amount", INCONSISTENT),
    ("settled and owing", {"months[2].disposition": 16, "months[2].overdue_amount": 1}, "months[2].overdue_amount", INCONSISTENT),
    ("a thousand years late", {"months[0].days_past_due": 365_250}, "months[0].days_past_due", RANGE),
    ("negative overdue", {"months[0].overdue_amount": -1}, "months[0].overdue_amount", RANGE),
    ("too much overdue", {"months[0].overdue_amount": LIMIT + 1}, "months[0].overdue_amount", RANGE),
    ("too much billed", {"months[0].billed_amount": LIMIT + 1}, "months[0].billed_amount", RANGE),
    ("too little billed", {"months[0].billed_amount": -LIMIT - 1}, "months[0].billed_amount", RANGE),
    ("negative payment", {"months[0].paid_amount": -1}, "months[0].paid_amount", RANGE),
    ("overdue since no day", {"running_overdue.since_date": 20250832}, "running_overdue.since_date", MALFORMED),
    ("overdue since nowhen", {"running_overdue.since_date": 0}, "running_overdue.since_date", REQUIRED),
    ("overdue since tomorrow", {"running_overdue.since_date": 20250921}, "running_overdue.since_date", RANGE),
    ("overdue before the opening", {"running_overdue.since_date": 20200114}, "running_overdue.since_date", INCONSISTENT),
    ("overdue for no day", {"running_overdue.days_past_due": 0}, "running_overdue.days_past_due", RANGE),
    ("overdue longer than since", {"running_overdue.since_date": 20250809}, "running_overdue.days_past_due", INCONSISTENT),
    ("overdue for a thousand years", {"running_overdue.days_past_due": 365_250}, "running_overdue.days_past_due", RANGE),
    ("negative running amount", {"running_overdue.amount": -1}, "running_overdue.amount", RANGE),
    ("unknown stage", {"running_overdue.collection_stage": 7}, "running_overdue.collection_stage", UNKNOWN),
    ("overdue on a closed card", {"status": 4}, "running_overdue", INCONSISTENT),
    ("no type", {"special_transactions[0].type": 0}, "special_transactions[0].type", REQUIRED),
    ("unknown type", {"special_transactions[0].type": 10}, "special_transactions[0].type", UNKNOWN),
    ("no date", {"special_transactions[0].date": 0}, "special_transactions[0].date", REQUIRED),
    ("in the future", {"special_transactions[0].date": 20260101}, "special_transactions[0].date", RANGE),
    ("negative amount", {"special_transactions[0].amount": -1}, "special_transactions[0].amount", RANGE),
    ("extended for ever", {"special_transactions[0].months_changed": 601}, "special_transactions[0].months_changed", RANGE),
    ("obligor without a role", {"related_obligors[0].role": 0}, "related_obligors[0].role", REQUIRED),
    ("obligor of unknown role", {"related_obligors[0].role": 7}, "related_obligors[0].role", UNKNOWN),
    ("second borrower", {"related_obligors[0].role": 10}, "related_obligors[0].role", INCONSISTENT),
    ("obligor without a kind", {"related_obligors[0].kind": 0}, "related_obligors[0].kind", REQUIRED),
    ("obligor of unknown kind", {"related_obligors[0].kind": 9}, "related_obligors[0].kind", UNKNOWN),
    ("negative obligor", {"related_obligors[0].liability_amount": -1}, "related_obligors[0].liability_amount", RANGE),
    ("unspecified annotation", {"annotations[0]": 0}, "annotations[0]", REQUIRED),
    ("unknown annotation", {"annotations[0]": 6}, "annotations[0]", UNKNOWN),
    ("doubled annotation", {"annotations": [1, 2, 1]}, "annotations[2]", INCONSISTENT),
    ("eleven annotations", {"annotations": [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1]}, "annotations", RANGE),
]


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_a_valid_account_is_taken(account: Account, now: dt.datetime, changes: dict[str, Any]) -> None:
    change(account, changes)
    assert validate_account(account, now, "account") == []


@pytest.mark.parametrize(("changes", "field", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_faulty_account_is_refused_once_with_field_and_reason(
    account: Account, now: dt.datetime, changes: dict[str, Any], field: str, reason: str
) -> None:
    change(account, changes)
    found = validate_account(account, now, "reports[3].account")
    assert [(violation.field, violation.reason) for violation in found] == [(f"reports[3].account.{field}", reason)]
    assert len(found[0].description) > 10


@pytest.mark.parametrize("disposition", range(1, 8))
def test_days_past_due_must_lie_in_the_disposition_s_bucket(account: Account, now: dt.datetime, disposition: int) -> None:
    low = (disposition - 1) * 30 + 1
    high = disposition * 30 if disposition < 7 else 36_525
    for days, taken in [(0, False), (low - 1, False), (low, True), (high, True), (high + 1, False)]:
        change(account, {"months[0].disposition": disposition, "months[0].days_past_due": days})
        assert (validate_account(account, now, "a") == []) == taken, days


def test_a_month_that_has_not_begun_is_refused_even_for_a_fast_clock(account: Account) -> None:
    now = dt.datetime(2025, 9, 30, 23, 59, 30, tzinfo=dt.UTC)
    change(account, {"as_of.seconds": instant("2025-10-01T00:00:00Z"), "months[0].month": 20251001})
    assert [violation.field for violation in validate_account(account, now, "a")] == ["a.months[0].month"]
    assert validate_account(account, now + dt.timedelta(minutes=1), "a") == []


def test_the_east_may_write_its_own_day(account: Account) -> None:
    change(account, {**BARE, "as_of.seconds": instant("2025-09-19T17:00:00Z"), "opened_date": 20250920})
    assert validate_account(account, dt.datetime(2025, 9, 19, 17, tzinfo=dt.UTC), "a") == []


@pytest.mark.parametrize("count", [60, 61])
def test_sixty_months_are_the_limit(account: Account, now: dt.datetime, count: int) -> None:
    account.opened_date = 19990101
    del account.months[:]
    for index in range(count):
        account.months.add(month=(2000 + index // 12) * 10_000 + (index % 12 + 1) * 100 + 1, disposition=AGREED.disposition)
    found = validate_account(account, now, "account")
    expected = [] if count == 60 else [("account.months", "FIELD_OUT_OF_RANGE")]
    assert [(violation.field, violation.reason) for violation in found] == expected


@pytest.mark.parametrize(("field", "limit"), [("special_transactions", 100), ("related_obligors", 50)])
def test_lists_are_bounded(account: Account, now: dt.datetime, field: str, limit: int) -> None:
    items = getattr(account, field)
    items.extend([items[0]] * (limit - 1))
    assert validate_account(account, now, "account") == []
    items.append(items[0])
    found = validate_account(account, now, "account")
    assert [(violation.field, violation.reason) for violation in found] == [(f"account.{field}", "FIELD_OUT_OF_RANGE")]


def test_at_most_eight_violations_are_told(report: AccountReport, now: dt.datetime) -> None:
    for month in report.account.months:
        change(month, {"disposition": 99, "month": 1, "paid_amount": -1})
    report.account.special_transactions.extend([report.account.special_transactions[0]] * 50)
    for transaction in report.account.special_transactions:
        transaction.date = 7
    assert len(validate_report(report, now)) == MAX_VIOLATIONS_PER_REPORT == 8
    assert len(validate_account(report.account, now, "account")) == 8


def test_an_empty_report_names_what_is_missing(now: dt.datetime) -> None:
    found = validate_report(AccountReport(), now, "reports[0]")
    assert {violation.reason for violation in found} == {"FIELD_REQUIRED"}
    assert {violation.field for violation in found} == {
        "reports[0].subject",
        "reports[0].account_reference.secret_id",
        "reports[0].account_reference.digest",
        "reports[0].account",
    }


def test_a_valid_report_is_taken(report: AccountReport, now: dt.datetime, epoch_id: bytes) -> None:
    assert validate_report(report, now, epoch_id=epoch_id) == []


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"subject.element": b""}, "subject.element", REQUIRED),
        ({"subject.element": b"x" * 31}, "subject.element", MALFORMED),
        ({"subject.element": b"\xff" * 32}, "subject.element", "ELEMENT_INVALID"),
        ({"subject.element": bytes(32)}, "subject.element", "ELEMENT_INVALID"),
        ({"subject.epoch_id": b""}, "subject.epoch_id", REQUIRED),
        ({"subject.epoch_id": b"e" * 21}, "subject.epoch_id", MALFORMED),
        ({"subject.epoch_id": b"f" * 20}, "subject.epoch_id", "TOKEN_EPOCH_MISMATCH"),
        ({"account_reference.secret_id": b"s" * 7}, "account_reference.secret_id", MALFORMED),
        ({"account_reference.digest": b"d" * 33}, "account_reference.digest", MALFORMED),
        ({"account": ABSENT}, "account", REQUIRED),
    ],
)
def test_a_faulty_report_is_refused(
    report: AccountReport, now: dt.datetime, epoch_id: bytes, changes: dict[str, Any], field: str, reason: str
) -> None:
    change(report, changes)
    found = validate_report(report, now, "reports[999]", epoch_id=epoch_id)
    assert [(violation.field, violation.reason) for violation in found] == [(f"reports[999].{field}", reason)]


def test_another_epoch_is_nothing_to_object_to_where_none_is_in_force(subject: SubjectToken) -> None:
    subject.epoch_id = b"f" * 20
    assert validate_subject(subject, "subject") == []
    assert [violation.reason for violation in validate_subject(subject, "subject", epoch_id=b"e" * 20)] == ["TOKEN_EPOCH_MISMATCH"]


def test_no_description_shows_a_token_or_a_reference(report: AccountReport, inquiry: Inquiry, now: dt.datetime) -> None:
    secret = "Zhang San 7"
    change(report, {"subject.element": secret.encode(), "subject.epoch_id": secret.encode()})
    change(report, {"account_reference.secret_id": secret.encode(), "account_reference.digest": secret.encode()})
    change(report, {"account.currency": secret})
    inquiry.consent_reference = secret
    found = validate_report(report, now, epoch_id=b"e" * 20) + validate_inquiry(inquiry, "inquiry")
    assert len(found) == 6
    told = " ".join(violation.description for violation in found)
    assert secret not in told
    assert secret.encode().hex() not in told


@pytest.mark.parametrize("consent", ["x", "!", "~" * 64, "C-2025/000123#7"])
def test_a_consent_reference_is_printable_ascii(inquiry: Inquiry, consent: str) -> None:
    inquiry.consent_reference = consent
    assert validate_inquiry(inquiry, "inquiry") == []


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"consent_reference": ""}, "consent_reference", REQUIRED),
        ({"consent_reference": "x" * 65}, "consent_reference", MALFORMED),
        ({"consent_reference": "two words"}, "consent_reference", MALFORMED),
        ({"consent_reference": "line\n"}, "consent_reference", MALFORMED),
        ({"consent_reference": "\x7f"}, "consent_reference", MALFORMED),
        ({"consent_reference": "张三"}, "consent_reference", MALFORMED),
        ({"purpose": 0}, "purpose", REQUIRED),
        ({"purpose": 4}, "purpose", UNKNOWN),
        ({"purpose": -1}, "purpose", UNKNOWN),
        ({"subject": ABSENT}, "subject", REQUIRED),
        ({"subject.element": b"x"}, "subject.element", MALFORMED),
        ({"subject.epoch_id": b"f" * 20}, "subject.epoch_id", "TOKEN_EPOCH_MISMATCH"),
    ],
)
def test_a_faulty_inquiry_is_refused(inquiry: Inquiry, epoch_id: bytes, changes: dict[str, Any], field: str, reason: str) -> None:
    change(inquiry, changes)
    found = validate_inquiry(inquiry, "inquiries[7]", epoch_id=epoch_id)
    assert [(violation.field, violation.reason) for violation in found] == [(f"inquiries[7].{field}", reason)]


def test_a_valid_withdrawal_is_taken(withdrawal: WithdrawAccountRequest, now: dt.datetime, epoch_id: bytes) -> None:
    assert validate_withdrawal(withdrawal, now, epoch_id=epoch_id) == []


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"as_of": ABSENT}, "as_of", REQUIRED),
        ({"as_of.seconds": SECONDS + 61}, "as_of", RANGE),
        ({"as_of.nanos": 5}, "as_of", MALFORMED),
        ({"reason": 0}, "reason", REQUIRED),
        ({"reason": 6}, "reason", UNKNOWN),
        ({"subject": ABSENT}, "subject", REQUIRED),
        ({"account_reference.digest": b""}, "account_reference.digest", REQUIRED),
    ],
)
def test_a_faulty_withdrawal_is_refused(
    withdrawal: WithdrawAccountRequest, now: dt.datetime, changes: dict[str, Any], field: str, reason: str
) -> None:
    change(withdrawal, changes)
    found = validate_withdrawal(withdrawal, now)
    assert [(violation.field, violation.reason) for violation in found] == [(field, reason)]


def test_a_time_without_a_zone_is_a_fault_of_the_caller(account: Account, withdrawal: WithdrawAccountRequest) -> None:
    naive = dt.datetime(2025, 9, 20, 12)
    with pytest.raises(ValueError, match="time zone"):
        validate_account(account, naive, "account")
    with pytest.raises(ValueError, match="time zone"):
        validate_withdrawal(withdrawal, naive)

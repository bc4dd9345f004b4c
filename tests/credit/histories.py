"""Histories to screen, spelled in few words."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from tallystick.credit.codes import disposition_from_code
from tallystick.credit.enums import (
    AccountType,
    CollectionStage,
    HistoryOutcome,
    Purpose,
    SpecialTransactionType,
    SubjectKind,
)
from tallystick.credit.history import (
    Account,
    AccountMonth,
    CreditHistory,
    InquirySummary,
    PastInquiry,
    ReportedAccount,
    RunningOverdue,
    SpecialTransaction,
)

AS_OF = dt.datetime(2025, 9, 20, 12, tzinfo=dt.UTC)


def account(codes: str = "", **changes: Any) -> Account:
    """A credit card whose latest months, newest first from September 2025, have these codes; "." is a month not told."""
    months = [
        AccountMonth(month=dt.date(2025 - (back + 3) // 12, 12 - (back + 3) % 12, 1), disposition=disposition_from_code(code))
        for back, code in enumerate(codes)
        if code != "."
    ]
    values: dict[str, Any] = {
        "as_of": AS_OF,
        "account_type": AccountType.R2,
        "status": 1,
        "currency": "CNY",
        "opened_date": dt.date(2015, 1, 1),
        "subject_kind": SubjectKind.PERSON,
        "months": tuple(months),
    }
    return Account(**{**values, **changes})


def running(days: int, amount: int | None = None, stage: CollectionStage = CollectionStage.NONE) -> RunningOverdue:
    """An overdue that runs now."""
    since = AS_OF.date() - dt.timedelta(days=days)
    return RunningOverdue(since_date=since, days_past_due=days, amount=amount, collection_stage=stage)


def history(*accounts: Account, own: Iterable[int] = (), inquiries: InquirySummary | None = None) -> CreditHistory:
    """A history in which account i is of institution i + 1; `own` names the institutions that are the caller."""
    reported = tuple(
        ReportedAccount(institution=number, own=number in set(own), account=value) for number, value in enumerate(accounts, start=1)
    )
    outcome = HistoryOutcome.FOUND if accounts else HistoryOutcome.NO_RECORD
    return CreditHistory(outcome=outcome, as_of=AS_OF, accounts=reported, inquiries=inquiries or InquirySummary())


def event(kind: SpecialTransactionType, *day: int) -> tuple[SpecialTransaction, ...]:
    """One special transaction on a day."""
    return (SpecialTransaction(type=kind, date=dt.date(*day)),)


def asked(*days_ago: int, purpose: Purpose = Purpose.LOAN_APPROVAL) -> InquirySummary:
    """Inquiries so many days ago."""
    return InquirySummary(
        inquiries=tuple(PastInquiry(date=AS_OF.date() - dt.timedelta(days=days), purpose=purpose) for days in days_ago),
        count_1_month=sum(days <= 30 for days in days_ago),
        count_6_months=sum(days <= 182 for days in days_ago),
        institutions_6_months=len({days for days in days_ago if days <= 182}),
    )

"""What is known of a subject, as immutable Python values: the answer to an inquiry."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from tallystick.credit.enums import Disposition, HistoryOutcome, Purpose
from tallystick.credit.ratings import Rating, RatingReason
from tallystick.credit.records import (
    Account,
    AccountMonth,
    HistoryError,
    RelatedObligor,
    RunningOverdue,
    SpecialTransaction,
    read_code,
    read_day,
    read_instant,
)
from tallystick.v1 import inquiry_service_pb2

__all__ = [
    "Account",
    "AccountMonth",
    "CreditHistory",
    "CurrencyAmount",
    "HistoryError",
    "InquirySummary",
    "OverdueSummary",
    "OverdueWindow",
    "PastInquiry",
    "Rating",
    "RatingReason",
    "RelatedObligor",
    "ReportedAccount",
    "RunningOverdue",
    "SpecialTransaction",
    "credit_history_from_message",
]


@dataclass(frozen=True, slots=True)
class CurrencyAmount:
    """An amount in minor units of a currency."""

    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAccount:
    """An account as others are told of it."""

    institution: int
    """Stands for the reporting institution within one answer alone: 1, 2 … in random order."""
    own: bool
    """True if the account is the caller's own."""
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueWindow:
    """Overdue within some number of calendar months, the month of the answer included."""

    months: int
    overdue_months: int = 0
    """How many pairs of account and month were overdue."""
    overdue_accounts: int = 0
    worst_disposition: Disposition = Disposition.UNSPECIFIED
    """UNSPECIFIED when there was no overdue."""
    max_days_past_due: int | None = None
    """The most that is known; None if no overdue month tells its days."""
    max_overdue_amounts: tuple[CurrencyAmount, ...] = ()
    """The largest known amount of one account in one month, one for each currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueSummary:
    """Overdue by time, amount and frequency."""

    accounts_overdue_now: int = 0
    max_days_past_due_now: int = 0
    overdue_amounts_now: tuple[CurrencyAmount, ...] = ()
    """Sums over the accounts whose amount is known, one for each currency."""
    windows: tuple[OverdueWindow, ...] = ()
    """3, 6, 12, 24 and 60 months."""
    worst_disposition: Disposition = Disposition.UNSPECIFIED
    """UNSPECIFIED when there never was an overdue."""
    worst_month: dt.date | None = None
    """The latest month with worst_disposition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastInquiry:
    """One inquiry by another member."""

    date: dt.date
    """The day, UTC."""
    purpose: Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class InquirySummary:
    """Inquiries by other members than the caller."""

    inquiries: tuple[PastInquiry, ...] = ()
    """Those of the last 24 months, newest first, 100 at the most."""
    count_1_month: int = 0
    """Within 30 days."""
    count_6_months: int = 0
    """Within 182 days."""
    institutions_6_months: int = 0
    """How many distinct institutions asked within 182 days."""
    truncated: bool = False
    """Whether only the newest of each institution are counted: there are at least so many."""
    lending_institutions_1_month: int = 0
    """How many distinct institutions asked within 30 days in order to lend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditHistory:
    """All that is known of a subject."""

    outcome: HistoryOutcome
    as_of: dt.datetime
    """When it was answered, by the exchange's clock; UTC."""
    accounts: tuple[ReportedAccount, ...] = ()
    overdue: OverdueSummary = OverdueSummary()
    inquiries: InquirySummary = InquirySummary()
    truncated: bool = False
    """Whether the subject has more accounts than these; those with overdue come first, and `overdue` is that of these."""
    rating: Rating | None = None
    """By the scorecard in force, of these accounts; None unless Section.RATING was asked for."""

    def __post_init__(self) -> None:
        """Puts as_of into UTC, by whose months everything is counted. Raises HistoryError for one without its time zone."""
        if self.as_of.tzinfo is None:
            raise HistoryError("as_of", "has no time zone")
        if self.as_of.tzinfo is not dt.UTC:
            object.__setattr__(self, "as_of", self.as_of.astimezone(dt.UTC))


def credit_history_from_message(message: inquiry_service_pb2.CreditHistory) -> CreditHistory:
    """Reads an answer. Raises HistoryError, naming the field, for what this version cannot read."""
    return CreditHistory(
        outcome=read_code(HistoryOutcome, message.outcome, "outcome"),
        as_of=read_instant(message.as_of, "as_of"),
        accounts=tuple(map(_reported_account, message.accounts)),
        overdue=_overdue_summary(message.overdue_summary),
        inquiries=_inquiry_summary(message.inquiry_summary),
        truncated=message.truncated,
        rating=Rating.from_message(message.rating) if message.HasField("rating") else None,
    )


def _reported_account(message: inquiry_service_pb2.ReportedAccount) -> ReportedAccount:
    return ReportedAccount(institution=message.institution, own=message.own, account=Account.from_message(message.account))


def _overdue_summary(message: inquiry_service_pb2.OverdueSummary) -> OverdueSummary:
    return OverdueSummary(
        accounts_overdue_now=message.accounts_overdue_now,
        max_days_past_due_now=message.max_days_past_due_now,
        overdue_amounts_now=_amounts(message.overdue_amounts_now),
        windows=tuple(map(_overdue_window, message.windows)),
        worst_disposition=read_code(Disposition, message.worst_disposition, "worst_disposition"),
        worst_month=read_day(message.worst_month, "worst_month") if message.worst_month else None,
    )


def _overdue_window(message: inquiry_service_pb2.OverdueWindow) -> OverdueWindow:
    return OverdueWindow(
        months=message.months,
        overdue_months=message.overdue_months,
        overdue_accounts=message.overdue_accounts,
        worst_disposition=read_code(Disposition, message.worst_disposition, "worst_disposition"),
        max_days_past_due=message.max_days_past_due if message.HasField("max_days_past_due") else None,
        max_overdue_amounts=_amounts(message.max_overdue_amounts),
    )


def _inquiry_summary(message: inquiry_service_pb2.InquirySummary) -> InquirySummary:
    return InquirySummary(
        inquiries=tuple(
            PastInquiry(
                date=read_day(inquiry.date, "inquiries.date"),
                purpose=read_code(Purpose, inquiry.purpose, "inquiries.purpose"),
            )
            for inquiry in message.inquiries
        ),
        count_1_month=message.count_1_month,
        count_6_months=message.count_6_months,
        institutions_6_months=message.institutions_6_months,
        truncated=message.truncated,
        lending_institutions_1_month=message.lending_institutions_1_month,
    )


def _amounts(messages: Iterable[inquiry_service_pb2.CurrencyAmount]) -> tuple[CurrencyAmount, ...]:
    return tuple(CurrencyAmount(message.currency, message.amount) for message in messages)

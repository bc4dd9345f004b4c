"""An account and its parts as immutable Python values: what an institution reports, and what others are told."""

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.credit.dates import FIRST_YEAR, LAST_YEAR, day_of_number, number_of_day
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
    Disposition,
    ObligorRole,
    SpecialTransactionType,
    SubjectKind,
)
from tallystick.v1 import account_pb2

_Code = TypeVar("_Code", bound=IntEnum)


class HistoryError(ValueError):
    """A message holds something that cannot be read: a code that this version does not know, or a day that does not exist.

    A decision taken without what could not be read might be wrong, so nothing is left out in silence.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMonth:
    """How an account stood in one month. None is "not known", which is not zero."""

    month: dt.date
    """The month's first day."""
    disposition: Disposition
    days_past_due: int | None = None
    overdue_amount: int | None = None
    """In minor units of the account's currency, as all amounts are."""
    billed_amount: int | None = None
    """Negative for a credit balance."""
    paid_amount: int | None = None

    def to_message(self) -> account_pb2.AccountMonth:
        """The message to send."""
        return account_pb2.AccountMonth(
            month=number_of_day(self.month),
            disposition=_wire(self.disposition),
            days_past_due=self.days_past_due,
            overdue_amount=self.overdue_amount,
            billed_amount=self.billed_amount,
            paid_amount=self.paid_amount,
        )

    @classmethod
    def from_message(cls, message: account_pb2.AccountMonth) -> Self:
        """Reads a message. Raises HistoryError."""
        return cls(
            month=read_day(message.month, "month"),
            disposition=read_code(Disposition, message.disposition, "disposition"),
            days_past_due=_optional(message, "days_past_due"),
            overdue_amount=_optional(message, "overdue_amount"),
            billed_amount=_optional(message, "billed_amount"),
            paid_amount=_optional(message, "paid_amount"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningOverdue:
    """An overdue that still runs at the account's as_of."""

    since_date: dt.date
    """The day since which something has been overdue without a break."""
    days_past_due: int
    amount: int | None = None
    """In minor units; None is "not known"."""
    collection_stage: CollectionStage = CollectionStage.UNSPECIFIED

    def to_message(self) -> account_pb2.RunningOverdue:
        """The message to send."""
        return account_pb2.RunningOverdue(
            since_date=number_of_day(self.since_date),
            days_past_due=self.days_past_due,
            amount=self.amount,
            collection_stage=_wire(self.collection_stage),
        )

    @classmethod
    def from_message(cls, message: account_pb2.RunningOverdue) -> Self:
        """Reads a message. Raises HistoryError."""
        return cls(
            since_date=read_day(message.since_date, "since_date"),
            days_past_due=message.days_past_due,
            amount=_optional(message, "amount"),
            collection_stage=read_code(CollectionStage, message.collection_stage, "collection_stage"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTransaction:
    """One event outside the ordinary schedule."""

    type: SpecialTransactionType
    date: dt.date
    amount: int | None = None
    """In minor units; None is "not known"."""
    months_changed: int = 0
    """By how many months the end of the term moved; negative for earlier."""

    def to_message(self) -> account_pb2.SpecialTransaction:
        """The message to send."""
        return account_pb2.SpecialTransaction(
            type=_wire(self.type),
            date=number_of_day(self.date),
            amount=self.amount,
            months_changed=self.months_changed,
        )

    @classmethod
    def from_message(cls, message: account_pb2.SpecialTransaction) -> Self:
        """Reads a message. Raises HistoryError."""
        return cls(
            type=read_code(SpecialTransactionType, message.type, "type"),
            date=read_day(message.date, "date"),
            amount=_optional(message, "amount"),
            months_changed=message.months_changed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedObligor:
    """Another party to an account, unnamed."""

    role: ObligorRole
    kind: SubjectKind
    liability_amount: int | None = None
    """The amount for which the party answers, in minor units; None is "not known"."""

    def to_message(self) -> account_pb2.RelatedObligor:
        """The message to send."""
        return account_pb2.RelatedObligor(role=_wire(self.role), kind=_wire(self.kind), liability_amount=self.liability_amount)

    @classmethod
    def from_message(cls, message: account_pb2.RelatedObligor) -> Self:
        """Reads a message. Raises HistoryError."""
        return cls(
            role=read_code(ObligorRole, message.role, "role"),
            kind=read_code(SubjectKind, message.kind, "kind"),
            liability_amount=_optional(message, "liability_amount"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account as its institution's books showed it at one instant. None is "not known", which is not zero."""

    as_of: dt.datetime
    """The instant at which the books showed this: with a time zone, whole seconds."""
    account_type: AccountType
    status: int
    """The trade's status code for that type (codes.ACCOUNT_STATUSES)."""
    currency: str
    """ISO 4217 code of every amount of this account."""
    opened_date: dt.date
    subject_kind: SubjectKind
    role: ObligorRole = ObligorRole.BORROWER
    asset_quality: AssetQuality = AssetQuality.UNSPECIFIED
    credit_limit: int | None = None
    """Limit of a revolving account, or amount granted of a loan, in minor units."""
    balance: int | None = None
    """Amount owed at as_of, in minor units."""
    closed_date: dt.date | None = None
    """None while the account is open."""
    liability_amount: int | None = None
    """For a role other than borrower: the amount for which the subject answers, in minor units."""
    months: tuple[AccountMonth, ...] = ()
    """In a report: the months that it sets. In an answer: newest first, 60 at the most."""
    running_overdue: RunningOverdue | None = None
    """None when nothing is overdue."""
    special_transactions: tuple[SpecialTransaction, ...] = ()
    related_obligors: tuple[RelatedObligor, ...] = ()
    annotations: tuple[AnnotationType, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the account has not been closed."""
        return self.closed_date is None

    def to_message(self) -> account_pb2.Account:
        """The message to send. Raises ValueError for an as_of without a time zone or a number that no field holds."""
        if self.as_of.tzinfo is None:
            raise ValueError("as_of: must carry a time zone")
        as_of = Timestamp()
        as_of.FromDatetime(self.as_of)
        return account_pb2.Account(
            as_of=as_of,
            account_type=_wire(self.account_type),
            status=self.status,
            asset_quality=_wire(self.asset_quality),
            currency=self.currency,
            credit_limit=self.credit_limit,
            balance=self.balance,
            opened_date=number_of_day(self.opened_date),
            closed_date=0 if self.closed_date is None else number_of_day(self.closed_date),
            subject_kind=_wire(self.subject_kind),
            role=_wire(self.role),
            liability_amount=self.liability_amount,
            months=[month.to_message() for month in self.months],
            running_overdue=None if self.running_overdue is None else self.running_overdue.to_message(),
            special_transactions=[transaction.to_message() for transaction in self.special_transactions],
            related_obligors=[obligor.to_message() for obligor in self.related_obligors],
            annotations=[_wire(annotation) for annotation in self.annotations],
        )

    @classmethod
    def from_message(cls, message: account_pb2.Account) -> Self:
        """Reads a message. Raises HistoryError."""
        running = message.running_overdue if message.HasField("running_overdue") else None
        return cls(
            as_of=read_instant(message.as_of, "as_of"),
            account_type=read_code(AccountType, message.account_type, "account_type"),
            status=message.status,
            asset_quality=read_code(AssetQuality, message.asset_quality, "asset_quality"),
            currency=message.currency,
            credit_limit=_optional(message, "credit_limit"),
            balance=_optional(message, "balance"),
            opened_date=read_day(message.opened_date, "opened_date"),
            closed_date=read_day(message.closed_date, "closed_date") if message.closed_date else None,
            subject_kind=read_code(SubjectKind, message.subject_kind, "subject_kind"),
            role=read_code(ObligorRole, message.role, "role"),
            liability_amount=_optional(message, "liability_amount"),
            months=tuple(map(AccountMonth.from_message, message.months)),
            running_overdue=None if running is None else RunningOverdue.from_message(running),
            special_transactions=tuple(map(SpecialTransaction.from_message, message.special_transactions)),
            related_obligors=tuple(map(RelatedObligor.from_message, message.related_obligors)),
            annotations=tuple(read_code(AnnotationType, value, "annotations") for value in message.annotations),
        )


def read_code(enum: type[_Code], value: int, field: str) -> _Code:
    """A code of the wire as a member of its list. Raises HistoryError for one that this version does not know."""
    try:
        return enum(value)
    except ValueError:
        raise HistoryError(field, f"this version does not know the code {value}; install a newer one") from None


def read_day(number: int, field: str) -> dt.date:
    """An eight-digit number as a day. Raises HistoryError."""
    try:
        return day_of_number(number)
    except ValueError:
        raise HistoryError(field, f"{number} is no day") from None


def read_instant(timestamp: Timestamp, field: str) -> dt.datetime:
    """A timestamp as a time in UTC, of the years that a report may speak of. Raises HistoryError."""
    try:
        instant = timestamp.ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        instant = None
    if instant is None or not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise HistoryError(field, f"is no instant of the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant


def _optional(message: Message, field: str) -> int | None:
    value: int | None = getattr(message, field) if message.HasField(field) else None
    return value


def _wire(code: IntEnum) -> Any:
    # The generated stubs give each proto enum a type of its own; the numbers are the same, which a test holds them to.
    return int(code)

"""What the month's page says of a watched portfolio: the exchange's counts, the bank's own book, and the messages that it kept."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.messages import KeptMessage
from tallystick.credit.monitoring import Alert, DigestRow, PortfolioDigest, WarningClass, WarningPolicy
from tallystick.credit.reminders import BookEntry

MAX_MESSAGES = 1_000_000
"""Messages of one month that a page is made of: their ids are kept in memory."""

NO_CLASS = "no class"
CLASSES = (*(str(each) for each in sorted(WarningClass, key=lambda each: -each.severity)), NO_CLASS)
"""The most urgent first."""


class Standing(Enum):
    """How an account stands in the bank's own book."""

    OVERDUE = "overdue here"
    NOT_OVERDUE = "not overdue here"
    NOT_IN_BOOK = "not in the book"


@dataclass(slots=True)
class WarnedAccount:
    """One of the bank's own accounts, and what was told of its borrower in the month."""

    number: str | None = None
    worst: WarningClass | None = None
    """The most urgent class of its alerts."""
    reason: str = ""
    """The newest alert of that class; of an account without a class the newest alert."""
    action: str = ""
    better: bool = False
    """Whether the newest alert that has a class says that it has become better."""
    alerts: int = 0
    last: dt.date = dt.date.min
    ended: str = ""
    """Why the watch ended, if it did."""
    entry: BookEntry | None = None

    @property
    def warning_class(self) -> WarningClass | None:
        """The borrower's class as a policy has it: one step less urgent when the newest alert says that it has become better."""
        return self.worst.lowered() if self.worst is not None and self.better else self.worst

    @property
    def class_name(self) -> str:
        """The class in a word."""
        return NO_CLASS if self.warning_class is None else str(self.warning_class)

    @property
    def standing(self) -> Standing:
        """By the book."""
        if self.entry is None:
            return Standing.NOT_IN_BOOK
        return Standing.NOT_OVERDUE if self.entry.overdue_since is None else Standing.OVERDUE

    def take(self, message: KeptMessage) -> None:
        """One message more, in the order in which they were told."""
        self.number = self.number or message.account_number
        self.last = max(self.last, message.date)
        if not isinstance(message.content, Alert):
            self.ended = str(message.content)
            return
        self.alerts += message.content.repeats + 1
        told = message.warning_class
        if told is not None:
            self.better = told is WarningClass.GREEN
        if _severity(told) >= _severity(self.worst):
            self.worst, self.reason, self.action = told, str(message.content), message.action


@dataclass
class KeptMessages:
    """The messages of a month that the bank kept, by account."""

    month: dt.date
    accounts: dict[bytes, WarnedAccount] = field(default_factory=dict)
    """By the reference that stands for the account's number."""
    by_class: Counter[str] = field(default_factory=Counter)
    """Alerts, each by its own class."""
    ended: int = 0
    """Watches that ended otherwise than by the bank."""
    discarded: int = 0
    """Alerts that were discarded with those watches."""
    other_months: int = 0
    repeated: int = 0
    """Messages that came again under the same id."""
    _seen: set[UUID] = field(default_factory=set)

    def take(self, message: KeptMessage) -> None:
        """One message more. Raises FileInvalid when there are too many to remember."""
        if (message.date.year, message.date.month) != (self.month.year, self.month.month):
            self.other_months += 1
            return
        if message.message_id in self._seen:
            self.repeated += 1
            return
        if len(self._seen) >= MAX_MESSAGES:
            raise FileInvalid(f"--messages: has more than {MAX_MESSAGES:,} messages of the month; give a part of them")
        self._seen.add(message.message_id)
        self.accounts.setdefault(message.account_reference, WarnedAccount()).take(message)
        if isinstance(message.content, Alert):
            name = NO_CLASS if message.warning_class is None else str(message.warning_class)
            self.by_class[name] += message.content.repeats + 1
        else:
            self.ended += 1
            self.discarded += message.content.discarded_count

    @property
    def alerts(self) -> int:
        """How many alerts they stand for: one that stands for several counts as so many, as in the exchange's counts."""
        return self.by_class.total()

    def listed(self) -> list[WarnedAccount]:
        """Those whose number is known, the most urgent first; of a class those that are not overdue here, then the newest."""
        return sorted((each for each in self.accounts.values() if each.number), key=_urgency)

    @property
    def without_number(self) -> int:
        """Accounts whose number is known neither by the messages nor by the book."""
        return sum(not each.number for each in self.accounts.values())


def _severity(warning_class: WarningClass | None) -> int:
    return -1 if warning_class is None else warning_class.severity


def _urgency(account: WarnedAccount) -> tuple[int, bool, int, str]:
    return -_severity(account.warning_class), account.standing is Standing.OVERDUE, -account.last.toordinal(), account.number or ""


@dataclass
class BookCounts:
    """The bank's own book, counted."""

    month: dt.date
    accounts: int = 0
    overdue: int = 0
    overdue_began: int = 0
    """Of those that are overdue: in the month."""
    not_reported: int = 0
    """Of those that are overdue: none of their overdues was ever reported."""
    cured: int = 0
    """In the month."""
    plans: int = 0
    """Repayment plans that end after the month."""

    def take(self, entry: BookEntry) -> None:
        """One account more."""
        self.accounts += 1
        if entry.overdue_since is not None:
            self.overdue += 1
            self.overdue_began += self._is_in_month(entry.overdue_since)
            self.not_reported += not entry.reported_overdue
        self.cured += entry.cured_date is not None and self._is_in_month(entry.cured_date)
        self.plans += entry.plan_end_date is not None and entry.plan_end_date >= _following(self.month)

    def _is_in_month(self, day: dt.date) -> bool:
        return self.month <= day < _following(self.month)


def _following(month: dt.date) -> dt.date:
    return (month + dt.timedelta(days=31)).replace(day=1)


@dataclass(frozen=True)
class CountedRow:
    """A row of the digest, in words, with the class that the policy gives such an alert."""

    row: DigestRow
    class_name: str

    @property
    def text(self) -> str:
        """What was told."""
        return str(Alert(type=self.row.type, before=self.row.before, after=self.row.after))


def classed(digest: PortfolioDigest, policy: WarningPolicy) -> list[CountedRow]:
    """The rows of a digest, each with the class of one of its alerts by itself; the most urgent first, then the most frequent."""
    rows = []
    for row in digest.rows:
        warning = policy.classify([Alert(type=row.type, before=row.before, after=row.after)])
        rows.append(CountedRow(row, NO_CLASS if warning is None else str(warning.warning_class)))
    return sorted(rows, key=lambda each: (CLASSES.index(each.class_name), -each.row.alerts))


@dataclass(frozen=True, kw_only=True)
class Portfolio:
    """All that the page is made of."""

    digest: PortfolioDigest
    member: str
    origin: str
    """Of the exchange's log."""
    made: dt.datetime
    """In UTC."""
    policy: WarningPolicy
    book: BookCounts | None = None
    unreadable: int = 0
    """Rows of the book that could not be read, and are in no figure."""
    messages: KeptMessages | None = None
    limit: int = 500
    """How many accounts are listed."""

    @property
    def rows(self) -> Sequence[CountedRow]:
        """The counts of the exchange."""
        return classed(self.digest, self.policy)

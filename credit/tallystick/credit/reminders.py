"""Reminders over a bank's own book: what a borrower is to be told on one day, and what the bank still owes the exchange.

They are reckoned where the book is, so that no due date ever leaves the bank; the exchange knows nothing of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

BEFORE_DUE: Final = timedelta(days=3)
BEFORE_PLAN_ENDS: Final = timedelta(days=7)
PLAN_REPORTED_WITHIN: Final = timedelta(days=31)
"""A plan that was agreed is to be reported as a special transaction: others must not take the account for one that is kept to."""


class NoticeKind(StrEnum):
    """What a borrower is told; of PLAN_NOT_REPORTED, who reports."""

    DUE_SOON = "due_soon"
    """A payment is due in three days."""
    DUE_TODAY = "due_today"
    """A payment is due on this day."""
    OVERDUE = "overdue"
    """This is the first day of an overdue."""
    BEFORE_RECORD = "before_record"
    """An overdue is going to be reported for the first time. The day of this notice is the report's bad_record_notice_date:
    it lies before as_of by a day at least. Due on each day until the book says that it was given."""
    CURED = "cured"
    """An overdue ended on this day."""
    PLAN_ENDS = "plan_ends"
    """A repayment plan ends in seven days."""
    PLAN_NOT_REPORTED = "plan_not_reported"
    """A repayment plan was agreed 31 days ago or earlier, and no special transaction of it is reported. For your own reporting: the
    borrower need not be told. Due on each day until the book says that it was reported."""


@dataclass(frozen=True, slots=True)
class BookEntry:
    """One account in the bank's own book, as far as reminders need it. Days are those of the bank's calendar."""

    account_number: str
    next_due_date: date | None = None
    amount_due: int | None = None
    """In minor units of the currency; None is not known."""
    currency: str = ""
    overdue_since: date | None = None
    """The first day of an overdue that runs; None if nothing is overdue."""
    reported_overdue: bool = False
    """Whether any overdue of the account was ever reported: then no further notice is needed before the next."""
    notice_date: date | None = None
    """The day on which the borrower was told that the overdue will be reported; None until then."""
    cured_date: date | None = None
    """The day on which the last overdue ended."""
    plan_end_date: date | None = None
    """The last day of a repayment plan that is kept to."""
    plan_agreed_date: date | None = None
    """The day on which the last repayment plan was agreed."""
    plan_reported: bool = False
    """Whether a special transaction (extension, relief, instalments of its own, deferral) of that plan was reported."""


@dataclass(frozen=True, slots=True)
class DueNotice:
    """What one borrower is to be told on one day."""

    kind: NoticeKind
    day: date
    about: date
    """The day that the notice speaks of: on which a payment is or was due, an overdue began or ended, a plan ends or was agreed."""
    entry: BookEntry


def due_notices(book: Iterable[BookEntry], day: date) -> Iterator[DueNotice]:
    """The notices of one day, in the order of the book; of an entry each kind once at the most. An entry without days has none."""
    for entry in book:
        for kind, about in _of_entry(entry, day):
            yield DueNotice(kind, day, about, entry)


def _of_entry(entry: BookEntry, day: date) -> Iterator[tuple[NoticeKind, date]]:
    if (due := entry.next_due_date) is not None:
        if due - day == BEFORE_DUE:
            yield NoticeKind.DUE_SOON, due
        elif due == day:
            yield NoticeKind.DUE_TODAY, due
    if (since := entry.overdue_since) is not None and since <= day:
        if since == day:
            yield NoticeKind.OVERDUE, since
        if not entry.reported_overdue and (entry.notice_date is None or entry.notice_date < since):
            yield NoticeKind.BEFORE_RECORD, since
    if (cured := entry.cured_date) is not None and cured == day:
        yield NoticeKind.CURED, cured
    if (end := entry.plan_end_date) is not None and end - day == BEFORE_PLAN_ENDS:
        yield NoticeKind.PLAN_ENDS, end
    if (agreed := entry.plan_agreed_date) is not None and not entry.plan_reported and day - agreed >= PLAN_REPORTED_WITHIN:
        yield NoticeKind.PLAN_NOT_REPORTED, agreed

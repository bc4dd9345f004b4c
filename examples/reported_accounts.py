"""How a client of the file becomes an account as a bank reports it; README.md tells the same in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from examples.card_file import CardClient, CardMonth
from tallystick.credit.codes import minor_units
from tallystick.credit.enums import AccountType, Disposition, SubjectKind
from tallystick.credit.history import Account, AccountMonth

CURRENCY = "TWD"
MONTHS = 6
CARD_IN_ORDER = 1
"""The status of a credit card (R2) that is neither frozen nor stopped nor closed: the file knows no other."""

_MINOR = 10 ** minor_units(CURRENCY)
_NOT_LATE = {
    -2: Disposition.NOTHING_DUE,
    -1: Disposition.PAID_AS_AGREED,
    0: Disposition.PAID_AS_AGREED,
}
_LATE = (
    Disposition.OVERDUE_1,
    Disposition.OVERDUE_2,
    Disposition.OVERDUE_3,
    Disposition.OVERDUE_4,
    Disposition.OVERDUE_5,
    Disposition.OVERDUE_6,
    Disposition.OVERDUE_7,
)


def reporting_months(today: date) -> tuple[date, ...]:
    """The six full months before the current one, newest first: they stand for September to April 2005."""
    month, months = today.replace(day=1), []
    for _ in range(MONTHS):
        month = (month - timedelta(days=1)).replace(day=1)
        months.append(month)
    return tuple(months)


def disposition_of(status: int) -> Disposition:
    """The trade's code for a repayment status of the file. Raises ValueError for one that the file does not have."""
    if status in _NOT_LATE:
        return _NOT_LATE[status]
    if not 1 <= status <= 9:
        raise ValueError(f"{status} is no repayment status")
    return _LATE[min(status, len(_LATE)) - 1]


def account_of(client: CardClient, months: tuple[date, ...]) -> Account:
    """The client's account as of the end of the newest of `months`.

    What the file does not hold is left out, for absent is "not known": days past due, overdue amounts, and since when an
    overdue has been running.
    """
    return Account(
        as_of=_end_of(months[0]),
        account_type=AccountType.R2,
        status=CARD_IN_ORDER,
        currency=CURRENCY,
        # The file does not say when. All clients were there in its first month.
        opened_date=months[-1],
        subject_kind=SubjectKind.PERSON,
        credit_limit=client.credit_limit * _MINOR,
        # A credit balance is nothing owed.
        balance=max(client.months[0].billed, 0) * _MINOR,
        months=tuple(_month(month, known) for month, known in zip(months, client.months, strict=True)),
    )


def account_before(client: CardClient, months: tuple[date, ...]) -> Account:
    """The same account as of the end of the month before the newest."""
    account = account_of(client, months)
    balance = max(client.months[1].billed, 0) * _MINOR
    return replace(account, as_of=_end_of(months[1]), balance=balance, months=account.months[1:])


def _month(month: date, known: CardMonth) -> AccountMonth:
    return AccountMonth(
        month=month,
        disposition=disposition_of(known.status),
        billed_amount=known.billed * _MINOR,
        paid_amount=known.paid * _MINOR,
    )


def _end_of(month: date) -> datetime:
    """The last second of a month, UTC."""
    following = (month + timedelta(days=31)).replace(day=1)
    return datetime.combine(following, time(), UTC) - timedelta(seconds=1)

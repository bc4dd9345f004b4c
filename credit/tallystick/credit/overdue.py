"""Overdue by time, amount and frequency, from the accounts that an answer shows.

Known values are summed up, and what is not known is left out and never taken for zero: the most days past due of a
window are the most that any of its overdue months tells, and absent if none tells them; a month that does not tell its
days still counts, and its disposition is in worst_disposition.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from tallystick.credit.codes import OVERDUE_DISPOSITIONS
from tallystick.credit.dates import month_before, month_of_day
from tallystick.v1.account_pb2 import Account, AccountMonth
from tallystick.v1.inquiry_service_pb2 import CurrencyAmount, OverdueSummary, OverdueWindow

WINDOWS: Final = (3, 6, 12, 24, 60)
"""The windows of a summary: calendar months back from the month of the answer, that month included."""

_RANKS: Final = {int(disposition): rank for disposition, rank in OVERDUE_DISPOSITIONS.items()}

_OverdueMonth = tuple[int, str, AccountMonth]
"""Which account, its currency, and one of its months that was overdue."""


def is_overdue(disposition: int) -> bool:
    """Whether a month with this disposition counts as overdue: 1 to 7, D, Z and B (see codes.OVERDUE_DISPOSITIONS)."""
    return disposition in _RANKS


def has_overdue(account: Account, dispositions: Iterable[int] | None = None) -> bool:
    """Whether a summary over this account could show anything but zeros, at any date. `dispositions` are those of its months, if
    somebody has read them."""
    read = [month.disposition for month in account.months] if dispositions is None else dispositions
    return account.HasField("running_overdue") or not _RANKS.keys().isdisjoint(read)


def summarise(accounts: Iterable[Account], as_of: date) -> OverdueSummary:
    """Sums up the overdue of accounts, as inquiry_service.proto describes it, for an answer of the UTC day `as_of`."""
    summary = OverdueSummary()
    months: list[_OverdueMonth] = []
    amounts_now: dict[str, int] = {}
    for index, account in enumerate(accounts):
        if account.HasField("running_overdue"):
            running = account.running_overdue
            summary.accounts_overdue_now += 1
            summary.max_days_past_due_now = max(summary.max_days_past_due_now, running.days_past_due)
            if running.HasField("amount"):
                amounts_now[account.currency] = amounts_now.get(account.currency, 0) + running.amount
        months.extend((index, account.currency, month) for month in account.months if month.disposition in _RANKS)
    summary.overdue_amounts_now.extend(_amounts(amounts_now))
    newest = month_of_day(as_of)
    for window in WINDOWS:
        oldest = month_before(newest, window - 1)
        summary.windows.append(_window(window, [item for item in months if oldest <= item[2].month <= newest]))
    if months:
        worst = max((item[2] for item in months), key=lambda month: (_RANKS[month.disposition], month.month))
        summary.worst_disposition = worst.disposition
        summary.worst_month = worst.month
    return summary


def _window(length: int, months: Sequence[_OverdueMonth]) -> OverdueWindow:
    window = OverdueWindow(months=length)
    if not months:
        return window
    window.overdue_months = len(months)
    window.overdue_accounts = len({index for index, _, _ in months})
    window.worst_disposition = max((month.disposition for _, _, month in months), key=_RANKS.__getitem__)
    days = [month.days_past_due for _, _, month in months if month.HasField("days_past_due")]
    if days:
        window.max_days_past_due = max(days)
    largest: dict[str, int] = {}
    for _, currency, month in months:
        if month.HasField("overdue_amount"):
            largest[currency] = max(largest.get(currency, 0), month.overdue_amount)
    window.max_overdue_amounts.extend(_amounts(largest))
    return window


def _amounts(amounts: dict[str, int]) -> list[CurrencyAmount]:
    return [CurrencyAmount(currency=currency, amount=amount) for currency, amount in sorted(amounts.items())]

"""The rules that the months of an account must keep to, each by itself and against each other and the account."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, cast

from tallystick.contract.violations import Violation
from tallystick.credit.codes import DAYS_PAST_DUE_RANGES, MAX_DAYS_PAST_DUE
from tallystick.credit.dates import MONTHS, ordinal_of_number
from tallystick.credit.enums import Disposition
from tallystick.credit.field_rules import (
    MAX_AMOUNT,
    MAX_VIOLATIONS_PER_REPORT,
    Horizon,
    check_amount,
    code_violation,
    day_violation,
)
from tallystick.credit.month_columns import MonthColumns, follow_backwards
from tallystick.credit.versions import MAX_MONTHS
from tallystick.v1.account_pb2 import Account, AccountMonth

_NOT_OPENED: Final = int(Disposition.NOT_OPENED)
_DAYS: Final = {
    int(disposition): DAYS_PAST_DUE_RANGES.get(disposition, (0, MAX_DAYS_PAST_DUE)) for disposition in Disposition if disposition
}
_NO_DAYS: Final = (1, 0)
"""No number of days goes with a disposition that is none."""
_DAYS_PAST_DUE, _OVERDUE_AMOUNT = attrgetter("days_past_due"), attrgetter("overdue_amount")
_PLAIN: Final = frozenset(disposition for disposition, (low, _) in _DAYS.items() if low == 0) - {_NOT_OPENED}
"""Dispositions that go with no days past due, of a month in which the account was there."""


def check_months(account: Account, opened: int, horizon: Horizon, field: str, found: list[Violation]) -> MonthColumns | None:
    """Appends what is wrong with the months of an account; `opened` is the day of its opened_date, or 0. Returns them as they were
    read, or None if they are too many to be."""
    if len(account.months) > MAX_MONTHS:
        description = f"has {len(account.months)} months; report {MAX_MONTHS} at the most"
        found.append(Violation(f"{field}.months", "FIELD_OUT_OF_RANGE", description))
        return None
    months = list(account.months)
    columns = MonthColumns.reading(account, months)
    opened_month = account.opened_date // 100 * 100 + 1 if opened else 0
    if not _are_plain(columns, months, opened_month, horizon.month):
        _check_each(months, opened_month, horizon.month, field, found)
    return columns


def _are_plain(columns: MonthColumns, months: Sequence[AccountMonth], opened_month: int, latest: int) -> bool:
    """Whether months are as most are: without a gap, within their bounds, paid, amounts in range. Columns are looked at in a part
    of the time that month after month takes."""
    numbers = columns.numbers
    return (
        follow_backwards(numbers)
        and opened_month <= numbers[-1]
        and numbers[0] <= latest
        and _PLAIN.issuperset(columns.dispositions)
        and not any(map(_DAYS_PAST_DUE, months))
        and not any(map(_OVERDUE_AMOUNT, months))
        and _lie_between(-MAX_AMOUNT, columns.billed or [month.billed_amount for month in months])
        and _lie_between(0, columns.paid or [month.paid_amount for month in months])
    )


def _lie_between(least: int, amounts: Sequence[int | None]) -> bool:
    known = [amount or 0 for amount in amounts] if None in amounts else cast("Sequence[int]", amounts)
    return least <= min(known) and max(known) <= MAX_AMOUNT


def _check_each(months: Sequence[AccountMonth], opened_month: int, latest: int, field: str, found: list[Violation]) -> None:
    seen = set()
    for index, month in enumerate(months):
        number, disposition = month.month, month.disposition
        if number not in MONTHS:
            found.append(_month_violation(f"{field}.months[{index}].month", number))
        elif number in seen:
            description = "is in this report twice; give each month once"
            found.append(Violation(f"{field}.months[{index}].month", "FIELDS_INCONSISTENT", description))
        elif number > latest:
            description = "lies after the month of as_of, or of the exchange's clock, in UTC; report a month once it has begun"
            found.append(Violation(f"{field}.months[{index}].month", "FIELD_OUT_OF_RANGE", description))
        elif (number < opened_month) if disposition != _NOT_OPENED else (number > opened_month > 0):
            found.append(_opening_violation(f"{field}.months[{index}]", number < opened_month))
        seen.add(number)
        low, high = _DAYS.get(disposition, _NO_DAYS)
        if not (
            low <= month.days_past_due <= high
            and month.overdue_amount == 0
            and -MAX_AMOUNT <= month.billed_amount <= MAX_AMOUNT
            and 0 <= month.paid_amount <= MAX_AMOUNT
        ):
            _check_month(month, field, index, found)
        if found and len(found) >= MAX_VIOLATIONS_PER_REPORT:
            return


def _month_violation(field: str, number: int) -> Violation:
    if number and not ordinal_of_number(number):
        return day_violation(field, number)
    if number:
        description = "is not the first day of a month; give that, such as 20250901 for September 2025"
        return Violation(field, "FIELD_MALFORMED", description)
    return Violation(field, "FIELD_REQUIRED", "is missing; give the month's first day, such as 20250901")


def _opening_violation(field: str, before: bool) -> Violation:
    if before:
        description = "lies before opened_date; drop it, or give it the disposition for 'not yet open'"
        return Violation(f"{field}.month", "FIELDS_INCONSISTENT", description)
    description = "says 'not yet open' of a month after opened_date; correct one of the two"
    return Violation(f"{field}.disposition", "FIELDS_INCONSISTENT", description)


def _check_month(month: AccountMonth, field: str, index: int, found: list[Violation]) -> None:
    """Of a month that has more to it than a bill and what was paid of it, or something wrong."""
    disposition = month.disposition
    bounds = _DAYS.get(disposition)
    days = month.days_past_due
    overdue = month.overdue_amount
    if bounds is None:
        found.append(code_violation(f"{field}.months[{index}].disposition", disposition))
    elif not bounds[0] <= days <= bounds[1] and (days or month.HasField("days_past_due")):
        found.append(days_violation(f"{field}.months[{index}].days_past_due", bounds, days))
    if not 0 <= overdue <= MAX_AMOUNT:
        check_amount(overdue, f"{field}.months[{index}].overdue_amount", found)
    elif overdue and bounds == (0, 0):
        # The reverse, an overdue disposition with nothing overdue, can be right: a card's days are those of its billing
        # day, and what was overdue then may have been paid by the end of the month.
        description = "is more than 0, and the disposition says that nothing was overdue; correct one of the two"
        found.append(Violation(f"{field}.months[{index}].overdue_amount", "FIELDS_INCONSISTENT", description))
    if not -MAX_AMOUNT <= month.billed_amount <= MAX_AMOUNT:
        description = "must lie between -10^15 and 10^15, in minor units of the account's currency"
        found.append(Violation(f"{field}.months[{index}].billed_amount", "FIELD_OUT_OF_RANGE", description))
    if not 0 <= month.paid_amount <= MAX_AMOUNT:
        check_amount(month.paid_amount, f"{field}.months[{index}].paid_amount", found)


def days_violation(field: str, bounds: tuple[int, int], days: int) -> Violation:
    if days > MAX_DAYS_PAST_DUE:
        description = f"must be {MAX_DAYS_PAST_DUE} at the most"
        return Violation(field, "FIELD_OUT_OF_RANGE", description)
    low, high = bounds
    allowed = "0" if high == 0 else f"{low} or more" if high == MAX_DAYS_PAST_DUE else f"{low} to {high}"
    description = f"contradicts the disposition, which goes with {allowed}; correct one of the two, or leave it out"
    return Violation(field, "FIELDS_INCONSISTENT", description)

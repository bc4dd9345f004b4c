"""The months of a record as columns, read once for all who look at them.

Protobuf makes an object of each month whenever nobody has it, and each reading of a field takes as long as the rest of a step. Who
checks a report has read them all; who merges it, and makes its rating facts, goes on with what was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from tallystick.credit.codes import REVOLVING_TYPES
from tallystick.credit.dates import MONTHS, month_index
from tallystick.v1.account_pb2 import Account, AccountMonth

INDICES: Final = {month: month_index(month) for month in MONTHS}
"""Months since January of the year 0, by the number of a month's first day."""
_BACKWARDS: Final = tuple(sorted(MONTHS, reverse=True))
_NEWEST_INDEX: Final = max(INDICES.values())
_REVOLVING: Final = frozenset(map(int, REVOLVING_TYPES))

Amounts = tuple[int | None, ...]
"""In minor units; None is "not known"."""


class MonthColumns(NamedTuple):
    """In the order of the record. Of tuples, which Python's collector of garbage does not visit again and again: a batch holds some
    thousands of them."""

    numbers: tuple[int, ...]
    dispositions: tuple[int, ...]
    billed: Amounts
    """Of a revolving account; of others nobody asks, and it is empty."""
    paid: Amounts
    """Likewise."""

    @classmethod
    def of(cls, account: Account) -> MonthColumns:
        """Of an account's record."""
        return cls.reading(account, list(account.months))

    @classmethod
    def reading(cls, account: Account, months: Sequence[AccountMonth]) -> MonthColumns:
        """Of an account whose months somebody holds."""
        revolving = account.account_type in _REVOLVING
        return cls(
            tuple([month.month for month in months]),
            tuple([month.disposition for month in months]),
            _known(tuple([month.billed_amount for month in months]), "billed_amount", months) if revolving else (),
            _known(tuple([month.paid_amount for month in months]), "paid_amount", months) if revolving else (),
        )


def _known(amounts: tuple[int, ...], field: Literal["billed_amount", "paid_amount"], months: Sequence[AccountMonth]) -> Amounts:
    """Presence is asked of zeros alone: it takes longer than the amount."""
    if 0 not in amounts:
        return amounts
    return tuple([amount or (0 if month.HasField(field) else None) for amount, month in zip(amounts, months, strict=True)])


def follow_backwards(numbers: tuple[int, ...]) -> bool:
    """Whether these are months, each the one before the last, as in most records. Of no month it is so."""
    if not numbers:
        return True
    begin = _NEWEST_INDEX - INDICES.get(numbers[0], _NEWEST_INDEX + 1)
    return begin >= 0 and numbers == _BACKWARDS[begin : begin + len(numbers)]

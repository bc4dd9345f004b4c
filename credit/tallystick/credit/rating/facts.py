"""Rating facts: what a rating must know of one account, in 64 bytes at the most, reckoned from its record when reports merge.

An answer copies records unread (ADR 0008), so a rating at the time of the question needs its facts beside them. They say nothing
of the day on which they are read: windows are taken then. Whoever has the record makes the same facts of it.

    1 byte    version of this layout and of the levels: 1
    1 byte    flags: 1 an organisation, 2 under objection, 4 a contingent role
    2 bytes   the month of the record's as_of, in months since January of the year 0; big-endian
    1 byte    n, how many months of status follow: even
    1 byte    r, how many months of each ratio follow: even
    n/2       status of that month and those before it, four bits each
    2 x r/2   utilisation, payment, likewise
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.credit.codes import BAD_DEBT_STATUSES, GUARANTEE_ROLES
from tallystick.credit.dates import month_index, month_of_seconds
from tallystick.credit.month_columns import INDICES, Amounts, MonthColumns, follow_backwards
from tallystick.credit.rating.levels import (
    BAD_DEBT_LEVEL,
    NOT_KNOWN,
    NOTHING_PAID,
    PAID,
    STATUS_LEVELS,
    UTILISATION_STEPS,
    status_level_of_days,
    utilisation_level,
)
from tallystick.v1 import codes_pb2, subject_pb2
from tallystick.v1.account_pb2 import Account

VERSION: Final = 1
STATUS_MONTHS: Final = 60
RATIO_MONTHS: Final = 18
MAX_FACTS: Final = 64
"""Most bytes."""

_ORGANISATION, _DISPUTED, _CONTINGENT = 1, 2, 4
_HEADER: Final = 6
_RATIOS: Final = 2
_DIGITS: Final = b"0123456789abcdef"
_STATUS_DIGITS: Final = bytes(_DIGITS[STATUS_LEVELS.get(disposition, NOT_KNOWN)] for disposition in range(256))
_UNKNOWN: Final = _DIGITS[0]
_SETTLED: Final = _DIGITS[PAID]
_UNPAID: Final = _DIGITS[NOTHING_PAID]
_ALL_SETTLED: Final = bytes((_SETTLED,)) * RATIO_MONTHS
_MOST_USED: Final = UTILISATION_STEPS[-1] + 1
_MOST: Final = _DIGITS[utilisation_level(_MOST_USED)]
_USED: Final = bytes(_DIGITS[utilisation_level(percent)] for percent in range(_MOST_USED + 1))
_BAD: Final = {int(account_type): statuses for account_type, statuses in BAD_DEBT_STATUSES.items()}
_FOR_OTHERS: Final = frozenset(map(int, GUARANTEE_ROLES))
_IN_COLLECTION: Final = 1
"""The status of a collection account (C1) that has not ended."""


class FactsError(ValueError):
    """Bytes that are no rating facts of a version that is known here: make them anew from the record."""


@dataclass(frozen=True, slots=True)
class RatingFacts:
    """Of one account. Each text has one hexadecimal digit a month, the month of as_of first: its level, 0 for "not known"."""

    month: int
    """Of the record's as_of, in months since January of the year 0."""
    organisation: bool
    disputed: bool
    """Whether the record carries the note that it is under objection."""
    contingent: bool
    """Whether the subject answers for another's debt: such an account is not rated."""
    status: str
    utilisation: str
    payment: str

    @classmethod
    def of(cls, account: Account) -> RatingFacts:
        """Of an account's record."""
        return cls.from_bytes(facts_of(account))

    @classmethod
    def beside(cls, stored: bytes | None, record: bytes) -> RatingFacts:
        """As they are stored beside a record; of the record where they are not, or another version wrote them."""
        if stored is not None:
            try:
                return cls.from_bytes(stored)
            except FactsError:
                pass
        return cls.of(Account.FromString(record))

    @classmethod
    def from_bytes(cls, data: bytes) -> RatingFacts:
        """Reads facts. Raises FactsError."""
        if len(data) < _HEADER or data[0] != VERSION:
            raise FactsError("no rating facts of a known version")
        months, ratios = data[4], data[5]
        digits = data[_HEADER:].hex()
        if months % 2 or ratios % 2 or len(digits) != months + _RATIOS * ratios:
            raise FactsError("rating facts of another length than they say")
        flags = data[1]
        return cls(
            data[2] << 8 | data[3],
            bool(flags & _ORGANISATION),
            bool(flags & _DISPUTED),
            bool(flags & _CONTINGENT),
            digits[:months],
            digits[months : months + ratios],
            digits[months + ratios :],
        )


def are_current(stored: bytes | None) -> bool:
    """Whether facts that are stored beside a record are of the version that would be written now."""
    return stored is not None and stored[:1] == bytes((VERSION,))


def facts_of(account: Account, months: MonthColumns | None = None) -> bytes:
    """The facts of an account's record, as they are stored. `months` are its months, if somebody has read them."""
    newest = month_index(month_of_seconds(account.as_of.seconds))
    lead, placed = _by_place(MonthColumns.of(account) if months is None else months, newest)
    status = b"0" * lead + bytes(placed.dispositions[: STATUS_MONTHS - lead]).translate(_STATUS_DIGITS)
    now = _DIGITS[_level_now(account)]
    if now > _UNKNOWN:
        status = max(bytes((now,)), status[:1]) + status[1:]
    text = _trimmed(status)
    last = RATIO_MONTHS + 1 - lead
    ratios = _ratios(account.credit_limit, lead, placed.billed[:last], placed.paid[:last]) if placed.billed and last > 0 else ()
    width = max(map(len, ratios), default=0)
    digits = text + b"".join([ratio.ljust(width, b"0") for ratio in ratios])
    flags = (
        _ORGANISATION * (account.subject_kind == subject_pb2.SUBJECT_KIND_ORGANISATION)
        | _DISPUTED * (codes_pb2.ANNOTATION_TYPE_DISPUTE in account.annotations)
        | _CONTINGENT * (account.role in _FOR_OTHERS)
    )
    header = bytes((VERSION, flags, newest >> 8, newest & 0xFF, len(text), width))
    return header + bytes.fromhex(digits.decode())


def _by_place(known: MonthColumns, newest: int) -> tuple[int, MonthColumns]:
    """How many months from the newest back have none, and from there on months each in its place, with nothing known where there is
    none."""
    numbers = known.numbers
    if not numbers:
        return 0, known
    first = newest - INDICES.get(numbers[0], 0)
    if 0 <= first < STATUS_MONTHS and follow_backwards(numbers):
        return first, known
    rows = {newest - INDICES.get(number, 0): row for row, number in enumerate(numbers)}
    order = [rows.get(place) for place in range(min(max(rows) + 1, STATUS_MONTHS))]
    dispositions = tuple([0 if row is None else known.dispositions[row] for row in order])
    if not known.billed:
        return 0, MonthColumns(numbers, dispositions, (), ())
    billed, paid = (tuple([None if row is None else column[row] for row in order]) for column in (known.billed, known.paid))
    return 0, MonthColumns(numbers, dispositions, billed, paid)


def _level_now(account: Account) -> int:
    """What the record says of the day of its as_of, as a status of that month."""
    if account.status in _BAD.get(account.account_type, ()):
        return BAD_DEBT_LEVEL
    if account.account_type == codes_pb2.ACCOUNT_TYPE_C1 and account.status == _IN_COLLECTION:
        return BAD_DEBT_LEVEL
    return status_level_of_days(account.running_overdue.days_past_due) if account.HasField("running_overdue") else 0


def _ratios(limit: int, lead: int, billed: Amounts, paid: Amounts) -> tuple[bytes, bytes]:
    """Utilisation and payment: of `lead` months without anything, and of those behind them. The bill of a month is what was to be
    paid in the one after it."""
    settled = _ALL_SETTLED[: max(len(billed) - 1, 0)]
    if None in billed or None in paid or 0 in paid:
        # Without the bill nothing is known, whatever was paid: that a month is reported later must not lift a rating.
        settled = bytes(
            [
                _UNKNOWN if bill is None else _SETTLED if amount or bill <= 0 else _UNKNOWN if amount is None else _UNPAID
                for amount, bill in zip(paid, billed[1:], strict=False)
            ]
        )
    ahead = b"0" * lead
    # Of the month after the newest bill it is known, at the most, that nothing was to be paid.
    nothing_due = lead > 0 and billed[0] is not None and billed[0] <= 0
    due = b"%c" % (_SETTLED if nothing_due else _UNKNOWN) if lead else b""
    return _trimmed((ahead + _used(limit, billed))[:RATIO_MONTHS]), _trimmed(ahead[1:] + due + settled)


def _used(limit: int, billed: Amounts) -> bytes:
    """A bill of 1.1 limits or more is of the last level, a credit balance of the first."""
    if limit <= 0:
        return b""
    top = limit * _MOST_USED
    return bytes(
        [
            _UNKNOWN if bill is None else _MOST if bill * 100 >= top else _USED[bill * 100 // limit] if bill > 0 else _USED[0]
            for bill in billed
        ]
    )


def _trimmed(digits: bytes) -> bytes:
    """Without what is not known at its far end, even in length."""
    text = digits.rstrip(b"0")
    return text + b"0" * (len(text) % 2)

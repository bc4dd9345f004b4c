"""Rules for a single field, whatever message it is in: a code, an amount, a day, an instant."""

from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.contract.violations import Violation
from tallystick.credit.dates import month_of_seconds, number_of_epoch_day, ordinal_of_number

MAX_VIOLATIONS_PER_REPORT: Final = 8
"""Of one report, or another item of a batch: enough to mend it by."""

MAX_AMOUNT: Final = 10**15
"""Largest amount in minor units, either way: ten trillion yuan. Sums over 500 accounts still fit into 64 bits."""

MAX_CLOCK_SKEW: Final = 60
"""Seconds by which an institution's clock may run ahead of ours."""

_FIRST_AS_OF: Final = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp())
_EASTERNMOST: Final = 14 * 3600
_ORDINAL_OF_1970: Final = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


class Horizon(NamedTuple):
    """Where the past ends for one account: at its as_of, or now if that is sooner."""

    month: int
    """The month of that instant, in UTC."""
    day: int
    """The latest day that has begun anywhere on earth: a bank in the east writes dates that UTC has not reached yet."""
    ordinal: int
    """The same day, counted from the year 1."""


@lru_cache(256)
def horizon_at(seconds: int) -> Horizon:
    """The horizon of an instant given as seconds since 1970. The accounts of one book are reported as of one instant."""
    epoch_day = (seconds + _EASTERNMOST) // 86_400
    return Horizon(month_of_seconds(seconds), number_of_epoch_day(epoch_day), _ORDINAL_OF_1970 + epoch_day)


def seconds_of(now: datetime) -> int:
    """Whole seconds since 1970. Raises ValueError for a time without a zone, which would be read as local time."""
    if now.tzinfo is None:
        raise ValueError("now must carry a time zone")
    return int(now.timestamp())


def members(enum: type[IntEnum]) -> frozenset[int]:
    """The numbers that a code of this list may have where it must be stated."""
    return frozenset(int(member) for member in enum if member)


def code_violation(field: str, value: int) -> Violation:
    """For a code that is not on its list."""
    if value == 0:
        return Violation(field, "FIELD_REQUIRED", "is missing; give one of the codes of its list in codes.proto")
    return Violation(field, "CODE_UNKNOWN", f"{value} is not on its list in codes.proto; give one of those codes")


def check_amount(value: int, field: str, found: list[Violation]) -> None:
    """An amount that cannot be negative. An absent one reads as 0 and passes."""
    if not 0 <= value <= MAX_AMOUNT:
        description = "must be 0 or more, and 10^15 at the most, in minor units of the account's currency"
        found.append(Violation(field, "FIELD_OUT_OF_RANGE", description))


def check_day(number: int, horizon: Horizon, field: str, found: list[Violation]) -> int:
    """A day that must be stated and past; returns its ordinal, or 0 if it is not usable."""
    ordinal = ordinal_of_number(number)
    if not ordinal:
        found.append(day_violation(field, number))
    elif ordinal > horizon.ordinal:
        found.append(Violation(field, "FIELD_OUT_OF_RANGE", "lies after as_of; give a day up to then"))
        return 0
    return ordinal


def day_violation(field: str, number: int) -> Violation:
    """For a number that is no day."""
    if number == 0:
        return Violation(field, "FIELD_REQUIRED", "is missing; give the day as an eight-digit number such as 20250903")
    description = "is no day of the years 1900 to 2100; give the day as an eight-digit number such as 20250903"
    return Violation(field, "FIELD_MALFORMED", description)


def check_instant(given: bool, value: Timestamp, now: int, field: str, found: list[Violation]) -> int | None:
    """An as_of: whole seconds, 1990 or later, not in the future. Returns its seconds, or None if it is not usable."""
    if not given:
        found.append(Violation(field, "FIELD_REQUIRED", "is missing; give the instant at which the books showed this"))
        return None
    if value.nanos:
        found.append(Violation(field, "FIELD_MALFORMED", "must be a whole second; drop the fraction"))
        return None
    seconds = value.seconds
    if seconds < _FIRST_AS_OF:
        found.append(Violation(field, "FIELD_OUT_OF_RANGE", "lies before 1990-01-01T00:00:00Z"))
        return None
    if seconds > now + MAX_CLOCK_SKEW:
        description = "lies in the future; give an instant in UTC that has passed, and check your clock and time zone"
        found.append(Violation(field, "FIELD_OUT_OF_RANGE", description))
        return None
    return seconds


def check_length(value: bytes, length: int, what: str, field: str, found: list[Violation]) -> bool:
    """Bytes of one fixed length; True if they have it. Their value is never shown."""
    if len(value) == length:
        return True
    if not value:
        found.append(Violation(field, "FIELD_REQUIRED", f"is missing; give {what}, {length} bytes"))
    else:
        found.append(Violation(field, "FIELD_MALFORMED", f"has {len(value)} bytes; give {what}, {length} bytes"))
    return False

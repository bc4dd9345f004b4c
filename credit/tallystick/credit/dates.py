"""Days and months as the contracts write them: eight-digit numbers of ISO 8601's basic format (20250903, 20250901)."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2100

MONTHS: Final = frozenset(year * 10_000 + month * 100 + 1 for year in range(FIRST_YEAR, LAST_YEAR + 1) for month in range(1, 13))
"""Every month of the years that a report may speak of."""

_EPOCH: Final = date(1970, 1, 1)


def number_of_day(day: date) -> int:
    """The day as an eight-digit number."""
    return day.year * 10_000 + day.month * 100 + day.day


def day_of_number(number: int) -> date:
    """The day of an eight-digit number. Raises ValueError if there is no such day."""
    return date(number // 10_000, number // 100 % 100, number % 100)


@lru_cache(maxsize=1 << 14)
def ordinal_of_number(number: int) -> int:
    """Which day this is, counted from the year 1; 0 if it is no real day of the years 1900 to 2100."""
    if not FIRST_YEAR <= number // 10_000 <= LAST_YEAR:
        return 0
    try:
        return day_of_number(number).toordinal()
    except ValueError:
        return 0


@lru_cache(maxsize=1 << 12)
def number_of_epoch_day(epoch_day: int) -> int:
    """The eight-digit number of the day this many days after 1970-01-01. Raises OverflowError past the year 9999."""
    return number_of_day(_EPOCH + timedelta(days=epoch_day))


def month_of_seconds(seconds: int) -> int:
    """The month, in UTC, of an instant given as seconds since 1970."""
    return number_of_epoch_day(seconds // 86_400) // 100 * 100 + 1


def month_of_day(day: date) -> int:
    """The month of a day."""
    return day.year * 10_000 + day.month * 100 + 1


@lru_cache(maxsize=1 << 12)
def month_index(month: int) -> int:
    """A month, as the number of its first day, in months since January of the year 0."""
    return month // 10_000 * 12 + month // 100 % 100 - 1


def month_of_index(index: int) -> int:
    """The number of the first day of a month."""
    return index // 12 * 10_000 + (index % 12 + 1) * 100 + 1


def month_before(month: int, count: int) -> int:
    """The month that lies `count` months before this one; both are numbers."""
    return month_of_index(month_index(month) - count)

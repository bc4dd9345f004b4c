"""Days and months as eight-digit numbers, against the calendar."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from tallystick.credit import dates

DAYS = st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31))


@given(DAYS)
def test_a_day_comes_back_from_its_number(day: dt.date) -> None:
    number = dates.number_of_day(day)
    assert f"{number}" == day.strftime("%Y%m%d")
    assert dates.day_of_number(number) == day
    assert dates.ordinal_of_number(number) == day.toordinal()


@given(st.integers(0, 2**32 - 1) | st.integers(19_000_000, 21_019_999))
def test_what_is_no_day_has_no_ordinal(number: int) -> None:
    try:
        day = dt.datetime.strptime(f"{number:08d}", "%Y%m%d").date() if number < 10**8 else None
    except ValueError:
        day = None
    in_range = day is not None and 1900 <= day.year <= 2100
    assert dates.ordinal_of_number(number) == (day.toordinal() if day and in_range else 0)


@given(DAYS)
def test_a_month_begins_on_its_first_day(day: dt.date) -> None:
    month = dates.month_of_day(day)
    assert dates.day_of_number(month) == day.replace(day=1)
    assert month in dates.MONTHS
    noon = dt.datetime(day.year, day.month, day.day, 12, tzinfo=dt.UTC)
    assert dates.month_of_seconds(int(noon.timestamp())) == month


@given(DAYS, st.integers(0, 200))
def test_months_are_counted_back_one_by_one(day: dt.date, count: int) -> None:
    expected = day.replace(day=1)
    for _ in range(count):
        expected = (expected - dt.timedelta(days=1)).replace(day=1)
    assert dates.month_before(dates.month_of_day(day), count) == dates.number_of_day(expected)


def test_the_months_that_can_be_spoken_of_are_those_of_two_centuries() -> None:
    assert len(dates.MONTHS) == 201 * 12
    assert min(dates.MONTHS) == 19000101
    assert max(dates.MONTHS) == 21001201

"""What a borrower is to be told on one day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.credit.reminders import BookEntry, NoticeKind, due_notices

DAY = date(2026, 3, 10)
_NEAR = st.none() | st.integers(-10, 10).map(lambda days: DAY + timedelta(days=days))
ENTRIES = st.builds(
    BookEntry,
    account_number=st.text(max_size=3),
    next_due_date=_NEAR,
    overdue_since=_NEAR,
    reported_overdue=st.booleans(),
    notice_date=_NEAR,
    cured_date=_NEAR,
    plan_end_date=_NEAR,
    plan_agreed_date=st.none() | st.integers(-60, 10).map(lambda days: DAY + timedelta(days=days)),
    plan_reported=st.booleans(),
)


def kinds(**fields: Any) -> list[NoticeKind]:
    return [notice.kind for notice in due_notices([BookEntry("1", **fields)], DAY)]


@pytest.mark.parametrize(("days", "told"), [(4, []), (3, ["due_soon"]), (2, []), (1, []), (0, ["due_today"]), (-1, [])])
def test_a_payment_is_told_of_three_days_before_and_on_the_day(days: int, told: list[str]) -> None:
    assert kinds(next_due_date=DAY + timedelta(days=days)) == told


@pytest.mark.parametrize(
    ("since", "told"), [(1, []), (0, ["overdue", "before_record"]), (-1, ["before_record"]), (-40, ["before_record"])]
)
def test_an_overdue_is_told_of_once_and_its_record_until_the_notice_is_given(since: int, told: list[str]) -> None:
    overdue_since = DAY + timedelta(days=since)
    assert kinds(overdue_since=overdue_since) == told
    given_then = [kind for kind in told if kind != "before_record"]
    assert kinds(overdue_since=overdue_since, reported_overdue=True) == given_then
    assert kinds(overdue_since=overdue_since, notice_date=overdue_since) == given_then
    # A notice about an overdue that ended before is none about this one.
    assert kinds(overdue_since=overdue_since, notice_date=overdue_since - timedelta(days=1)) == told


def test_the_end_of_an_overdue_and_of_a_plan() -> None:
    assert kinds(cured_date=DAY) == ["cured"]
    assert kinds(cured_date=DAY - timedelta(days=1)) == []
    assert kinds(plan_end_date=DAY + timedelta(days=7)) == ["plan_ends"]
    assert kinds(plan_end_date=DAY) == []


@pytest.mark.parametrize(("days", "told"), [(0, []), (30, []), (31, ["plan_not_reported"]), (400, ["plan_not_reported"])])
def test_a_plan_that_nobody_reported_is_told_of_until_it_is(days: int, told: list[str]) -> None:
    agreed = DAY - timedelta(days=days)
    assert kinds(plan_agreed_date=agreed) == told
    assert kinds(plan_agreed_date=agreed, plan_reported=True) == []


def test_who_has_no_days_is_told_nothing() -> None:
    assert kinds() == []
    assert list(due_notices([], DAY)) == []


@given(st.lists(ENTRIES, max_size=5))
def test_each_kind_once_for_an_entry_in_the_order_of_the_book(book: list[BookEntry]) -> None:
    notices = list(due_notices(book, DAY))
    assert all(notice.day == DAY for notice in notices)
    places = [next(place for place, entry in enumerate(book) if entry is notice.entry) for notice in notices]
    assert places == sorted(places)
    for entry in book:
        own = [notice for notice in notices if notice.entry is entry]
        assert len({notice.kind for notice in own}) == len(own)
        known = {entry.next_due_date, entry.overdue_since, entry.cured_date, entry.plan_end_date, entry.plan_agreed_date}
        assert all(notice.about in known for notice in own)


@given(ENTRIES, st.integers(0, 10))
def test_a_day_that_is_missed_loses_no_notice_of_a_record(entry: BookEntry, later: int) -> None:
    def owed(day: date) -> bool:
        return any(notice.kind is NoticeKind.BEFORE_RECORD for notice in due_notices([entry], day))

    assert not owed(DAY) or owed(DAY + timedelta(days=later))

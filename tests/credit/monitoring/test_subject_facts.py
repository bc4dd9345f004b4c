"""What all accounts and inquiries together have to tell: once, and again only when it has become worse."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.credit.histories import AS_OF, account, running

from tallystick.credit.enums import SubjectKind, TriggerType
from tallystick.credit.monitoring import Baseline, Graded, SubjectFacts, Triggers, seed, worse

TODAY = AS_OF.date()
DEFAULT = Triggers.default()
OPENED, GREW, BURST, SHARE, FELL = (
    TriggerType.ACCOUNTS_OPENED,
    TriggerType.DEBT_GREW,
    TriggerType.INQUIRY_BURST,
    TriggerType.SHARE_OVER_90_DAYS,
    TriggerType.RATING_FELL,
)
CARD, OTHER_CARD = b"a card's", b"another'"


def facts(*others: Any, own: tuple[Any, ...] = (), lenders: int = 0, today: dt.date = TODAY) -> SubjectFacts:
    return SubjectFacts.of((each.to_message() for each in others), (each.to_message() for each in own), lenders, today)


def told(baseline: Baseline, now: SubjectFacts, today: dt.date = TODAY) -> tuple[list[tuple[TriggerType, int, int]], Baseline]:
    found, after = worse(baseline, now, DEFAULT, today)
    return [(fact.type, fact.before, fact.after) for fact in found], after


def new(days: int, **values: Any) -> Any:
    return account(opened_date=TODAY - dt.timedelta(days=days), **values)


def organisation(**values: Any) -> Any:
    return account(subject_kind=SubjectKind.ORGANISATION, **values)


def test_what_is_counted() -> None:
    assert facts(new(1), new(89), new(90), new(400)).accounts_opened == 2
    # One's own are no news.
    assert facts(own=(new(1),)).accounts_opened == 0
    found = facts(account(balance=100), account(balance=50), account(balance=7, currency="USD"), account())
    assert found.debts == {"CNY": 150, "USD": 7}
    assert facts(account(balance=1), lenders=3).lending_institutions == 3


@pytest.mark.parametrize(
    ("accounts", "share"),
    [
        ([organisation(balance=80), organisation(balance=20, running_overdue=running(91))], 20),
        ([organisation(balance=80), organisation(balance=20, running_overdue=running(90))], 0),
        ([account(balance=80), account(balance=20, running_overdue=running(91))], 0),
        ([organisation(balance=0, running_overdue=running(91))], 0),
        ([organisation(running_overdue=running(91))], 0),
        ([organisation(balance=1000), organisation(balance=20, currency="USD", running_overdue=running(91))], 0),
    ],
)
def test_the_share_of_an_organisations_debt(accounts: list[Any], share: int) -> None:
    assert facts(*accounts).share_over_90_days == share
    # What the member itself reports counts: a share is of all that is owed.
    assert facts(own=tuple(accounts)).share_over_90_days == share


def test_a_fact_is_told_once_and_when_it_has_become_worse() -> None:
    baseline = seed(facts(lenders=1), TODAY)
    assert told(baseline, facts(lenders=3)) == ([], baseline)
    found, baseline = told(baseline, facts(lenders=4))
    assert found == [(BURST, 1, 4)]
    assert told(baseline, facts(lenders=4))[0] == []
    found, baseline = told(baseline, facts(lenders=6))
    assert found == [(BURST, 4, 6)]
    # It falls, and comes again.
    found, baseline = told(baseline, facts(lenders=2))
    assert found == []
    assert told(baseline, facts(lenders=5))[0] == [(BURST, 2, 5)]


def test_what_was_so_as_the_watch_began_is_not_told() -> None:
    now = facts(new(1), new(2), new(3), new(4), lenders=9)
    assert told(seed(now, TODAY), now)[0] == []


def test_debt_that_grows_in_small_steps_is_told_at_its_threshold() -> None:
    baseline, found = seed(facts(account(balance=1000)), TODAY), []
    for balance in (1100, 1300, 1499, 1500, 1600):
        said, baseline = told(baseline, facts(account(balance=balance)))
        found += said
    assert found == [(GREW, 0, 50)]
    # From what was told on it is counted anew.
    assert told(baseline, facts(account(balance=2250)))[0] == [(GREW, 0, 50)]


def test_debt_that_falls_first_is_counted_from_where_it_fell_to() -> None:
    baseline = seed(facts(account(balance=1000)), TODAY)
    _, baseline = told(baseline, facts(account(balance=400)))
    assert told(baseline, facts(account(balance=1000)))[0] == [(GREW, 0, 150)]


def test_growth_of_more_than_ninety_days_is_none() -> None:
    baseline = seed(facts(account(balance=1000)), TODAY)
    late = TODAY + dt.timedelta(days=91)
    found, baseline = told(baseline, facts(account(balance=1400), today=late), late)
    assert (found, baseline.debts) == ([], {"CNY": (1400, late)})


def test_a_debt_in_a_new_currency_has_nothing_to_grow_from() -> None:
    baseline = seed(facts(account(balance=1000)), TODAY)
    found, baseline = told(baseline, facts(account(balance=1000), account(balance=9, currency="USD")))
    assert (found, baseline.debts["USD"]) == ([], (9, TODAY))


def test_who_does_not_watch_for_it_is_not_told() -> None:
    only = Triggers({BURST: 4})
    found, _ = worse(seed(facts(), TODAY), facts(new(1), new(2), new(3), lenders=1), only, TODAY)
    assert found == ()


def graded(grade: int, card: bytes = CARD) -> SubjectFacts:
    return SubjectFacts(graded=Graded(grade, card) if grade else None)


def test_a_rating_that_fell_is_told_once() -> None:
    baseline, found = seed(graded(2), TODAY), []
    for grade in (3, 3, 4, 4, 5, 6):
        said, baseline = told(baseline, graded(grade))
        found += said
    # By a grade at a time it comes to two all the same.
    assert found == [(FELL, 2, 4), (FELL, 4, 6)]
    # It rises without a word, and a fall from there is news again.
    said, baseline = told(baseline, graded(1))
    assert (said, baseline.graded) == ([], Graded(1, CARD))
    assert told(baseline, graded(3))[0] == [(FELL, 1, 3)]


def test_who_is_not_rated_for_a_while_has_not_fallen_meanwhile() -> None:
    _, baseline = told(seed(graded(2), TODAY), graded(0))
    assert baseline.graded == Graded(2, CARD)
    assert told(baseline, graded(5))[0] == [(FELL, 2, 5)]
    # A first rating is no fall.
    assert told(seed(graded(0), TODAY), graded(9)) == ([], seed(graded(9), TODAY))


def test_grades_of_two_cards_are_not_compared() -> None:
    found, baseline = told(seed(graded(1), TODAY), graded(9, OTHER_CARD))
    assert (found, baseline.graded) == ([], Graded(9, OTHER_CARD))


@pytest.mark.parametrize(("threshold", "fell"), [(1, True), (3, True), (4, False), (9, False)])
def test_the_threshold_is_of_the_grades_between(threshold: int, fell: bool) -> None:
    found, baseline = worse(seed(graded(6), TODAY), graded(9), Triggers({FELL: threshold}), TODAY)
    assert bool(found) == fell
    assert baseline.graded == Graded(9 if fell else 6, CARD)


def test_who_is_not_rated_has_no_grade() -> None:
    assert Graded.of(3, b"a card's digest") == Graded(3, b"a card's")
    assert Graded.of(None, b"a card's digest") is None


COUNTS = st.integers(0, 12)
GRADED = st.none() | st.builds(Graded, st.integers(1, 10), st.sampled_from([CARD, OTHER_CARD]))
FACTS = st.builds(
    SubjectFacts,
    st.integers(0, 100),
    COUNTS,
    COUNTS,
    st.dictionaries(st.sampled_from(["CNY", "USD"]), st.integers(0, 5000)),
    GRADED,
)


@given(first=FACTS, now=FACTS)
def test_equal_facts_tell_nothing_the_second_time(first: SubjectFacts, now: SubjectFacts) -> None:
    _, baseline = told(seed(first, TODAY), now)
    found, again = told(baseline, now)
    assert (found, again) == ([], baseline)


@given(first=FACTS, then=st.lists(FACTS, max_size=5))
def test_a_baseline_is_what_was_told_or_less(first: SubjectFacts, then: list[SubjectFacts]) -> None:
    baseline = seed(first, TODAY)
    for now in then:
        found, baseline = told(baseline, now)
        assert baseline.lending_institutions <= now.lending_institutions
        assert baseline.accounts_opened <= now.accounts_opened
        assert all(after > before for type_, before, after in found if type_ is not GREW)
        assert baseline.graded is None or now.graded is None or baseline.graded.grade <= now.graded.grade
        assert Baseline.from_bytes(baseline.to_bytes()) == baseline

"""A rating is monotone as a whole: nothing worse ever lifts a score, whatever else is known.

`make rating-monotone` tries a million histories; here it is what fits into a test run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.credit.rating.histories import MONTH, TODAY, account, accounts, dispositions

from tallystick.credit.codes import OVERDUE_DISPOSITIONS
from tallystick.credit.dates import month_before
from tallystick.credit.enums import RatingOutcome
from tallystick.credit.rating import RatingFacts, Scorecard, built_in_cards, read_scorecard
from tallystick.credit.rating.levels import STATUS_LEVELS
from tallystick.v1.account_pb2 import Account

EXAMPLES = int(os.environ.get("TALLYSTICK_MONOTONE_EXAMPLES", "200"))
WITH_AMOUNTS = Path(__file__).parents[3] / "examples" / "rating" / "person-twd-2005.toml"
CARDS = [*(each.card for each in built_in_cards()), read_scorecard(WITH_AMOUNTS.read_bytes())]

tries = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
histories = st.lists(accounts(), min_size=1, max_size=3)


added_months = st.tuples(dispositions, st.sampled_from([None, -5, 0, 99_000]), st.sampled_from([None, 0, 500]))


def never_lifts(before: list[Account], after: list[Account]) -> None:
    """No card gives more for `after`; where a subject was not rated before, there is nothing to compare."""
    for card in CARDS:
        first, second = score(card, before), score(card, after)
        if first is not None and second is not None:
            assert second <= first, (card.name, before, after)


def score(card: Scorecard, known: list[Account]) -> int | None:
    """By the records; a card for organisations is tried on the same."""
    rating = card.rate([RatingFacts.of(each) for each in known], TODAY, known)
    assert (rating.outcome == RatingOutcome.RATED) == (rating.score is not None)
    return rating.score


@tries
@given(histories, accounts())
def test_a_further_account_lifts_no_score(known: list[Account], further: Account) -> None:
    never_lifts(known, [*known, further])


@tries
@given(
    histories, st.integers(0, 20), st.tuples(dispositions, st.sampled_from([None, -5, 0, 99_000]), st.sampled_from([None, 0, 500]))
)
def test_a_further_month_lifts_no_score(known: list[Account], ago: int, added: tuple[int, int | None, int | None]) -> None:
    month = month_before(MONTH, ago)
    if any(each.month == month for each in known[0].months):
        return
    other = account({ago: added})
    changed = Account()
    changed.CopyFrom(known[0])
    changed.months.append(other.months[0])
    never_lifts(known, [changed, *known[1:]])


@tries
@given(histories, st.integers(0, 9), st.sampled_from([int(each) for each in OVERDUE_DISPOSITIONS]))
def test_a_worse_month_lifts_no_score(known: list[Account], place: int, disposition: int) -> None:
    if place >= len(known[0].months):
        return
    changed = Account()
    changed.CopyFrom(known[0])
    month = changed.months[place]
    if STATUS_LEVELS.get(month.disposition, 0) > STATUS_LEVELS[disposition]:
        return
    month.disposition = disposition  # type: ignore[assignment]  # the stubs want the enum's own NewType
    never_lifts(known, [changed, *known[1:]])


@tries
@given(histories, st.integers(1, 500))
def test_an_overdue_that_runs_lifts_no_score(known: list[Account], days: int) -> None:
    changed = Account()
    changed.CopyFrom(known[0])
    changed.running_overdue.since_date = 20250101
    changed.running_overdue.days_past_due = max(days, changed.running_overdue.days_past_due)
    never_lifts(known, [changed, *known[1:]])


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_clean_history_has_the_best_score_and_bad_debt_the_worst_of_all(card: Scorecard) -> None:
    clean = account(dict.fromkeys(range(12), (10, 10**7, 10**7)), limit=10**9, currency="TWD")
    bad = account(dict.fromkeys(range(15), (15, 99000, 0)), limit=1_000, status=4, currency="TWD")
    best = card.base_points + sum(each.points[0] for each in card.weighted)
    assert score(card, [clean]) == best
    assert score(card, [bad]) == card.base_points

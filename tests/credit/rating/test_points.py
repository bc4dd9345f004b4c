"""Points: server and SDK go one way, and a sheet reckoned by hand from the documentation comes to the same."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.credit.rating import sheet
from tests.credit.rating.histories import MONTH, TODAY, Months, account, accounts

from tallystick.credit.dates import month_before
from tallystick.credit.rating import RatingFacts, built_in_cards, facts_of
from tallystick.credit.rating.facts import MAX_FACTS
from tallystick.v1.account_pb2 import Account


def draw(chance: random.Random) -> Account:
    """A record that might be anybody's."""
    made: Any = Account(status=chance.choice([1, 1, 1, 4, 5]), currency="CNY")
    made.account_type, made.role, made.subject_kind = chance.choice([1, 2, 3, 6, 7]), chance.choice([10, 10, 10, 1, 2]), 1
    lag = chance.choice([0, 1, 1, 2, 7])
    as_of = month_before(MONTH, lag)
    made.as_of.FromDatetime(dt.datetime(as_of // 10_000, as_of // 100 % 100, 20, 12, tzinfo=dt.UTC))
    if chance.random() < 0.8:
        made.credit_limit = chance.choice([0, 500, 10_000, 77_777])
    for ago in range(lag, lag + chance.choice([1, 3, 8, 24, 60])):
        if chance.random() < 0.85:
            month = made.months.add(month=month_before(MONTH, ago))
            month.disposition = chance.choice([10, 10, 10, 11, 12, 1, 1, 2, 3, 7, 13, 15, 16, 18, 19, 20])
            if chance.random() < 0.8:
                month.billed_amount = chance.choice([-10, 0, 400, 9_001, 9_100, 80_000])
            if chance.random() < 0.8:
                month.paid_amount = chance.choice([0, 0, 1, 5_000])
    if chance.random() < 0.1:
        made.running_overdue.since_date, made.running_overdue.days_past_due = 20260101, chance.choice([1, 30, 31, 180, 999])
    assert isinstance(made, Account)
    return made


# `make faults` draws all ten thousand.
@pytest.mark.parametrize("histories", [2_500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_histories_have_the_points_of_the_sheet(histories: int) -> None:
    chance = random.Random(20261126)
    rated = 0
    for _ in range(histories):
        known = [draw(chance) for _ in range(chance.choice([1, 1, 2, 3]))]
        facts = [RatingFacts.of(each) for each in known]
        for published in built_in_cards():
            rating = published.card.rate(facts, TODAY)
            found = rating.score
            assert published.card.grade(facts, TODAY) == rating.grade
            assert found == sheet.score(published.toml, known, MONTH), known
            rated += found is not None
    assert rated > histories


PAID = (10, 5_000, 5_000)


@pytest.mark.parametrize(
    ("known", "facts"),
    [
        ({}, "01005f020000"),
        (
            dict.fromkeys(range(24), PAID),
            "01005f021812111111111111111111111111222222222222222222111111111111111111",
        ),
        # The month of as_of has no row yet.
        (
            dict.fromkeys(range(1, 24), PAID),
            "01005f021812011111111111111111111111022222222222222222011111111111111111",
        ),
        # Nothing had to be paid of the newest bills.
        ({1: (10, 0, None), 2: (10, -50, 0), 3: PAID}, "01005f020404011101121120"),
        # Nothing was, and whether anything was is not known.
        ({1: (10, 9_000, 0), 2: (11, 9_000, None), 3: (2, 9_000, 1)}, "01005f020404011303330200"),
        (dict.fromkeys(range(5), (10, None, 5)), "01005f020600111110"),
        ({0: PAID, 3: (3, 8_000, 0), 4: PAID}, "01005f020606100410200320000200"),
        ({0: (10, 150_000, 1), 1: (10, 100_000, 1), 2: (10, 99_999, 1)}, "01005f0204041110ecc01100"),
        # Ratios end after 18 months, and all after 60.
        (dict.fromkeys(range(18, 30), PAID), "01005f021e00000000000000000000111111111111"),
        (dict.fromkeys(range(59, 70), PAID), "01005f023c00" + "0" * 58 + "01"),
    ],
)
def test_facts_are_those_of_their_version(known: Months, facts: str) -> None:
    """The doctor holds stored ones against those that it makes: another layout, or another level, is another version."""
    assert facts_of(account(known)).hex() == facts


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(accounts(), max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_accounts_says_nothing(known: list[Account], chance: random.Random) -> None:
    facts = [RatingFacts.of(each) for each in known]
    card = built_in_cards()[0].card
    first = card.rate(facts, TODAY)
    chance.shuffle(facts)
    assert card.rate(facts, TODAY) == first


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(accounts())
def test_facts_are_small_and_read_back(record: Account) -> None:
    stored = facts_of(record)
    assert len(stored) <= MAX_FACTS
    facts = RatingFacts.from_bytes(stored)
    assert facts == RatingFacts.of(record)
    assert facts.disputed == (1 in record.annotations)


def test_a_full_record_has_facts_of_the_size_that_is_promised() -> None:
    record: Any = Account(status=1, currency="CNY", credit_limit=100_000)
    record.account_type = 3
    record.as_of.seconds = 1_795_000_000
    for ago in range(60):
        record.months.add(month=month_before(MONTH, ago), disposition=1, billed_amount=5_000, paid_amount=10)
    assert len(facts_of(record)) == MAX_FACTS - 10

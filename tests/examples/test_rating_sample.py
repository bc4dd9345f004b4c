"""The parts of the file, and that the released cards are what the development's numbers and writer make of them."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from examples.card_file import CardClient
from examples.rating.card_numbers import Bins, Numbers, default_rate
from examples.rating.parts import PARTS, TEST_PART, parts_of
from examples.rating.recipes import RECIPES
from examples.rating.sample import RATED_ON, Sample

from tallystick.credit.rating import month_index_of, read_scorecard


def test_a_client_and_its_twins_are_in_one_part_and_parts_are_of_a_size(clients: list[CardClient]) -> None:
    parts = parts_of(clients)
    assert parts == parts_of(clients)
    sizes = Counter(parts)
    assert sizes.keys() == set(range(PARTS))
    assert all(abs(size - len(clients) / PARTS) < 300 for size in sizes.values())
    twins = defaultdict(set)
    for client, part in zip(clients, parts, strict=True):
        twins[client.attributes, client.credit_limit, client.months, client.defaulted].add(part)
    assert len(twins) < len(clients)
    assert {len(found) for found in twins.values()} == {1}
    assert parts_of(clients, "another label") != parts


def test_the_released_cards_separate_the_part_that_they_were_not_made_of(clients: list[CardClient]) -> None:
    some = clients[:3000]
    sample = Sample.of(some)
    month = month_index_of(RATED_ON)
    for recipe in RECIPES:
        card = read_scorecard(recipe.path.read_bytes())
        assert [each.characteristic for each in card.weighted] == list(recipe.characteristics)
        assert [each.from_score for each in card.grades] == list(recipe.from_scores)
        assert (card.calibration is not None) == recipe.calibrated
        numbers = Numbers(card.base_points, tuple(Bins(each.up_to, each.points, each.development_ppm) for each in card.weighted))
        scores = numbers.scores([sample.values(each) for each in recipe.characteristics])
        assert scores.tolist() == [card.score(profile, month) for profile in sample.profiles]
        left = sample.parts == TEST_PART
        assert scores[left & (sample.defaulted == 0)].mean() > scores[left & (sample.defaulted == 1)].mean() + 30


def test_the_scale_says_twenty_to_one_at_620_and_forty_points_double_the_odds() -> None:
    first, second = default_rate(np.array([620, 660]))
    assert round(float((1 - first) / first), 6) == 20
    assert round(float((1 - second) / second), 6) == 40

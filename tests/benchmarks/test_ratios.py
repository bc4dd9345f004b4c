"""Floors of a quick run, and the open loop's arithmetic."""

import statistics

import pytest
from benchmarks.ratios import Owed, Ratio
from benchmarks.traffic.opened import Fared, moments


@pytest.mark.parametrize(
    ("less", "ratio", "holds"), [(False, 2.0, True), (False, 1.9, False), (True, 8.0, True), (True, 8.1, False)]
)
def test_a_floor_is_half_of_what_is_owed(less: bool, ratio: float, holds: bool) -> None:
    best, worst = (ratio, ratio * 9) if less else (ratio, ratio / 9)
    measured = Ratio(statistics.median((best, worst)), min(best, worst), max(best, worst))
    assert Owed("queries", 4.0, 5.0, less_is_better=less).holds_floor(measured) is holds


def test_goodput_leaves_out_late_answers_those_after_the_end_and_the_first_third() -> None:
    answers = [(0.5, 0.1), (1.5, 0.1), (2.0, 3.0), (2.9, 0.5), (3.1, 0.1)]
    assert Fared(3.0, answers).goodput(within=1.0) == 1.0


def test_requests_fall_due_at_the_rate() -> None:
    due = moments(1000.0, 20_000, seed=1)
    assert due == sorted(due)
    assert due[-1] == pytest.approx(20.0, rel=0.05)


def test_a_peer_that_differs_by_itself_sets_no_floor() -> None:
    assert Owed("look-ups", 4.0, has_floor=False).holds_floor(Ratio(0.1, 0.1, 0.1))
    assert not Owed("look-ups", 4.0, has_floor=False).holds(0.1)

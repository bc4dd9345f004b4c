"""What is pure of the endurance measurements."""

import io
from itertools import pairwise

import pytest
from benchmarks.endurance.filling import place_of
from benchmarks.endurance.found import Found
from benchmarks.ratios import Owed
from rich.console import Console


@pytest.mark.parametrize(("known", "subjects"), [(1, 1), (14_000, 14_000), (14_000, 14_001), (14_000, 1_499_000)])
def test_known_subjects_are_evenly_among_all_and_none_is_twice(known: int, subjects: int) -> None:
    places = [place_of(nth, known, subjects) for nth in range(known)]
    assert len(set(places)) == known
    assert 0 == places[0] <= places[-1] < subjects
    gaps = {later - earlier for earlier, later in pairwise(places)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_ratio_is_the_median_with_its_rounds_and_what_is_owed() -> None:
    found = Found("some")
    found.figure("calls", [3.0, 1.0, 2.0])
    found.ratio(Owed("memory", 1.05, less_is_better=True), [1.3, 1.0, 1.1])
    found.ratio(Owed("goodput", 0.9), [0.95, 0.8, 0.91])
    assert found.figures == {"calls": 2.0}
    assert found.ratios == {
        "memory": {"value": 1.1, "low": 1.0, "high": 1.3, "owed": 1.05},
        "goodput": {"value": 0.91, "low": 0.8, "high": 0.95, "owed": 0.9},
    }
    printed = io.StringIO()
    found.show(Console(file=printed, width=120))
    memory, goodput = (next(line for line in printed.getvalue().splitlines() if name in line) for name in found.ratios)
    assert "≤ 1.05" in memory
    assert "missed" in memory
    assert "≥ 0.9" in goodput
    assert "held" in goodput

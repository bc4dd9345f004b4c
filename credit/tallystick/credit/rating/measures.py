"""How well a score ranks, how well rates of default fit, and how far a population has moved: from counts alone.

AUC is the chance that of a good and a bad subject the good one has the better score, ties counting half (Hanley and McNeil,
1982). KS is the greatest distance between the cumulative shares of the bad and the good. The population stability index is the
sum of (a - e) ln(a / e) over the shares of bins, actual and expected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MILLION: Final = 1_000_000
WARNS_FROM, ALARMS_FROM = 0.10, 0.25
"""Population stability: the trade's rules of thumb."""
_LEAST_SHARE: Final = 1e-4
"""An empty bin is taken as so small a share: its logarithm would be without bounds."""
_MAX_STEPS: Final = 50


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many subjects of one score, or of one grade, came to good and to bad."""

    good: int = 0
    bad: int = 0

    @property
    def subjects(self) -> int:
        """All of them."""
        return self.good + self.bad


def auc(by_score: Mapping[int, Outcomes]) -> float | None:
    """A greater score is better. None without a good or without a bad subject."""
    good = sum(each.good for each in by_score.values())
    bad = sum(each.bad for each in by_score.values())
    if not good or not bad:
        return None
    below = pairs = 0.0
    for score in sorted(by_score):
        outcomes = by_score[score]
        pairs += outcomes.good * (below + outcomes.bad / 2)
        below += outcomes.bad
    return pairs / (good * bad)


def kolmogorov_smirnov(by_score: Mapping[int, Outcomes]) -> float | None:
    """None without a good or without a bad subject."""
    good = sum(each.good for each in by_score.values())
    bad = sum(each.bad for each in by_score.values())
    if not good or not bad:
        return None
    greatest = good_below = bad_below = 0.0
    for score in sorted(by_score):
        good_below += by_score[score].good / good
        bad_below += by_score[score].bad / bad
        greatest = max(greatest, bad_below - good_below)
    return greatest


def population_stability(expected_ppm: Sequence[int], counts: Sequence[int]) -> float | None:
    """Of bins with these expected shares, in millionths; None where nobody was counted."""
    total = sum(counts)
    if not total:
        return None
    index = 0.0
    for share, count in zip(expected_ppm, counts, strict=True):
        expected, actual = max(share / MILLION, _LEAST_SHARE), max(count / total, _LEAST_SHARE)
        index += (actual - expected) * math.log(actual / expected)
    return index


def in_millionths(counts: Sequence[int]) -> tuple[int, ...]:
    """Shares that add up to a million: what rounding leaves goes to the largest. Somebody must have been counted."""
    total = sum(counts)
    shares = [count * MILLION // total for count in counts]
    shares[max(range(len(counts)), key=counts.__getitem__)] += MILLION - sum(shares)
    return tuple(shares)


@dataclass(frozen=True, slots=True)
class Fit:
    """How rates of default that were stated fit what came: a logistic regression of the outcomes on the stated log-odds."""

    slope: float
    """1 where the stated rates spread as far as they should."""
    intercept: float
    """Of the regression with the slope held at 1: 0 where they are neither too low nor too high, above it where they are too
    low."""
    brier: float
    """The mean of the squared difference of stated rate and outcome."""
    expected_error: float
    """The mean distance of stated and actual rate, weighted by subjects, over ten groups of equal size by the stated rate."""


def fit(stated: Sequence[float], defaulted: Sequence[bool]) -> Fit:
    """Of subjects with these stated rates, each above 0 and below 1, and outcomes."""
    odds = [math.log(rate / (1 - rate)) for rate in stated]
    slope = _regression(odds, defaulted, fixed=False)[1]
    intercept = _regression(odds, defaulted, fixed=True)[0]
    brier = sum((rate - bad) ** 2 for rate, bad in zip(stated, defaulted, strict=True)) / len(stated)
    order = sorted(range(len(stated)), key=stated.__getitem__)
    size = -(-len(order) // 10)
    error = 0.0
    for begin in range(0, len(order), size):
        group = order[begin : begin + size]
        error += abs(sum(stated[n] - defaulted[n] for n in group))
    return Fit(slope, intercept, brier, error / len(stated))


def _regression(odds: Sequence[float], defaulted: Sequence[bool], *, fixed: bool) -> tuple[float, float]:
    """Intercept and slope, by Newton's method; the slope stays 1 if it is fixed."""
    intercept, slope = 0.0, 1.0
    for _ in range(_MAX_STEPS):
        g0 = g1 = h00 = h01 = h11 = 0.0
        for x, bad in zip(odds, defaulted, strict=True):
            rate = 1 / (1 + math.exp(-(intercept + slope * x)))
            weight = rate * (1 - rate)
            g0 += bad - rate
            g1 += (bad - rate) * x
            h00 += weight
            h01 += weight * x
            h11 += weight * x * x
        if fixed:
            step0, step1 = g0 / h00, 0.0
        else:
            determinant = h00 * h11 - h01 * h01
            step0, step1 = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        intercept, slope = intercept + step0, slope + step1
        if abs(step0) + abs(step1) < 1e-9:
            break
    return intercept, slope

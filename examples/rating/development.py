"""Development of a scorecard: monotone bins by optbinning, weights by a logistic regression, points as whole numbers.

It runs in an environment of its own (requirements.txt), as a process that reads values from its standard input and writes numbers
to its standard output, both JSON: optbinning needs an older protobuf than the SDK does.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from optbinning import OptimalBinning
from sklearn.linear_model import LogisticRegression

from examples.rating.card_numbers import BASE_ODDS, BASE_SCORE, FACTOR, Bins, Numbers, Values

MAX_BINS = 8
MIN_BIN_SHARE = 0.01


def develop(columns: Sequence[Values], defaulted: Values) -> Numbers:
    """Of the characteristics' values and the outcomes of the same clients."""
    binned = [_bins(column, defaulted) for column in columns]
    evidence = np.column_stack([rates[places] for _, rates, places in binned])
    model = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000).fit(evidence, defaulted)
    weights, intercept = model.coef_[0], float(model.intercept_[0])
    if min(weights) < 0:
        raise ValueError(f"a characteristic would count the wrong way round: weights {weights.round(3)}")
    bins = []
    worst = BASE_SCORE - FACTOR * (intercept + math.log(BASE_ODDS))
    for (up_to, rates, places), weight in zip(binned, weights, strict=True):
        worst -= FACTOR * weight * rates[-1]
        points = tuple(round(float(FACTOR * weight * (rates[-1] - rate))) for rate in rates)
        bins.append(Bins(up_to, points, tuple(np.bincount(places, minlength=len(rates)).tolist())))
    return Numbers(round(worst), tuple(bins))


def _bins(values: Values, defaulted: Values) -> tuple[tuple[int, ...], NDArray[np.float64], Values]:
    """The greatest value of each bin but the last; the logarithm of the odds of default in each; each client's bin."""
    binning = OptimalBinning(
        dtype="numerical", solver="cp", monotonic_trend="ascending", max_n_bins=MAX_BINS, min_bin_size=MIN_BIN_SHARE
    )
    binning.fit(values.astype(float), defaulted)
    up_to = tuple(math.ceil(split) - 1 for split in binning.splits)
    places = np.searchsorted(up_to, values, side="left")
    bad = np.bincount(places, weights=defaulted, minlength=len(up_to) + 1)
    good = np.bincount(places, minlength=len(up_to) + 1) - bad
    return up_to, np.log(bad / good), places


def main() -> None:
    """One scorecard for each list of columns that is asked for, all of the same clients."""
    asked = json.load(sys.stdin)
    defaulted = np.array(asked["defaulted"], dtype=np.int64)
    cards = [[np.array(column, dtype=np.int64) for column in columns] for columns in asked["cards"]]
    json.dump([asdict(develop(columns, defaulted)) for columns in cards], sys.stdout)


if __name__ == "__main__":
    main()

"""What the scorecards are worth: opens the test part. `make rating-figures`, or

    python -m examples.rating.evaluate --python .venv-train/bin/python --out docs/rating/figures.json

The cards are read as they are released; nothing is fitted to the test part. Beside it stand twenty re-splits, in which cards are
made anew by the same recipe, and a boosted model whose every feature is held monotone: the ceiling of what a card could reach.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.card_file import CardClient, read_card_file
from examples.rating.card_numbers import Values, default_rate, develop, scores_of_model
from examples.rating.ceiling_features import features_of
from examples.rating.parts import TEST_PART, parts_of
from examples.rating.recipes import RECIPES
from examples.rating.sample import MONTHS, RATED_ON, Sample
from examples.reported_accounts import account_of
from tallystick.credit.decisions import Decision
from tallystick.credit.enums import HistoryOutcome
from tallystick.credit.history import CreditHistory, ReportedAccount
from tallystick.credit.rating import Scorecard, month_index_of, read_scorecard
from tallystick.credit.rating.measures import Outcomes, auc, fit, kolmogorov_smirnov
from tallystick.credit.screening import ScreeningPolicy

RESPLITS = 20
RESAMPLES = 1_000
SEED = 2005
AGES = ((21, 29), (30, 39), (40, 49), (50, 79))
SEXES = {"1": "men", "2": "women"}


def main() -> None:
    """Prints and writes all figures."""
    parser = argparse.ArgumentParser(prog="examples.rating.evaluate", description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="an interpreter with what is in requirements.txt")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    clients = read_card_file()
    sample = Sample.of(clients)
    test = np.flatnonzero(sample.parts == TEST_PART)
    bad = sample.defaulted[test].astype(bool)
    figures: dict[str, Any] = {"test_part": {"clients": len(test), "defaults": int(bad.sum())}}
    for recipe in RECIPES:
        card = read_scorecard(recipe.path.read_bytes())
        scores = _scores(card, sample)
        figures[recipe.name] = {
            "digest": card.digest.hex(),
            **_figures(scores[test], bad),
            "grades": _grades(card, scores[test], bad),
            "groups": _groups([clients[n] for n in test], scores[test], bad),
        }
    policy = _policy_grades([clients[n] for n in test])
    figures["default_policy"] = {"auc": _auc(policy, bad), "ks": kolmogorov_smirnov(_by_score(policy, bad))}
    ceiling = scores_of_model(options.python, features_of(clients), sample.defaulted, sample.parts != TEST_PART)
    figures["ceiling"] = {"auc": _auc(ceiling[test], bad), "ks": kolmogorov_smirnov(_by_score(ceiling[test], bad))}
    figures["resplits"] = _resplits(options.python, sample)
    text = json.dumps(figures, indent=2) + "\n"
    options.out.write_text(text, "utf-8")
    print(text, end="")


def _scores(card: Scorecard, sample: Sample) -> Values:
    month = month_index_of(RATED_ON)
    return np.array([card.score(profile, month) for profile in sample.profiles], dtype=np.int64)


def _figures(scores: Values, bad: NDArray[np.bool_]) -> dict[str, Any]:
    """Ranking and calibration, with intervals of 95 % by resampling clients."""
    chance = random.Random(SEED)
    drawn = []
    for _ in range(RESAMPLES):
        places = np.array(chance.choices(range(len(bad)), k=len(bad)))
        by_score = _by_score(scores[places], bad[places])
        drawn.append((auc(by_score) or 0.0, kolmogorov_smirnov(by_score) or 0.0))
    calibration = fit(default_rate(scores).tolist(), bad.tolist())
    return {
        "auc": _auc(scores, bad),
        "auc_interval": _interval([each[0] for each in drawn]),
        "ks": kolmogorov_smirnov(_by_score(scores, bad)),
        "ks_interval": _interval([each[1] for each in drawn]),
        "brier": calibration.brier,
        "calibration_slope": calibration.slope,
        "calibration_intercept": calibration.intercept,
        "expected_calibration_error": calibration.expected_error,
    }


def _grades(card: Scorecard, scores: Values, bad: NDArray[np.bool_]) -> list[dict[str, Any]]:
    grades = np.array([card.grade_of(int(score)).grade for score in scores])
    return [
        {
            "grade": each.grade,
            "clients": int((grades == each.grade).sum()),
            "default_rate": float(bad[grades == each.grade].mean()),
            "stated_by_the_scale": float(default_rate(scores[grades == each.grade]).mean()),
        }
        for each in card.grades
        if (grades == each.grade).any()
    ]


def _groups(clients: Sequence[CardClient], scores: Values, bad: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """By sex and by age, which no card looks at: an audit."""
    sexes = np.array([client.attributes[0] for client in clients])
    ages = np.array([int(client.attributes[3]) for client in clients])
    groups = [(name, sexes == code) for code, name in SEXES.items()]
    groups += [(f"{low} to {high} years", (ages >= low) & (ages <= high)) for low, high in AGES]
    return [
        {
            "group": name,
            "clients": int(members.sum()),
            "mean_score": float(scores[members].mean()),
            "default_rate": float(bad[members].mean()),
            "stated_by_the_scale": float(default_rate(scores[members]).mean()),
            "auc": _auc(scores[members], bad[members]),
        }
        for name, members in groups
    ]


def _policy_grades(clients: Iterable[CardClient]) -> Values:
    """The default policy as three grades: a greater number is better."""
    policy = ScreeningPolicy.default()
    worth = {Decision.APPROVE: 2, Decision.REFER: 1, Decision.DECLINE: 0}
    as_of = account_of(next(iter(clients)), MONTHS).as_of.replace(year=RATED_ON.year, month=RATED_ON.month, day=RATED_ON.day)
    return np.array(
        [
            worth[
                policy.evaluate(
                    CreditHistory(
                        outcome=HistoryOutcome.FOUND,
                        as_of=as_of,
                        accounts=(ReportedAccount(institution=1, own=False, account=account_of(client, MONTHS)),),
                    )
                ).decision
            ]
            for client in clients
        ],
        dtype=np.int64,
    )


def _resplits(python: Path, sample: Sample) -> dict[str, Any]:
    """Each recipe made anew without another fifth, and tried on it: how much hangs on the split. The characteristics stay as
    chosen."""
    columns = [[sample.values(each) for each in recipe.characteristics] for recipe in RECIPES]
    found: dict[str, list[tuple[float, float]]] = {recipe.name: [] for recipe in RECIPES}
    for number in range(RESPLITS):
        left_out = np.array(parts_of(sample.clients, f"re-split {number} ")) == 0
        bad = sample.defaulted[left_out].astype(bool)
        chosen = [[column[~left_out] for column in card] for card in columns]
        for recipe, card, made in zip(RECIPES, columns, develop(python, chosen, sample.defaulted[~left_out]), strict=True):
            scores = made.scores([column[left_out] for column in card])
            found[recipe.name].append((_auc(scores, bad), kolmogorov_smirnov(_by_score(scores, bad)) or 0.0))
    return {
        name: {
            "auc_mean": float(np.mean([each[0] for each in drawn])),
            "auc_range": [min(each[0] for each in drawn), max(each[0] for each in drawn)],
            "ks_mean": float(np.mean([each[1] for each in drawn])),
        }
        for name, drawn in found.items()
    }


def _by_score(scores: Values, bad: NDArray[np.bool_]) -> dict[int, Outcomes]:
    values, places = np.unique(scores, return_inverse=True)
    bads = np.bincount(places, weights=bad, minlength=len(values)).astype(int)
    counts = np.bincount(places, minlength=len(values))
    return {int(value): Outcomes(int(count - worse), int(worse)) for value, count, worse in zip(values, counts, bads, strict=True)}


def _auc(scores: Values, bad: NDArray[np.bool_]) -> float:
    return auc(_by_score(scores, bad)) or 0.0


def _interval(values: Sequence[float]) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(low), float(high)]


if __name__ == "__main__":
    main()

"""Makes the scorecards for persons of the card file, without its test part: `make rating-cards`, or

    python -m examples.rating.train --python .venv-train/bin/python [--check]

With --check nothing is written: it exits with 1 unless each file is what would be, byte for byte.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from examples.card_file import read_card_file
from examples.rating.card_numbers import Numbers, Values, develop
from examples.rating.parts import TEST_PART
from examples.rating.recipes import RECIPES, Recipe
from examples.rating.sample import RATED_ON, Sample
from tallystick.credit.enums import SubjectKind
from tallystick.credit.rating import Calibration, Grade, Scorecard, Weighted, read_scorecard, scorecard_toml
from tallystick.credit.rating.measures import MILLION, in_millionths

_HEAD = """\
{title}

Made by examples/rating/train.py of the UCI file "Default of Credit Card Clients" (data set 350, CC BY 4.0; Taiwan, 2005)
without its test part. docs/rating.md says what it is worth and where it must not be used. Released scorecards are never edited.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the cards; returns the exit code."""
    parser = argparse.ArgumentParser(prog="examples.rating.train", description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="an interpreter with what is in requirements.txt")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args(arguments)
    sample = Sample.of(read_card_file())
    chosen = sample.parts != TEST_PART
    defaulted = sample.defaulted[chosen]
    columns = [[sample.values(each)[chosen] for each in recipe.characteristics] for recipe in RECIPES]
    differing = 0
    for recipe, values, numbers in zip(RECIPES, columns, develop(options.python, columns, defaulted), strict=True):
        text = card_text(recipe, numbers, numbers.scores(values), defaulted)
        read_scorecard(text.encode())
        if options.check and recipe.path.read_text("utf-8") != text:
            print(f"{recipe.path.name} is not what is made of the file")
            differing += 1
        elif not options.check:
            recipe.path.write_text(text, "utf-8")
            print(f"wrote {recipe.path.name}")
    return 1 if differing else 0


def card_text(recipe: Recipe, numbers: Numbers, scores: Values, defaulted: Values) -> str:
    """A scorecard as its file has it, with the development's shares and, if it is calibrated, default rates."""
    weighted = tuple(
        Weighted(f"R{place:02}", characteristic, bins.up_to, bins.points, in_millionths(bins.counts))
        for place, (characteristic, bins) in enumerate(zip(recipe.characteristics, numbers.bins, strict=True), start=1)
    )
    card = Scorecard(
        name=recipe.name,
        subject_kind=SubjectKind.PERSON,
        start_date=recipe.start_date,
        validated=True,
        base_points=numbers.base_points,
        weighted=weighted,
        grades=_grades(recipe, scores, defaulted),
        calibration=_calibration(defaulted) if recipe.calibrated else None,
        digest=b"",
    )
    return scorecard_toml(card, _HEAD.format(title=recipe.title))


def _calibration(defaulted: Values) -> Calibration:
    return Calibration(
        population="clients of a bank in Taiwan, of whom the card was made",
        outcome="default in the month after",
        first_date=RATED_ON,
        last_date=RATED_ON,
        subjects=len(defaulted),
        defaults=int(defaulted.sum()),
    )


def _grades(recipe: Recipe, scores: Values, defaulted: Values) -> tuple[Grade, ...]:
    """Grades with their shares, which add up to a million, and their default rates."""
    bounds = np.array(recipe.from_scores)
    places = np.array([int(np.argmax(score >= bounds)) for score in scores])
    counts = np.bincount(places, minlength=len(bounds))
    shares = in_millionths(counts.tolist())
    rates = [round(float(defaulted[places == place].mean()) * MILLION) for place in range(len(bounds))]
    return tuple(
        Grade(place + 1, bound, share, rate if recipe.calibrated else None)
        for place, (bound, share, rate) in enumerate(zip(recipe.from_scores, shares, rates, strict=True))
    )


if __name__ == "__main__":
    sys.exit(main())

"""The two scorecards that are made of the card file: what each looks at, and where its grades begin.

Characteristics and grades were chosen on the parts 1 to 4 alone, by adding what raised the AUC of parts that a card was not made
of, as long as every weight stayed positive. Windows count the month of the answer, of which nothing is known yet: 7 months are
the 6 of the file. The window of months_overdue is 13, though the file shows 6: what is 7 to 12 months old weighs as much, which
nothing here tests.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tallystick.credit.rating
from tallystick.credit.enums import Disposition
from tallystick.credit.rating.characteristics import (
    Characteristic,
    MonthsOverdue,
    MonthsPaidBelow,
    MonthsUnpaid,
    MonthsUtilised,
    SmallestLimit,
    WorstStatus,
)

_TWD = "TWD"
_LIMITS = (20_000, 30_000, 50_000, 70_000, 90_000, 110_000, 150_000, 200_000, 250_000, 300_000, 400_000, 500_000)
_CENTS = 100


@dataclass(frozen=True)
class Recipe:
    """What a scorecard is made of."""

    name: str
    title: str
    path: Path
    characteristics: Sequence[Characteristic]
    from_scores: Sequence[int]
    """Where each grade begins, the best first."""
    calibrated: bool
    """Whether its file says how many of each grade defaulted here."""
    start_date: dt.date = dt.date(2026, 11, 26)


_STATUS = (
    WorstStatus(window=2),
    WorstStatus(window=4),
    MonthsOverdue(window=13, at_least=Disposition.OVERDUE_2),
)

PORTABLE = Recipe(
    name="person-1",
    title="A scorecard for persons, by status and shares: in no currency.",
    path=Path(next(iter(tallystick.credit.rating.__path__))) / "person-1.toml",
    characteristics=(*_STATUS, MonthsUtilised(window=7, over=90), MonthsUnpaid(window=7)),
    from_scores=(556, 541, 521, 491, 461, 431, 400, 300),
    calibrated=False,
)
"""Status and shares, in no currency: the card that comes with the package."""

WITH_AMOUNTS = Recipe(
    name="person-twd-2005",
    title="A scorecard for persons, by status, shares and amounts in New Taiwan dollars of 2005: an example of a calibrated card.",
    path=Path(__file__).with_name("person-twd-2005.toml"),
    characteristics=(
        *_STATUS,
        MonthsUtilised(window=3, over=90),
        MonthsUnpaid(window=7),
        SmallestLimit(currency=_TWD, steps=tuple(limit * _CENTS for limit in _LIMITS)),
        MonthsPaidBelow(window=4, currency=_TWD, amount=1_000 * _CENTS),
    ),
    from_scores=(571, 556, 541, 521, 491, 461, 431, 400, 300),
    calibrated=True,
)
"""The same with amounts in New Taiwan dollars of 2005: an example of a calibrated card, and of no use elsewhere."""

RECIPES = (PORTABLE, WITH_AMOUNTS)

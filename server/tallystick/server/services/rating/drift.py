"""Drift: who is on record now, rated by the card in force, against the population that the card was made of.

Every account's rating facts are read in the order of their subjects, a page a transaction, and only counts are kept: no
subject leaves this module. Facts hold sixty months, so any month is looked at with what is known today of the months up to
it. Of a month a year ago it is known too what came after: a subject went bad that was overdue for more than 90 days, or whose
debt was given up, within the twelve months after. Who was not followed through them is counted apart, as a calibration does it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, Final

from psycopg2 import extensions

from tallystick.credit.enums import RatingOutcome, SubjectKind
from tallystick.credit.rating import Profile, RatingFacts, Scorecard, in_force, month_index_of
from tallystick.credit.rating.cards import kind_rated
from tallystick.credit.rating.cohort import MONTHS as COHORT_MONTHS
from tallystick.credit.rating.cohort import Cohort, Holding, closed_month, is_bad_already
from tallystick.credit.rating.measures import Outcomes, auc, population_stability
from tallystick.credit.rating.scorecard import outcome_of
from tallystick.server.installation.database import connect
from tallystick.server.services.rating.checking import installed_cards
from tallystick.v1.account_pb2 import Account

LEAST_SUBJECTS: Final = 1_000
"""With fewer, chance alone moves an index by a hundredth and more: by some (bins - 1) / subjects."""
LEAST_OUTCOMES: Final = 30
"""With fewer good or bad subjects than these an AUC says more of chance than of the card."""
PAGE: Final = 5_000
_PAGE: Final = """
SELECT subject, member, account_reference, rating_facts, record
FROM account WHERE (subject, member, account_reference) > (%s, %s, %s) AND record IS NOT NULL
ORDER BY subject, member, account_reference LIMIT %s
"""


@dataclass
class Population:
    """Counts of the subjects of one kind, and what they say."""

    card: Scorecard
    outcomes: Counter[RatingOutcome] = field(default_factory=Counter)
    grades: Counter[int] = field(default_factory=Counter)
    bins: list[Counter[int]] = field(default_factory=list)
    cohort: Cohort = field(default_factory=Cohort)
    """What became of those who were rated; empty of a month less than a year ago."""

    @property
    def rated(self) -> int:
        """Subjects with a score."""
        return self.outcomes[RatingOutcome.RATED]

    def grade_stability(self) -> float | None:
        """The population stability index of the grades; None for a card without a development, or with too few rated."""
        if not self.has_development:
            return None
        shares = [each.development_ppm or 0 for each in self.card.grades]
        return _stability(shares, [self.grades[each.grade] for each in self.card.grades])

    @property
    def has_development(self) -> bool:
        """Whether the card says of whom it was made."""
        return all(each.development_ppm is not None for each in self.card.grades)

    def characteristic_stability(self) -> Iterator[tuple[str, float | None]]:
        """The same of each characteristic, by the code of its reason."""
        for weighted, counts in zip(self.card.weighted, self.bins, strict=True):
            shares = weighted.development_ppm
            bins = [counts[n] for n in range(len(weighted.points))]
            yield weighted.reason, _stability(shares, bins) if shares else None

    def cohort_auc(self) -> float | None:
        """How well the scores of then ranked; None where it is too early, or where too few went bad or too few did not."""
        outcomes = self.cohort.by_score.values()
        fewer = min(sum(each.good for each in outcomes), sum(each.bad for each in outcomes))
        return auc(self.cohort.by_score) if fewer >= LEAST_OUTCOMES else None

    def cohort_by_grade(self) -> Mapping[int, Outcomes]:
        """What became of each grade."""
        return self.cohort.by_grade(self.card)


def _stability(expected_ppm: Sequence[int], counts: Sequence[int]) -> float | None:
    return population_stability(expected_ppm, counts) if sum(counts) >= LEAST_SUBJECTS else None


@dataclass
class Drift:
    """What was measured."""

    month: dt.date
    populations: Mapping[SubjectKind, Population]


def measure_drift(url: str, month: dt.date, today: dt.date | None = None) -> Drift:
    """Measures a month, by the cards that are in force today. Raises Problem, and psycopg2.Error.

    A crash leaves nothing: nothing is written."""
    day = today or dt.datetime.now(dt.UTC).date()
    cards = in_force(installed_cards(url), day)
    populations = {kind: Population(card, bins=[Counter() for _ in card.weighted]) for kind, card in cards.items()}
    index, now = month_index_of(month), month_index_of(day)
    with connect(url) as connection:
        for _, rows in groupby(_accounts(connection), key=lambda row: row[0]):
            read = ((RatingFacts.beside(stored, record), record) for _, stored, record in rows)
            accounts = [Holding(facts, partial(_closed, record)) for facts, record in read if not facts.contingent]
            # What was opened later was not on record then.
            known = [each for each in accounts if _first(each.facts) <= index]
            if known:
                kind = kind_rated(each.facts for each in known)
                _count(populations[kind], known, accounts, index, now)
    return Drift(month, populations)


def _count(population: Population, known: list[Holding], accounts: list[Holding], month: int, now: int) -> None:
    """`known` are those of the accounts that were there in the month."""
    card = population.card
    profile = Profile.of([each.facts for each in known], month)
    outcome = outcome_of(profile, month, len(known))
    population.outcomes[outcome] += 1
    if outcome != RatingOutcome.RATED:
        return
    score = card.score(profile, month)
    population.grades[card.grade_of(score).grade] += 1
    for weighted, counts in zip(card.weighted, population.bins, strict=True):
        counts[weighted.bin_of(weighted.characteristic.value(profile, month))] += 1
    if now - month >= COHORT_MONTHS and not is_bad_already(profile):
        population.cohort.add(score, known, [each.facts for each in accounts], month)


def _closed(record: bytes) -> int | None:
    return closed_month(Account.FromString(record))


def _first(facts: RatingFacts) -> int:
    """The oldest month of which anything is known; that of the report where nothing is of any."""
    return facts.month - max(len(facts.status.rstrip("0")) - 1, 0)


def _accounts(connection: extensions.connection) -> Iterator[tuple[Any, ...]]:
    """Rows by subject, a page a transaction: a long snapshot would hold back the cleaning of every table."""
    last: tuple[Any, ...] = (b"", 0, b"")
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PAGE, (*last, PAGE))
            rows = cursor.fetchall()
        for row in rows:
            yield bytes(row[0]), None if row[3] is None else bytes(row[3]), bytes(row[4])
        if len(rows) < PAGE:
            return
        last = bytes(rows[-1][0]), rows[-1][1], bytes(rows[-1][2])

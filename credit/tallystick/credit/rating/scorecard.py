"""A scorecard: points for each value of each characteristic, and grades of the score. Whoever has it and the answer gets the same
rating.

Scorecards are TOML, read by tallystick.credit.rating.card_reading; they are released and never edited, so a rating names its own
by the SHA-256 of its bytes.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from tallystick.credit.dates import month_index, month_of_index
from tallystick.credit.enums import RatingOutcome, SubjectKind
from tallystick.credit.rating.characteristics import Characteristic, WorstStatus
from tallystick.credit.rating.facts import RatingFacts
from tallystick.credit.rating.profile import Profile
from tallystick.credit.ratings import MAX_REASONS, Rating, RatingReason
from tallystick.v1.account_pb2 import Account

LOWEST_SCORE, HIGHEST_SCORE = 300, 850
MIN_KNOWN_MONTHS = 3
"""Of the last 13: with fewer a subject is not rated."""
MAX_AGE_MONTHS = 6
"""Since the newest report: after more a subject is not rated."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A characteristic as a scorecard weighs it."""

    reason: str
    """The code of the reason that it gives, such as "R01"."""
    characteristic: Characteristic
    up_to: tuple[int, ...]
    """The greatest value of each bin but the last, rising."""
    points: tuple[int, ...]
    """Of each bin, falling: one more than there are numbers in up_to."""
    development_ppm: tuple[int, ...] = ()
    """What share of the development's subjects was in each bin, in millionths; empty where the card was not developed on data."""

    def bin_of(self, value: int) -> int:
        """Which bin a value is in, counted from 0."""
        return bisect_left(self.up_to, value)

    def better_bin(self, value: int) -> int:
        """The last bin before that of a value which gives more points; there is one where any were lost."""
        place = self.bin_of(value)
        return next(before for before in range(place - 1, -1, -1) if self.points[before] > self.points[place])

    def points_of(self, value: int) -> int:
        """The points for a value."""
        return self.points[bisect_left(self.up_to, value)]


@dataclass(frozen=True, slots=True)
class Grade:
    """A band of scores."""

    grade: int
    """1 is the best."""
    from_score: int
    development_ppm: int | None = None
    """Its share of the development's subjects, in millionths."""
    default_rate_ppm: int | None = None
    """How many in a million of the calibration's subjects of this grade defaulted."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """On whose outcomes the default rates of a card rest."""

    population: str
    """Whose: in words."""
    outcome: str
    """What counted as a default, and within what time: in words."""
    first_date: dt.date
    """The rated days, from the first to the last."""
    last_date: dt.date
    subjects: int
    defaults: int


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A scorecard that was read and found in order."""

    name: str
    subject_kind: SubjectKind
    start_date: dt.date
    """From this day on, UTC, it may be in force."""
    validated: bool
    """Whether its ranking was tested on outcomes that it was not made of."""
    base_points: int
    weighted: tuple[Weighted, ...]
    grades: tuple[Grade, ...]
    """The best first."""
    calibration: Calibration | None
    """None where no default rates are known."""
    digest: bytes
    """SHA-256 of the card's bytes."""
    longest: int = field(init=False)
    """Months of the longest window that it looks at."""

    def __post_init__(self) -> None:
        windows = [getattr(each.characteristic, "window", 0) for each in self.weighted]
        object.__setattr__(self, "longest", max(windows, default=0))

    @property
    def takes_amounts(self) -> bool:
        """Whether it looks at amounts of one currency: it is then for who has the records, and not for an exchange."""
        return any(each.characteristic.takes_amounts for each in self.weighted)

    @property
    def lowest(self) -> int:
        """The worst score that it gives."""
        return self.base_points + sum(each.points[-1] for each in self.weighted)

    @property
    def highest(self) -> int:
        """The best one."""
        return self.base_points + sum(each.points[0] for each in self.weighted)

    def grade_of(self, score: int) -> Grade:
        """The grade of a score."""
        return next((each for each in self.grades if score >= each.from_score), self.grades[-1])

    def rate(self, facts: Sequence[RatingFacts], as_of: dt.date, accounts: Sequence[Account] = ()) -> Rating:
        """The rating by the facts of all accounts of an answer of that day; `accounts` are their records, in the same order,
        which a card needs that takes amounts. Raises ValueError where it was given none."""
        month = as_of.year * 12 + as_of.month - 1
        profile = self._profile(facts, month, accounts)
        outcome = outcome_of(profile, month, len(facts))
        settled = None
        if any(each.disputed and not each.contingent for each in facts):
            settled = self._without_disputed(facts, month, accounts)
        if outcome != RatingOutcome.RATED:
            return Rating(
                outcome=outcome,
                scorecard=self.name,
                scorecard_digest=self.digest,
                validated=self.validated,
                outcome_without_disputed=None if settled is None else outcome_of(settled, month, 1),
                score_without_disputed=None if settled is None else self._score_if_rated(settled, month),
            )
        return self._rated(profile, settled, month)

    def grade(self, facts: Sequence[RatingFacts], as_of: dt.date) -> int | None:
        """The grade of the same rating without anything else, at half the cost; None for who is not rated. Raises ValueError for a
        card that takes amounts."""
        month = as_of.year * 12 + as_of.month - 1
        profile = self._profile(facts, month, ())
        if outcome_of(profile, month, len(facts)) != RatingOutcome.RATED:
            return None
        return self.grade_of(self.score(profile, month)).grade

    def _profile(self, facts: Sequence[RatingFacts], month: int, accounts: Sequence[Account]) -> Profile:
        if facts and not accounts and self.takes_amounts:
            raise ValueError(f"the scorecard {self.name} looks at amounts: it needs the accounts")
        return Profile.of(facts, month, accounts, self.longest)

    def score(self, profile: Profile, month: int) -> int:
        """The score of a profile for an answer of that month, in months since January of the year 0."""
        points = self.base_points
        for each in self.weighted:
            points += each.points_of(each.characteristic.value(profile, month))
        return points

    def _rated(self, profile: Profile, settled: Profile | None, month: int) -> Rating:
        values = [each.characteristic.value(profile, month) for each in self.weighted]
        given = [each.points_of(value) for each, value in zip(self.weighted, values, strict=True)]
        score = self.base_points + sum(given)
        grade = self.grade_of(score)
        reasons: list[RatingReason] = []
        if grade.grade > 1:
            lost = [each.points[0] - points for each, points in zip(self.weighted, given, strict=True)]
            heaviest = sorted((n for n, points in enumerate(lost) if points), key=lambda n: (-lost[n], n))
            reasons = [_reason(self.weighted[n], values[n], lost[n], profile, settled, month) for n in heaviest[:MAX_REASONS]]
        return Rating(
            outcome=RatingOutcome.RATED,
            score=score,
            grade=grade.grade,
            grades=len(self.grades),
            default_rate_ppm=grade.default_rate_ppm,
            reasons=tuple(reasons),
            score_without_disputed=None if settled is None else self._score_if_rated(settled, month),
            outcome_without_disputed=None if settled is None else outcome_of(settled, month, 1),
            scorecard=self.name,
            scorecard_digest=self.digest,
            validated=self.validated,
        )

    def _without_disputed(self, facts: Sequence[RatingFacts], month: int, accounts: Sequence[Account]) -> Profile:
        left = [n for n, each in enumerate(facts) if not each.disputed]
        return Profile.of([facts[n] for n in left], month, [accounts[n] for n in left] if accounts else (), self.longest)

    def _score_if_rated(self, profile: Profile, month: int) -> int | None:
        return self.score(profile, month) if outcome_of(profile, month, 1) == RatingOutcome.RATED else None


def outcome_of(profile: Profile, month: int, accounts: int) -> RatingOutcome:
    """Whether a subject can be rated, of whom so many accounts are known."""
    if not accounts:
        return RatingOutcome.NO_RECORD
    if not profile.newest:
        # All that is known are debts of others, for which the subject answers.
        return RatingOutcome.TOO_THIN
    if month - profile.newest > MAX_AGE_MONTHS:
        return RatingOutcome.TOO_OLD
    return RatingOutcome.RATED if profile.known_months >= MIN_KNOWN_MONTHS else RatingOutcome.TOO_THIN


def outcome_of_nothing() -> Rating:
    """Of a subject without any account: no card was asked, for nobody knows whether it is a person."""
    return Rating(outcome=RatingOutcome.NO_RECORD, scorecard="", scorecard_digest=b"", validated=False)


def _reason(weighted: Weighted, value: int, lost: int, profile: Profile, settled: Profile | None, month: int) -> RatingReason:
    characteristic = weighted.characteristic
    disputed = 0
    if settled is not None:
        disputed = lost - (weighted.points[0] - weighted.points_of(characteristic.value(settled, month)))
    # The greatest value of the next better bin: from there on fewer points are lost.
    later = characteristic.later(profile, month, weighted.up_to[weighted.better_bin(value)])
    window = getattr(characteristic, "window", 0)
    worst = None
    if characteristic.kind == WorstStatus.kind:
        levels = profile.status[:window]
        worst = month_of_index(month - levels.index(max(levels)))
    return RatingReason(
        code=weighted.reason,
        points_lost=lost,
        disputed_points=disputed,
        characteristic=characteristic.kind,
        window=window,
        at_least=int(getattr(characteristic, "at_least", 0)),
        over=getattr(characteristic, "over", 0),
        counted=value,
        month=worst,
        change_month=month_of_index(month + later) if later else None,
    )


def month_index_of(day: dt.date) -> int:
    """The month of a day, in months since January of the year 0."""
    return month_index(day.year * 10_000 + day.month * 100 + 1)

"""A cohort: who was rated in a month, and what became of them within the twelve months after.

Who was bad already is in none: nothing was left to foretell. Nor is who was not followed: what nobody reported is neither good nor
bad, and to take it for good would make every rate too low.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from tallystick.credit.dates import month_index
from tallystick.credit.enums import Disposition
from tallystick.credit.rating.facts import STATUS_MONTHS, RatingFacts
from tallystick.credit.rating.levels import STATUS_LEVELS
from tallystick.credit.rating.measures import Outcomes
from tallystick.credit.rating.profile import Profile
from tallystick.credit.rating.scorecard import Scorecard
from tallystick.v1.account_pb2 import Account

MONTHS: Final = 12
_BAD_FROM: Final = STATUS_LEVELS[Disposition.OVERDUE_4]
"""More than 90 days overdue, or given up."""
_CLOSED: Final = frozenset({int(Disposition.SETTLED), int(Disposition.ENDED_OTHERWISE)})
_ENDS_FROM: Final = STATUS_LEVELS[Disposition.GUARANTOR_PAID]
"""Given up, or somebody or something else paid: nothing need be known after it."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One account of somebody who was rated."""

    facts: RatingFacts
    closed: Callable[[], int | None]
    """The month in which it was closed, None if it was not. Asked where the facts do not tell enough: they do not hold it."""

    def is_followed(self, month: int) -> bool:
        """Whether each of the twelve months after is known, until the account was closed or given up."""
        levels = self.facts.status.ljust(STATUS_MONTHS, "0")
        for each in range(month + 1, month + MONTHS + 1):
            place = self.facts.month - each
            level = int(levels[place], 16) if 0 <= place < STATUS_MONTHS else 0
            if level >= _ENDS_FROM:
                return True
            if not level:
                closed = self.closed()
                return closed is not None and closed < each
        return True


def closed_month(record: Account) -> int | None:
    """The month in which an account was closed, in months since January of the year 0: that of its closed_date, or the newest
    month where that one says that it was settled or ended."""
    if record.closed_date:
        return month_index(record.closed_date // 100 * 100 + 1)
    newest = max(record.months, key=attrgetter("month"), default=None)
    return month_index(newest.month) if newest is not None and newest.disposition in _CLOSED else None


@dataclass
class Cohort:
    """Counts by score."""

    by_score: dict[int, Outcomes] = field(default_factory=dict)
    not_followed: int = 0
    """Who is in no count, since it is not known what became of them."""

    def add(self, score: int, held: Iterable[Holding], later: Sequence[RatingFacts], month: int) -> bool:
        """Somebody who had that score in a month. `held` are the accounts of then, which must have been followed; `later` those
        and what was opened since. Returns whether it is known what became of him."""
        if not all(each.is_followed(month) for each in held):
            self.not_followed += 1
            return False
        bad = _is_bad(Profile.of(later, month + MONTHS).status[:MONTHS])
        before = self.by_score.get(score, Outcomes())
        self.by_score[score] = Outcomes(before.good + (not bad), before.bad + bad)
        return True

    def by_grade(self, card: Scorecard) -> dict[int, Outcomes]:
        """The same by grade, the best first."""
        found: dict[int, Outcomes] = {}
        for score, outcomes in self.by_score.items():
            grade = card.grade_of(score).grade
            before = found.get(grade, Outcomes())
            found[grade] = Outcomes(before.good + outcomes.good, before.bad + outcomes.bad)
        return dict(sorted(found.items()))


def is_bad_already(profile: Profile) -> bool:
    """Whether a subject is bad in the month of the profile, or was in the one before it."""
    return _is_bad(profile.status[:2])


def _is_bad(levels: str) -> bool:
    return any(int(digit, 16) >= _BAD_FROM for digit in levels)

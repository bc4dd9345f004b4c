"""The closed list of what a scorecard may look at. There is no sex, age, education, marriage, place or member on it, and no
inquiry: what others asked is not the same for all who read an answer, so nobody could reckon it again.

Each characteristic gives a whole number, and a greater one is worse. It never falls when a month is added or made worse, or an
account is added: maxima and counts run over months of the profile (tallystick.credit.rating.profile), and "not known" is the least
level.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from tallystick.credit.codes import REVOLVING_TYPES, is_currency
from tallystick.credit.dates import month_index
from tallystick.credit.enums import Disposition
from tallystick.credit.field_rules import MAX_AMOUNT
from tallystick.credit.policy_values import OVERDUE, Reader, one_of, whole_number
from tallystick.credit.rating.facts import RATIO_MONTHS, STATUS_MONTHS
from tallystick.credit.rating.levels import (
    IN_ORDER,
    NOTHING_PAID,
    STATUS_LEVELS,
    UTILISATION_STEPS,
    utilisation_level,
)
from tallystick.credit.rating.profile import Profile
from tallystick.v1.account_pb2 import AccountMonth

_DIGITS: Final = "0123456789abcdef"
_VALUES: Final = {digit: level for level, digit in enumerate(_DIGITS)}
_REVOLVING: Final = frozenset(map(int, REVOLVING_TYPES))
MAX_AMOUNT_STEPS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristic(ABC):
    """One thing that a scorecard looks at, over a window of months that counts back from the month of the answer, that one
    included."""

    kind: ClassVar[str]
    """How a scorecard names it."""
    takes_amounts: ClassVar[bool] = False
    """Whether it needs the records, and speaks of one currency: an exchange has no such scorecard in force."""

    def later(self, profile: Profile, month: int, target: int) -> int:
        """In how many months its value falls to `target`, which is below it, if nothing so bad comes in: until then every month
        that counts too much has left the window. 0 for what looks at no months."""
        return 0

    @abstractmethod
    def value(self, profile: Profile, month: int) -> int:
        """Its value for an answer of `month`, in months since January of the year 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstStatus(Characteristic):
    """The worst month: 0 in order, 1 to 7 overdue by so many months, 8 a guarantor paid, 9 an asset was taken, 10 bad debt."""

    kind = "worst_status"
    window: Annotated[int, whole_number(1, STATUS_MONTHS)]

    def value(self, profile: Profile, month: int) -> int:
        """The greatest rank of codes.OVERDUE_DISPOSITIONS."""
        levels = profile.status[: self.window]
        return max(_VALUES[max(levels)] - IN_ORDER, 0) if levels else 0

    def later(self, profile: Profile, month: int, target: int) -> int:
        """Until the newest month that is worse has left."""
        most = _DIGITS[IN_ORDER + target]
        return self.window - next(place for place, digit in enumerate(profile.status) if digit > most)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthsOverdue(Characteristic):
    """In how many months any account was overdue, so badly or worse."""

    kind = "months_overdue"
    window: Annotated[int, whole_number(1, STATUS_MONTHS)]
    at_least: Annotated[Disposition, one_of(OVERDUE)]
    """The mildest disposition that counts."""

    def value(self, profile: Profile, month: int) -> int:
        """A number of calendar months, however many accounts were overdue in each."""
        least = _DIGITS[STATUS_LEVELS[int(self.at_least)]]
        return len([digit for digit in profile.status[: self.window] if digit >= least])

    def later(self, profile: Profile, month: int, target: int) -> int:
        """Until no more than so many are left."""
        least = _DIGITS[STATUS_LEVELS[int(self.at_least)]]
        return self.window - [place for place, digit in enumerate(profile.status) if digit >= least][target]


def _read_step(value: Any) -> int:
    if type(value) is not int or value not in UTILISATION_STEPS:
        raise ValueError(f"expected one of the percentages {', '.join(map(str, UTILISATION_STEPS))}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthsUtilised(Characteristic):
    """In how many months more than so much of the limit of any revolving account was billed."""

    kind = "months_utilised"
    window: Annotated[int, whole_number(1, RATIO_MONTHS)]
    over: Annotated[int, _read_step]
    """A percentage of levels.UTILISATION_STEPS."""

    def value(self, profile: Profile, month: int) -> int:
        """A number of calendar months, however many accounts there are."""
        most = _DIGITS[utilisation_level(self.over)]
        return len([digit for digit in profile.utilisation[: self.window] if digit > most])

    def later(self, profile: Profile, month: int, target: int) -> int:
        """Until no more than so many are left."""
        most = _DIGITS[utilisation_level(self.over)]
        return self.window - [place for place, digit in enumerate(profile.utilisation) if digit > most][target]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthsUnpaid(Characteristic):
    """In how many months nothing was paid, though something had been billed."""

    kind = "months_unpaid"
    window: Annotated[int, whole_number(1, RATIO_MONTHS)]

    def value(self, profile: Profile, month: int) -> int:
        """A number of calendar months, however many accounts there are."""
        return profile.payment[: self.window].count(_DIGITS[NOTHING_PAID])

    def later(self, profile: Profile, month: int, target: int) -> int:
        """Until no more than so many are left."""
        unpaid = _DIGITS[NOTHING_PAID]
        return self.window - [place for place, digit in enumerate(profile.payment) if digit == unpaid][target]


def _read_currency(value: Any) -> str:
    if not isinstance(value, str) or not is_currency(value):
        raise ValueError("expected the ISO 4217 code of a currency, such as CNY")
    return value


def _read_steps(value: Any) -> tuple[int, ...]:
    read = whole_number(0, MAX_AMOUNT)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_AMOUNT_STEPS:
        raise ValueError(f"expected a list of 1 to {MAX_AMOUNT_STEPS} amounts in minor units")
    steps = tuple(read(each) for each in value)
    if sorted(set(steps)) != list(steps):
        raise ValueError("expected amounts in minor units, each greater than the one before it")
    return steps


_steps: Final[Reader] = _read_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallestLimit(Characteristic):
    """How small the smallest limit of a revolving account in the currency is: 1 from the last of the steps on, more below it."""

    kind = "smallest_limit"
    takes_amounts = True
    currency: Annotated[str, _read_currency]
    steps: Annotated[tuple[int, ...], _steps]

    def value(self, profile: Profile, month: int) -> int:
        """0 where no limit is known."""
        limits = [
            account.credit_limit
            for account in profile.accounts
            if account.account_type in _REVOLVING and account.currency == self.currency and account.HasField("credit_limit")
        ]
        return _level(self.steps, min(limits)) if limits else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthsPaidBelow(Characteristic):
    """In how many months less than an amount was paid on a revolving account in the currency, though something had been billed."""

    kind = "months_paid_below"
    takes_amounts = True
    window: Annotated[int, whole_number(1, RATIO_MONTHS)]
    currency: Annotated[str, _read_currency]
    amount: Annotated[int, whole_number(1, MAX_AMOUNT)]
    """In minor units."""

    def value(self, profile: Profile, month: int) -> int:
        """A number of calendar months, however many accounts there are."""
        return len(self._counted(profile, month))

    def later(self, profile: Profile, month: int, target: int) -> int:
        """Until no more than so many are left."""
        return self.window - sorted(self._counted(profile, month))[target]

    def _counted(self, profile: Profile, month: int) -> set[int]:
        found: set[int] = set()
        for account in profile.accounts:
            if account.account_type in _REVOLVING and account.currency == self.currency:
                months = {month - month_index(each.month): each for each in account.months}
                found |= {ago for ago in range(self.window) if self._counts(months.get(ago), months.get(ago + 1))}
        return found

    def _counts(self, month: AccountMonth | None, before: AccountMonth | None) -> bool:
        if month is None or before is None or not month.HasField("paid_amount"):
            return False
        return before.billed_amount > 0 and month.paid_amount < self.amount


def _level(steps: Sequence[int], amount: int) -> int:
    return 1 + len(steps) - bisect_right(steps, amount)


KINDS: Final[dict[str, type[Characteristic]]] = {
    kind.kind: kind
    for kind in (
        *(WorstStatus, MonthsOverdue, MonthsUtilised, MonthsUnpaid),
        *(SmallestLimit, MonthsPaidBelow),
    )
}
"""Every characteristic that a scorecard can name."""

"""What all accounts and inquiries of a subject together have to tell, and no single report brings about.

The sweep compares them with what its last telling was about: a fact is told once, and again only when it has become worse.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Self

from tallystick.credit.dates import day_of_number, number_of_day
from tallystick.credit.enums import SubjectKind, TriggerType
from tallystick.credit.monitoring.bands import band_of
from tallystick.credit.monitoring.facts import Fact
from tallystick.credit.monitoring.triggers import Triggers
from tallystick.v1.account_pb2 import Account
from tallystick.v1.storage_pb2 import DebtBaseline, WatchBaseline

WINDOW: Final = timedelta(days=90)
"""Within which accounts are opened, and debts grow."""
LONG_OVERDUE: Final = 90
"""Days: a debt that is overdue for more counts into the share."""
STEP: Final = 10
"""Percent, down to whole steps of which growth is told."""
MOST_GROWTH: Final = 1_000_000
"""Percent at the most: of next to nothing anything is a multiple."""
SCORECARD_BYTES: Final = 8
"""Of a scorecard's digest, by which a baseline knows it again."""


@dataclass(frozen=True, slots=True)
class Graded:
    """What a rating says, as far as another one can be compared with it."""

    grade: int
    scorecard: bytes
    """The beginning of its digest: grades of two cards have nothing to do with each other."""

    @classmethod
    def of(cls, grade: int | None, scorecard_digest: bytes) -> Self | None:
        """None for who is not rated."""
        return None if grade is None else cls(grade, scorecard_digest[:SCORECARD_BYTES])


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """What is known of a subject now, from the view of one member."""

    share_over_90_days: int = 0
    """Percent of an organisation's known debt, at all members, that is more than 90 days overdue; of the currency with the most."""
    accounts_opened: int = 0
    """By others within 90 days."""
    lending_institutions: int = 0
    """Other members that asked within 30 days in order to lend."""
    debts: Mapping[str, int] = field(default_factory=dict)
    """What is owed to others, in minor units, by currency; without what nobody knows."""
    graded: Graded | None = None
    """By all accounts; None for who is not rated."""

    @classmethod
    def of(
        cls,
        others: Iterable[Account],
        own: Iterable[Account],
        lending_institutions: int,
        today: date,
        graded: Graded | None = None,
    ) -> Self:
        """Sums up the accounts that others report and the member's own; `graded` is by both."""
        others = list(others)
        since = number_of_day(today - WINDOW)
        opened = sum(account.opened_date > since for account in others)
        debts: dict[str, int] = {}
        for account in others:
            if account.HasField("balance"):
                debts[account.currency] = debts.get(account.currency, 0) + account.balance
        return cls(_share([*others, *own]), opened, lending_institutions, debts, graded)


def _share(accounts: list[Account]) -> int:
    """Of persons none is counted."""
    owed: dict[str, int] = {}
    overdue: dict[str, int] = {}
    for account in accounts:
        if account.subject_kind != int(SubjectKind.ORGANISATION) or not account.HasField("balance"):
            continue
        owed[account.currency] = owed.get(account.currency, 0) + account.balance
        if account.HasField("running_overdue") and account.running_overdue.days_past_due > LONG_OVERDUE:
            overdue[account.currency] = overdue.get(account.currency, 0) + account.balance
    if not overdue:
        return 0
    currency = max(owed, key=lambda each: (owed[each], each))
    return 100 * overdue.get(currency, 0) // owed[currency] if owed[currency] else 0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the next sweep compares with."""

    share_over_90_days: int = 0
    accounts_opened: int = 0
    lending_institutions: int = 0
    debts: Mapping[str, tuple[int, date]] = field(default_factory=dict)
    """The debt from which growth is counted, and since when, by currency."""
    graded: Graded | None = None
    """The grade from which a fall is counted."""

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """As a row holds it."""
        message = WatchBaseline.FromString(content)
        return cls(
            message.share_over_90_days,
            message.accounts_opened,
            message.lending_institutions,
            {debt.currency: (debt.amount, day_of_number(debt.date)) for debt in message.debts},
            Graded(message.grade, message.scorecard) if message.grade else None,
        )

    def to_bytes(self) -> bytes:
        """For a row: never empty bytes but for a subject of whom nothing is known; equal ones give equal bytes."""
        return WatchBaseline(
            share_over_90_days=self.share_over_90_days,
            accounts_opened=self.accounts_opened,
            lending_institutions=self.lending_institutions,
            debts=[
                DebtBaseline(currency=currency, amount=amount, date=number_of_day(day))
                for currency, (amount, day) in sorted(self.debts.items())
            ],
            grade=self.graded.grade if self.graded else 0,
            scorecard=self.graded.scorecard if self.graded else b"",
        ).SerializeToString(deterministic=True)


def seed(facts: SubjectFacts, today: date) -> Baseline:
    """As a watch begins: what is so already is not told."""
    return Baseline(
        facts.share_over_90_days,
        facts.accounts_opened,
        facts.lending_institutions,
        {currency: (amount, today) for currency, amount in facts.debts.items()},
        facts.graded,
    )


def worse(baseline: Baseline, facts: SubjectFacts, triggers: Triggers, today: date) -> tuple[tuple[Fact, ...], Baseline]:
    """What has become worse since the baseline and is to be told, and the baseline from then on.

    A baseline falls with what it is of, so that the same may be told anew; it rises only by being told, so that what grows in small
    steps is told once it reaches its threshold."""
    told: list[Fact] = []

    def compare(type_: TriggerType, before: int, now: int) -> int:
        fact = Fact(type_, before, now)
        if now > before and triggers.wants(fact):
            told.append(fact)
            return now
        return min(before, now)

    share = compare(TriggerType.SHARE_OVER_90_DAYS, baseline.share_over_90_days, facts.share_over_90_days)
    opened = compare(TriggerType.ACCOUNTS_OPENED, baseline.accounts_opened, facts.accounts_opened)
    lenders = compare(TriggerType.INQUIRY_BURST, baseline.lending_institutions, facts.lending_institutions)
    debts: dict[str, tuple[int, date]] = {}
    for currency, amount in sorted(facts.debts.items()):
        before, since = baseline.debts.get(currency, (amount, today))
        growth = _growth(before, amount)
        fact = Fact(TriggerType.DEBT_GREW, 0, growth, band_of(currency, amount))
        if growth and triggers.wants(fact):
            told.append(fact)
            debts[currency] = amount, today
        elif amount <= before or today - since > WINDOW:
            debts[currency] = (amount, today) if amount < before or today - since > WINDOW else (before, since)
        else:
            debts[currency] = before, since
    graded, fall = _fallen(baseline.graded, facts.graded)
    if fall is not None and triggers.wants(fall):
        told.append(fall)
        graded = facts.graded
    return tuple(told), Baseline(share, opened, lenders, debts, graded)


def _fallen(before: Graded | None, now: Graded | None) -> tuple[Graded | None, Fact | None]:
    """The grade to count from, and the fall since, if any. Who is not rated now has fallen no further; another card begins anew."""
    if before is None or now is None:
        return before or now, None
    if before.scorecard != now.scorecard or now.grade <= before.grade:
        return now, None
    return before, Fact(TriggerType.RATING_FELL, before.grade, now.grade)


def _growth(before: int, now: int) -> int:
    """By how many percent, in whole steps; 0 for what has not grown, or from nothing."""
    if before <= 0 or now <= before:
        return 0
    return min((now - before) * 100 // before // STEP * STEP, MOST_GROWTH)

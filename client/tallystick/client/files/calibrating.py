"""Calibration: how many of each grade defaulted, counted in a bank's own book."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from tallystick.client.exceptions import FileInvalid, InputInvalid
from tallystick.client.files.accounts import AccountRows, Reject, read_accounts
from tallystick.client.files.amounts import Amounts
from tallystick.client.flows.reporting import faults_of
from tallystick.client.identities import canonical
from tallystick.credit.enums import RatingOutcome, SubjectKind
from tallystick.credit.rating import (
    Calibration,
    Profile,
    RatingFacts,
    Scorecard,
    ScorecardError,
    built_in_cards,
    facts_of,
    month_index_of,
    read_scorecard,
    scorecard_toml,
)
from tallystick.credit.rating.cohort import MONTHS as COHORT_MONTHS
from tallystick.credit.rating.cohort import Cohort, Holding, closed_month, is_bad_already
from tallystick.credit.rating.measures import MILLION, Outcomes, auc, in_millionths
from tallystick.credit.rating.scorecard import outcome_of
from tallystick.v1.account_pb2 import Account

LEAST_DEFAULTS: Final = 100
"""With fewer, a rate says more of chance than of the grade."""
_OUTCOME: Final = "more than 90 days overdue, or given up, within 12 months"


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of an account: a book may have millions."""

    stored: bytes
    """Its rating facts."""
    record: Account | None
    """For a card that looks at amounts."""
    closed: int | None


class Calibrating:
    """Collects a book's accounts by their holders, and counts."""

    def __init__(self, card: Scorecard, month: dt.date) -> None:
        """`month` is the one as of which everybody is rated. Raises InputInvalid for a card that cannot be calibrated."""
        if card.subject_kind != SubjectKind.PERSON:
            raise InputInvalid("scorecard", "FIELDS_INCONSISTENT", "a card for organisations states no default rate")
        self._card = card
        self._month = month
        self._holders: dict[object, list[_Known]] = defaultdict(list)
        self._newest = 0
        self._rejected = 0
        self._numbers: set[str] = set()
        self._already_bad = 0
        self._outcomes: dict[RatingOutcome, int] = defaultdict(int)
        self._cohort = Cohort()
        self._bins = [[0] * len(each.points) for each in card.weighted]

    def read(self, book: Path, amounts: Amounts | None, encoding: str | None) -> Iterator[tuple[Reject, ...]]:
        """Reads the accounts of a book one by one; yields what is wrong with each, as a report of it would be told. Raises
        FileInvalid. Whose they are stays in this process's memory."""
        for rows in read_accounts(book, amounts, encoding):
            rejects = self._add(book, rows)
            self._rejected += bool(rejects)
            yield rejects

    @property
    def rejected(self) -> int:
        """Accounts that are left out, since a report of them would be rejected."""
        return self._rejected

    def _add(self, book: Path, rows: AccountRows) -> tuple[Reject, ...]:
        report = rows.report
        if report is None:
            return rows.rejects
        if report.account_number in self._numbers:
            raise FileInvalid(f"{book}: row {rows.rows[0]}: its account is further up already; sort by account_number, month")
        self._numbers.add(report.account_number)
        if found := faults_of(report):
            return tuple(map(rows.reject, found))
        if report.account.subject_kind == SubjectKind.PERSON:
            record = report.account.to_message()
            stored = facts_of(record)
            self._newest = max(self._newest, RatingFacts.from_bytes(stored).month)
            kept = record if self._card.takes_amounts else None
            self._holders[canonical(report.identity)].append(_Known(stored, kept, closed_month(record)))
        return ()

    def toml(self, name: str, population: str, start: dt.date) -> str:
        """The calibrated card. Raises FileInvalid where the book does not allow it."""
        if name in {self._card.name, *(each.card.name for each in built_in_cards())}:
            raise InputInvalid("name", "FIELD_OUT_OF_RANGE", "is that of a released card: give the calibrated one another")
        self._count()
        calibrated = self._calibrated(name, population, start)
        comment = (
            f"{name}: {self._card.name} (SHA-256 {self._card.digest.hex()}),\ncalibrated on the outcomes of {population}.\n\n"
            "Made by `tallystick rating calibrate`; development_ppm are the shares of the same persons. Grades next to each other\n"
            "whose rates stood in the wrong order share one."
        )
        text = scorecard_toml(calibrated, comment)
        try:
            read_scorecard(text.encode())
        except ScorecardError as error:
            raise FileInvalid(f"the calibrated card would not be one: {error}") from None
        return text

    def counts(self) -> dict[str, object]:
        """What was counted, for programs."""
        return {
            "month": self._month,
            "persons": len(self._holders),
            "outcomes": {each.name.lower(): count for each, count in sorted(self._outcomes.items())},
            "already_bad": self._already_bad,
            "not_followed": self._cohort.not_followed,
            "rejected": self._rejected,
            "grades": [
                {"grade": grade, "persons": each.subjects, "defaults": each.bad} for grade, each in self._by_grade().items()
            ],
            "auc": auc(self._cohort.by_score),
        }

    def lines(self) -> Iterator[str]:
        """What was counted, for people."""
        not_rated = ", ".join(
            f"{count:,} {each.name.lower().replace('_', ' ')}"
            for each, count in sorted(self._outcomes.items())
            if each != RatingOutcome.RATED
        )
        yield f"{len(self._holders):,} persons, rated as of {self._month:%Y-%m}: {self._outcomes[RatingOutcome.RATED]:,}" + (
            f" (not rated: {not_rated})" if not_rated else ""
        )
        if self._already_bad:
            yield f"{self._already_bad:,} were more than 90 days overdue, or given up, already then: they are left out"
        if self._cohort.not_followed:
            yield f"{self._cohort.not_followed:,} could not be followed for {COHORT_MONTHS} months: they are left out"
        if self._rejected:
            yield f"{self._rejected:,} accounts were left out: `tallystick report` would reject them"
        by_grade = self._by_grade()
        rates = _rising([by_grade.get(each.grade, Outcomes()) for each in self._card.grades])
        for grade, rate in zip(self._card.grades, rates, strict=True):
            each = by_grade.get(grade.grade, Outcomes())
            share = f", {each.bad / each.subjects:.1%}" if each.subjects else ""
            pooled = "" if each.subjects and rate == round(_rate(each) * MILLION) else f"; with its neighbours {rate / MILLION:.1%}"
            yield f"grade {grade.grade}: {each.bad:,} of {each.subjects:,} defaulted{share}{pooled}"
        yield f"AUC {auc(self._cohort.by_score) or 0:.3f}"

    def _count(self) -> None:
        month = month_index_of(self._month)
        if self._newest < month + COHORT_MONTHS:
            year, ordinal = divmod(self._newest, 12)
            text = f"it ends in {year}-{ordinal + 1:02}" if self._newest else "it holds no person's account"
            raise FileInvalid(f"the book must go on for {COHORT_MONTHS} months after {self._month:%Y-%m}, and {text}")
        for accounts in self._holders.values():
            self._count_person(accounts, month)
        defaults = sum(each.bad for each in self._cohort.by_score.values())
        if defaults < LEAST_DEFAULTS:
            text = f"{defaults} persons defaulted: with fewer than {LEAST_DEFAULTS} a rate says more of chance than of its grade"
            raise FileInvalid(f"{text}; take a larger book")

    def _count_person(self, accounts: list[_Known], month: int) -> None:
        everything = [(each, RatingFacts.from_bytes(each.stored)) for each in accounts]
        known = [(each, facts) for each, facts in everything if facts.month - len(facts.status.rstrip("0")) < month]
        profile = Profile.of([facts for _, facts in known], month, [each.record for each, _ in known if each.record is not None])
        outcome = outcome_of(profile, month, len(known))
        if outcome != RatingOutcome.RATED:
            self._outcomes[outcome] += 1
        elif is_bad_already(profile):
            self._already_bad += 1
        else:
            held = [Holding(facts, partial(_closed, each)) for each, facts in known if not facts.contingent]
            if not self._cohort.add(self._card.score(profile, month), held, [facts for _, facts in everything], month):
                return
            self._outcomes[outcome] += 1
            for weighted, bins in zip(self._card.weighted, self._bins, strict=True):
                bins[weighted.bin_of(weighted.characteristic.value(profile, month))] += 1

    def _by_grade(self) -> dict[int, Outcomes]:
        return self._cohort.by_grade(self._card)

    def _calibrated(self, name: str, population: str, start: dt.date) -> Scorecard:
        by_grade = self._by_grade()
        rates = _rising([by_grade.get(each.grade, Outcomes()) for each in self._card.grades])
        # What drift is measured against from now on: those of whom the rates are.
        shares = in_millionths([by_grade.get(each.grade, Outcomes()).subjects for each in self._card.grades])
        grades = tuple(
            replace(each, default_rate_ppm=rate, development_ppm=share)
            for each, rate, share in zip(self._card.grades, rates, shares, strict=True)
        )
        weighted = tuple(
            replace(each, development_ppm=in_millionths(bins)) for each, bins in zip(self._card.weighted, self._bins, strict=True)
        )
        calibration = Calibration(
            population=population,
            outcome=_OUTCOME,
            first_date=self._month,
            last_date=self._month,
            subjects=sum(each.subjects for each in by_grade.values()),
            defaults=sum(each.bad for each in by_grade.values()),
        )
        return replace(self._card, name=name, start_date=start, weighted=weighted, grades=grades, calibration=calibration)


def _closed(account: _Known) -> int | None:
    return account.closed


def _rising(outcomes: list[Outcomes]) -> list[int]:
    """The rate of each grade in millionths, never falling from the best to the worst: neighbours that stand in the wrong order,
    or of whom nobody was seen, are put together (pool adjacent violators)."""
    pools: list[tuple[Outcomes, int]] = []
    for each in outcomes:
        pools.append((each, 1))
        while len(pools) > 1 and (
            not pools[-1][0].subjects or not pools[-2][0].subjects or _rate(pools[-1][0]) < _rate(pools[-2][0])
        ):
            (second, more), (first, count) = pools.pop(), pools.pop()
            pools.append((Outcomes(first.good + second.good, first.bad + second.bad), count + more))
    return [round(_rate(each) * MILLION) for each, count in pools for _ in range(count)]


def _rate(outcomes: Outcomes) -> float:
    return outcomes.bad / outcomes.subjects

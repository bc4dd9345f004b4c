"""Who went bad within a year, who did not, and of whom that is not known: one rule for calibrations and for drift."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tallystick.credit.enums import Disposition
from tallystick.credit.rating import RatingFacts, month_index
from tallystick.credit.rating.cohort import MONTHS, Cohort, Holding, closed_month
from tallystick.credit.rating.measures import Outcomes
from tallystick.v1.account_pb2 import Account

MONTH = month_index(20251001)
LAST = MONTH + MONTHS
GOOD, BAD, UNKNOWN = Outcomes(1, 0), Outcomes(0, 1), None
CODES = {"N": Disposition.PAID_AS_AGREED, "3": Disposition.OVERDUE_3, "4": Disposition.OVERDUE_4, "C": Disposition.SETTLED} | {
    "B": Disposition.BAD_DEBT,
    "Z": Disposition.ASSET_FOR_DEBT,
    "D": Disposition.GUARANTOR_PAID,
    "#": Disposition.UNKNOWN,
    "G": Disposition.ENDED_OTHERWISE,
}


def record(codes: str, *, last: int = LAST, closed: int = 0, contingent: bool = False) -> Account:
    """An account of which the last code is of the month `last`; a space is a month without a row."""
    made: Any = Account(status=1, currency="CNY", closed_date=closed)
    made.account_type, made.role = 3, 2 if contingent else 10
    made.as_of.FromJsonString(f"{last // 12}-{last % 12 + 1:02}-20T12:00:00Z")
    for ago, code in enumerate(reversed(codes)):
        if code != " ":
            month = last - ago
            made.months.add(month=month // 12 * 10_000 + (month % 12 + 1) * 100 + 1, disposition=CODES[code])
    assert isinstance(made, Account)
    return made


def outcome(*records: Account, since: tuple[Account, ...] = ()) -> Outcomes | None:
    """What becomes of somebody with these accounts, and with those opened since."""
    held = [Holding(RatingFacts.of(each), partial(closed_month, each)) for each in records]
    cohort = Cohort()
    known = cohort.add(600, held, [RatingFacts.of(each) for each in (*records, *since)], MONTH)
    assert cohort.not_followed == (not known)
    return cohort.by_score.get(600)


@pytest.mark.parametrize(
    ("codes", "last", "closed", "expected"),
    [
        ("N" * 13, LAST, 0, GOOD),
        ("N" * 12 + "3", LAST, 0, GOOD),
        ("N" * 12 + "4", LAST, 0, BAD),
        ("N4" + "N" * 11, LAST, 0, BAD),
        # What comes after the year is not asked; what was before it is not the outcome.
        ("4" + "N" * 12, LAST, 0, GOOD),
        ("N" * 13 + "4", LAST + 1, 0, GOOD),
        # A month that nobody knows of: neither good nor bad, whatever else was seen.
        ("N" * 6 + "#" + "N" * 6, LAST, 0, UNKNOWN),
        ("N" * 6 + " " + "N" * 6, LAST, 0, UNKNOWN),
        ("NN4" + " " + "N" * 9, LAST, 0, UNKNOWN),
        ("N" * 12, LAST - 1, 0, UNKNOWN),
        # Given up, or paid by somebody or something else: that was its end.
        ("NNNB", MONTH + 3, 0, BAD),
        ("NNND", MONTH + 3, 0, BAD),
        ("NNNZ" + " " * 9, LAST, 0, BAD),
        ("N N" + "B", MONTH + 3, 0, UNKNOWN),
        # Closed: nothing need be known after it.
        ("NNNC", MONTH + 3, 20260115, GOOD),
        ("NNNC", MONTH + 3, 20260201, UNKNOWN),
        ("NNNC", MONTH + 3, 20251231, GOOD),
        ("N", MONTH, 20251031, GOOD),
        # The newest month says so by itself, without a day.
        ("NNNC", MONTH + 3, 0, GOOD),
        ("333C", MONTH + 3, 0, GOOD),
        ("NNNG", MONTH + 3, 0, GOOD),
        ("4NNC", MONTH + 4, 0, BAD),
        ("N C", MONTH + 2, 0, UNKNOWN),
    ],
)
def test_what_became_of_an_account(codes: str, last: int, closed: int, expected: Outcomes | None) -> None:
    assert outcome(record(codes, last=last, closed=closed)) == expected


def test_each_account_of_then_is_followed_and_what_was_opened_since_counts_when_it_goes_bad() -> None:
    good, bad, lost = record("N" * 13), record("N" * 12 + "4"), record("NN", last=MONTH + 1)
    assert outcome(good, bad) == BAD
    assert outcome(good, lost) == outcome(bad, lost) == UNKNOWN
    assert outcome(good, since=(record("N4", last=MONTH + 9),)) == BAD
    assert outcome(good, since=(record("N", last=MONTH + 9),)) == GOOD


def test_the_month_in_which_an_account_was_closed() -> None:
    assert closed_month(Account(closed_date=20260115)) == month_index(20260101)
    assert closed_month(Account()) is None

"""The profile of a subject: of each month, the worst that any of its accounts shows, seen from the month of the answer.

This is what makes a rating monotone as a whole. A further month, a worse month or a further account can only raise a level of the
profile or leave it; each characteristic rises with the levels; and a scorecard that gives more points for a worse value is not
loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.credit.rating.facts import RATIO_MONTHS, STATUS_MONTHS, RatingFacts
from tallystick.v1.account_pb2 import Account

_THIN_WINDOW: Final = 13
"""Months in which something must be known: that of the answer, and twelve before it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Levels by month: each text has one hexadecimal digit a month, that of the answer first. Accounts in contingent roles are left
    out."""

    status: str
    utilisation: str
    payment: str
    newest: int
    """The month of the newest as_of, in months since January of the year 0; 0 without any account."""
    known_months: int
    """Of the last 13, that of the answer included: in how many something is known of some account."""
    accounts: Sequence[Account] = ()
    """The records, for characteristics of amounts; none where only facts were at hand."""

    @classmethod
    def of(
        cls, facts: Sequence[RatingFacts], month: int, accounts: Sequence[Account] = (), longest: int = STATUS_MONTHS
    ) -> Profile:
        """Of the facts of a subject's accounts, for an answer of a month, in months since January of the year 0.

        `accounts`, if given, are the records that the facts are of, in the same order. `longest` is how many months anybody will
        look at."""
        rated = [each for each in facts if not each.contingent]
        status = _worst([(each.status, month - each.month) for each in rated], max(longest, _THIN_WINDOW))
        ratios = min(longest, RATIO_MONTHS)
        return cls(
            status,
            _worst([(each.utilisation, month - each.month) for each in rated], ratios),
            _worst([(each.payment, month - each.month) for each in rated], ratios),
            max((each.month for each in rated), default=0),
            len(status[:_THIN_WINDOW].replace("0", "")),
            [record for each, record in zip(facts, accounts, strict=True) if not each.contingent] if accounts else (),
        )


def _worst(streams: Sequence[tuple[str, int]], width: int) -> str:
    """Month by month the greatest digit. Each stream begins so many months before the month of the answer; after it, if negative:
    what is later than the answer is left out."""
    aligned = [
        ("0" * lead + digits if lead >= 0 else digits[-lead:])[:width] for digits, lead in streams if digits and lead < width
    ]
    if len(aligned) < 2:
        return aligned[0] if aligned else ""
    longest = max(map(len, aligned))
    return "".join(map(max, *(each.ljust(longest, "0") for each in aligned)))

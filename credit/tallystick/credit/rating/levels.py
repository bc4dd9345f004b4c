"""Levels: how badly one month of one account stands, on three scales of small whole numbers, each worse than the one before it.

Every characteristic of a scorecard is reckoned from these and from nothing else, so what an exchange keeps of an account for its
rating is a digit a month and scale. Level 0 is "not known", and counts as the best: what nobody reported is not held against
anybody.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from tallystick.credit.codes import OVERDUE_DISPOSITIONS
from tallystick.credit.enums import Disposition

NOT_KNOWN: Final = 0
IN_ORDER: Final = 1
"""Of a status: something is known of the month, and it is no overdue."""

STATUS_LEVELS: Final = {int(disposition): IN_ORDER + rank for disposition, rank in OVERDUE_DISPOSITIONS.items()} | {
    int(disposition): IN_ORDER
    for disposition in (
        Disposition.PAID_AS_AGREED,
        Disposition.NOTHING_DUE,
        Disposition.PAID_LATE_IN_MONTH,
        Disposition.SETTLED,
        Disposition.ENDED_OTHERWISE,
    )
}
"""Status: 1 is a month in order, 2 to 8 are overdue by 1 to 7 (codes.OVERDUE_DISPOSITIONS), 9 that a guarantor paid, 10 that an
asset was taken, 11 bad debt. A disposition that is not here says nothing of the month: no bill, unknown, not yet open."""

BAD_DEBT_LEVEL: Final = STATUS_LEVELS[Disposition.BAD_DEBT]

UTILISATION_STEPS: Final = (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110)
"""Utilisation: what was billed as a percentage of the limit, rounded down; level 1 is up to the first, 14 over the last."""

PAID, NOTHING_PAID = 1, 2
"""Payment: something was paid in the month, or nothing had been billed in the one before; or something had been, and nothing was
paid."""


def utilisation_level(percent: int) -> int:
    """Of a percentage of the limit that was billed, rounded down."""
    return 1 + bisect_left(UTILISATION_STEPS, percent)


def status_level_of_days(days_past_due: int) -> int:
    """The status of an overdue that runs for so many days."""
    return IN_ORDER + min(7, 1 + max(days_past_due - 1, 0) // 30)

"""Each table of a book's analysis as a data frame of pandas, whose columns are numbers, days and names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tallystick.client.analysis.figures import BookAnalysis, OverdueShare, Rate, RollMatrix
from tallystick.client.analysis.overdue import STREAKS
from tallystick.client.analysis.paths import BUCKETS
from tallystick.client.analysis.standing import DAYS
from tallystick.client.exceptions import FileInvalid

if TYPE_CHECKING:
    import pandas as pd

Rows = list[dict[str, Any]]

_AFTER = (*(str(bucket) for bucket in range(BUCKETS)), "settled", "bad", "left")
_DAYS = ("0", *(f"{first + 1}–{last}" for first, last in pairwise(DAYS)), f">{DAYS[-1]}", "not known")


def frames_of(book: BookAnalysis) -> dict[str, pd.DataFrame]:
    """By name. Shares stand beside their numerators and denominators; amounts are in minor units of the currency beside them."""
    pandas = _pandas()
    tables = {
        "reading": [
            {"fault": fault.value, "column": fault.column, "description": fault.description, "rows": rows}
            for fault, rows in book.reading.faults
        ],
        "coverage": [
            {"month": each.month, "known": each.known, "unknown": each.unknown, "no_bill": each.no_bill, "absent": each.absent}
            for each in book.coverage
        ],
        "by_month": [{"month": each.month, **_share(each.share), "became_bad": each.became_bad} for each in book.by_month],
        "by_age": [{"first_month": each.first, "last_month": each.last, **_share(each.share)} for each in book.by_age],
        **_amounts(book),
        **_frequency(book),
        "rolls": _rolls([book.rolls]),
        "roll_amounts": _rolls(book.roll_amounts),
        "vintages": _vintages(book),
        "first_payment_default": [{"quarter": each.quarter, **_rate(each.first_payment_default)} for each in book.vintages],
        "cures": _cures(book),
        **_standing(book),
    }
    return {name: pandas.DataFrame(rows, columns=_columns(rows)) for name, rows in tables.items()}


def _columns(rows: Rows) -> list[str] | None:
    return list(rows[0]) if rows else None


def _rate(rate: Rate, name: str = "") -> Mapping[str, Any]:
    prefix = f"{name}_" if name else ""
    return {f"{prefix}part": rate.part, f"{prefix}whole": rate.whole, f"{prefix}share": rate.share}


def _share(share: OverdueShare) -> Mapping[str, int]:
    return {
        "accounts": share.live,
        "overdue": share.overdue,
        "over_30_days": share.over_30_days,
        "over_90_days": share.over_90_days,
    }


def _amounts(book: BookAnalysis) -> dict[str, Rows]:
    bands = [
        {"currency": each.currency, "over": band.over, "up_to": band.up_to, "accounts": band.accounts, "amount": band.amount}
        for each in book.amounts
        for band in each.bands
    ]
    held = [
        {
            "currency": each.currency,
            "amount_unknown": each.unknown,
            **_rate(each.of_balance, "of_balance"),
            **_rate(each.balance.accounts, "balance_accounts"),
            **_rate(each.balance.amount, "balance_held"),
            **_rate(each.overdue.accounts, "overdue_accounts"),
            **_rate(each.overdue.amount, "overdue_held"),
        }
        for each in book.amounts
    ]
    return {"amount_bands": bands, "amounts": held}


def _frequency(book: BookAnalysis) -> dict[str, Rows]:
    return {
        "late_months": [{"late_months": at, "accounts": count} for at, count in enumerate(book.frequency.late_months)],
        "streaks": [
            {"first": first, "last": last, "accounts": count}
            for (first, last), count in zip(STREAKS, book.frequency.streaks, strict=True)
        ],
    }


def _rolls(matrices: Iterable[RollMatrix]) -> Rows:
    return [
        {"currency": matrix.currency, "before": before, "after": after, **_rate(matrix.rate(before, at))}
        for matrix in matrices
        for before in range(BUCKETS)
        for at, after in enumerate(_AFTER)
    ]


def _vintages(book: BookAnalysis) -> Rows:
    return [
        {
            "quarter": each.quarter,
            "accounts": each.accounts,
            "months_on_book": point.months_on_book,
            "followed": point.followed,
            "over_30_days": point.over_30_days,
            "over_60_days": point.over_60_days,
            "over_90_days": point.over_90_days,
        }
        for each in book.vintages
        for point in each.points
    ]


def _cures(book: BookAnalysis) -> Rows:
    found = book.cures
    named = (("cured", found.cured), ("overdue_again", found.overdue_again), ("over_30_days_again", found.over_30_days_again))
    rows: Rows = [{"outcome": name, "months": each.months, **_rate(each.rate)} for name, listed in named for each in listed]
    rows.append({"outcome": "overdue_after_restructuring", "months": 12, **_rate(found.after_restructuring)})
    rows.append({"outcome": "over_30_days_after_restructuring", "months": 12, **_rate(found.over_30_days_after_restructuring)})
    return rows


def _standing(book: BookAnalysis) -> dict[str, Rows]:
    stages = [
        {
            "stage": each.stage.name.lower(),
            "accounts": each.accounts,
            "reached": each.reached,
            **_rate(each.recovered, "recovered"),
            **_rate(each.paid, "paid"),
        }
        for each in book.stages
    ]
    classes = [
        {"quality": row.quality.name.lower(), "days": days, "accounts": count}
        for row in book.five_class.rows
        for days, count in zip(_DAYS, row.by_days, strict=True)
    ]
    milder = [
        {"more_than_days": each.more_than_days, "at_least": each.at_least.name.lower(), **_rate(each.accounts)}
        for each in book.five_class.milder
    ]
    return {"stages": stages, "five_class": classes, "milder_than_days": milder}


def _pandas() -> Any:
    """pandas, which the plain install does without."""
    try:
        import pandas
    except ImportError:
        raise FileInvalid('frames need an extra: pip install "tallystick[pandas]"') from None
    return pandas

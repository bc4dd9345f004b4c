"""What is known of a book once it has been counted. Each share has its numerator and denominator; amounts are in minor units."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from tallystick.client.analysis.faults import Fault
    from tallystick.credit.enums import AssetQuality, CollectionStage
    from tallystick.credit.languages import Language


@dataclass(frozen=True, slots=True)
class Rate:
    """A part of a whole: accounts, months or minor units."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.part / self.whole if self.whole else None


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that is in no figure, or one thing that is wrong with it."""

    row: int
    """As a spreadsheet shows it; in Parquet the first is 1."""
    column: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of the rows of the file."""

    rows: int
    used: int
    faulty: int
    """Rows with something wrong; they are in no figure."""
    other_roles: int
    """Rows of guarantors and others who are not the borrower: the debt is counted with the borrower's."""
    later: int
    """Rows of months after the day of which the book was to be looked at."""
    faults: tuple[tuple[Fault, int], ...]
    """How many rows have each; a row may have several."""
    first: tuple[RowFault, ...]
    """Of the first twenty rows that have any."""


@dataclass(frozen=True, slots=True)
class CoverageOfMonth:
    """What a month says: between an account's first month in the book and its last one, or the one in which it ended."""

    month: dt.date
    known: int
    unknown: int
    """`#`."""
    no_bill: int
    """`A`."""
    absent: int
    """No row at all."""

    @property
    def rate(self) -> Rate:
        """The known of all."""
        return Rate(self.known, self.known + self.unknown + self.no_bill + self.absent)


@dataclass(frozen=True, slots=True)
class OverdueShare:
    """Accounts of which something was overdue, among those whose month is known and whose story had not ended."""

    live: int
    overdue: int
    over_30_days: int
    over_90_days: int


@dataclass(frozen=True, slots=True)
class OverdueByMonth:
    """A calendar month."""

    month: dt.date
    share: OverdueShare
    became_bad: int


@dataclass(frozen=True, slots=True)
class OverdueByAge:
    """A range of months on book, both ends included; the month of opening is 0."""

    first: int
    last: int | None
    share: OverdueShare


@dataclass(frozen=True, slots=True)
class AmountBand:
    """Accounts that are overdue now by how much is overdue, in major units: over `over`, and `up_to` at the most."""

    over: int
    up_to: int | None
    accounts: int
    amount: int


@dataclass(frozen=True, slots=True)
class Concentration:
    """What the top hundredth of accounts holds, at least one account."""

    accounts: Rate
    amount: Rate


@dataclass(frozen=True, slots=True)
class CurrencyAmounts:
    """Amounts of one currency, as of the accounts' own instants. Currencies are never added up."""

    currency: str
    bands: tuple[AmountBand, ...]
    unknown: int
    """Accounts that are overdue, and by how much is not known."""
    of_balance: Rate
    """The overdue amount of the balance: accounts of which both are known."""
    balance: Concentration
    overdue: Concentration
    """Among the accounts that are overdue."""


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often accounts were late."""

    late_months: tuple[int, ...]
    """Accounts by late months of the last twelve, from 0 to 12: those whose twelve months are all known."""
    streaks: tuple[int, ...]
    """Accounts by their longest run of late months: 0, 1, 2, 3, 4–6, 7–12, more."""
    not_known: int
    """Accounts of which one of the last twelve months is not known, or not there."""


@dataclass(frozen=True, slots=True)
class RollMatrix:
    """What became of a month's bucket in the next one. Rows are 0 to 7; columns 0 to 7, settled, bad and left."""

    cells: tuple[tuple[int, ...], ...]
    not_known: tuple[int, ...]
    """By row, of which the next month is not known. They are in no rate."""
    without_amount: tuple[int, ...] = (0,) * 8
    """By row: account-months of which the overdue amount is not known, where amounts are counted."""
    currency: str | None = None
    """None: account-months; otherwise what was overdue in the first month, in minor units."""

    def rate(self, before: int, after: int) -> Rate:
        """Of a cell, within its row."""
        return Rate(self.cells[before][after], sum(self.cells[before]))


@dataclass(frozen=True, slots=True)
class VintagePoint:
    """By so many months on book, of the accounts that were followed so long without a gap."""

    months_on_book: int
    followed: int
    over_30_days: int
    over_60_days: int
    over_90_days: int


@dataclass(frozen=True, slots=True)
class Vintage:
    """The accounts of one quarter of opening."""

    quarter: dt.date
    """Its first day."""
    accounts: int
    first_payment_default: Rate
    """Late by the third month on book."""
    points: tuple[VintagePoint, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """What happened within so many months, of the cases that were followed so long without a gap."""

    months: int
    rate: Rate


@dataclass(frozen=True, slots=True)
class Cures:
    """Ways out of an overdue, and back."""

    episodes: int
    """Months in which an account became overdue that had not been."""
    cured: tuple[Within, ...]
    overdue_again: tuple[Within, ...]
    over_30_days_again: tuple[Within, ...]
    restructured: int
    """Months of accounts in which a restructuring was agreed."""
    after_restructuring: Rate
    """Overdue in one of the twelve months after it."""
    over_30_days_after_restructuring: Rate


@dataclass(frozen=True, slots=True)
class StageFigures:
    """Accounts that stand at a stage of collection."""

    stage: CollectionStage
    accounts: int
    reached: int
    """At this stage or a later one."""
    recovered: Rate
    """Nothing is overdue any more, of those of which that is known."""
    paid: Rate
    """Something was paid in the newest month, of those of which that is known."""


@dataclass(frozen=True, slots=True)
class QualityRow:
    """Open accounts of one class, by days past due: 0, 1–30, 31–60, 61–90, 91–270, 271–360, more, not known."""

    quality: AssetQuality
    by_days: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MilderThanDays:
    """Open accounts whose class is milder than their days past due allow."""

    more_than_days: int
    at_least: AssetQuality
    accounts: Rate
    """Of the accounts with so many days and a class."""
    rows: tuple[int, ...]
    """The first row in the file of the first ten of them."""


@dataclass(frozen=True, slots=True)
class FiveClass:
    """The five-class table."""

    rows: tuple[QualityRow, ...]
    milder: tuple[MilderThanDays, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookAnalysis:
    """A bank's own book, counted. It names no borrower and no account."""

    name: str
    """Of the file."""
    as_of: dt.date | None
    """The day of which it is looked at; None where no account can be read."""
    last_month: dt.date | None
    """The newest month of the book that is in a figure."""
    accounts: int
    """That were opened by then."""
    stood_later: int
    """Accounts whose own as_of is of a later month: how they stood on the day is not known."""
    reading: Reading
    coverage: tuple[CoverageOfMonth, ...]
    by_month: tuple[OverdueByMonth, ...]
    by_age: tuple[OverdueByAge, ...]
    amounts: tuple[CurrencyAmounts, ...]
    frequency: Frequency
    rolls: RollMatrix
    roll_amounts: tuple[RollMatrix, ...]
    vintages: tuple[Vintage, ...]
    cures: Cures
    stages: tuple[StageFigures, ...]
    five_class: FiveClass

    def to_html(self, language: Language = "en") -> str:
        """The page: one file without script, which needs nothing beside it. Raises FileInvalid without the extra."""
        from tallystick.client.pages.analysis import render

        return render(self, language)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Each table as a data frame of pandas. Raises FileInvalid without the extra `pandas`."""
        from tallystick.client.analysis.flat import frames_of

        return frames_of(self)

"""What a book's page is made of: sections of parts, each a chart with its table, or a table alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick.client.analysis.figures import Rate
from tallystick.client.pages.analysis_texts import Words
from tallystick.client.pages.shares import Chart, percent
from tallystick.credit.codes import is_currency, minor_units
from tallystick.credit.languages import Language

Cell = str | tuple[str, str]
"""What a cell says, and what is beneath it, smaller."""

_SCALES = {
    "en": ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")),
    "zh": ((10**12, "万亿"), (10**8, "亿"), (10**4, "万")),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Figures in rows and columns; the first cell of a row says what it is of."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: int
    """How many columns behind the first one are words, and no numbers."""
    wide: bool
    square: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A figure of the page."""

    table: Table | None = None
    chart: Chart | None = None
    about: str = ""
    title: str = ""
    """Where there is no chart, whose title it would be."""
    legend: Sequence[tuple[str, str, str]] = ()
    """Label, colour and dash."""
    above: bool = False
    """Whether the chart stands above its table, and not beside it."""


@dataclass(frozen=True, slots=True)
class Section:
    """Parts under a heading."""

    title: str
    about: str
    parts: tuple[Part, ...]


class Writer:
    """Words and figures of one language."""

    def __init__(self, language: Language) -> None:
        self.words = Words(language)

    def table(
        self,
        caption: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        title: str = "",
        texts: int = 0,
        wide: bool = False,
        square: bool = False,
        named: Sequence[str] = (),
    ) -> Table:
        """A table by the keys of its caption and its columns; `title` says the caption, and `named` further columns, in words."""
        heads = (*map(self.words, columns), *named)
        return Table(title or self.words(caption), heads, tuple(map(tuple, rows)), texts, wide, square)

    def figures(
        self,
        chart: Chart,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        named: Sequence[str] = (),
        square: bool = False,
    ) -> Table:
        """The table that shows a chart's figures."""
        caption = self.words("the_figures", title=chart.title)
        return self.table("the_figures", columns, rows, title=caption, named=named, square=square)

    def nothing(self, title: str, why: str) -> Part:
        """Stands where there is nothing to show."""
        return Part(title=title, about=self.words("nothing", why=self.words(why)))

    def percent(self, rate: Rate) -> str:
        """A share, or a dash where there is nothing that it would be a share of."""
        return "–" if rate.share is None else percent(rate.share)

    def rate(self, rate: Rate) -> Cell:
        """A share with its numerator and denominator beneath."""
        return (self.percent(rate), f"{rate.part:,} / {rate.whole:,}")

    def part_of(self, part: int, whole: int) -> Cell:
        """A share with its numerator beneath, where a column of its row says the denominator."""
        return (self.percent(Rate(part, whole)), f"{part:,}")

    def compact(self, currency: str, amount: int) -> str:
        """An amount in major units, to four digits where it is long."""
        major = amount / 10 ** (minor_units(currency) if is_currency(currency) else 0)
        for scale, name in _SCALES[self.words.language]:
            if major >= scale:
                return f"{major / scale:.4g}{name}"
        return f"{major:,.0f}" if amount % 100 == 0 else f"{major:,.2f}"

    def stripe(self, months: Sequence[object], shown: int) -> str:
        """What is said where only the newest of many are shown."""
        return self.words("newest_only", count=shown) if len(months) > shown else ""

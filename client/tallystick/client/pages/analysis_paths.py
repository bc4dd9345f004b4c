"""Sections of a book's page about what became of accounts: roll rates, vintages, cures."""

from __future__ import annotations

from collections.abc import Callable

from tallystick.client.analysis.figures import BookAnalysis, Rate, RollMatrix, Vintage, VintagePoint
from tallystick.client.analysis.paths import BUCKETS, OBSERVED
from tallystick.client.pages.analysis_parts import Cell, Part, Section, Writer
from tallystick.client.pages.analysis_standing import CHARTED
from tallystick.client.pages.shares import WIDE, Line, ShareBars, ShareLines, ShareSquare, dash_of

QUARTERS = 24
"""Newest quarters that are shown."""
DRAWN = 6
"""Of them in a chart, the newest that were followed at least half a year."""
KEPT = 0.75
"""A line ends where so large a share of its accounts is not left: the others are of other months of opening."""
MILESTONES = (3, 6, 9, 12, 18, 24, 36, 48, 60)

_COLOURS = ("accent", "orange", "red", "green", "quiet", "ink")


def rolls(writer: Writer, book: BookAnalysis) -> Section:
    """From one month to the next, by number and by amount."""
    words = writer.words
    if not any(map(sum, book.rolls.cells)):
        return Section(words("rolls"), words("rolls.about"), (writer.nothing("", "no_transitions"),))
    parts = [_square(writer, book.rolls, charted=True)]
    amounts = sorted(book.roll_amounts, key=lambda each: -sum(map(sum, each.cells)))
    parts += [_square(writer, each, charted=place < CHARTED) for place, each in enumerate(amounts) if any(map(sum, each.cells))]
    return Section(words("rolls"), words("rolls.about"), tuple(parts))


def _square(writer: Writer, matrix: RollMatrix, *, charted: bool) -> Part:
    words, currency = writer.words, matrix.currency
    first = 0 if currency is None else 1  # nothing is overdue in bucket 0
    before = [str(bucket) for bucket in range(first, BUCKETS)]
    after = [*(str(bucket) for bucket in range(BUCKETS)), words("settled"), words("bad"), words("left")]
    cells = matrix.cells[first:]
    chart = ShareSquare(
        name=f"roll-{currency.lower()}" if currency else "roll",
        title=words("roll.amount", currency=currency) if currency else words("roll.count"),
        before=before,
        after=after,
        axes=(words("before"), words("after")),
        cells=[[Rate(cell, sum(row)).share for cell in row] for row in cells],
    )

    def told(count: int) -> str:
        return f"{count:,}" if currency is None else writer.compact(currency, count)

    rows: list[tuple[Cell, ...]] = []
    for bucket, row in zip(before, cells, strict=True):
        whole, place = sum(row), int(bucket)
        shares: list[Cell] = [(writer.percent(Rate(cell, whole)), told(cell)) if cell else "·" for cell in row]
        last = [told(whole), told(matrix.not_known[place])]
        rows.append((bucket, *shares, *last, *([f"{matrix.without_amount[place]:,}"] if currency else [])))
    heads = (*after, words("all"), words("next_unknown"), *([words("without_amount")] if currency else []))
    table = writer.figures(chart, ("before",), rows, named=heads, square=True)
    about = words("roll.amount.about") if currency else ""
    return Part(table, chart if charted else None, about, title="" if charted else chart.title, above=True)


def vintages(writer: Writer, book: BookAnalysis) -> Section:
    """By quarter of opening, and how often the first payments were late."""
    words = writer.words
    followed = [each for each in book.vintages if each.points]
    if not followed:
        return Section(words("vintages"), words("vintages.about"), (writer.nothing("", "no_vintages"),))
    shown = followed[-QUARTERS:]
    drawn = [each for each in shown if each.points[-1].months_on_book >= 6][-DRAWN:] or shown[-DRAWN:]
    thresholds: tuple[tuple[str, Callable[[VintagePoint], int]], ...] = (
        ("over_30", lambda point: point.over_30_days),
        ("over_60", lambda point: point.over_60_days),
        ("over_90", lambda point: point.over_90_days),
    )
    parts = [_curves(writer, key, late, shown, drawn) for key, late in thresholds]
    parts.append(_first_payments(writer, shown))
    about = f"{words('vintages.about')} {writer.stripe(followed, QUARTERS)}".strip()
    return Section(words("vintages"), about, tuple(parts))


def _curves(writer: Writer, key: str, late: Callable[[VintagePoint], int], shown: list[Vintage], drawn: list[Vintage]) -> Part:
    words = writer.words
    curves = [{point.months_on_book: Rate(late(point), point.followed).share for point in _kept(each)} for each in drawn]
    longest = max(max(curve) for curve in curves)
    lines = [
        Line(
            quarter_name(vintage),
            [curve.get(age) for age in range(1, longest + 1)],
            _COLOURS[place % len(_COLOURS)],
            dash_of(place),
        )
        for place, (vintage, curve) in enumerate(zip(drawn, curves, strict=True))
    ]
    chart = ShareLines(
        name=f"vintage-{key.replace('_', '-')}",
        title=words("vintage", days=words(key)),
        places=[str(age) for age in range(1, longest + 1)],
        beneath=words("age"),
        lines=lines,
        width=WIDE,
    )
    ages = [age for age in MILESTONES if any(point.months_on_book == age for each in shown for point in each.points)] or [1]
    rows: list[tuple[Cell, ...]] = []
    for vintage in reversed(shown):
        by_point = {point.months_on_book: point for point in vintage.points}
        cells: list[Cell] = [
            writer.rate(Rate(late(by_point[age]), by_point[age].followed)) if age in by_point else "–" for age in ages
        ]
        rows.append((quarter_name(vintage), f"{vintage.accounts:,}", *cells))
    table = writer.figures(chart, ("quarter", "accounts"), rows, named=[str(age) for age in ages], square=True)
    return Part(table, chart, legend=chart.legend, above=True)


def _kept(vintage: Vintage) -> list[VintagePoint]:
    least = vintage.points[0].followed * KEPT
    return [point for point in vintage.points if point.followed >= least]


def _first_payments(writer: Writer, shown: list[Vintage]) -> Part:
    words = writer.words
    places = [quarter_name(each) for each in shown]
    line = Line(words("first_payment"), [each.first_payment_default.share for each in shown], "accent")
    chart = ShareLines(name="first-payment", title=words("first_payment"), places=places, beneath=words("quarter"), lines=[line])
    rows = [(place, writer.rate(each.first_payment_default)) for place, each in zip(places, shown, strict=True)][::-1]
    return Part(writer.figures(chart, ("quarter", "first_payment"), rows), chart, words("first_payment.about"))


def quarter_name(vintage: Vintage) -> str:
    """A quarter as people write it, such as 2025 Q3."""
    return f"{vintage.quarter.year} Q{(vintage.quarter.month + 2) // 3}"


def cures(writer: Writer, book: BookAnalysis) -> Section:
    """Cures, and overdue again."""
    words, found = writer.words, book.cures
    cases: list[tuple[str, Rate]] = []
    for key, listed in (
        ("cure.cured", found.cured),
        ("cure.again", found.overdue_again),
        ("cure.again_30", found.over_30_days_again),
    ):
        cases += [(words(key, months=_months(writer, each.months)), each.rate) for each in listed]
    cases.append((words("cure.after", months=_months(writer, OBSERVED)), found.after_restructuring))
    cases.append((words("cure.after_30", months=_months(writer, OBSERVED)), found.over_30_days_after_restructuring))
    counts = words("cure.counts", episodes=f"{found.episodes:,}", restructured=f"{found.restructured:,}")
    if not any(rate.whole for _, rate in cases):
        return Section(words("cures"), f"{words('cures.about')} {counts}", (writer.nothing("", "no_cases"),))
    bars = [(label, rate.share or 0.0, writer.percent(rate)) for label, rate in cases]
    chart = ShareBars(name="cures", title=words("cures"), bars=bars, width=WIDE)
    table = writer.figures(chart, ("cure.case", "share"), [(label, writer.rate(rate)) for label, rate in cases])
    return Section(words("cures"), words("cures.about"), (Part(table, chart, counts, above=True),))


def _months(writer: Writer, count: int) -> str:
    return writer.words("cure.month") if count == 1 else writer.words("cure.months", count=count)

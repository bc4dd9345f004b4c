"""Sections of a book's page about how accounts stand: coverage, time, amount, frequency, stages and classes."""

from __future__ import annotations

from tallystick.client.analysis.figures import BookAnalysis, CurrencyAmounts, MilderThanDays, OverdueShare, Rate
from tallystick.client.analysis.overdue import STREAKS
from tallystick.client.analysis.standing import DAYS
from tallystick.client.pages.analysis_parts import Cell, Part, Section, Writer
from tallystick.client.pages.analysis_texts import Words
from tallystick.client.pages.shares import Line, ShareBars, ShareLines, ShareSquare
from tallystick.credit.codes import format_amount

MONTHS = 60
"""Newest months that are shown."""
CHARTED = 4
"""Currencies that have charts; all have their rows."""


def coverage(writer: Writer, book: BookAnalysis) -> Section:
    """How much of the book is known."""
    words, months = writer.words, book.coverage[-MONTHS:]
    if not months:
        return Section(words("coverage"), words("coverage.about"), (writer.nothing("", "no_months"),))
    places = [f"{each.month:%Y-%m}" for each in months]
    line = Line(words("known"), [each.rate.share for each in months], "accent")
    chart = ShareLines(
        name="coverage", title=words("coverage.chart"), places=places, beneath=words("month"), lines=[line], from_zero=False
    )
    rows = [
        (place, writer.rate(each.rate), f"{each.unknown:,}", f"{each.no_bill:,}", f"{each.absent:,}")
        for place, each in zip(places, months, strict=True)
    ]
    table = writer.figures(chart, ("month", "known", "unknown", "no_bill", "absent"), rows[::-1])
    return Section(words("coverage"), words("coverage.about"), (Part(table, chart, writer.stripe(book.coverage, MONTHS)),))


def time(writer: Writer, book: BookAnalysis) -> Section:
    """By calendar month and by months on book."""
    words = writer.words
    if not book.by_month:
        return Section(words("time"), words("time.about"), (writer.nothing("", "no_months"),))
    months = book.by_month[-MONTHS:]
    places = [f"{each.month:%Y-%m}" for each in months]
    lines = _lines(writer, [each.share for each in months])
    chart = ShareLines(name="month", title=words("by_month"), places=places, beneath=words("month"), lines=lines)
    rows = [(place, *_shares(writer, each.share), f"{each.became_bad:,}") for place, each in zip(places, months, strict=True)][::-1]
    columns = ("month", "live", "overdue", "over_30", "over_90", "became_bad")
    by_month = Part(writer.figures(chart, columns, rows), chart, writer.stripe(book.by_month, MONTHS), legend=chart.legend)
    ages = [
        words("ages.more", first=each.first) if each.last is None else words("ages", first=each.first, last=each.last)
        for each in book.by_age
    ]
    age_chart = ShareLines(
        name="age",
        title=words("by_age"),
        places=ages,
        beneath=words("age"),
        lines=_lines(writer, [each.share for each in book.by_age]),
    )
    age_rows = [(label, *_shares(writer, each.share)) for label, each in zip(ages, book.by_age, strict=True)]
    table = writer.figures(age_chart, ("age", "live_months", "overdue", "over_30", "over_90"), age_rows)
    return Section(words("time"), words("time.about"), (by_month, Part(table, age_chart, legend=age_chart.legend)))


def _lines(writer: Writer, shares: list[OverdueShare]) -> list[Line]:
    return [
        Line(writer.words("overdue"), [Rate(each.overdue, each.live).share for each in shares], "accent"),
        Line(writer.words("over_30"), [Rate(each.over_30_days, each.live).share for each in shares], "orange", "dashed"),
        Line(writer.words("over_90"), [Rate(each.over_90_days, each.live).share for each in shares], "red", "dashdot"),
    ]


def _shares(writer: Writer, share: OverdueShare) -> tuple[Cell, ...]:
    parts = (share.overdue, share.over_30_days, share.over_90_days)
    return (f"{share.live:,}", *(writer.part_of(part, share.live) for part in parts))


def amount(writer: Writer, book: BookAnalysis) -> Section:
    """By currency: bands, the share of the balance, and concentration."""
    words = writer.words
    overdue = [each for each in book.amounts if sum(band.accounts for band in each.bands) or each.unknown]
    overdue.sort(key=lambda each: -sum(band.accounts for band in each.bands))
    parts = [_bands(writer, each, charted=place < CHARTED) for place, each in enumerate(overdue)]
    if not overdue:
        parts.append(writer.nothing(words("bands", currency=""), "no_overdue"))
    if book.amounts:
        rows = [_holding(writer, each) for each in book.amounts]
        table = writer.table("holding", ("currency", "of_balance", "top_balance", "top_overdue"), rows, wide=True)
        parts.append(Part(table))
    return Section(words("amount"), words("amount.about"), tuple(parts))


def _bands(writer: Writer, amounts: CurrencyAmounts, *, charted: bool) -> Part:
    words, currency = writer.words, amounts.currency
    labels = []
    for band in amounts.bands:
        if band.up_to is None:
            labels.append(words("band.more", over=f"{band.over:,}"))
        elif not band.over:
            labels.append(words("band.first", up_to=f"{band.up_to:,}"))
        else:
            labels.append(words("band.between", over=f"{band.over:,}", up_to=f"{band.up_to:,}"))
    known = sum(band.accounts for band in amounts.bands)
    chart = ShareBars(
        name=f"bands-{currency.lower()}",
        title=words("bands", currency=currency),
        bars=[(label, band.accounts, f"{band.accounts:,}") for label, band in zip(labels, amounts.bands, strict=True)],
    )
    rows: list[tuple[Cell, ...]] = [
        (label, writer.rate(Rate(band.accounts, known)), format_amount(currency, band.amount))
        for label, band in zip(labels, amounts.bands, strict=True)
    ]
    rows.append((words("amount.unknown"), f"{amounts.unknown:,}", "–"))
    return Part(writer.figures(chart, ("band", "accounts", "band.amount"), rows), chart if charted else None)


def _holding(writer: Writer, amounts: CurrencyAmounts) -> tuple[Cell, ...]:
    def told(rate: Rate, accounts: Rate | None = None) -> Cell:
        of = f"{format_amount(amounts.currency, rate.part)} / {format_amount(amounts.currency, rate.whole)}"
        top = "" if accounts is None else writer.words("top_accounts", top=f"{accounts.part:,}", of=f"{accounts.whole:,}")
        return (writer.percent(rate), f"{of} ({top})" if top else of)

    held, late = amounts.balance, amounts.overdue
    return (amounts.currency, told(amounts.of_balance), told(held.amount, held.accounts), told(late.amount, late.accounts))


def frequency(writer: Writer, book: BookAnalysis) -> Section:
    """Late months and runs of them. What comes of a first payment stands here too."""
    words, found = writer.words, book.frequency
    if not sum(found.streaks):
        return Section(words("frequency"), "", (writer.nothing("", "no_months"),))
    twelve = _counted(writer, "late_months", [str(count) for count in range(13)], found.late_months)
    labels = [
        str(first) if first == last else words("ages.more", first=first) if last is None else words("ages", first=first, last=last)
        for first, last in STREAKS
    ]
    streaks = _counted(writer, "streaks", labels, found.streaks)
    about = words("late_months.about", count=f"{found.not_known:,}")
    parts = [Part(twelve.table, twelve.chart, about), Part(streaks.table, streaks.chart, words("streaks.about"))]
    return Section(words("frequency"), "", tuple(parts))


def _counted(writer: Writer, key: str, labels: list[str], counts: tuple[int, ...]) -> Part:
    total = sum(counts)
    rates = [Rate(count, total) for count in counts]
    bars = [(label, rate.part, writer.percent(rate)) for label, rate in zip(labels, rates, strict=True)]
    chart = ShareBars(name=key.replace("_", "-"), title=writer.words(key), bars=bars)
    rows = [(label, writer.rate(rate)) for label, rate in zip(labels, rates, strict=True)]
    return Part(writer.figures(chart, (f"{key}.kind", "accounts"), rows), chart)


def stages(writer: Writer, book: BookAnalysis) -> Section:
    """Stages of collection."""
    words = writer.words
    if not book.stages:
        return Section(words("stages"), words("stages.about"), (writer.nothing("", "stages.missing"),))
    total = sum(each.accounts for each in book.stages)
    labels = [words(f"stage.{each.stage.name.lower()}") for each in book.stages]
    bars = [(label, each.accounts, f"{each.accounts:,}") for label, each in zip(labels, book.stages, strict=True)]
    chart = ShareBars(name="stages", title=words("stages"), bars=bars)
    rows = [
        (
            label,
            writer.rate(Rate(each.accounts, total)),
            writer.rate(Rate(each.reached, total)),
            writer.rate(each.recovered),
            writer.rate(each.paid),
        )
        for label, each in zip(labels, book.stages, strict=True)
    ]
    columns = ("stage", "accounts", "stage.reached", "stage.recovered", "stage.paid")
    return Section(words("stages"), words("stages.about"), (Part(writer.figures(chart, columns, rows), chart),))


def five_class(writer: Writer, book: BookAnalysis) -> Section:
    """Classes against days past due."""
    words, found = writer.words, book.five_class
    if not any(sum(row.by_days) for row in found.rows):
        return Section(words("classes"), words("classes.about"), (writer.nothing("", "no_open"),))
    lower = (0, *(most + 1 for most in DAYS))
    days = [
        "0",
        *(f"{first}–{last}" for first, last in zip(lower[1:-1], DAYS[1:], strict=True)),
        f">{DAYS[-1]}",
        words("days.unknown"),
    ]
    labels = [words(f"class.{row.quality.name.lower()}") for row in found.rows]
    cells = [[Rate(count, sum(row.by_days)).share for count in row.by_days] for row in found.rows]
    chart = ShareSquare(
        name="classes", title=words("classes"), before=labels, after=days, axes=(words("class"), words("days")), cells=cells
    )
    rows = [
        (label, *(writer.part_of(count, sum(row.by_days)) if count else "·" for count in row.by_days), f"{sum(row.by_days):,}")
        for label, row in zip(labels, found.rows, strict=True)
    ]
    square = Part(writer.figures(chart, ("class",), rows, named=(*days, words("all")), square=True), chart, above=True)
    milder = [
        (
            _band(words, each, after),
            writer.rate(each.accounts),
            ", ".join(f"{row:,}" for row in each.rows) or "–",
        )
        for each, after in zip(found.milder, [*found.milder[1:], None], strict=True)
    ]
    columns = ("milder.rule", "milder.accounts", "milder.rows")
    table = writer.table("milder", columns, milder, wide=True, title=words("the_figures", title=words("milder")))
    parts = (square, Part(table, about=words("milder.about"), title=words("milder")))
    return Section(words("classes"), words("classes.about"), parts)


def _band(words: Words, this: MilderThanDays, after: MilderThanDays | None) -> str:
    """The days that a line is about: up to where the next one begins."""
    least = words(f"class.{this.at_least.name.lower()}")
    if after is None:
        return words("milder.days", days=this.more_than_days, least=least)
    return words("milder.band", first=this.more_than_days + 1, last=after.more_than_days, least=least)

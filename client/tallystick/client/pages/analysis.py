"""The page of a book: its figures, each with its words, its chart and its table, as one HTML file without script."""

from __future__ import annotations

from tallystick.client.analysis.figures import BookAnalysis, Rate
from tallystick.client.pages import analysis_paths, analysis_standing
from tallystick.client.pages.analysis_parts import Cell, Part, Section, Writer
from tallystick.client.pages.rendering import environment
from tallystick.credit.languages import Language

_TEMPLATE = "analysis.html.jinja"


def render(book: BookAnalysis, language: Language = "en") -> str:
    """The page. Raises FileInvalid without the extra, and ValueError for another language."""
    writer = Writer(language)
    values = {
        "book": book,
        "words": writer.words,
        "language": {"en": "en", "zh": "zh-CN"}[language],
        "figures_of_head": _key_figures(writer, book),
        "sections": _sections(writer, book),
        "months": _months(book),
        "limits": [f"limits.{each}" for each in ("weekday", "snapshot", "roles", "borrower", "cause")],
    }
    page: str = environment().get_template(_TEMPLATE).render(values)
    return page


def _months(book: BookAnalysis) -> str:
    return f"{book.coverage[0].month:%Y-%m} – {book.coverage[-1].month:%Y-%m}" if book.coverage else "–"


def _key_figures(writer: Writer, book: BookAnalysis) -> list[tuple[str, Cell]]:
    words, read = writer.words, book.reading
    covered = [month.rate for month in book.coverage]
    known = Rate(sum(rate.part for rate in covered), sum(rate.whole for rate in covered))
    newest = book.by_month[-1].share if book.by_month else None
    milder = sum(each.accounts.part for each in book.five_class.milder)
    return [
        (words("accounts"), f"{book.accounts:,}"),
        (words("rows"), f"{read.rows:,}"),
        (words("left_out"), f"{read.rows - read.used:,}"),
        (words("known_share"), writer.rate(known)),
        (words("overdue_now"), writer.rate(Rate(newest.overdue, newest.live)) if newest else "–"),
        (words("over_90_now"), writer.rate(Rate(newest.over_90_days, newest.live)) if newest else "–"),
        (words("cured_now"), writer.rate(book.cures.cured[1].rate)),
        (words("milder_now"), f"{milder:,}"),
    ]


def _sections(writer: Writer, book: BookAnalysis) -> list[Section]:
    return [
        _reading(writer, book),
        analysis_standing.coverage(writer, book),
        analysis_standing.time(writer, book),
        analysis_standing.amount(writer, book),
        analysis_standing.frequency(writer, book),
        analysis_paths.rolls(writer, book),
        analysis_paths.vintages(writer, book),
        analysis_paths.cures(writer, book),
        analysis_standing.stages(writer, book),
        analysis_standing.five_class(writer, book),
    ]


def _reading(writer: Writer, book: BookAnalysis) -> Section:
    words, read = writer.words, book.reading
    counts = {"rows": read.rows, "used": read.used, "faulty": read.faulty, "other_roles": read.other_roles, "later": read.later}
    if book.stood_later:
        counts["stood_later"] = book.stood_later
    rows = [(words(f"reading.{key}"), f"{count:,}") for key, count in counts.items()]
    parts = [Part(table=writer.table("reading.caption", ("rows", "count"), rows, title=words("reading.caption")))]
    if read.faults:
        counted = [(fault.column, words.fault(fault), f"{count:,}") for fault, count in read.faults]
        parts.append(Part(table=writer.table("faults.caption", ("column", "fault", "count"), counted, texts=1, wide=True)))
        named = [(f"{each.row:,}", each.column, words.fault(each.fault)) for each in read.first]
        caption = words("first.caption", count=20)
        parts.append(
            Part(table=writer.table("first.caption", ("row", "column", "fault"), named, texts=2, wide=True, title=caption))
        )
    return Section(words("reading"), "" if read.faulty else words("all_read"), tuple(parts))

"""The command that reads a bank's own book: figures and a page. It needs no profile, and nothing is sent."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal, cast

import click

from tallystick.client.analysis.book import analyse as analyse_book
from tallystick.client.analysis.engine import engine_module
from tallystick.client.analysis.figures import BookAnalysis
from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.parameters import keep_apart, read_as, standard_input
from tallystick.client.cli.process import ended_as_by_ctrl_c
from tallystick.client.exceptions import FileInvalid
from tallystick.client.files import cells
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.places import is_written_in_place
from tallystick.client.files.texts import write_text
from tallystick.client.pages.extra import check_installed
from tallystick.credit.languages import LANGUAGES, Language

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)


@click.command()
@click.argument("book", type=_FILE, callback=standard_input)
@click.option("--out", type=_NEW_FILE, help="Write the page here: one HTML file that needs nothing beside it.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Of the page.")
@click.option(
    "--as-of",
    callback=read_as(cells.day),
    help="Leave out the months after this day (UTC). [default: the day of the book's newest as_of]",
)
@click.option(
    "--amounts",
    type=click.Choice([each.value for each in Amounts]),
    help="Whether 123.45 CNY is 12345 (minor) or 123.45 (major). [default: minor, and no decimals]",
)
@click.option("--encoding", help="Of a CSV file that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@command
def analyse(
    tool: Tool,
    book: Path,
    out: Path | None,
    language: str,
    as_of: dt.date | None,
    amounts: str | None,
    encoding: str | None,
) -> int:
    """Analyse your own BOOK, a file as `tallystick report` takes it (CSV or Parquet, "-" is standard input).

    Overdue by time, amount and frequency; roll rates, vintages, cures and what came after, stages of collection, the five classes
    against days past due, and how much of it all is known. Columns that say who a borrower is are not needed, and not read. With
    --json the figures are printed instead of a page. No profile is needed, and nothing is sent anywhere.
    """
    _check_outputs(tool, out)
    keep_apart({"BOOK": book}, {"--out": out})
    engine_module()
    if out is not None:
        check_installed()  # before the work is done in vain
    said = cast('Literal["minor", "major"] | None', amounts)
    with tool.beside(out), ended_as_by_ctrl_c():
        found = analyse_book(book, as_of, amounts=said, encoding=encoding)
        _tell(tool, found)
        if not found.accounts:
            raise FileInvalid(f"{book}: not one account counts, so there is nothing to show")
        if out is None:
            output.write_json(found)
        else:
            write_text(out, found.to_html(cast(Language, language)))
    return 1 if found.reading.faulty else 0


def _check_outputs(tool: Tool, out: Path | None) -> None:
    if out is not None and tool.as_json:
        raise click.UsageError("--json prints the figures instead of a page: leave out --out, or --json")
    if out is None and not tool.as_json:
        raise click.UsageError("give --out FILE, or --json for the figures alone")
    if out is not None and not is_written_in_place(out) and out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--out: {out}: the page is HTML: give it a name that ends in .html")


def _tell(tool: Tool, found: BookAnalysis) -> None:
    read = found.reading
    for each in read.first:
        tool.remark(f"row {each.row}: {each.column}: {each.fault.description} ({each.fault.value})")
    if more := read.faulty - len({each.row for each in read.first}):
        tool.remark(f"{more:,} more rows cannot be read")
    left = ", ".join(
        f"{count:,} {what}"
        for what, count in (("cannot be read", read.faulty), ("of other roles", read.other_roles), ("after the day", read.later))
        if count
    )
    told = f"{_counted(found.accounts, 'account')} in {_counted(read.rows, 'row')} of the book, as of {found.as_of or 'no day'}"
    tool.remark(f"{told}; rows left out: {left or 'none'}")
    if found.stood_later:
        later = _counted(found.stood_later, "account")
        tool.remark(f"of {later} the as_of is of a later month: how it stood on the day is not known")


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")

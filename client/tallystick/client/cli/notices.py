"""The command of a collections desk: the notices that are due on one day, over the bank's own book. Nothing is sent."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.parameters import keep_apart, read_as, standard_input
from tallystick.client.files import cells
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.book import NOTICE_COLUMNS, NoticeWriter, read_book, row_of
from tallystick.credit.reminders import BookEntry, NoticeKind, due_notices

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)


@click.command()
@click.argument("file", type=_FILE, callback=standard_input)
@click.option("--day", callback=read_as(cells.day), required=True, help="The day of the notices, in your own calendar.")
@click.option("--out", type=_NEW_FILE, help="Write the notices here, CSV or Parquet. [default: print them]")
@click.option(
    "--amounts",
    type=click.Choice([each.value for each in Amounts]),
    help="Whether 123.45 CNY is 12345 (minor) or 123.45 (major). [default: minor, and no decimals]",
)
@click.option("--encoding", help="Of a CSV file that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@command
def notices(tool: Tool, file: Path, day: dt.date, out: Path | None, amounts: str | None, encoding: str | None) -> int:
    """List the notices that borrowers are due on a day, from your own book FILE (CSV or Parquet, "-" is standard input).

    Payments due in three days and on the day, the first day of an overdue, the notice before an overdue is first reported, the end
    of an overdue, a repayment plan that ends in seven days; and for yourself, a plan that was agreed 31 days ago and is not
    reported. Nothing of it is sent anywhere.
    """
    keep_apart({"FILE": file}, {"--out": out})
    book = OwnBook(tool, file, Amounts(amounts) if amounts else None, encoding)
    counts: Counter[NoticeKind] = Counter()
    with ExitStack() as stack:
        stack.enter_context(tool.beside(out))
        writer = stack.enter_context(NoticeWriter(out)) if out is not None else None
        for notice in due_notices(book.entries(), day):
            counts[notice.kind] += 1
            if writer is not None:
                writer.notice(notice)
            elif tool.as_json:
                output.write_json(dict(zip(NOTICE_COLUMNS, row_of(notice), strict=True)))
            else:
                shown = [str(each) for each in row_of(notice) if each not in (None, "")]
                tool.results.print(" ".join(shown), markup=False, highlight=False, soft_wrap=True)
    by_kind = ", ".join(f"{count} {kind.value}" for kind, count in sorted(counts.items()))
    tool.remark(f"{book.rows} rows of the book, {book.faulty} that cannot be read; {counts.total()} notices: {by_kind or 'none'}")
    return 1 if book.faulty else 0


class OwnBook:
    """The entries of a book, and how many of its rows there were."""

    def __init__(self, tool: Tool, file: Path, said: Amounts | None, encoding: str | None) -> None:
        self._faults = output.FirstRemarks(tool.remark, "there is more that cannot be read")
        self._read = read_book(file, said, encoding)
        self.rows = 0
        self.faulty = 0

    def entries(self) -> Iterator[BookEntry]:
        """Those that can be read; of the others it is said what is wrong."""
        for row in self._read:
            self.rows += 1
            if row.entry is not None:
                yield row.entry
                continue
            self.faulty += 1
            for each in row.rejects:
                self._faults.make(f"row {each.row}: {each.field}: {each.description} ({each.reason})")

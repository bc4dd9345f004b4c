"""How results look: JSON for programs, tables for people, progress on a terminal and plain lines elsewhere."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from enum import Enum, IntEnum
from typing import Any, TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tallystick.client.files.texts import visible
from tallystick.credit.codes import disposition_code
from tallystick.credit.enums import AccountType, AssetQuality, Channel, CollectionStage, Disposition, EventOutcome

T = TypeVar("T")

SHOWN_REMARKS = 10


class FirstRemarks:
    """The first of many remarks of a kind; of the others it is said, once, that there are more."""

    def __init__(self, remark: Callable[[str], None], more: str) -> None:
        self._remark = remark
        self._more = more
        self._made = 0

    def make(self, text: str) -> None:
        """One more."""
        if self._made < SHOWN_REMARKS:
            self._remark(text)
        elif self._made == SHOWN_REMARKS:
            self._remark(self._more)
        self._made += 1


_NARROW = 90
"""Columns below which a table that does not fit is not shown as one."""
_UNBOUNDED = 100_000

_PLAIN_INTERVAL = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def plain(value: Any) -> Any:
    """A result as JSON has it: bytes in hexadecimal, times in ISO 8601, enums by their names in lower case; but account types and
    dispositions by the trade's codes, as a file of accounts and a policy have them, and what is not known as null."""
    match value:
        case AccountType() | Disposition() | AssetQuality() | CollectionStage() | Channel() | EventOutcome() if not value:
            return None
        case AccountType():
            return value.name
        case Disposition():
            return disposition_code(value)
        case IntEnum():
            return value.name.lower()
        case Enum():
            return value.value
        case None | str() | bool() | int() | float():
            return value
        case bytes():
            return value.hex()
        case datetime() | date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _ if dataclasses.is_dataclass(value):
            shown = [each for each in dataclasses.fields(value) if each.repr]
            return {each.name: plain(getattr(value, each.name)) for each in shown}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def write_json(value: Any) -> None:
    """One line of JSON on standard output. What would steer a terminal, or turn its text round, is escaped; letters are not, unless
    standard output cannot take them."""
    text = json.dumps(plain(value), ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(plain(value))
    # Escaped as JSON escapes: with a surrogate pair beyond U+FFFF.
    sys.stdout.write("".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text) + "\n")
    sys.stdout.flush()


class Listing:
    """Rows under a title: a table, or where a narrow screen would break its words and figures, a line for each field."""

    def __init__(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
        self._title = Text(title)
        self._empty = empty
        self._columns = columns
        self._rows = [[Text(visible(str(cell))) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._rows:
            yield Text.assemble(self._title, ": ", self._empty)
            return
        table = self._table()
        if (
            options.max_width < _NARROW
            and Measurement.get(console, options.update(max_width=_UNBOUNDED), table).maximum > options.max_width
        ):
            for row in self._rows:
                yield Text.assemble(self._title, style="bold")
                yield from _lines(self._columns, row)
        else:
            yield table

    def _table(self) -> Table:
        shown = Table(title=self._title, title_justify="left", header_style="bold")
        for column in self._columns:
            shown.add_column(column, overflow="fold")
        for row in self._rows:
            shown.add_row(*row)
        return shown


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "none") -> Listing:
    """Rows to print, or that there are none; what comes from outside is shown as it is, and never as markup."""
    return Listing(title, columns, rows, empty)


def fields(values: Iterable[tuple[str, object]]) -> Group:
    """One thing's fields to print, a line each."""
    names, cells = zip(*values, strict=True)
    return Group(*_lines(names, [Text(visible(str(cell))) for cell in cells]))


def _lines(names: Sequence[str], cells: Sequence[Text]) -> list[Text]:
    # no_wrap is said here, since a print with soft_wrap would otherwise have what is too long cut, unmarked.
    return [Text.assemble(f"{name}: ", cell, overflow="fold", no_wrap=False) for name, cell in zip(names, cells, strict=True)]


def first(items: Iterable[T], limit: int) -> tuple[list[T], bool]:
    """At most `limit` items, and whether there are more."""
    found = list(itertools.islice(items, limit + 1))
    return found[:limit], len(found) > limit


class Counter:
    """Counts what is done and shows it: here not at all."""

    def __init__(self) -> None:
        self.done = 0

    def add(self, count: int = 1) -> None:
        """So many more."""
        self.done += count


@contextmanager
def progress(console: Console, what: str) -> Iterator[Counter]:
    """Shows how many items are done: a live line on a terminal, a plain line now and then elsewhere. What
    ends it early is told how far it came, in a note."""
    counter: Counter = _Lines(console, what)
    try:
        if console.is_terminal:
            columns = (
                SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
            )
            with Progress(*columns, console=console, transient=True) as shown:
                counter = _Live(shown, what)
                yield counter
        else:
            yield counter
    except BaseException as error:
        if counter.done:
            error.add_note(f"{counter.done} {what} before this")
        raise


class _Live(Counter):
    def __init__(self, shown: Progress, what: str) -> None:
        super().__init__()
        self._shown, self._what = shown, what
        self._task = shown.add_task(what)

    def add(self, count: int = 1) -> None:
        super().add(count)
        self._shown.update(self._task, description=f"{self.done:,} {self._what}")


class _Lines(Counter):
    def __init__(self, console: Console, what: str) -> None:
        super().__init__()
        self._console, self._what, self._next = console, what, time.monotonic() + _PLAIN_INTERVAL

    def add(self, count: int = 1) -> None:
        super().add(count)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PLAIN_INTERVAL
            self._console.print(f"{self.done} {self._what}", markup=False)

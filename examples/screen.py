"""What the demo shows: headings, commands and tables, coloured on a terminal and plain elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 118
"""Columns where there is no terminal to ask."""


class DemoError(Exception):
    """Something is not what the demo says that it is."""


def must(holds: bool, otherwise: str) -> None:
    """Raises DemoError unless it holds: what the screen says is checked, not claimed."""
    if not holds:
        raise DemoError(otherwise)


class Screen:
    """Where the demo writes."""

    def __init__(self) -> None:
        terminal = Console().is_terminal
        self._console = Console(width=None if terminal else PLAIN_WIDTH, highlight=False, emoji=False)
        self._steps = 0

    @property
    def width(self) -> int:
        """How many columns a line has."""
        return self._console.width

    def step(self, title: str) -> None:
        """Begins the next part of the story."""
        self._steps += 1
        self._console.print()
        self._console.print(Text(f"{self._steps}. {title}", style="bold cyan"))

    def say(self, text: str) -> None:
        """A sentence or two."""
        self._console.print(Text(text))

    def proved(self, text: str) -> None:
        """Something that was checked just now."""
        self._console.print(Text.assemble(("ok  ", "bold green"), text))

    def failed(self, text: str) -> None:
        """What went wrong."""
        self._console.print(Text.assemble(("FAILED  ", "bold red"), text))

    def command(self, line: str) -> None:
        """A command that is run."""
        self._console.print(Text(f"$ {line}", style="yellow"), soft_wrap=True)

    def output(self, text: str) -> None:
        """What a command wrote."""
        for line in text.rstrip().splitlines():
            self._console.print(Text(f"  {line}", style="dim"), soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table; columns whose name begins with ">" hold numbers."""
        plain = not self._console.is_terminal
        table = Table(
            title=Text(title, style="bold"),
            title_justify="left",
            box=box.ASCII2 if plain else box.ROUNDED,
            show_header=any(columns),
        )
        for column in columns:
            table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        self._console.print(table)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Shows that something is under way: a spinner on a terminal, one line elsewhere."""
        if self._console.is_terminal:
            with self._console.status(Text(what)):
                yield
        else:
            self.say(f"{what} …")
            yield

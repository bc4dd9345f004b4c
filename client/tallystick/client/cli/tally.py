"""What becomes of the rows of a file, each of which is accepted or rejected by itself."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool
from tallystick.client.files.accounts import Reject
from tallystick.client.files.tables import TableWriter
from tallystick.contract.violations import Violation


class Row(Protocol):
    """One row of a file: what is to be sent, or what is wrong with it."""

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """What keeps it from being sent."""
        ...

    def reject(self, violation: Violation) -> Reject:
        """A violation as it concerns the file."""
        ...


class Result(Protocol):
    """What became of one thing that was sent."""

    @property
    def accepted(self) -> bool:
        """Whether it was taken."""
        ...

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Why not."""
        ...


R = TypeVar("R", bound=Row)
T = TypeVar("T")


class Tally(Generic[R, T]):
    """Keeps the rows that are under way, and counts what becomes of them."""

    def __init__(self, tool: Tool, stack: ExitStack, rejects: Path | None, what: str, item: Callable[[R], T | None]) -> None:
        """`what` names the rows, such as "events"; `item` is what of a row is sent, None where it cannot be read."""
        self.counts = Counter[str]()
        self._tool = tool
        self._what = what
        self._item = item
        self._under_way: deque[R] = deque()
        self._rejects = output.FirstRemarks(tool.remark, "there are more; give --rejects FILE to have them all")
        self._complete = False
        columns = ("row", "field", "reason", "description")
        self._writer = stack.enter_context(TableWriter(rejects, columns, ("row",))) if rejects else None

    def sendable(self, rows: Iterable[R]) -> Iterator[T]:
        """What can be sent of the rows; the others are rejected in their turn."""
        for row in rows:
            self._under_way.append(row)
            if (item := self._item(row)) is not None:
                yield item
            else:
                self._reject_unreadable()

    def take(self, result: Result) -> None:
        """Counts what became of the next one that was sent."""
        self._reject_unreadable()
        row = self._under_way.popleft()
        self.counts["accepted" if result.accepted else "rejected"] += 1
        self._reject(map(row.reject, result.violations))

    def end(self) -> None:
        """The file was read to its end."""
        self._reject_unreadable()
        self._complete = True

    def show(self) -> None:
        """Prints what became of them: of all, or of those until the run ended early."""
        total, accepted, rejected = self.counts.total(), self.counts["accepted"], self.counts["rejected"]
        if self._tool.as_json:
            output.write_json({self._what: total, "accepted": accepted, "rejected": rejected, "complete": self._complete})
        else:
            until = "" if self._complete else "until the run ended early: "
            self._tool.results.print(f"{until}{total} {self._what}: {accepted} accepted, {rejected} rejected", highlight=False)

    def _reject_unreadable(self) -> None:
        """Those at the head of the line: rejects come in the order of the file."""
        while self._under_way and self._item(self._under_way[0]) is None:
            self.counts["rejected"] += 1
            self._reject(self._under_way.popleft().rejects)

    def _reject(self, rejects: Iterable[Reject]) -> None:
        for each in rejects:
            if self._writer is not None:
                self._writer.write((each.row, each.field, each.reason, each.description))
            else:
                self._rejects.make(f"row {each.row}: {each.field}: {each.description} ({each.reason})")

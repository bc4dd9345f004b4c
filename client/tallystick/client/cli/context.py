"""What every command of `tallystick` has at hand: the profile's exchange, and where results and remarks go."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import click
from rich.console import Console

from tallystick.client.cli.process import drop_output
from tallystick.client.exceptions import FileInvalid, Refused, TallystickError
from tallystick.client.exchange import Exchange
from tallystick.client.files.places import STANDARD_OUTPUT, descriptor_of, is_written_in_place, open_in_place
from tallystick.client.files.texts import visible
from tallystick.client.profile.profile import PROFILE_VARIABLE
from tallystick.client.protocol.receipts import MAX_RECEIPT_BYTES, KeptReceipt

P = ParamSpec("P")
R = TypeVar("R")


_LONGEST_LINE = 2 * MAX_RECEIPT_BYTES
"""Bytes of a line of a receipts file."""
_BEGINNING = b'{"origin": "'
"""Of each of its lines."""

_PIPE_WIDTH = 100_000
"""Columns of an output that is no terminal: what is saved must be whole, so nothing is folded there."""


class _Screen(Console):
    """A console whose texts steer no terminal, whoever wrote them, and which leaves a closed output to its caller; rich's own would
    exit with 1."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints; of texts what can be seen, and their ends of lines."""
        super().print(*(_lines(each) if isinstance(each, str) else each for each in objects), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def _console(*, stderr: bool) -> Console:
    """A console; where there is no terminal, a line is as long as what it says."""
    console = _Screen(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


@dataclass
class Tool:
    """The command's surroundings; tests put an exchange of their own into `open_exchange`."""

    open_exchange: Callable[[Path | None], Exchange] = Exchange.from_profile
    profile: Path | None = None
    as_json: bool = False
    results: Console = field(default_factory=lambda: _console(stderr=False))
    """Standard output: what was asked for."""
    remarks: Console = field(default_factory=lambda: _console(stderr=True))
    """Standard error: progress, and what else a person should know."""

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """The exchange of the profile. Who presses Ctrl-C does not wait until what is under way has come to its end."""
        exchange = self.open_exchange(self.profile)
        try:
            yield exchange
        except KeyboardInterrupt:
            raise
        except BaseException:
            exchange.close()
            raise
        exchange.close()

    @contextmanager
    def beside(self, *outputs: Path | None) -> Iterator[None]:
        """Where standard output is one of the files that a command writes, whatever else goes there goes to standard error."""
        if any(path is not None and descriptor_of(path) == STANDARD_OUTPUT for path in outputs):
            with redirect_stdout(sys.stderr):
                yield
        else:
            yield

    def conclude(self, show: Callable[[], None]) -> None:
        """Shows what became of a command that has had its effect. Where standard output does not take it, standard error does: the
        exit code is that of what happened."""
        try:
            show()
        except OSError as error:
            drop_output()
            self.remark(f"standard output: {error.strerror or error}; what should be there is this:")
            with redirect_stdout(sys.stderr):
                show()

    @contextmanager
    def concluding(self, show: Callable[[], None], anything: Callable[[], bool]) -> Iterator[None]:
        """Shows at the end what became of a run, also of one that ended early for a reason that is known after it did anything."""
        try:
            yield
        except (TallystickError, Interrupted) as error:
            if anything() or isinstance(error, Interrupted):
                self.conclude(show)
            raise
        self.conclude(show)

    def end_list(self, *, more: bool) -> None:
        """Says of a list that was cut that it was: beneath the list, so that a saved one says it too; apart from JSON's objects."""
        if not more:
            return
        text = "there are more: raise --limit"
        if self.as_json:
            self.remark(text)
        else:
            self.results.print(text, markup=False, soft_wrap=True)

    def remark(self, text: str) -> None:
        """One line on standard error."""
        self.remarks.print(text, markup=False, soft_wrap=True)


def command(function: Callable[Concatenate[Tool, P], R]) -> Callable[P, R]:
    """Gives a command its Tool, and the options that every command has."""

    @click.option(
        "--profile",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"The member's profile folder. [default: ${PROFILE_VARIABLE}]",
    )
    @click.option("--json", "as_json", is_flag=True, help="Write results as JSON, one object a line (JSON Lines).")
    @click.pass_context
    @functools.wraps(function)
    def wrapped(context: click.Context, /, *args: P.args, **options: P.kwargs) -> R:
        tool = context.ensure_object(Tool)
        values: dict[str, Any] = dict(options)
        tool.profile = values.pop("profile", None) or tool.profile
        tool.as_json = bool(values.pop("as_json", False)) or tool.as_json
        with _past_click():
            return function(tool, *args, **values)

    return wrapped


class Interrupted(Exception):  # noqa: N818 - no error: somebody pressed Ctrl-C
    """KeyboardInterrupt, as click lets it pass: click would write a line of its own."""


class OutputClosed(Exception):  # noqa: N818 - no error: the reader of the output has seen enough
    """BrokenPipeError, as click lets it pass: click would exit with 1, which here means that something was rejected."""


@contextmanager
def _past_click() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, click.Abort) as interrupt:
        raise _with_notes(Interrupted("interrupted"), interrupt) from None
    except BrokenPipeError as closed:
        raise _with_notes(OutputClosed("the output was closed"), closed) from None


def _with_notes(error: Exception, original: BaseException) -> Exception:
    for note in getattr(original, "__notes__", ()):
        error.add_note(note)
    return error


class ReceiptFile:
    """Keeps receipts as they come, each once, one JSON line each; without a path it keeps none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._in_place = path is not None and is_written_in_place(path)
        self._last: KeptReceipt | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            with self._naming_file():
                if self._in_place:
                    self._descriptor = open_in_place(self._path)
                else:
                    self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
                    self._end_line()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Refused):
            self.keep(error.receipt)
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with self._naming_file():
                try:
                    if not self._in_place:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def keep(self, receipt: KeptReceipt | None) -> None:
        """Adds a receipt. The results of one batch share theirs, and come one after the other."""
        if self._descriptor is not None and receipt is not None and receipt != self._last:
            with self._naming_file():
                # At once: what a run counts as done has its receipt, whatever ends the run.
                self._write(self._descriptor, receipt.to_json().encode("ascii") + b"\n")
            self._last = receipt

    def _write(self, descriptor: int, line: bytes) -> None:
        """The whole line or, where there is no room for it, nothing."""
        before = 0 if self._in_place else os.fstat(descriptor).st_size
        try:
            while line:
                line = line[os.write(descriptor, line) :]
        except OSError:
            if not self._in_place:
                os.ftruncate(descriptor, before)
            raise

    def _end_line(self) -> None:
        """Ends the last line; one that a kill tore is no receipt, and goes: its request will be sent again."""
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        tail = os.pread(self._descriptor, _LONGEST_LINE, max(0, size - _LONGEST_LINE)).rpartition(b"\n")[2]
        if not tail:
            return
        try:
            KeptReceipt.from_json(tail.decode("ascii"))
        except (FileInvalid, UnicodeDecodeError):
            if not tail.startswith(_BEGINNING[: len(tail)]):
                raise FileInvalid(f"{self._path}: this is not a receipts file, and nothing was added to it") from None
            os.ftruncate(self._descriptor, size - len(tail))
        else:
            os.write(self._descriptor, b"\n")

    @contextmanager
    def _naming_file(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise FileInvalid(f"{self._path}: cannot be written: {error.strerror}") from None


def read_receipts(path: Path) -> Iterable[KeptReceipt]:
    """The receipts of a receipts file. Raises FileInvalid, which names the line."""
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield KeptReceipt.from_json(line)
                except FileInvalid as error:
                    raise FileInvalid(f"{path}: line {number}: {error}") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileInvalid(f"{path}: this is not a receipts file") from None

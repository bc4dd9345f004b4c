"""Runs over a file: how far one has come is kept as it comes, so that whatever ends it, another goes on from there.

A run has an identifier, and its batches request_ids that follow from it. Progress is written after what a batch brought (receipts,
rows) is written. Crash before that, and the batch is sent again under its request_id: the exchange answers as it did, and has the
effect once.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from tallystick.client.cli.context import Interrupted, Tool
from tallystick.client.cli.process import Interruptions
from tallystick.client.exceptions import FileInvalid, NotUsable, Refused

T = TypeVar("T")

Said = Mapping[str, object]
"""What a run was told, by the option, as the command line spells it: None for one that was not given."""


@dataclass
class Progress:
    """How far a run has come: what of its file is done, and what came of it."""

    run: str
    content: str
    """SHA-256 of the file."""
    said: dict[str, str]
    """The options that were given."""
    batches: int = 0
    items: int = 0
    """Accounts or applicants of the file that are done."""
    counts: Counter[str] = field(default_factory=Counter)
    warned: int = 0
    """Accounts that were taken with a warning."""
    submissions: list[str] = field(default_factory=list)
    output_bytes: int = 0
    """Length of the output until then."""


class Run:
    """One run over a file, new or gone on with; use it in a `with` statement.

    Ctrl-C stops the input: what is under way is collected. The second one stops at once. So does what is wrong with the input:
    `finish` says it when everything before it is counted.
    """

    def __init__(self, tool: Tool, folder: Path, command: str, file: Path, said: Said, *, resume: bool) -> None:
        """Raises FileInvalid when there is nothing to go on with, or when this is not how the earlier run was begun."""
        self._tool = tool
        self._place = folder / "runs" / f"{_name(command, file)}.json" if file.is_file() else None
        if resume and self._place is None:
            raise FileInvalid(f"{file}: is no file, so nobody knows where it was read to; leave --resume out")
        kept = _read(self._place)
        new = Progress(str(uuid.uuid4()), _content(file), {name: _spelled(value) for name, value in said.items() if value})
        if resume:
            _check_same(file, kept, new)
        elif kept is not None and kept.items:
            tool.remark(f"an earlier run of this file ended after {kept.items}: --resume goes on from there; this one begins anew")
        self.progress = kept if kept is not None and resume else new
        self.resumed = resume
        self._stopped = 0
        self._begun = False
        """Whether anything may have been sent."""
        self.complete = False
        """Whether the input came to its end, so that everything in it was done."""
        self._problem: FileInvalid | None = None
        self._before: Any = None

    @property
    def run(self) -> uuid.UUID:
        """Its identifier."""
        return uuid.UUID(self.progress.run)

    def __enter__(self) -> Self:
        # Before anything is sent: what the first batch brought is not to be sent again under another request_id.
        self._keep()
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            if self._stopped and isinstance(self._before, Interruptions):
                self._before.begun()
            signal.signal(signal.SIGINT, self._before)
        if error is None:
            if self._place is not None:
                self._place.unlink(missing_ok=True)
        elif self._place is not None and (self.progress.items or (self._begun and not isinstance(error, Refused | NotUsable))):
            error.add_note("go on with the same command and --resume")

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopped += 1
        if self._stopped > 1:
            # A third one must not tear up what the second one does.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            raise KeyboardInterrupt
        self._tool.remark("stopping: what is under way is collected; Ctrl-C again stops at once")

    def input(self, items: Iterable[T]) -> Iterator[T]:
        """Items of the file, those that are done left out; none any more once the run is to end."""
        iterator = iter(items)
        done = self.progress.items
        while not self._stopped:
            try:
                item = next(iterator)
            except StopIteration:
                self.complete = True
                return
            except FileInvalid as problem:
                self._problem = problem
                return
            if done:
                done -= 1
            else:
                self._begun = True
                yield item

    def batch_done(self, items: int, output_bytes: int = 0) -> None:
        """Keeps that one batch more is done, with so many items of the file; what it brought is written already."""
        self.progress.batches += 1
        self.progress.items += items
        self.progress.output_bytes = output_bytes
        self._keep()

    @property
    def resume_at(self) -> int | None:
        """Where its output is gone on with; None where that begins anew."""
        return self.progress.output_bytes or None if self.resumed else None

    def _keep(self) -> None:
        if self._place is None:
            return
        try:
            self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            written = self._place.with_suffix(".new")
            written.write_text(json.dumps(vars(self.progress)), "ascii")
            written.replace(self._place)
        except OSError as error:
            raise FileInvalid(f"{self._place}: how far the run has come cannot be written: {error.strerror}") from None

    def finish(self) -> None:
        """Raises what ended the run early, if anything did: Interrupted, or FileInvalid."""
        if self._problem is not None:
            raise self._problem
        if not self.complete:
            raise Interrupted("interrupted")


def _name(command: str, file: Path) -> str:
    """Of the run of one command over the file at this path: the next one takes its place."""
    return hashlib.sha256(json.dumps((command, os.path.realpath(file))).encode()).hexdigest()[:32]


def _spelled(value: object) -> str:
    """An option's value: a file's with its folder, so that it is the same from wherever it is named."""
    return os.path.realpath(value) if isinstance(value, Path) else str(value)


def _content(file: Path) -> str:
    """What tells a file from what it was before; its time alone does not."""
    if not file.is_file():
        return ""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise FileInvalid(f"{file}: cannot be read: {error.strerror}") from None


def _check_same(file: Path, kept: Progress | None, new: Progress) -> None:
    """Raises FileInvalid unless the new run is the kept one gone on with."""
    if kept is None:
        raise FileInvalid(f"{file}: no run of the file at this path ended early; leave --resume out")
    differing = [
        f"{name} {kept.said[name]}".removesuffix(" True") if name in kept.said else f"no {name}"
        for name in dict.fromkeys([*kept.said, *new.said])
        if kept.said.get(name) != new.said.get(name)
    ]
    if differing:
        raise FileInvalid(f"{file}: the run that ended early was with {', '.join(differing)}: give the same, or leave --resume out")
    if kept.content != new.content:
        raise FileInvalid(
            f"{file}: it is not what it was when the run began that ended early after {kept.items}: put that file back, or leave"
            " --resume out to begin anew"
        )


def _read(place: Path | None) -> Progress | None:
    if place is None:
        return None
    try:
        kept = Progress(**json.loads(place.read_text("ascii")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        raise FileInvalid(f"{place}: how far the last run came cannot be read: remove it, and begin anew") from None
    kept.counts = Counter(kept.counts)
    return kept

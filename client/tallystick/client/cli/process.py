"""What the command finds round it: standard streams that may be missing, full, or of another alphabet, and Ctrl-C.

Prepared before the program is imported, so this needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130


class Nowhere(io.TextIOBase):
    """A standard stream that was closed before the program began: `tallystick … >&-`."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = False
        """Whether anything was to be written there."""

    encoding = "utf-8"

    def readable(self) -> bool:
        """Nothing but the end is there to be read."""
        return True

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # of bytes, says the base
        """The end."""
        return ""

    def writable(self) -> bool:
        """Whatever is written is lost."""
        return True

    def write(self, text: str, /) -> int:
        """Loses the text, and notes that there was one."""
        self.wanted = True
        return len(text)


class Remarks(io.TextIOWrapper):
    """Standard error: what cannot be written there is nobody's failure, for there is nowhere to say so."""

    def write(self, text: str, /) -> int:
        """Writes what can be written."""
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Hands on what can be handed on."""
        with contextlib.suppress(OSError):
            super().flush()


def prepare() -> None:
    """Readies standard streams and Ctrl-C."""
    signal.signal(signal.SIGINT, Interruptions())
    sys.unraisablehook = _unraisable
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Or the next file that is opened would be standard output. The lowest free number is this one.
            os.open(os.devnull, os.O_RDWR)
    # None is what Python makes of a stream that is closed.
    sys.stdin = sys.stdin or Nowhere()
    sys.stdout = sys.stdout or Nowhere()
    sys.stderr = sys.stderr or Nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name in Chinese must not end what has been done, on a terminal that knows no Chinese.
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr = Remarks(sys.stderr.detach(), encoding, "backslashreplace", line_buffering=True)


class Interruptions:
    """Ctrl-C: the first one is KeyboardInterrupt; one more, while what was under way is given up, ends the process as it is."""

    def __init__(self) -> None:
        self._count = 0
        self._importing = True

    def begun(self) -> None:
        """Somebody else has told the first one."""
        self._count = max(1, self._count)

    @property
    def told(self) -> bool:
        """Whether there was one."""
        return self._count > 0

    def imported(self) -> None:
        """The program is there: from now on somebody handles KeyboardInterrupt."""
        self._importing = False

    def __call__(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._count += 1
        # An exception in the middle of an import may be taken for the import's own.
        if self._importing or self._count > 1:
            leave()
        raise KeyboardInterrupt


@contextlib.contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Whoever stops the process, or closes its terminal, ends it as Ctrl-C does: what lies in a folder of its own is removed."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What is ignored stays so, as under nohup. Python delivers signals to its first thread, which alone may handle them.
    first = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in numbers if first and signal.getsignal(each) == signal.SIG_DFL}
    for each in before:
        signal.signal(each, signal.getsignal(signal.SIGINT))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def leave() -> NoReturn:
    """Ends an interrupted process at once, whatever its threads do: they have nobody to tell. What is said is said in one write."""
    with contextlib.suppress(OSError):
        os.write(2, b"\n" * os.isatty(2) + b"tallystick: interrupted\n")
    os._exit(INTERRUPTED)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Ctrl-C where Python cannot raise: in a destructor, or a callback of a library."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        leave()
    sys.__unraisablehook__(unraisable)


def imported() -> None:
    """See Interruptions."""
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, Interruptions):
        handler.imported()


def was_interrupted() -> bool:
    """Whether Ctrl-C was pressed. What fails after it may be its doing: an import in its middle makes another error of it."""
    handler = signal.getsignal(signal.SIGINT)
    return isinstance(handler, Interruptions) and handler.told


def end(code: int) -> NoReturn:
    """Ends the process with a code. One that was interrupted does not wait for its threads."""
    # What is done is done: a Ctrl-C now would only show how Python comes to its end.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if code == INTERRUPTED and threading.current_thread() is threading.main_thread():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def drop_output() -> None:
    """Python would write the rest of standard output at exit, fail again, and say so."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: a standard output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

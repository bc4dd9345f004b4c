"""Where an output goes: a file, or what is no file to be replaced: a pipe, a device, a descriptor that the shell has opened."""

from __future__ import annotations

import os
import re
from pathlib import Path

STANDARD_OUTPUT = 1

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,4})", re.ASCII)
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": STANDARD_OUTPUT, "/dev/stderr": 2}


def descriptor_of(path: Path) -> int | None:
    """The descriptor that a path names, as /dev/stdout and the shell's >(…) do; None for any other path.

    By its name, since behind it may be a file: that file is the shell's, which writes to it too, or goes on after it."""
    text = str(path)
    if text in _STANDARD:
        return _STANDARD[text]
    match = _DESCRIPTOR.fullmatch(text)
    return int(match[1]) if match else None


def is_written_in_place(path: Path) -> bool:
    """Whether what is written there goes straight to its reader, so that nothing of it can be replaced, kept or gone on with."""
    return descriptor_of(path) is not None or (path.exists() and not path.is_file())


def open_in_place(path: Path, flags: int = os.O_WRONLY) -> int:
    """A descriptor of one's own for what is written in place. Raises OSError."""
    number = descriptor_of(path)
    return os.dup(number) if number is not None else os.open(path, flags)

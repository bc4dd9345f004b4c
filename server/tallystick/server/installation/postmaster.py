"""Whose process a postmaster.pid names: after a power cut it may be anybody's.

The file outlives its postmaster, and the system gives numbers of processes again. Who believes such a number waits for a stranger's
process, or ends it.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

_NAMES = frozenset({"postgres", "postmaster"})


def is_postmaster_of(pid: int, folder: Path) -> bool:
    """Whether a process is the PostgreSQL server of this data folder: it has that name, and works in the folder."""
    try:
        process = psutil.Process(pid)
        return process.name() in _NAMES and _works_in(process, folder)
    except psutil.NoSuchProcess:
        return False


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return os.path.realpath(process.cwd()) == os.path.realpath(folder)
    except psutil.AccessDenied:
        # Another user's: its command line can be seen all the same.
        return str(folder) in process.cmdline()


def forget_stranger(folder: Path) -> None:
    """Removes a postmaster.pid that does not name this folder's postmaster: PostgreSQL itself would take a stranger for one that
    runs, and not start. Called under the lock under which servers are started."""
    file = folder / "postmaster.pid"
    try:
        line = file.read_text("utf-8").partition("\n")[0].strip()
    except FileNotFoundError:
        return
    # A file that was cut off by a crash names nobody: then it is looked for.
    pids = [int(line)] if line.isdecimal() else [process.pid for process in psutil.process_iter()]
    if not any(is_postmaster_of(pid, folder) for pid in pids):
        file.unlink(missing_ok=True)

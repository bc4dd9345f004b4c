"""Killing PostgreSQL, and having it back."""

from __future__ import annotations

import subprocess
import sys
import time

import psycopg2
from tests.load import system
from tests.load.conftest import Load
from tests.load.ledger_checks import Database

_START = """
import pathlib, sys
from tallystick.server.installation.embedded import embedded_postgresql
with embedded_postgresql(pathlib.Path(sys.argv[1])):
    pass
"""


def kill_and_start_again(load: Load) -> None:
    """Kills PostgreSQL, and has it back."""
    system.kill_postgresql(load.data)
    time.sleep(0.5)
    # In a process of its own: this one has gRPC's threads, and must not fork. Who enters finds PostgreSQL down and starts it; it
    # stays up on leaving, for the fixture still holds it.
    subprocess.run([sys.executable, "-c", _START, str(load.data)], check=True)
    _wait_for(load.url)


def _wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            Database(url).close()
        except psycopg2.OperationalError:
            assert time.monotonic() < until, "PostgreSQL does not come back"
            time.sleep(0.1)
        else:
            return

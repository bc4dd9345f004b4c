"""An operator's hand in the database: one byte of one log entry, changed behind the exchange's back and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class under a lower-case name

from examples.screen import must
from tallystick.server.installation.database import database_url
from tallystick.server.installation.settings import Settings


@contextmanager
def exchange_database(configuration: Path) -> Iterator[Connection]:
    """A connection to the exchange's own database, past the exchange."""
    with database_url(Settings.load(configuration)) as url:
        connection = psycopg2.connect(url)
        try:
            connection.autocommit = True
            yield connection
        finally:
            connection.close()


@contextmanager
def replaced(database: Connection, index: int, old: bytes, new: bytes) -> Iterator[int]:
    """For the time of the block, entry `index` says `new` where it says `old`; yields where the changed byte stands.

    Raises DemoError unless just one byte of the entry changes, and the entry is afterwards what it was before.
    """
    leaf = _leaf(database, index)
    forged = leaf.replace(old, new)
    changed = [place for place, (was, now) in enumerate(zip(leaf, forged, strict=True)) if was != now]
    must(len(changed) == 1, f"{len(changed)} bytes of entry {index} would change, not one")
    _write(database, index, forged)
    try:
        yield changed[0]
    finally:
        _write(database, index, leaf)
    must(_leaf(database, index) == leaf, f"entry {index} was not restored")


def _leaf(database: Connection, index: int) -> bytes:
    with database.cursor() as cursor:
        cursor.execute("SELECT leaf FROM audit_entry WHERE index = %s", (index,))
        row = cursor.fetchone()
    must(row is not None, f"there is no entry {index}")
    return bytes(row[0]) if row is not None else b""


def _write(database: Connection, index: int, leaf: bytes) -> None:
    with database.cursor() as cursor:
        cursor.execute("UPDATE audit_entry SET leaf = %s WHERE index = %s", (leaf, index))
        must(cursor.rowcount == 1, f"entry {index} was not written")

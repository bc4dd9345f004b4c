"""Where the database is: its URL, with the embedded PostgreSQL running behind it when that is what is configured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg2
from psycopg2 import extensions

from tallystick.server.errors import Problem
from tallystick.server.installation.embedded import embedded_postgresql, is_initialised
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings, mask_password

CONNECT_TIMEOUT = 10
"""Seconds."""


class DatabaseProblem(Problem):
    """The database is not reached or is not as it must be."""


@contextmanager
def database_url(settings: Settings, *, create: bool = False) -> Iterator[str]:
    """Yields a "postgresql://" URL, which libpq takes; an embedded database runs for the time of the block.

    An embedded one that does not exist is made only with `create`: a wrong path must not look like a new server.
    Raises Problem when it does not start, or leaves the key folder open to others.
    """
    folder = settings.embedded_folder
    if folder is None:
        yield settings.database
        return
    if folder.resolve().is_relative_to(settings.key_folder.resolve()):
        raise DatabaseProblem(f"database: {folder} lies in the key folder, which the database would open: move it")
    if not create and not is_initialised(folder):
        found = "holds no database" if folder.exists() else "does not exist"
        raise DatabaseProblem(f"database: {folder} {found}: correct database (only for a new server: tallystickd migrate makes it)")
    with embedded_postgresql(folder) as url:
        # Started as root, the embedded PostgreSQL opens the folders above its data; the keys must still be closed.
        if settings.key_folder.exists():
            KeyFolder(settings.key_folder).check_modes()
        yield url


@contextmanager
def connect(url: str) -> Iterator[extensions.connection]:
    """A connection in autocommit mode for the operator's commands; raises DatabaseProblem when none is to be had."""
    try:
        connection = psycopg2.connect(
            url, connect_timeout=CONNECT_TIMEOUT, application_name="tallystickd", options="-c timezone=UTC"
        )
    except psycopg2.Error as error:
        raise DatabaseProblem(f"database {mask_password(url)} is not reached: {first_line(error)}") from None
    try:
        connection.autocommit = True
        yield connection
    finally:
        connection.close()


def clock(connection: extensions.connection) -> datetime:
    """The database's clock, by which all freshness is judged."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise DatabaseProblem("database: its clock cannot be read")
    return row[0].astimezone(UTC)


def first_line(error: Exception) -> str:
    """The first line of an error's text: libpq's go over several."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

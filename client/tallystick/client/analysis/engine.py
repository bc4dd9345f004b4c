"""DuckDB, as far as a book needs it: in a folder of its own, bounded in memory, and without any way to the network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tallystick.client.exceptions import FileInvalid

MEMORY = "512MB"
"""What the engine takes before it writes to its folder. Beside it the process has Python, matplotlib and buffers."""
_THREADS = 4
"""At the most: each has buffers of its own."""
_PART = 8_192
_MISSING = 'the analysis of a book needs an extra: pip install "tallystick[analysis]"'

Row: TypeAlias = tuple[Any, ...]


def engine_module() -> Any:
    """duckdb, which the plain install does without."""
    try:
        import duckdb
    except ImportError:
        raise FileInvalid(_MISSING) from None
    return duckdb


class Engine:
    """A database that lives as long as one analysis."""

    def __init__(self, connection: Any, folder: Path) -> None:
        self._connection = connection
        self.folder = folder
        """Readable by nobody else, and removed at the end."""

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        """A statement whose rows nobody needs."""
        self._connection.execute(statement, list(values))

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query: figures, and never the book's own rows."""
        found: list[Row] = self._connection.execute(query, list(values)).fetchall()
        return found

    def row(self, query: str, values: Sequence[object] = ()) -> Row:
        """The one row of a query."""
        (found,) = self.rows(query, values)
        return found

    def parts(self, query: str) -> Iterator[list[Row]]:
        """The rows of a query, some thousands at once; other statements may run between."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(_PART):
                yield rows


@contextmanager
def open_engine(*sources: Path) -> Iterator[Engine]:
    """An engine that can read these files, and its own folder, and nothing else. Raises FileInvalid without the extra, and where
    memory or disk are not enough."""
    duckdb = engine_module()
    with tempfile.TemporaryDirectory(prefix="tallystick-") as name, _naming_shortage(duckdb):
        folder = Path(name)
        settings = {
            "memory_limit": MEMORY,
            "threads": min(_THREADS, os.cpu_count() or 1),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
        }
        with duckdb.connect(folder / "book.duckdb", config=settings) as connection:
            connection.execute(f"SET temp_directory = {quoted(folder / 'spilled')}")
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"SET allowed_directories = [{quoted(folder)}]")
            connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, sources))}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield Engine(connection, folder)


@contextmanager
def _naming_shortage(duckdb: Any) -> Iterator[None]:
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException):
        # What it says may name the rows at which it stopped.
        place = tempfile.gettempdir()
        raise FileInvalid(
            f"the book cannot be counted: memory or the disk of {place} is not enough; free some, or name another folder in TMPDIR"
        ) from None


def quoted(text: object) -> str:
    """A literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def named(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'

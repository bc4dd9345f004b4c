"""DuckDB, as far as a book needs it: in a folder of its own, bounded in memory, and without any way to the network."""

from __future__ import annotations

import errno
import os
import re
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
SHORTAGE = re.compile("No space left|out of memory", re.IGNORECASE)
"""In what the engine says."""
_PATTERN = re.compile(r"[*?\[\]{}]")
_UNREAD = "the book cannot be counted ({}): write it anew, as CSV in UTF-8 or as Parquet"
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
            connection.execute(f"SET allowed_paths = [{', '.join(quoted(each) for each in sources if can_open(each))}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield Engine(connection, folder)


@contextmanager
def _naming_shortage(duckdb: Any) -> Iterator[None]:
    # What they say may name the rows at which it stopped.
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException):
        raise _shortage() from None
    except duckdb.Error as error:
        # A full disk ends a transaction, too. What else there is may be a fault of these statements, and no book's.
        if SHORTAGE.search(str(error)):
            raise _shortage() from None
        if isinstance(error, duckdb.DataError | duckdb.InvalidInputException):
            raise FileInvalid(_UNREAD.format(type(error).__name__)) from None
        raise
    except OSError as error:
        # Of the copy that is made of a book; the book itself is named where it is read.
        if error.errno == errno.ENOSPC and error.filename is None:
            raise _shortage() from None
        raise


def _shortage() -> FileInvalid:
    place = tempfile.gettempdir()
    return FileInvalid(
        f"the book cannot be counted: memory or the disk of {place} is not enough; free some, or name another folder in TMPDIR"
    )


def can_open(path: Path) -> bool:
    """Whether the engine takes the path for what it is: in UTF-8, and no pattern."""
    text = str(path)
    return _PATTERN.search(text) is None and text.encode("utf-8", "replace").decode() == text


def quoted(text: object) -> str:
    """A literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def named(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'

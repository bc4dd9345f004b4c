"""Rows of a table in the order of the entries, read through a cursor of the server's as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from psycopg2 import extensions

Row = tuple[Any, ...]
_names = count()


class Rows:
    """The rows of a query, ordered by its key, by which they are taken: its first column, or the first `key` columns as one."""

    def __init__(
        self, connection: extensions.connection, statement: str, *parameters: object, ahead: int = 2000, key: int = 1
    ) -> None:
        """`ahead` rows are fetched at a time."""
        cursor = connection.cursor(name=f"examined_{next(_names)}")
        cursor.itersize = ahead
        cursor.execute(statement, parameters)
        rows: Iterator[Row] = map(plain, cursor)
        self._rows = rows if key == 1 else ((row[:key], *row[key:]) for row in rows)
        self._next = next(self._rows, None)

    def take(self, key: object) -> list[Row]:
        """The rows of a key."""
        taken = []
        while self._next is not None and self._next[0] == key:
            taken.append(self._next)
            self._next = next(self._rows, None)
        return taken

    def before(self, key: Any) -> Iterator[Row]:
        """The rows of all keys below one."""
        while self._next is not None and self._next[0] < key:
            yield self._next
            self._next = next(self._rows, None)

    def rest(self) -> Iterator[Row]:
        """The rows that are left."""
        while self._next is not None:
            yield self._next
            self._next = next(self._rows, None)


def plain(row: Row) -> Row:
    """A row with binary values as bytes."""
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)

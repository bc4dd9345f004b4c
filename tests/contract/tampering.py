"""Every change that SQL can make to one row: made from the tables' own metadata, and undone afterwards."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg2
from psycopg2 import sql
from sqlalchemy import Dialect, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

from tallystick.crypto import leaf_hash
from tallystick.server.storage.partitions import create_evidence_partitions
from tallystick.server.storage.tables import metadata
from tallystick.v1.log_pb2 import AuditEntry

DELETED, ADDED, EXCHANGED = "a row deleted", "a row added", "two rows exchanged"
"""Changes of whole rows; every other one is called by its column."""
EMPTIED, FILLED = "{} emptied", "{} filled"

Row = dict[str, Any]

_HALF_ERASED: dict[str, Callable[[Row], bool]] = {
    "request": lambda row: row["digest"] == b"" or row["method"].endswith("/EraseSubject")
}
"""Rows of requests that were erased, or whose evidence never held them: docs/security.md says what of them nobody can tell."""
_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy leaves it so


@dataclass(frozen=True)
class Tampering:
    """One kind of change."""

    table: str
    change: str

    def __str__(self) -> str:
        return f"{self.table}: {self.change}"


def tamperings() -> Iterator[Tampering]:
    """Every kind of change, of every table and column that there is."""
    for table in metadata.sorted_tables:
        for change in (DELETED, ADDED):
            yield Tampering(table.name, change)
        if len(table.columns) > len(table.primary_key.columns) and not is_single(table):
            yield Tampering(table.name, EXCHANGED)
        for column in table.columns:
            yield Tampering(table.name, column.name)
            if column.nullable:
                yield Tampering(table.name, EMPTIED.format(column.name))
                yield Tampering(table.name, FILLED.format(column.name))


class Unchangeable(Exception):  # noqa: N818 - not a fault
    """The table's own constraints do not allow the change."""


class Database:
    """A database as somebody sees it who may write to it, past foreign keys and generated values."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self._run(sql.SQL("SET session_replication_role = replica"))

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    @contextmanager
    def tampered(self, tampering: Tampering) -> Iterator[Row]:
        """The database with the change made, for a while; yields the row that was changed. Raises Unchangeable."""
        table = metadata.tables[tampering.table]
        before, after = self._changed(table, tampering.change)
        try:
            self._replace(table, before, after)
        except (psycopg2.errors.CheckViolation, psycopg2.errors.NotNullViolation) as error:
            raise Unchangeable(str(error)) from None
        try:
            yield (before or after)[0]
        finally:
            if is_single(table) and before and after:
                # Beside us the head goes on with the log: only what was changed is changed back.
                self._run(_change(table, after[0], before[0]))
            else:
                # Beside us a worker counts on: what it has put there meanwhile is as good.
                self._replace(table, after, before, unless_there=True)

    @contextmanager
    def rewritten(self, index: int) -> Iterator[datetime]:
        """An entry a microsecond later, in its leaf, leaf_hash and columns alike, for a while; yields that time."""
        table = metadata.tables["audit_entry"]
        (row,) = (row for row in self._rows(table) if row["index"] == index)
        leaf = AuditEntry.FromString(row["leaf"])
        later = row["create_time"] + timedelta(microseconds=1)
        leaf.create_time.FromDatetime(later)
        content = leaf.SerializeToString(deterministic=True)
        after = {**row, "leaf": content, "leaf_hash": leaf_hash(content), "create_time": later}
        self._replace(table, [row], [after])
        try:
            yield later
        finally:
            self._replace(table, [after], [row])

    def _changed(self, table: Table, change: str) -> tuple[list[Row], list[Row]]:
        """The rows to be taken away, and those to be put in their place."""
        rows = self._rows(table)
        assert rows, f"{table.name} is empty: put a row of every kind into it"
        middle = rows[(len(rows) - 1) // 2]
        if change == DELETED:
            return [middle], []
        if change == ADDED:
            return [], [self._copy(table, middle, rows)]
        if change == EXCHANGED:
            return self._exchanged(table, middle, rows)
        name, _, how = change.partition(" ")
        filled = [row for row in rows if row[name] is not None]
        empty = [row for row in rows if row[name] is None]
        if how == "filled":
            assert empty, f"{table.name} has no row without {name}"
            assert filled, f"{table.name} has no row with {name}"
            return [empty[0]], [{**empty[0], name: filled[0][name]}]
        row = middle if middle in filled else filled[0]
        value = None if how == "emptied" else self._other(table, row, name, rows)
        return [row], [{**row, name: value}]

    def _exchanged(self, table: Table, row: Row, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        keys = _keys(table)
        values = [name for name in row if name not in keys]
        for other in rows:
            if other is not row and any(other[name] != row[name] for name in values):
                swapped = [{**one, **{name: two[name] for name in values}} for one, two in ((row, other), (other, row))]
                return [row, other], swapped
        raise AssertionError(f"{table.name} has no two rows that differ")

    @staticmethod
    def _copy(table: Table, row: Row, rows: Sequence[Row]) -> Row:
        key = [column.name for column in table.primary_key.columns]
        changed = [key[-1], *(name for name in _keys(table) if name not in key)]
        return {**row, **{name: different(row[name], {other[name] for other in rows}) for name in changed}}

    @staticmethod
    def _other(table: Table, row: Row, name: str, rows: Sequence[Row]) -> Any:
        taken = {other[name] for other in rows} if name in _keys(table) else set()
        return different(row[name], taken)

    def _rows(self, table: Table) -> list[Row]:
        names = [column.name for column in table.columns]
        key = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.primary_key.columns)
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT {} FROM {} ORDER BY {}").format(columns, sql.Identifier(table.name), key))
            rows = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
        return [row for row in rows if not _HALF_ERASED.get(table.name, _never)(row)]

    def _replace(self, table: Table, before: Sequence[Row], after: Sequence[Row], *, unless_there: bool = False) -> None:
        """One transaction: several statements sent as one."""
        insert = _insert_if_gone if unless_there else _insert
        statements = [_delete(table, row) for row in before] + [insert(table, row) for row in after]
        self._run(sql.SQL("; ").join(statements))

    def _run(self, statement: sql.Composable) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)


def copy_rows(source: str, target: str) -> None:
    """Puts the rows of one database, as they are at one moment, in the place of those of another at the same revision."""
    reading, writing = psycopg2.connect(source), psycopg2.connect(target)
    try:
        reading.set_session(isolation_level="REPEATABLE READ", readonly=True)
        writing.autocommit = True
        create_evidence_partitions(writing)
        with reading.cursor() as rows, writing.cursor() as place:
            names = [sql.Identifier(table.name) for table in metadata.sorted_tables]
            place.execute(sql.SQL("SET session_replication_role = replica"))
            place.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names)))
            for name in names:
                content = io.BytesIO()
                rows.copy_expert(sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(name), content)
                content.seek(0)
                place.copy_expert(sql.SQL("COPY {} FROM STDIN").format(name), content)
    finally:
        reading.close()
        writing.close()


def is_single(table: Table) -> bool:
    """Whether the table has one row, by its constraints."""
    return "singleton" in table.columns


def different(value: Any, taken: Collection[Any] = ()) -> Any:
    """Another value of the same type, as near as there is one, and none of those that are taken."""
    while True:
        value = _next(value)
        if isinstance(value, list | bool) or value not in taken:
            return value


def _next(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "x"
        case bytes():
            return ((int.from_bytes(value) + 1) % 256 ** len(value)).to_bytes(len(value)) if value else b"\x00"
        case datetime():
            return value + timedelta(microseconds=1)
        case date():
            return value + timedelta(days=1)
        case list():
            return value[:-1] if value else [1]
        case _:
            raise TypeError(f"no other value of {type(value).__name__} is known: say here what it is")


def _keys(table: Table) -> dict[str, None]:
    """The columns that no two rows share: those of the key that changes from row to row, and of unique constraints."""
    unique = [column.name for each in table.constraints if isinstance(each, UniqueConstraint) for column in each.columns]
    return dict.fromkeys([*(column.name for column in table.primary_key.columns), *unique])


def _delete(table: Table, row: Row) -> sql.Composable:
    key = [column.name for column in table.primary_key.columns]
    terms = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(row[name])) for name in key]
    return sql.SQL("DELETE FROM {} WHERE {}").format(sql.Identifier(table.name), sql.SQL(" AND ").join(terms))


def _change(table: Table, before: Row, after: Row) -> sql.Composable:
    changes = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in after.items()
        if value != before[name]
    ]
    return sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table.name), sql.SQL(", ").join(changes))


def _insert(table: Table, row: Row) -> sql.Composable:
    columns = sql.SQL(", ").join(map(sql.Identifier, row))
    types = [table.columns[name].type.compile(dialect=_DIALECT) for name in row]
    values = [sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind)) for value, kind in zip(row.values(), types, strict=True)]
    statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})")
    return statement.format(sql.Identifier(table.name), columns, sql.SQL(", ").join(values))


def _insert_if_gone(table: Table, row: Row) -> sql.Composable:
    return sql.SQL("{} ON CONFLICT DO NOTHING").format(_insert(table, row))


def _never(_row: Row) -> bool:
    return False


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value

"""What an examination must remember of a log of any length: a file of its own, which is gone when it is closed.

It holds what the database does: subject keys, account states, servicing events, request_ids and nonces; of watches also consents
and tokens, which the database holds sealed. SQLite unlinks the file as it makes it, so that it does not outlive the process either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE effect (member TEXT, request_id BLOB, time INTEGER, PRIMARY KEY (member, request_id)) WITHOUT ROWID;
CREATE TABLE nonce (
  minute INTEGER, keyid BLOB, nonce BLOB, entry INTEGER, spent INTEGER, PRIMARY KEY (minute, keyid, nonce)
) WITHOUT ROWID;
CREATE TABLE report (
  subject BLOB, member INTEGER, reference BLOB, entry INTEGER, time INTEGER, as_of INTEGER, account BLOB, judged INTEGER
);
CREATE TABLE unread (subject BLOB, member INTEGER, PRIMARY KEY (subject, member)) WITHOUT ROWID;
CREATE TABLE event (
  subject BLOB, member INTEGER, reference BLOB, event_id BLOB, entry INTEGER, time INTEGER, content BLOB, judged INTEGER
);
CREATE TABLE put (
  subject BLOB, member INTEGER, reference BLOB, entry INTEGER, day INTEGER, purpose INTEGER, consent TEXT, triggers BLOB,
  end_date INTEGER, token BLOB, PRIMARY KEY (subject, member, reference, entry)
) WITHOUT ROWID;
CREATE TABLE cause (entry INTEGER PRIMARY KEY, time INTEGER, member INTEGER, sweeps INTEGER) WITHOUT ROWID;
CREATE TABLE watch_end (
  member INTEGER, about BLOB, reason INTEGER, day INTEGER, PRIMARY KEY (member, about, reason, day)
) WITHOUT ROWID;
CREATE TABLE unread_event (subject BLOB, member INTEGER, PRIMARY KEY (subject, member)) WITHOUT ROWID;
"""


class Scratch:
    """The file."""

    def __init__(self) -> None:
        # An empty name: a temporary file that spills from memory to disk.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")

    def execute(self, statement: str, *parameters: Any) -> None:
        """Runs a statement."""
        self._database.execute(statement, parameters)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs a statement for each row."""
        self._database.executemany(statement, rows)

    def one(self, statement: str, *parameters: Any) -> tuple[Any, ...] | None:
        """The first row."""
        row: tuple[Any, ...] | None = self._database.execute(statement, parameters).fetchone()
        return row

    def rows(self, statement: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
        """All rows, read as they are needed."""
        return iter(self._database.execute(statement, parameters))

    def close(self) -> None:
        """Forgets everything."""
        self._database.close()

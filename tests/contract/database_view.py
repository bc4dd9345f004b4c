"""What a server's database holds, read behind its back: the log, and everything that is not the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2

from tallystick.crypto import CompactRange, leaf_hash
from tallystick.v1 import log_pb2

_STATE = {
    "member": "SELECT member_id, display_name, roles, purposes, state, daily_evaluations, quotas FROM member",
    "member_key": "SELECT keyid, revoke_time FROM member_key",
    "request": "SELECT member, request_id, method, digest, entry_index, answer FROM request",
    "token_meter": "SELECT member, day, evaluations FROM token_meter",
    "account": "SELECT subject, member, account_reference, record, versions, standing, live FROM account",
    "servicing_event": "SELECT * FROM servicing_event",
    "watch": "SELECT * FROM watch",
    "message": "SELECT * FROM message",
    "message_cursor": "SELECT * FROM message_cursor",
    "footprints": "SELECT subject, entry_index, ordinal FROM audit_subject WHERE footprint",
}
_DIGEST = "SELECT count(*), md5(string_agg(md5(row::text), '' ORDER BY md5(row::text))) FROM ({}) AS row"


class DatabaseView:
    """A connection to a server's database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Runs a statement by itself; binary values come as bytes."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            found = cursor.fetchall() if cursor.description else []
        return [tuple(bytes(value) if isinstance(value, memoryview) else value for value in row) for row in found]

    def state(self) -> dict[str, tuple[int, str]]:
        """Everything that a refused request must leave as it was, as the number of rows and a digest of them all; the log and its
        nonces are not among it."""
        return {name: self.rows(_DIGEST.format(sql))[0] for name, sql in _STATE.items()}

    @property
    def size(self) -> int:
        """How many entries the log has."""
        ((size,),) = self.rows("SELECT size FROM log_head")
        return int(size)

    def entry(self, index: int) -> log_pb2.AuditEntry:
        """An entry, from its leaf's bytes."""
        ((leaf,),) = self.rows("SELECT leaf FROM audit_entry WHERE index = %s", (index,))
        return log_pb2.AuditEntry.FromString(leaf)

    def claims(self, request_id: bytes) -> int:
        """How many effects a request_id had."""
        return len(self.rows("SELECT 1 FROM request WHERE request_id = %s", (request_id,)))

    def check_log(self) -> None:
        """The log is whole: no gap, every leaf with its hash and its evidence, and the head is their compact range."""
        ((size, compact_range),) = self.rows("SELECT size, compact_range FROM log_head")
        entries = self.rows("SELECT index, leaf, leaf_hash, create_time FROM audit_entry ORDER BY index")
        assert [index for index, *_ in entries] == list(range(size))
        tree = CompactRange()
        for _, leaf, stored_hash, _ in entries:
            assert leaf_hash(leaf) == stored_hash
            tree.append(stored_hash)
        assert tree.to_bytes() == compact_range
        times = [time for *_, time in entries]
        assert times == sorted(times)
        assert [index for (index,) in self.rows("SELECT entry_index FROM evidence ORDER BY 1")] == list(range(size))

    @contextmanager
    def head_locked(self) -> Iterator[None]:
        """Holds the lock that every transaction needs at its end, so that the server's queue stands still."""
        connection = psycopg2.connect(self.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT size FROM log_head FOR UPDATE")
                yield
        finally:
            connection.rollback()
            connection.close()

"""Reading entries of the log: by index and by time, with the columns checked against the leaf that they repeat."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import structlog
from google.protobuf.message import DecodeError

from tallystick.contract import instants
from tallystick.crypto import leaf_hash
from tallystick.server.log.evidence import evidence_month
from tallystick.v1.log_pb2 import AuditEntry

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

events = structlog.get_logger()


# A binary search along the primary key, in one statement: as many steps as the size has binary digits, each one
# look-up.
_INDEX_AT = """
WITH RECURSIVE search (low, high) AS (
  SELECT 0::bigint, size FROM log_head
  UNION ALL
  SELECT CASE WHEN entry.create_time < %(time)s THEN entry.index + 1 ELSE low END,
         CASE WHEN entry.create_time < %(time)s THEN high ELSE entry.index END
  FROM search JOIN audit_entry AS entry ON entry.index = (low + high) / 2
  WHERE low < high
)
SELECT low FROM search ORDER BY high - low LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as stored. The leaf is the record; the columns beside it only serve to find it."""

    index: int
    leaf: bytes
    member: int
    create_time: datetime

    @property
    def details_commitment(self) -> bytes:
        """What the entry commits to; empty when the leaf cannot be read."""
        parsed = _parse(self.leaf)
        return parsed.details_commitment if parsed else b""

    @property
    def method(self) -> str:
        """The full method; empty when the leaf cannot be read."""
        parsed = _parse(self.leaf)
        return parsed.method if parsed else ""

    @property
    def month(self) -> date:
        """Under which month its evidence is stored."""
        return evidence_month(self.create_time)


async def index_at(connection: Connection, time: datetime) -> int:
    """The index of the first entry at or after an instant; the size of the log if there is none. Times never decrease
    along the log."""
    rows = await connection.fetch(_INDEX_AT, {"time": time})
    return int(rows[0][0]) if rows else 0


async def read_entries(connection: Connection, indices: Collection[int], outcome: int = 0) -> dict[int, Entry]:
    """The entries at these indices, those with the given outcome alone unless it is 0.

    An entry whose columns disagree with its leaf is returned as it is, and an event is logged for the operator:
    somebody changed the database. Whether the leaf was changed too, its reader finds out with an inclusion proof.
    """
    rows = await connection.fetch(
        "SELECT entry.index, leaf, member, entry.create_time, leaf_hash, method, outcome, member.member_id"
        " FROM audit_entry AS entry"
        " LEFT JOIN member ON member.id = entry.member WHERE index = ANY(%s) AND (%s = 0 OR outcome = %s)",
        (sorted(indices), outcome, outcome),
    )
    entries = {}
    for index, leaf, member, create_time, stored_hash, method, stored_outcome, member_id in rows:
        entry = entries[index] = Entry(index, bytes(leaf), member, create_time)
        _check_columns(entry, bytes(stored_hash), (member_id, method, stored_outcome))
    return entries


def _check_columns(entry: Entry, stored_hash: bytes, columns: tuple[str | None, str, int]) -> None:
    parsed = _parse(entry.leaf)
    if parsed is None:
        events.error("log_leaf_unreadable", index=entry.index)
        return
    microseconds = parsed.create_time.seconds * 10**6 + parsed.create_time.nanos // 1000
    same_time = microseconds == instants.microseconds(entry.create_time)
    if not same_time or leaf_hash(entry.leaf) != stored_hash or columns != (parsed.member_id, parsed.method, parsed.outcome):
        events.error("log_columns_disagree", index=entry.index)


def _parse(leaf: bytes) -> AuditEntry | None:
    try:
        return AuditEntry.FromString(leaf)
    except DecodeError:
        return None

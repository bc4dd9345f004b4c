"""Lists of log entries, newest first, by filters that each have an index (AuditService/ListAuditEntries)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tallystick.contract.methods import LIST_AUDIT_ENTRIES
from tallystick.contract.request_fields import instant, page_size
from tallystick.credit.audit_requests import check_list
from tallystick.server.errors import Refusal
from tallystick.server.log.entries import index_at, read_entries
from tallystick.server.log.evidence import EvidenceBox
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.server.services.audit.filters import filtered_member
from tallystick.server.services.audit.stated import read_stated
from tallystick.server.services.membership.members import SERVICE as MEMBERSHIP_SERVICE
from tallystick.server.services.page_tokens import PageTokens
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import codes_pb2, errors_pb2, log_pb2
from tallystick.v1.membership_service_pb2 import ROLE_AUDITOR

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

MAX_SCANNED = 5000
"""Most entries that one page looks at. Where a filter matches few of them, a page is short, and its next_page_token
goes on."""

_MAX_INDEX = 2**63 - 1
_POSITION = struct.Struct(">QI")
_MEMBERSHIP = f"starts_with(method, '{MEMBERSHIP_SERVICE}')"
_REFUSED = f"outcome = {log_pb2.ENTRY_OUTCOME_REFUSED}"

# The search rows of a subject lie together, in this order. The entries are read by a second statement: the two tables
# may be on different machines.
_BY_SUBJECT = """
SELECT entry_index, ordinal, purpose, consent_reference FROM audit_subject
WHERE subject = %(subject)s AND entry_index >= %(first)s AND (entry_index, ordinal) < (%(index)s, %(ordinal)s)
  AND (%(member)s::bigint IS NULL OR member = %(member)s::bigint) AND (%(purpose)s = 0 OR purpose = %(purpose)s)
  AND (%(consent)s = '' OR consent_reference = %(consent)s)
ORDER BY entry_index DESC, ordinal DESC LIMIT %(limit)s
"""
# The search rows of a consent, as far as MAX_SCANNED goes. That is more than one entry has.
_BY_CONSENT = """
WITH candidate AS MATERIALIZED (
  SELECT entry_index, member, purpose FROM audit_subject
  WHERE consent_reference = %(consent)s AND consent_reference <> '' AND entry_index >= %(first)s AND entry_index < %(before)s
  ORDER BY entry_index DESC LIMIT %(scanned)s
), scan AS (
  SELECT count(*) AS count, min(entry_index) AS last FROM candidate
), match AS (
  SELECT DISTINCT entry_index AS index FROM candidate JOIN audit_entry ON index = entry_index, scan
  WHERE (scan.count < %(scanned)s OR entry_index > scan.last)
    AND (%(member)s::bigint IS NULL OR candidate.member = %(member)s::bigint) AND (%(purpose)s = 0 OR purpose = %(purpose)s)
    AND (%(outcome)s = 0 OR outcome = %(outcome)s)
  ORDER BY 1 DESC LIMIT %(limit)s
)
SELECT scan.count, scan.last, match.index FROM scan LEFT JOIN match ON true ORDER BY match.index DESC
"""
# Each source is read backwards along an index of its own, and no further than MAX_SCANNED.
_SOURCE = """(
  SELECT index FROM audit_entry WHERE {condition} AND index >= %(first)s AND index < %(before)s
  ORDER BY index DESC LIMIT %(scanned)s
)"""
_BY_INDEX = """
WITH candidate AS MATERIALIZED (
  SELECT index FROM ({sources}) AS source ORDER BY index DESC LIMIT %(scanned)s
), scan AS (
  SELECT count(*) AS count, min(index) AS last FROM candidate
), match AS (
  SELECT index FROM candidate JOIN audit_entry USING (index)
  WHERE (%(member)s::bigint IS NULL OR member = %(member)s::bigint) AND (%(outcome)s = 0 OR outcome = %(outcome)s)
  ORDER BY index DESC LIMIT %(limit)s
)
SELECT scan.count, scan.last, match.index FROM scan LEFT JOIN match ON true ORDER BY match.index DESC
"""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: before this entry, or, in a list by subject, before this subject of this entry."""

    index: int
    ordinal: int = 0

    def to_bytes(self) -> bytes:
        """The form in a page token."""
        return _POSITION.pack(self.index, self.ordinal)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The stretch of the log that a page may come from: entries from `first` on, and before `before`."""

    first: int
    before: Position


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of a page, and where the next begins."""

    entries: Sequence[pb.ListedEntry]
    following: Position | None


@dataclass(frozen=True, slots=True)
class Found:
    """Which entries a page holds, newest first, and where the next begins."""

    indices: Sequence[int]
    following: Position | None


class ListAuditEntries(Operation):
    """Lists entries: all for an auditor; for another member its own, and those about membership and keys."""

    contract = LIST_AUDIT_ENTRIES
    cost = FULL_BATCH // 4

    def __init__(self, page_secret: bytes, box: EvidenceBox) -> None:
        self._page_tokens = PageTokens(page_secret, self.method)
        self._box = box

    def validate(self, message: pb.ListAuditEntriesRequest, now: datetime) -> None:
        check_list(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            try:
                page = await self._page(connection, work)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            answer = pb.ListAuditEntriesResponse(entries=page.entries)
            if page.following is not None:
                answer.next_page_token = self._page_tokens.issue(work, page.following.to_bytes())
            work.answer = answer.SerializeToString()

    async def _page(self, connection: Connection, work: Work) -> Page:
        message: pb.ListAuditEntriesRequest = work.message
        if (message.HasField("subject") or message.consent_reference) and ROLE_AUDITOR not in work.caller.roles:
            raise Refusal(errors_pb2.ERROR_REASON_ROLE_MISSING, "only an auditor lists entries by subject or by consent")
        token = self._page_tokens.position(work)
        member = await filtered_member(connection, message)
        bounds = await _bounds(connection, message, token)
        if message.HasField("subject"):
            return await _by_subject(connection, work, member, bounds)
        found = await (_by_consent if message.consent_reference else _by_index)(connection, work, member, bounds)
        return await self._stating(connection, found)

    async def _stating(self, connection: Connection, found: Found) -> Page:
        """The entries with what their inquiries state, as far as one page can hold it."""
        entries = await read_entries(connection, found.indices)
        shown = [entries[index] for index in found.indices]
        stated = await read_stated(connection, self._box, shown)
        following = found.following
        if stated.cut is not None:
            shown = [entry for entry in shown if entry.index > stated.cut]
            following = Position(stated.cut + 1)
        listed = [
            pb.ListedEntry(
                logged_entry=log_pb2.LoggedEntry(index=entry.index, entry=entry.leaf), inquiries=stated.inquiries.get(entry.index)
            )
            for entry in shown
        ]
        return Page(listed, following)


async def _bounds(connection: Connection, message: pb.ListAuditEntriesRequest, token: bytes | None) -> Bounds:
    """Times never decrease along the log, so a period is a stretch of indices."""
    first, before = 0, Position(_MAX_INDEX)
    if message.HasField("start_time"):
        first = await index_at(connection, instant(message.start_time))
    if message.HasField("end_time"):
        before = Position(await index_at(connection, instant(message.end_time)))
    if token is not None:
        # Made under the same filters, so it lies before the end of the period.
        before = Position(*_POSITION.unpack(token))
    return Bounds(first, before)


async def _by_subject(connection: Connection, work: Work, member: int | None, bounds: Bounds) -> Page:
    """One item for each time that an entry names the subject, newest first."""
    message: pb.ListAuditEntriesRequest = work.message
    limit = page_size(message.page_size)
    rows = await connection.fetch(
        _BY_SUBJECT,
        {
            "subject": work.request.subject_keys[0],
            "first": bounds.first,
            "index": bounds.before.index,
            "ordinal": bounds.before.ordinal,
            "member": member,
            "purpose": message.purpose,
            "consent": message.consent_reference,
            "limit": limit + 1,
        },
    )
    following = Position(*rows[limit - 1][:2]) if len(rows) > limit else None
    entries = await read_entries(connection, {row[0] for row in rows[:limit]}, message.outcome)
    listed = [
        pb.ListedEntry(
            logged_entry=log_pb2.LoggedEntry(index=index, entry=entries[index].leaf),
            purpose=codes_pb2.Purpose.ValueType(purpose),
            consent_reference=consent_reference,
        )
        for index, _, purpose, consent_reference in rows[:limit]
        if index in entries
    ]
    return Page(listed, following)


async def _by_index(connection: Connection, work: Work, member: int | None, bounds: Bounds) -> Found:
    """Entries that the caller may see: candidates along the sources' indices, then those of them that the filters let
    through."""
    sources = " UNION ".join(_SOURCE.format(condition=condition) for condition in _sources(work, member))
    rows = await connection.fetch(_BY_INDEX.format(sources=sources), _scan(work, member, bounds))
    count, last, _ = rows[0]
    return _found(work, rows, Position(last) if count == MAX_SCANNED else None)


async def _by_consent(connection: Connection, work: Work, member: int | None, bounds: Bounds) -> Found:
    """Each entry with a query under the consent once."""
    rows = await connection.fetch(_BY_CONSENT, _scan(work, member, bounds))
    count, last, _ = rows[0]
    # The last entry looked at may have more rows: the next page begins with it.
    return _found(work, rows, Position(last + 1) if count == MAX_SCANNED else None)


def _scan(work: Work, member: int | None, bounds: Bounds) -> dict[str, object]:
    message: pb.ListAuditEntriesRequest = work.message
    return {
        "first": bounds.first,
        "before": bounds.before.index,
        "scanned": MAX_SCANNED,
        "caller": work.caller.member,
        "member": member,
        "outcome": message.outcome,
        "purpose": message.purpose,
        "consent": message.consent_reference,
        "limit": page_size(message.page_size) + 1,
    }


def _found(work: Work, rows: Sequence[tuple[int, int, int | None]], following: Position | None) -> Found:
    limit = page_size(work.message.page_size)
    indices = [index for _, _, index in rows if index is not None]
    if len(indices) > limit:
        indices = indices[:limit]
        following = Position(indices[-1])
    return Found(indices, following)


def _sources(work: Work, member: int | None) -> Sequence[str]:
    """Which entries to look at, as conditions that each match an index of audit_entry."""
    if ROLE_AUDITOR not in work.caller.roles:
        own = "member = %(caller)s"
        return (own,) if member == work.caller.member else (_MEMBERSHIP,) if member is not None else (own, _MEMBERSHIP)
    if member is not None:
        return ("member = %(member)s",)
    if work.message.outcome == log_pb2.ENTRY_OUTCOME_REFUSED:
        return (_REFUSED,)
    return ("true",)

"""One log entry opened, and the export of the log (tallystick.v1.AuditService/GetAuditEntry, ExportAuditEntries)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from tallystick.contract.limits import MAX_MESSAGE
from tallystick.contract.methods import EXPORT_AUDIT_ENTRIES, GET_AUDIT_ENTRY
from tallystick.contract.violations import Violation
from tallystick.credit.audit_requests import check_export, no_such_entry
from tallystick.server.errors import Refusal, refuse_violations
from tallystick.server.log.checkpoints import read_head
from tallystick.server.log.details import open_details, open_evidence
from tallystick.server.log.entries import Entry, read_entries
from tallystick.server.log.evidence import EvidenceBox, EvidenceCorruptError
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import errors_pb2, log_pb2, storage_pb2
from tallystick.v1.membership_service_pb2 import ROLE_AUDITOR

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

events = structlog.get_logger()

EXPORT_ENTRIES = 4096
"""Most entries of one page of an export."""
EXPORT_BYTES = 1024 * 1024
"""A page of an export ends before it grows beyond this, but for a single entry."""

DETAILS_OVERHEAD = 128 * 1024
"""What salts and tags add to the subjects of a request of any size: a refused one may hold little else than a subject that is no
subject, and must open all the same."""

_MAX_INDEX = 2**63 - 1
_CURSOR = struct.Struct(">QQ")
"""Where the page begins, and where the whole export ends."""


class GetAuditEntry(Operation):
    """Opens an entry: for an auditor any, for another member its own. What a caller may not know of is not found."""

    contract = GET_AUDIT_ENTRY
    cost = FULL_BATCH // 4
    max_answer = MAX_MESSAGE + DETAILS_OVERHEAD

    def __init__(self, box: EvidenceBox, evidence_months: int) -> None:
        self._box = box
        self._evidence_months = evidence_months

    def validate(self, message: pb.GetAuditEntryRequest, now: datetime) -> None:
        """Any index is well formed; one beyond the log is not found."""

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        entries = await read_entries(connection, {w.message.index for w in works if w.message.index <= _MAX_INDEX})
        for work in works:
            entry = entries.get(work.message.index)
            if entry is None or not (ROLE_AUDITOR in work.caller.roles or entry.member == work.caller.member):
                work.refusal = no_such_entry()
                continue
            try:
                work.answer = await self._open(connection, entry)
            except EvidenceCorruptError:
                # To show the leaf alone would look like a retention period that is over. The leaf is still to be had
                # from a list.
                events.error("evidence_corrupt", index=entry.index)
                text = "the stored evidence of this entry does not open: the operator must restore it, and explain"
                work.refusal = Refusal(errors_pb2.ERROR_REASON_INTERNAL, text)

    async def _open(self, connection: Connection, entry: Entry) -> bytes:
        """The encoded answer. One entry's evidence is in memory at a time: it is as large as a request can be."""
        answer = pb.GetAuditEntryResponse(logged_entry=log_pb2.LoggedEntry(index=entry.index, entry=entry.leaf))
        evidence = await self._evidence(connection, entry)
        if evidence is not None:
            answer.details.extend(open_details(evidence, entry.details_commitment))
            answer.request = evidence.request
        else:
            answer.evidence_months = self._evidence_months
        if answer.ByteSize() > MAX_MESSAGE:
            answer.ClearField("request")
            answer.request_omitted = True
        return answer.SerializeToString()

    async def _evidence(self, connection: Connection, entry: Entry) -> storage_pb2.Evidence | None:
        rows = await connection.fetch(
            "SELECT sealed FROM evidence WHERE month = %s AND entry_index = %s", (entry.month, entry.index)
        )
        return open_evidence(self._box, entry, bytes(rows[0][0])) if rows else None


class ExportAuditEntries(Operation):
    """Streams entries in the order of the log, a page a run. Role: auditor."""

    contract = EXPORT_AUDIT_ENTRIES
    cost = FULL_BATCH // 4

    def validate(self, message: pb.ExportAuditEntriesRequest, now: datetime) -> None:
        check_export(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        # Entries of this transaction are appended after this: a page never holds its own entry, nor an export that of
        # its first page.
        size = (await read_head(connection)).size
        for work in works:
            try:
                work.answer = await self._page(connection, work, size)
            except Refusal as refusal:
                work.refusal = refusal

    async def _page(self, connection: Connection, work: Work, size: int) -> bytes:
        # The first page fixes where the export ends, whatever is appended meanwhile.
        first = (work.message.start_index, work.message.end_index or size)
        start, end = first if work.request.cursor is None else _CURSOR.unpack(work.request.cursor)
        if end > size or start > end:
            field = "end_index" if end > size else "start_index"
            text = f"must be at most the size of the log, which is {size}"
            raise refuse_violations([Violation(field, "FIELD_OUT_OF_RANGE", text)])
        rows = await connection.fetch(
            "SELECT index, leaf FROM audit_entry WHERE index >= %s AND index < %s ORDER BY index",
            (start, min(end, start + EXPORT_ENTRIES)),
        )
        page, bytes_used, following = pb.AuditEntryPage(end_index=end), 0, start
        for index, leaf in rows:
            if index != following:
                raise Refusal(errors_pb2.ERROR_REASON_INTERNAL, f"entry {following} of the log is missing from the database")
            bytes_used += len(leaf)
            if page.entries and bytes_used > EXPORT_BYTES:
                break
            page.entries.add(index=index, entry=bytes(leaf))
            following += 1
        if following == start < end:
            raise Refusal(errors_pb2.ERROR_REASON_INTERNAL, f"entry {start} of the log is missing from the database")
        work.next_page = _CURSOR.pack(following, end) if following < end else None
        return page.SerializeToString()

"""The operator's erasing of a subject, as a logged request that itself names nobody
(tallystick.v1.AuditService/EraseSubject)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from tallystick.contract.methods import ERASE_SUBJECT
from tallystick.contract.violations import Violation
from tallystick.credit.validation import validate_subject
from tallystick.server.errors import Refusal, refuse_violations
from tallystick.server.log.erasure import ErasureError, SubjectEraser
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import errors_pb2

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

events = structlog.get_logger()


class EraseSubject(Operation):
    """Erases a bounded part of what is stored about a subject. Role: operator.

    Its entry shows that the operator erased somebody, and when; the entries it touched show a leaf that is a hash
    alone. Whom, nothing shows: the request has no subjects in the log, and its evidence keeps neither the message nor
    the envelope.
    """

    contract = ERASE_SUBJECT
    keeps_request = False
    cost = FULL_BATCH
    locks = "accounts"

    def __init__(self, eraser: SubjectEraser, epoch_id: bytes) -> None:
        """`epoch_id` is the key epoch in force, under which all search rows are stored; empty where there is none."""
        self._eraser = eraser
        self._epoch_id = epoch_id

    def validate(self, message: pb.EraseSubjectRequest, now: datetime) -> None:
        if not message.HasField("subject"):
            raise refuse_violations([Violation("subject", "FIELD_REQUIRED", "is missing; give the token of the subject to erase")])
        if violations := validate_subject(message.subject, "subject", epoch_id=self._epoch_id or None):
            raise refuse_violations(violations)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            message: pb.EraseSubjectRequest = work.message
            try:
                report = await self._eraser.erase_subject(connection, message.subject, accounts=not message.keep_accounts)
            except ErasureError as error:
                # Raised, not set: what was already written for this request must not remain, so the ledger rolls back.
                events.error("erasure_failed", index=error.index)
                raise Refusal(errors_pb2.ERROR_REASON_INTERNAL, str(error)) from error
            work.answer = pb.EraseSubjectResponse(
                entries_resealed=report.entries_resealed,
                entries_without_evidence=report.entries_without_evidence,
                accounts_deleted=report.accounts_deleted,
                complete=report.complete,
            ).SerializeToString()
            work.keep_answer = True

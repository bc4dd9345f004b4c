"""Audit: entries of the log, checkpoints and proofs, and erasure (tallystick.v1.AuditService)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from tallystick.contract.methods import GET_CHECKPOINT, GET_CONSISTENCY_PROOF, GET_INCLUSION_PROOF, Method
from tallystick.server.log.checkpoints import get_checkpoint
from tallystick.server.log.erasure import Eraser, SubjectEraser
from tallystick.server.log.proofs import get_consistency_proof, get_inclusion_proof
from tallystick.server.log.retention import rotate_evidence
from tallystick.server.log.tiles import integrate
from tallystick.server.services.audit.counting import CountAuditEntries
from tallystick.server.services.audit.erasure import EraseSubject
from tallystick.server.services.audit.listing import ListAuditEntries
from tallystick.server.services.audit.reading import ExportAuditEntries, GetAuditEntry
from tallystick.server.services.capability import Capability, Foundation, PublicMethod
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.reader import Reader
from tallystick.server.storage.upkeep import Step
from tallystick.v1 import audit_service_pb2


def audit(foundation: Foundation, reported: Sequence[Eraser]) -> Capability:
    """The capability of either server to show its log. `reported` are the erasers of the other capabilities."""
    settings, keys, box = foundation.settings, foundation.keys, foundation.box

    async def checkpoint(connection: Connection, request: audit_service_pb2.GetCheckpointRequest) -> Message:
        return await get_checkpoint(connection, request, origin=settings.origin, checkpoint_key=keys.checkpoint_key)

    return Capability(
        operations=(
            ListAuditEntries(keys.request_secret, box),
            CountAuditEntries(),
            GetAuditEntry(box, settings.evidence_months),
            ExportAuditEntries(),
            EraseSubject(SubjectEraser(box, keys.subject_secret, reported), foundation.epoch_id),
        ),
        public_methods=(
            _reading(GET_CHECKPOINT, checkpoint),
            _reading(GET_INCLUSION_PROOF, get_inclusion_proof),
            _reading(GET_CONSISTENCY_PROOF, get_consistency_proof),
        ),
        upkeep=(
            # A log of 256 more entries has a tile more; proofs read what is not in tiles one by one.
            Step("log tiles", 2.0, lambda _: integrate(foundation.url)),
            Step(
                "evidence",
                3600.0,
                lambda connection: rotate_evidence(connection, keys.evidence, kept_months=settings.evidence_months),
            ),
        ),
        erasers=(),
    )


def _reading(contract: Method[Any, Any], read: Callable[[Connection, Any], Awaitable[Message]]) -> PublicMethod:
    async def answer(reader: Reader, request: Message) -> Message:
        return await reader.read(lambda connection: read(connection, request))

    return PublicMethod(contract, answer)

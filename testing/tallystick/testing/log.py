"""The log of an in-memory server: entries, receipts, checkpoints and proofs, each as docs/protocol.md has it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.contract.refusals import refuse_violations
from tallystick.contract.violations import Violation
from tallystick.crypto import (
    Checkpoint,
    RequestSignature,
    consistency_proof,
    details_commitment,
    inclusion_proof,
    leaf_hash,
    new_seed,
    root,
    sign_checkpoint,
    sign_receipt,
    subject_leaf,
)
from tallystick.v1 import audit_service_pb2, log_pb2

Named = tuple[bytes, bytes, int, str]
"""A subject of an entry: epoch_id, element, purpose, consent."""


@dataclass
class Logged:
    """One entry as it is stored; a test may change it behind the log's back."""

    leaf: bytes
    hash: bytes
    seed: bytes
    envelope: bytes
    request: bytes
    subjects: list[Named]


@dataclass
class Log:
    """One server's log, and the keys that speak for it."""

    origin: str
    receipt_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    checkpoint_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    entries: list[Logged] = field(default_factory=list)

    def append(
        self,
        path: str,
        message: bytes,
        signed: RequestSignature,
        member_id: str,
        answer: bytes,
        reason: str,
        subjects: Sequence[Named],
        at: datetime,
    ) -> log_pb2.Receipt:
        """Logs one request with its answer, or with the reason why it was refused."""
        envelope = log_pb2.Envelope(
            request_digest=hashlib.sha256(message).digest(),
            signature_params=signed.signature_params,
            signature=signed.signature,
            answer_digest=hashlib.sha256(answer).digest(),
            reason=reason,
        ).SerializeToString()
        seed = new_seed()
        entry = log_pb2.AuditEntry(
            format_version=1,
            member_id=member_id,
            keyid=signed.keyid,
            method=path,
            outcome=log_pb2.ENTRY_OUTCOME_REFUSED if reason else log_pb2.ENTRY_OUTCOME_OK,
            details_commitment=details_commitment(seed, envelope, [subject_leaf(*subject) for subject in subjects]),
        )
        entry.create_time.FromDatetime(at)
        leaf = entry.SerializeToString()
        index, hashed = len(self.entries), leaf_hash(leaf)
        self.entries.append(Logged(leaf, hashed, seed, envelope, message, list(subjects)))
        signature = sign_receipt(self.receipt_key, self.origin, index, hashed)
        return log_pb2.Receipt(entry=leaf, index=index, seed=seed, envelope=envelope, signature=signature)

    def hashes(self, size: int) -> list[bytes]:
        """The leaf hashes of the first entries."""
        return [logged.hash for logged in self.entries[:size]]

    def checkpoint(self, _: object = None) -> audit_service_pb2.GetCheckpointResponse:
        """The signed head."""
        size = len(self.entries)
        checkpoint = Checkpoint(self.origin, size, root(self.hashes(size)))
        return audit_service_pb2.GetCheckpointResponse(checkpoint=sign_checkpoint(checkpoint, self.checkpoint_key))

    def inclusion(self, request: Any) -> audit_service_pb2.GetInclusionProofResponse:
        """Proves a leaf in a tree; raises Refusal for what the log does not hold."""
        violations = self._beyond("tree_size", request.tree_size)
        if request.index >= request.tree_size:
            violations.append(Violation("index", "FIELD_OUT_OF_RANGE", "must be below tree_size: leaves are counted from 0"))
        if violations:
            raise refuse_violations(violations)
        hashes = self.hashes(request.tree_size)
        proof = inclusion_proof(request.index, hashes)
        return audit_service_pb2.GetInclusionProofResponse(leaf_hash=hashes[request.index], hashes=proof)

    def consistency(self, request: Any) -> audit_service_pb2.GetConsistencyProofResponse:
        """Proves that a tree is a prefix of another; raises Refusal for what the log does not hold."""
        violations = self._beyond("new_size", request.new_size)
        if request.old_size > request.new_size:
            violations.append(Violation("old_size", "FIELD_OUT_OF_RANGE", "must not be above new_size"))
        if violations:
            raise refuse_violations(violations)
        if request.old_size in (0, request.new_size):
            return audit_service_pb2.GetConsistencyProofResponse()
        proof = consistency_proof(request.old_size, self.hashes(request.new_size))
        return audit_service_pb2.GetConsistencyProofResponse(hashes=proof)

    def _beyond(self, name: str, size: int) -> list[Violation]:
        if size <= len(self.entries):
            return []
        text = f"the log has {len(self.entries)} entries; ask for its checkpoint first"
        return [Violation(name, "FIELD_OUT_OF_RANGE", text)]

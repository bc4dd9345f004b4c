"""The details of a log entry: how its evidence opens into the leaves under its details_commitment (docs/protocol.md,
"Log entry")."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from tallystick.contract.details import detail_hash, detail_of, subject_of
from tallystick.contract.methods import METHODS
from tallystick.contract.subjects import Subject
from tallystick.crypto import CryptoError, commitment_from_hashes, salt
from tallystick.server.log.entries import Entry
from tallystick.server.log.evidence import EvidenceBox, EvidenceCorruptError, EvidenceKeyDestroyedError
from tallystick.v1 import log_pb2, storage_pb2


def request_id_of(method: str, request: bytes) -> bytes | None:
    """The request_id of a stored request; None when it has none, or cannot be read."""
    contract = METHODS.get(method)
    try:
        return None if contract is None else contract.request_id(contract.request.FromString(request))
    except DecodeError:
        return None


def open_evidence(box: EvidenceBox, entry: Entry, sealed: bytes) -> storage_pb2.Evidence | None:
    """The evidence of an entry; None once its month's key was destroyed. Raises EvidenceCorruptError."""
    try:
        plain = box.open(sealed, month=entry.month, details_commitment=entry.details_commitment)
    except EvidenceKeyDestroyedError:
        return None
    return storage_pb2.Evidence.FromString(plain)


def stated_subjects(evidence: storage_pb2.Evidence) -> Sequence[Subject | None]:
    """The subjects of an entry, as its evidence says; None for one that was erased or never kept.

    They are not held against the entry's commitment: who asks for that opens the entry.
    """
    if evidence.leaves:
        return [subject_of(leaf.subject) if leaf.WhichOneof("content") == "subject" else None for leaf in list(evidence.leaves)[1:]]
    return _named(evidence)


def open_details(evidence: storage_pb2.Evidence, details_commitment: bytes) -> list[log_pb2.DetailLeaf]:
    """The leaves under an entry's commitment, in order: disclosed with their salts, or erased.

    Raises EvidenceCorruptError when they do not add up to the commitment.
    """
    try:
        details = list(evidence.leaves) or _from_seed(evidence)
        commitment = commitment_from_hashes([detail_hash(detail) for detail in details])
    except CryptoError as error:
        raise EvidenceCorruptError("the evidence holds a seed, salt or hash of the wrong length") from error
    if commitment != details_commitment:
        raise EvidenceCorruptError("the evidence opens and does not add up to the entry's commitment")
    return details


def _from_seed(evidence: storage_pb2.Evidence) -> list[log_pb2.DetailLeaf]:
    details = [log_pb2.DetailLeaf(salt=salt(evidence.seed, 0), envelope=evidence.envelope)]
    for ordinal, subject in enumerate(_named(evidence), start=1):
        details.append(log_pb2.DetailLeaf(salt=salt(evidence.seed, ordinal), subject=detail_of(subject)))
    return details


def _named(evidence: storage_pb2.Evidence) -> Sequence[Subject]:
    """The subjects of an entry of which nobody was erased: those that the request names, and those that the answer told of.

    Without a known method the leaves do not add up to the commitment, which the caller checks."""
    contract = METHODS.get(evidence.method)
    asked = (contract.logged_subjects(evidence.request, refused=True) or ()) if contract is not None else ()
    return [*asked, *map(subject_of, evidence.told)]

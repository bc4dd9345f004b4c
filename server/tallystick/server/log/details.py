"""The details of a log entry: how its evidence opens into the leaves under its details_commitment (docs/protocol.md,
"Log entry")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import DecodeError

from tallystick.crypto import CryptoError, commitment_from_hashes, salt, salted_leaf_hash, subject_leaf
from tallystick.server.ledger.operation import Operation, Subject
from tallystick.server.log.evidence import EvidenceCorruptError
from tallystick.v1 import log_pb2, storage_pb2, subject_pb2
from tallystick.v1.codes_pb2 import Purpose


class RequestReader:
    """Reads stored requests again, with the operations that read them when they came.

    The mapping may be filled after this is made: an operation that opens details is itself in it.
    """

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations

    def subjects(self, method: str, request: bytes) -> Sequence[Subject]:
        """Whom the request is about. One that could not be read as its type has none, and was logged so."""
        operation = self._operations.get(method)
        if operation is None:
            # The entry then commits to leaves that cannot be named any more, which the check of the commitment shows.
            return ()
        try:
            return operation.subjects(operation.decode(request)) or ()
        except DecodeError:
            return ()

    def request_id(self, method: str, request: bytes) -> bytes | None:
        """The request's request_id; None when it has none, or cannot be read."""
        operation = self._operations.get(method)
        try:
            return None if operation is None else operation.request_id(operation.decode(request))
        except DecodeError:
            return None


def open_details(evidence: storage_pb2.Evidence, reader: RequestReader, details_commitment: bytes) -> list[log_pb2.DetailLeaf]:
    """The leaves under an entry's commitment, in order: disclosed with their salts, or erased.

    Raises EvidenceCorruptError when they do not add up to the commitment.
    """
    try:
        details = list(evidence.leaves) or _from_seed(evidence, reader)
        commitment = commitment_from_hashes([detail_hash(detail) for detail in details])
    except CryptoError as error:
        raise EvidenceCorruptError("the evidence holds a seed, salt or hash of the wrong length") from error
    if commitment != details_commitment:
        raise EvidenceCorruptError("the evidence opens and does not add up to the entry's commitment")
    return details


def detail_hash(detail: log_pb2.DetailLeaf) -> bytes:
    """The hash of one leaf under the commitment; raises CryptoError."""
    content = detail.WhichOneof("content")
    if content == "envelope":
        return salted_leaf_hash(detail.salt, detail.envelope)
    if content == "subject":
        token, purpose = detail.subject.subject, detail.subject.purpose
        return salted_leaf_hash(detail.salt, subject_leaf(token.epoch_id, token.element, purpose, detail.subject.consent_reference))
    return detail.erased_leaf_hash


def _from_seed(evidence: storage_pb2.Evidence, reader: RequestReader) -> list[log_pb2.DetailLeaf]:
    details = [log_pb2.DetailLeaf(salt=salt(evidence.seed, 0), envelope=evidence.envelope)]
    for ordinal, subject in enumerate(reader.subjects(evidence.method, evidence.request), start=1):
        detail = log_pb2.SubjectDetail(
            subject=subject_pb2.SubjectToken(element=subject.element, epoch_id=subject.epoch_id),
            purpose=Purpose.ValueType(subject.purpose),
            consent_reference=subject.consent_reference,
        )
        details.append(log_pb2.DetailLeaf(salt=salt(evidence.seed, ordinal), subject=detail))
    return details

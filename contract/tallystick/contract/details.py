"""The hash of one leaf under the details commitment of a log entry (docs/protocol.md, "Log entry")."""

from __future__ import annotations

from tallystick.contract.subjects import Subject
from tallystick.crypto import CryptoError, salted_leaf_hash
from tallystick.v1 import log_pb2, subject_pb2
from tallystick.v1.codes_pb2 import Purpose

HASH_BYTES = 32


def subject_of(detail: log_pb2.SubjectDetail) -> Subject:
    """The subject that a disclosed leaf names."""
    return Subject(detail.subject.epoch_id, detail.subject.element, detail.purpose, detail.consent_reference)


def detail_of(subject: Subject) -> log_pb2.SubjectDetail:
    """The leaf that names a subject, to be disclosed: the inverse of `subject_of`."""
    return log_pb2.SubjectDetail(
        subject=subject_pb2.SubjectToken(element=subject.element, epoch_id=subject.epoch_id),
        purpose=Purpose.ValueType(subject.purpose),
        consent_reference=subject.consent_reference,
    )


def detail_hash(detail: log_pb2.DetailLeaf) -> bytes:
    """The hash of a leaf, disclosed or erased. Raises CryptoError for a salt or a hash of the wrong length."""
    match detail.WhichOneof("content"):
        case "envelope":
            return salted_leaf_hash(detail.salt, detail.envelope)
        case "subject":
            return salted_leaf_hash(detail.salt, subject_of(detail.subject).leaf())
        case "erased_leaf_hash" if len(detail.erased_leaf_hash) == HASH_BYTES:
            return detail.erased_leaf_hash
        case _:
            raise CryptoError("a detail is neither disclosed nor erased")

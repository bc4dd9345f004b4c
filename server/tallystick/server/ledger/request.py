"""A request on its way through the ledger: authenticated, parsed, and waiting for its transaction."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError

from tallystick.contract.limits import REQUEST_ID_BYTES
from tallystick.contract.subjects import Subject
from tallystick.crypto import CryptoError, RequestSignature, framed, subject_key
from tallystick.server.errors import Refusal
from tallystick.server.ledger.calls import Call, Cursor
from tallystick.server.ledger.operation import Operation
from tallystick.v1 import errors_pb2 as errors


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose signature verifies. All of it is known before its transaction begins; none of it is trusted to be allowed."""

    operation: Operation
    signature: RequestSignature
    member_id: str
    """Whose key signed it."""
    message: bytes
    parsed: Any
    """The message; None if it is invalid: what is parsed takes many times the room of its bytes, and nobody will run it."""
    prepared: object
    request_id: bytes | None
    subjects: Sequence[Subject]
    subject_keys: Sequence[bytes]
    """What the database stores for each subject; empty for one that is no token at all (its request is refused)."""
    traceable: bool
    """Whether it could be read, and each of its subjects can be found again: what nobody could find to erase is not kept."""
    certificate_mismatch: bool
    invalid: Refusal | None
    """What is wrong with the message by itself; told only to who may send such a message at all."""
    deadline: float | None = None
    cursor: Cursor | None = None
    """Where this page begins, for every page of a stream but the first: those have no nonce of their own to spend."""
    answer: bytes | None = None
    """An answer that is settled beforehand; set only for what bootstraps the registry."""

    @property
    def identity(self) -> tuple[str, bytes] | None:
        """What may not stand twice in one transaction."""
        return None if self.request_id is None else (self.member_id, self.request_id)

    def digest(self, secret: bytes) -> bytes:
        """What is stored to tell a retry from another request under the same request_id.

        Keyed: a plain digest in the database would let a thief of it test guesses about who was asked about. Of a request that
        must not be kept it says nothing but its request_id."""
        content = self.message if self.operation.keeps_request else self.request_id or b""
        return hmac.digest(secret, framed("tallystick-request-v1", self.operation.method.encode(), content), "sha256")


def read_request(
    call: Call,
    operation: Operation,
    signature: RequestSignature,
    member_id: str,
    *,
    subject_secret: bytes,
    epoch_id: bytes,
    now: datetime,
) -> Request:
    """Parses and validates a call. It does not raise: what is wrong is kept, to be told (and logged) in the transaction.

    `epoch_id` is the key epoch in force, empty where there is none."""
    parsed: Any = None
    prepared: object = None
    request_id: bytes | None = None
    subjects: Sequence[Subject] | None = None
    invalid: Refusal | None = None
    try:
        parsed = operation.contract.request.FromString(call.message)
    except DecodeError:
        invalid = Refusal(errors.ERROR_REASON_MESSAGE_MALFORMED, f"the bytes are no request of {operation.method}")
    else:
        request_id = operation.contract.request_id(parsed)
        subjects = operation.contract.subjects(parsed)
        try:
            if request_id is not None and len(request_id) != REQUEST_ID_BYTES:
                reason = errors.ERROR_REASON_FIELD_MALFORMED if request_id else errors.ERROR_REASON_FIELD_REQUIRED
                request_id = None
                raise Refusal.of_field(reason, "request_id", "must be a random UUID of 16 bytes")
            prepared = operation.validate(parsed, now)
        except Refusal as refusal:
            invalid = refusal
    keys = [_key(subject_secret, epoch_id or subject.epoch_id, subject.element) for subject in subjects or ()]
    return Request(
        operation=operation,
        signature=signature,
        member_id=member_id,
        message=call.message,
        parsed=parsed if invalid is None else None,
        prepared=prepared,
        request_id=request_id,
        subjects=subjects or (),
        subject_keys=keys,
        traceable=subjects is not None and all(keys),
        certificate_mismatch=call.certificate_member is not None and call.certificate_member != member_id,
        invalid=invalid,
        deadline=call.deadline,
    )


def _key(secret: bytes, epoch_id: bytes, element: bytes) -> bytes:
    """Under the epoch in force, whatever epoch a request that will be refused for it put beside the element: it is the same
    subject's token, and must be found when that subject is looked up or erased."""
    try:
        return subject_key(secret, epoch_id, element)
    except CryptoError:
        return b""

"""Reading an authenticated call: its message parsed and validated, its subjects found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError, Message

from tallystick.contract.limits import REQUEST_ID_BYTES
from tallystick.contract.subjects import Subject
from tallystick.crypto import CryptoError, RequestSignature, subject_key
from tallystick.server.errors import Refusal
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import Operation, Request
from tallystick.v1 import errors_pb2

ENCODING_SLACK = 1024
"""Bytes that a message may have beside twice those of its shortest form."""


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
    message: Any = None
    prepared: object = None
    request_id: bytes | None = None
    subjects: Sequence[Subject] | None = None
    padded: Refusal | None = None
    try:
        message = operation.contract.request.FromString(call.message)
    except DecodeError:
        invalid: Refusal | None = Refusal(
            errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, f"the bytes are no request of {operation.method}"
        )
    else:
        subjects = operation.contract.subjects(message)
        request_id, misnamed = _request_id(operation.contract.request_id(message))
        padded = _padded(message, len(call.message))
        invalid = padded or misnamed
        if invalid is None:
            try:
                prepared = operation.validate(message, now)
            except Refusal as refusal:
                invalid = refusal
    keys = [_key(subject_secret, epoch_id or subject.epoch_id, subject.element) for subject in subjects or ()]
    return Request(
        call=call,
        operation=operation,
        signature=signature,
        member_id=member_id,
        message=message if invalid is None else None,
        prepared=prepared,
        request_id=request_id,
        subjects=subjects or (),
        subject_keys=keys,
        # What nobody can check is not kept either.
        traceable=subjects is not None and all(keys) and padded is None,
        invalid=invalid,
        items=len(getattr(message, operation.contract.items)) if invalid is None and operation.contract.items else 0,
    )


def _request_id(sent: bytes | None) -> tuple[bytes | None, Refusal | None]:
    """A request_id as far as it is one, and what is wrong with it; None for a method that has none."""
    if sent is None or len(sent) == REQUEST_ID_BYTES:
        return sent, None
    reason = errors_pb2.ERROR_REASON_FIELD_MALFORMED if sent else errors_pb2.ERROR_REASON_FIELD_REQUIRED
    return None, Refusal.of_field(reason, "request_id", "must be a random UUID of 16 bytes")


def _padded(message: Message, size: int) -> Refusal | None:
    """What is wrong with a message that is not made of fields that this server knows, in not much more than their own bytes.

    What it does not know it cannot check, and would keep for years; what is said twice over is parsed away, and kept as well. Other
    encoders than ours may spell a message somewhat longer: with default values written out, say."""
    known = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != known:
        text = "it has fields that this server does not know: leave them out, or ask for a newer server"
        return Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, text)
    if size > 2 * known + ENCODING_SLACK:
        text = f"its {size} bytes say what {known} would: give each field once"
        return Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, text)
    return None


def _key(secret: bytes, epoch_id: bytes, element: bytes) -> bytes:
    """Under the epoch in force, whatever epoch a request that will be refused for it put beside the element: it is the same
    subject's token, and must be found when that subject is looked up or erased."""
    try:
        return subject_key(secret, epoch_id, element)
    except CryptoError:
        return b""

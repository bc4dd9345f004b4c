"""Reading an authenticated call: its message parsed and validated, its subjects found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError

from tallystick.contract.limits import REQUEST_ID_BYTES
from tallystick.contract.subjects import Subject
from tallystick.crypto import CryptoError, RequestSignature, subject_key
from tallystick.server.errors import Refusal
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import Operation, Request
from tallystick.v1 import errors_pb2


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
    invalid: Refusal | None = None
    try:
        message = operation.contract.request.FromString(call.message)
    except DecodeError:
        invalid = Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, f"the bytes are no request of {operation.method}")
    else:
        request_id = operation.contract.request_id(message)
        subjects = operation.contract.subjects(message)
        try:
            if request_id is not None and len(request_id) != REQUEST_ID_BYTES:
                reason = errors_pb2.ERROR_REASON_FIELD_MALFORMED if request_id else errors_pb2.ERROR_REASON_FIELD_REQUIRED
                request_id = None
                raise Refusal.of_field(reason, "request_id", "must be a random UUID of 16 bytes")
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
        traceable=subjects is not None and all(keys),
        invalid=invalid,
    )


def _key(secret: bytes, epoch_id: bytes, element: bytes) -> bytes:
    """Under the epoch in force, whatever epoch a request that will be refused for it put beside the element: it is the same
    subject's token, and must be found when that subject is looked up or erased."""
    try:
        return subject_key(secret, epoch_id, element)
    except CryptoError:
        return b""

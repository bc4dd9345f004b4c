"""Reading an authenticated call: its message parsed and validated, its subjects found."""

from __future__ import annotations

from datetime import datetime

from tallystick.contract.messages import parse_in_steps
from tallystick.contract.steps import Steps
from tallystick.crypto import CryptoError, RequestSignature, subject_key
from tallystick.server.errors import Refusal
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import Operation, Request


def read_in_steps(
    call: Call,
    operation: Operation,
    signature: RequestSignature,
    member_id: str,
    *,
    subject_secret: bytes,
    epoch_id: bytes,
    now: datetime,
) -> Steps[Request]:
    """Parses and validates a call. It does not raise: what is wrong is kept, to be told (and logged) in the transaction.

    `epoch_id` is the key epoch in force, empty where there is none."""
    parsed = yield from parse_in_steps(operation.contract, call.message)
    prepared: object = None
    invalid = parsed.invalid
    if invalid is None:
        try:
            prepared = yield from operation.validate_in_steps(parsed.message, now)
        except Refusal as refusal:
            invalid = refusal
    message, subjects = parsed.message, parsed.subjects
    keys = [_key(subject_secret, epoch_id or subject.epoch_id, subject.element) for subject in subjects or ()]
    return Request(
        call=call,
        operation=operation,
        signature=signature,
        member_id=member_id,
        message=message if invalid is None else None,
        prepared=prepared,
        request_id=parsed.request_id,
        subjects=subjects or (),
        subject_keys=keys,
        # What nobody can check is not kept either.
        traceable=subjects is not None and all(keys) and not parsed.padded,
        invalid=invalid,
        items=len(getattr(message, operation.contract.items)) if invalid is None and operation.contract.items else 0,
    )


def _key(secret: bytes, epoch_id: bytes, element: bytes) -> bytes:
    """Under the epoch in force, whatever epoch a request that will be refused for it put beside the element: it is the same
    subject's token, and must be found when that subject is looked up or erased."""
    try:
        return subject_key(secret, epoch_id, element)
    except CryptoError:
        return b""

"""Request messages read from their bytes: what every one must be, whatever it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from tallystick.contract.limits import REQUEST_ID_BYTES
from tallystick.contract.methods import Method
from tallystick.contract.refusals import Refusal
from tallystick.contract.steps import Steps, at_once
from tallystick.contract.subjects import Subject
from tallystick.v1 import errors_pb2

ENCODING_SLACK = 1024
"""Bytes that a message may have beside twice those of its shortest form."""


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request as far as its bytes say what it is, and what is wrong with them."""

    message: Any = None
    """None if the bytes are no such request."""
    request_id: bytes | None = None
    """None for a method that has none, and where it is none."""
    subjects: Sequence[Subject] | None = None
    """Whom it is about; None where nobody can tell, or it names too many."""
    padded: bool = False
    """Whether it holds more than can be checked."""
    invalid: Refusal | None = None


def parse_request(method: Method[Any, Any], data: bytes) -> ParsedRequest:
    """Parses a request. It does not raise: what is wrong is kept, to be told and logged."""
    return at_once(parse_in_steps(method, data))


def parse_in_steps(method: Method[Any, Any], data: bytes) -> Steps[ParsedRequest]:
    """As `parse_request`. Of a message of millions of parts each step takes tens of milliseconds, which nothing can stop."""
    try:
        message = method.request.FromString(data)
    except DecodeError:
        text = f"the bytes are no request of {method.path}"
        return ParsedRequest(invalid=Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, text))
    subjects = method.subjects(message)
    request_id, misnamed = _request_id(method.request_id(message))
    yield
    padded = yield from _padded(message, len(data))
    return ParsedRequest(message, request_id, subjects, padded is not None, padded or misnamed)


def _request_id(sent: bytes | None) -> tuple[bytes | None, Refusal | None]:
    """A request_id as far as it is one, and what is wrong with it; None for a method that has none."""
    if sent is None or len(sent) == REQUEST_ID_BYTES:
        return sent, None
    reason = errors_pb2.ERROR_REASON_FIELD_MALFORMED if sent else errors_pb2.ERROR_REASON_FIELD_REQUIRED
    return None, Refusal.of_field(reason, "request_id", "must be a random UUID of 16 bytes")


def _padded(message: Message, size: int) -> Steps[Refusal | None]:
    """What is wrong with a message that is not made of fields that this server knows, in not much more than their own bytes.

    What it does not know it cannot check, and would keep for years; what is said twice over is parsed away, and kept as well. Other
    encoders than ours may spell a message somewhat longer: with default values written out, say."""
    known = message.ByteSize()
    yield
    message.DiscardUnknownFields()
    yield
    if message.ByteSize() != known:
        text = "it has fields that this server does not know: leave them out, or ask for a newer server"
        return Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, text)
    if size > 2 * known + ENCODING_SLACK:
        text = f"its {size} bytes say what {known} would: give each field once"
        return Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, text)
    return None

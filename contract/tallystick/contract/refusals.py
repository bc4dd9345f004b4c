"""A refusal: why a request is not carried out, and the google.rpc.Status that says so to its caller and that the log commits to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from tallystick.contract.limits import MAX_VIOLATIONS
from tallystick.contract.reasons import BY_NAME, BY_VALUE, name_of
from tallystick.contract.violations import Violation
from tallystick.contract.wire import ERROR_DOMAIN, LEFT_KEY
from tallystick.v1 import errors_pb2


@dataclass(slots=True)
class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A request is not carried out. Its text reaches the peer: no value of a token, reference or key may be in it."""

    reason: errors_pb2.ErrorReason.ValueType
    message: str
    violations: Sequence[Violation] = ()
    retry_after: float | None = None
    """Seconds after which the same request may be sent again; None if it had better not be."""
    left: int | None = None
    """For a limit: how much of it is left, so that the caller can ask for as much; None where that is not known."""

    @property
    def reason_name(self) -> str:
        """The reason as it is in google.rpc.ErrorInfo: the enum's name without its prefix."""
        return name_of(self.reason)

    @classmethod
    def of_field(cls, reason: errors_pb2.ErrorReason.ValueType, field: str, description: str) -> Refusal:
        """A refusal for one field."""
        name = name_of(reason)
        return cls(reason, f"{field}: {description}", (Violation(field, name, description),))

    def __str__(self) -> str:
        return f"{self.reason_name}: {self.message}"


def refuse_violations(violations: Sequence[Violation]) -> Refusal:
    """A refusal of a whole request for what is wrong with its fields; its reason is the first violation's."""
    first = violations[0]
    reason = BY_NAME[first.reason].value
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return Refusal(reason, f"{first.field}: {first.description}{more}", violations[:MAX_VIOLATIONS])


def encode_status(refusal: Refusal) -> bytes:
    """The serialised google.rpc.Status of a refusal: what `grpc-status-details-bin` carries and the log commits to."""
    code = BY_VALUE[refusal.reason].code
    return status_bytes(code, refusal.reason_name, refusal.message, refusal.violations, refusal.retry_after, refusal.left)


def status_bytes(
    code: int, reason: str, message: str, violations: Sequence[Violation], retry_after: float | None, left: int | None = None
) -> bytes:
    """The same from its parts."""
    metadata = {} if left is None else {LEFT_KEY: str(left)}
    details = [_packed(error_details_pb2.ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=metadata))]
    if violations:
        told = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, reason=v.reason, description=v.description)
            for v in violations
        ]
        details.append(_packed(error_details_pb2.BadRequest(field_violations=told)))
    if retry_after is not None:
        delay = Duration(nanos=int(retry_after * 1e9) % 10**9, seconds=int(retry_after))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    status: bytes = status_pb2.Status(code=code, message=message, details=details).SerializeToString(deterministic=True)
    return status


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed

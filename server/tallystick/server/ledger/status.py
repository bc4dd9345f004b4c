"""The status of a refusal, as bytes: the caller gets them, and the log commits to them."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from tallystick.contract.reasons import BY_VALUE
from tallystick.contract.wire import ERROR_DOMAIN, LEFT_KEY
from tallystick.server.errors import Refusal


def encode_status(refusal: Refusal) -> bytes:
    """The serialised google.rpc.Status of a refusal: what `grpc-status-details-bin` carries and the log commits to."""
    metadata = {} if refusal.left is None else {LEFT_KEY: str(refusal.left)}
    details = [_packed(error_details_pb2.ErrorInfo(reason=refusal.reason_name, domain=ERROR_DOMAIN, metadata=metadata))]
    if refusal.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, reason=v.reason, description=v.description)
            for v in refusal.violations
        ]
        details.append(_packed(error_details_pb2.BadRequest(field_violations=violations)))
    if refusal.retry_after is not None:
        delay = Duration(nanos=int(refusal.retry_after * 1e9) % 10**9, seconds=int(refusal.retry_after))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    code = BY_VALUE[refusal.reason].code
    status: bytes = status_pb2.Status(code=code, message=refusal.message, details=details).SerializeToString(deterministic=True)
    return status


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed

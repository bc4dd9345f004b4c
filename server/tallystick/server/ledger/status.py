"""From a refusal to a gRPC status: the one place that says which canonical code each reason has."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from tallystick.server.errors import Refusal
from tallystick.v1 import errors_pb2 as errors

DOMAIN = "tallystick"
STATUS_KEY = "grpc-status-details-bin"

_CODES: dict[grpc.StatusCode, tuple[errors.ErrorReason.ValueType, ...]] = {
    grpc.StatusCode.UNAUTHENTICATED: (
        errors.ERROR_REASON_SIGNATURE_MALFORMED,
        errors.ERROR_REASON_SIGNATURE_INVALID,
        errors.ERROR_REASON_KEY_UNKNOWN,
        errors.ERROR_REASON_KEY_REVOKED,
        errors.ERROR_REASON_SIGNATURE_STALE,
        errors.ERROR_REASON_NONCE_REPLAYED,
        errors.ERROR_REASON_AUDIENCE_MISMATCH,
        errors.ERROR_REASON_CERTIFICATE_MISMATCH,
    ),
    grpc.StatusCode.PERMISSION_DENIED: (
        errors.ERROR_REASON_ROLE_MISSING,
        errors.ERROR_REASON_PURPOSE_NOT_ALLOWED,
        errors.ERROR_REASON_MEMBER_SUSPENDED,
    ),
    grpc.StatusCode.INVALID_ARGUMENT: (
        errors.ERROR_REASON_MESSAGE_MALFORMED,
        errors.ERROR_REASON_FIELD_REQUIRED,
        errors.ERROR_REASON_FIELD_MALFORMED,
        errors.ERROR_REASON_FIELD_OUT_OF_RANGE,
        errors.ERROR_REASON_CODE_UNKNOWN,
        errors.ERROR_REASON_FIELDS_INCONSISTENT,
        errors.ERROR_REASON_BATCH_TOO_LARGE,
        errors.ERROR_REASON_ELEMENT_INVALID,
        errors.ERROR_REASON_PAGE_TOKEN_INVALID,
    ),
    grpc.StatusCode.FAILED_PRECONDITION: (errors.ERROR_REASON_TOKEN_EPOCH_MISMATCH, errors.ERROR_REASON_STATE_CONFLICT),
    grpc.StatusCode.ALREADY_EXISTS: (errors.ERROR_REASON_REQUEST_ID_REUSED, errors.ERROR_REASON_ALREADY_EXISTS),
    grpc.StatusCode.NOT_FOUND: (errors.ERROR_REASON_NOT_FOUND,),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        errors.ERROR_REASON_MESSAGE_TOO_LARGE,
        errors.ERROR_REASON_ANSWER_TOO_LARGE,
        errors.ERROR_REASON_QUEUE_FULL,
        errors.ERROR_REASON_EVALUATION_QUOTA_EXCEEDED,
    ),
    grpc.StatusCode.UNAVAILABLE: (errors.ERROR_REASON_DATABASE_UNAVAILABLE, errors.ERROR_REASON_SHUTTING_DOWN),
    grpc.StatusCode.DEADLINE_EXCEEDED: (errors.ERROR_REASON_DEADLINE_PASSED,),
    grpc.StatusCode.INTERNAL: (errors.ERROR_REASON_INTERNAL,),
}
CODE_OF_REASON = {reason: code for code, reasons in _CODES.items() for reason in reasons}


def encode_status(refusal: Refusal) -> bytes:
    """The serialised google.rpc.Status of a refusal: what `grpc-status-details-bin` carries and the log commits to."""
    details = [_packed(error_details_pb2.ErrorInfo(reason=refusal.reason_name, domain=DOMAIN))]
    if refusal.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, reason=v.reason, description=v.description)
            for v in refusal.violations
        ]
        details.append(_packed(error_details_pb2.BadRequest(field_violations=violations)))
    if refusal.retry_after is not None:
        delay = Duration(nanos=int(refusal.retry_after * 1e9) % 10**9, seconds=int(refusal.retry_after))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    code = CODE_OF_REASON[refusal.reason].value[0]
    status: bytes = status_pb2.Status(code=code, message=refusal.message, details=details).SerializeToString(deterministic=True)
    return status


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed

"""The reasons of refusals: the gRPC code of each, its family, whether it is logged, and whether the request may be sent again.

The server takes the code from here, the client the exception. docs/protocol.md and the comments of errors.proto are held to this
table by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from google.rpc import code_pb2

from tallystick.v1 import errors_pb2

PREFIX: Final = "ERROR_REASON_"


class Family(Enum):
    """What a caller has to decide on. The client has one exception for each."""

    NOT_AUTHENTICATED = auto()
    NOT_ALLOWED = auto()
    INVALID = auto()
    CONFLICT = auto()
    NOT_FOUND = auto()
    LIMIT_EXCEEDED = auto()
    SERVER_FAULT = auto()
    OVERLOADED = auto()
    UNAVAILABLE = auto()
    DEADLINE_EXCEEDED = auto()


class Logged(Enum):
    """Whether a refusal is an entry of the log. One that is logged carries a receipt."""

    ALWAYS = "yes"
    NEVER = "no"
    IF_POSSIBLE = "if possible"
    """A fault of the server is logged, unless logging it fails too."""
    SPARINGLY = "once a minute"
    """Of a caller that may not do this at all, a server process logs one a minute and key; the others carry no receipt."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal."""

    value: errors_pb2.ErrorReason.ValueType
    code: int
    """The canonical code, a value of google.rpc.Code."""
    family: Family
    logged: Logged = Logged.ALWAYS
    retry: bool = False
    """Whether the same request, signed anew, may succeed later."""

    @property
    def name(self) -> str:
        """The reason as it is in google.rpc.ErrorInfo: the name of the enum value without its prefix."""
        return name_of(self.value)


def name_of(value: errors_pb2.ErrorReason.ValueType) -> str:
    """The name of a reason without the prefix of the enum."""
    return errors_pb2.ErrorReason.Name(value).removeprefix(PREFIX)


_U, _P, _I = code_pb2.UNAUTHENTICATED, code_pb2.PERMISSION_DENIED, code_pb2.INVALID_ARGUMENT
_F, _A, _R = code_pb2.FAILED_PRECONDITION, code_pb2.ALREADY_EXISTS, code_pb2.RESOURCE_EXHAUSTED
_NEVER = Logged.NEVER

REASONS: Final = (
    Reason(errors_pb2.ERROR_REASON_SIGNATURE_MALFORMED, _U, Family.NOT_AUTHENTICATED, _NEVER),
    Reason(errors_pb2.ERROR_REASON_SIGNATURE_INVALID, _U, Family.NOT_AUTHENTICATED, _NEVER),
    Reason(errors_pb2.ERROR_REASON_KEY_UNKNOWN, _U, Family.NOT_AUTHENTICATED, _NEVER),
    Reason(errors_pb2.ERROR_REASON_KEY_REVOKED, _U, Family.NOT_AUTHENTICATED, Logged.SPARINGLY),
    Reason(errors_pb2.ERROR_REASON_SIGNATURE_STALE, _U, Family.NOT_AUTHENTICATED, Logged.SPARINGLY),
    Reason(errors_pb2.ERROR_REASON_NONCE_REPLAYED, _U, Family.NOT_AUTHENTICATED, Logged.SPARINGLY),
    Reason(errors_pb2.ERROR_REASON_AUDIENCE_MISMATCH, _U, Family.NOT_AUTHENTICATED, _NEVER),
    Reason(errors_pb2.ERROR_REASON_CERTIFICATE_MISMATCH, _U, Family.NOT_AUTHENTICATED, Logged.SPARINGLY),
    Reason(errors_pb2.ERROR_REASON_ROLE_MISSING, _P, Family.NOT_ALLOWED, Logged.SPARINGLY),
    Reason(errors_pb2.ERROR_REASON_PURPOSE_NOT_ALLOWED, _P, Family.NOT_ALLOWED),
    Reason(errors_pb2.ERROR_REASON_MEMBER_SUSPENDED, _P, Family.NOT_ALLOWED, Logged.SPARINGLY),
    Reason(errors_pb2.ERROR_REASON_RECIPROCITY_REQUIRED, _P, Family.NOT_ALLOWED),
    Reason(errors_pb2.ERROR_REASON_PURPOSE_WITHOUT_ACCOUNT, _P, Family.NOT_ALLOWED),
    Reason(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_FIELD_REQUIRED, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_FIELD_MALFORMED, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_CODE_UNKNOWN, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_FIELDS_INCONSISTENT, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_BATCH_TOO_LARGE, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_ELEMENT_INVALID, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_PAGE_TOKEN_INVALID, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_CURSOR_INVALID, _I, Family.INVALID),
    Reason(errors_pb2.ERROR_REASON_TOKEN_EPOCH_MISMATCH, _F, Family.CONFLICT),
    Reason(errors_pb2.ERROR_REASON_REQUEST_ID_REUSED, _A, Family.CONFLICT),
    Reason(errors_pb2.ERROR_REASON_ALREADY_EXISTS, _A, Family.CONFLICT),
    Reason(errors_pb2.ERROR_REASON_NOT_FOUND, code_pb2.NOT_FOUND, Family.NOT_FOUND),
    Reason(errors_pb2.ERROR_REASON_STATE_CONFLICT, _F, Family.CONFLICT),
    Reason(errors_pb2.ERROR_REASON_MESSAGE_TOO_LARGE, _R, Family.LIMIT_EXCEEDED, _NEVER),
    Reason(errors_pb2.ERROR_REASON_ANSWER_TOO_LARGE, _R, Family.LIMIT_EXCEEDED),
    Reason(errors_pb2.ERROR_REASON_QUEUE_FULL, _R, Family.OVERLOADED, _NEVER, retry=True),
    Reason(errors_pb2.ERROR_REASON_EVALUATION_QUOTA_EXCEEDED, _R, Family.LIMIT_EXCEEDED),
    Reason(errors_pb2.ERROR_REASON_QUOTA_EXCEEDED, _R, Family.OVERLOADED, _NEVER, retry=True),
    Reason(errors_pb2.ERROR_REASON_DATABASE_UNAVAILABLE, code_pb2.UNAVAILABLE, Family.UNAVAILABLE, _NEVER, retry=True),
    Reason(errors_pb2.ERROR_REASON_SHUTTING_DOWN, code_pb2.UNAVAILABLE, Family.UNAVAILABLE, _NEVER, retry=True),
    Reason(errors_pb2.ERROR_REASON_DEADLINE_PASSED, code_pb2.DEADLINE_EXCEEDED, Family.DEADLINE_EXCEEDED, _NEVER, retry=True),
    Reason(errors_pb2.ERROR_REASON_INTERNAL, code_pb2.INTERNAL, Family.SERVER_FAULT, Logged.IF_POSSIBLE),
)

BY_VALUE: Final = {reason.value: reason for reason in REASONS}
BY_NAME: Final = {reason.name: reason for reason in REASONS}

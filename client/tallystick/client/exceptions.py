"""What can go wrong for a member, and the one place where a gRPC status becomes an exception.

TallystickError
├── NotUsable                  what the caller gave cannot be sent
│   ├── ProfileError           a file of the profile: names the file and the key
│   ├── InputInvalid           a value that cannot be sent: `field`, `reason`
│   │   └── IdentityInvalid    an identity document whose number, type or country does not hold
│   └── FileInvalid            a file of accounts, applicants or receipts: names the file and the row
├── NotReached                 no answer; the same request_id may be sent again
│   ├── Unavailable            no connection, or the server cannot work at the moment
│   ├── ConnectionNotSecure    the TLS handshake failed: wrong certificate, authority or name
│   ├── DeadlineExceeded       no answer in time; the request may have had its effect
│   ├── Overloaded             the server's queue is full
│   └── NotAnExchange          something else answered
├── Refused                    the exchange said no: `reason`, `violations`, `receipt`
│   ├── NotAuthenticated       who signed, with which key, when
│   ├── NotAllowed             role, purpose, suspension
│   ├── Invalid                fields of the request
│   ├── NotFound
│   ├── Conflict               request_id, key epoch, state of the object
│   ├── LimitExceeded          sizes and quotas
│   └── ServerFault            a fault of the server; nothing was done
└── NotTrusted                 an honest exchange would not have sent this: do not use it, and tell the auditor
    ├── ReceiptMissing
    ├── ReceiptFalse           `step`: which of the seven steps of docs/protocol.md, "Receipt"
    ├── TokenProofFalse        the token authority did not use its published key
    ├── CheckpointFalse        a checkpoint that is not signed by the pinned key, or that contradicts an earlier one
    ├── InclusionFalse         a proof that does not lead to the signed root
    ├── DetailsFalse           disclosed details that do not open an entry's commitment, or that are not those of its request
    ├── EpochRolledBack        an older key epoch than one that was seen before, or another key for the same one
    └── AnswerMalformed        bytes that are no answer to what was asked
"""

# ruff: noqa: N818 - the families are named after what the caller must decide (not trusted, not reached, refused)

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from tallystick.contract.reasons import BY_NAME, Family, Logged
from tallystick.contract.violations import Violation
from tallystick.contract.wire import ERROR_DOMAIN, LEFT_KEY

if TYPE_CHECKING:
    from tallystick.client.protocol.receipts import KeptReceipt


class TallystickError(Exception):
    """Every exception of this package. Its text is one line, says what to do, and holds no identity, token, key or reference."""


class NotUsable(TallystickError):
    """What the caller gave cannot be sent; nothing left this machine."""


class ProfileError(NotUsable):
    """A profile folder that cannot be used; the text names the file and the key."""


class InputInvalid(NotUsable):
    """A value that cannot be sent: `field` says where it is, `reason` a name of ErrorReason. The text does not hold the value."""

    def __init__(self, field: str, reason: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.reason = reason
        self.description = description


class IdentityInvalid(InputInvalid):
    """An identity document that does not hold; `field` is kind, type, country or number."""


class FileInvalid(NotUsable):
    """A file that cannot be read as what it should be; the text names the file and the row or column."""


class NotReached(TallystickError):
    """No answer. Whether the request had its effect is not known: send it again under the same request_id."""

    retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the server asked to wait; None if it did not say."""


class Unavailable(NotReached):
    """No connection, or the server cannot work at the moment."""


class ConnectionNotSecure(NotReached):
    """The TLS handshake failed; trying again will not help."""

    retryable = False


class DeadlineExceeded(NotReached):
    """No answer in time; the request may have had its effect."""


class Overloaded(NotReached):
    """The server's queue is full, or a quota of this member is used up; `retry_after` says when to come again."""


class NotAnExchange(NotReached):
    """Something answered that is no exchange: a proxy, or another service."""

    retryable = False

    def __init__(self, code: str, text: str, surroundings: str = "") -> None:
        """`surroundings` is what of this machine may be the cause."""
        super().__init__(
            "; ".join(filter(None, [f"{code} without a reason of the exchange; is the address right? {text}", surroundings]))
        )
        self.code = code


class Refused(TallystickError):
    """The exchange said no. Branch on `reason` (a name of ErrorReason without its prefix), never on the text."""

    def __init__(
        self, message: str, *, reason: str = "", violations: Sequence[Violation] = (), receipt: KeptReceipt | None = None
    ) -> None:
        super().__init__(f"{reason}: {message}" if reason else message)
        self.reason = reason
        self.violations = tuple(violations)
        self.receipt = receipt
        """Proof that the refusal is in the log; None for what is refused before it reaches the log."""


class NotAuthenticated(Refused):
    """The signature, its key, its time or its addressee is not accepted."""


class NotAllowed(Refused):
    """The member's roles, purposes or state do not allow it."""


class Invalid(Refused):
    """Fields of the request are wrong; `violations` names them."""


class NotFound(Refused):
    """There is no such thing, or the caller may not know of it."""


class Conflict(Refused):
    """It contradicts what the exchange has: a request_id, a key epoch, the state of an object."""


class LimitExceeded(Refused):
    """A size or a quota."""

    left: int | None = None
    """How much of the quota is left, where the server says so."""


class ServerFault(Refused):
    """A fault of the server; nothing was done."""


class NotTrusted(TallystickError):
    """What arrived is not what an honest exchange would send. Do not use it; keep it, and tell the auditor."""


class ReceiptMissing(NotTrusted):
    """An answer, or a refusal that must be in the log, came without its receipt."""


class ReceiptFalse(NotTrusted):
    """A receipt says something else than what was asked and answered."""

    def __init__(self, step: int, description: str) -> None:
        super().__init__(f"the receipt is false (step {step}): {description}")
        self.step = step
        """Which of the seven steps of docs/protocol.md, "Receipt", failed."""


class TokenProofFalse(NotTrusted):
    """The token authority did not prove that it used its published key."""


class CheckpointFalse(NotTrusted):
    """A checkpoint is not signed by the pinned key, or contradicts an earlier one."""


class InclusionFalse(NotTrusted):
    """An inclusion proof does not lead to the signed root."""


class DetailsFalse(NotTrusted):
    """What was disclosed of an entry does not open its commitment, or does not agree with the request shown."""


class EpochRolledBack(NotTrusted):
    """An older key epoch than one that was seen before, or another key for the same epoch."""


class AnswerMalformed(NotTrusted):
    """The bytes are no answer to what was asked."""


_REFUSALS: dict[Family, type[Refused]] = {
    Family.NOT_AUTHENTICATED: NotAuthenticated,
    Family.NOT_ALLOWED: NotAllowed,
    Family.INVALID: Invalid,
    Family.CONFLICT: Conflict,
    Family.NOT_FOUND: NotFound,
    Family.LIMIT_EXCEEDED: LimitExceeded,
    Family.SERVER_FAULT: ServerFault,
}
_INTERRUPTIONS: dict[Family, type[NotReached]] = {
    Family.OVERLOADED: Overloaded,
    Family.UNAVAILABLE: Unavailable,
    Family.DEADLINE_EXCEEDED: DeadlineExceeded,
}


class Refusal:
    """A failed call's status, read from untrusted bytes."""

    def __init__(self, code: str, details: str, status: bytes, server: str = "server", surroundings: str = "") -> None:
        """`server` is what to call it in a text, `surroundings` what of this machine may be why there is no status of ours."""
        self._server = server
        self._surroundings = surroundings
        self.code = code
        self.details = details
        self.status = status
        """The `grpc-status-details-bin` bytes: what the receipt's answer digest is over."""
        self.reason = ""
        self.violations: tuple[Violation, ...] = ()
        self.retry_after: float | None = None
        self.left: int | None = None
        self._read()

    def _read(self) -> None:
        try:
            message = status_pb2.Status.FromString(self.status)
            for detail in message.details:
                self._take(detail.type_url.rpartition("/")[2], detail.value)
        except DecodeError:
            self.reason = ""
            return
        if self.reason:
            self.details = message.message

    def _take(self, name: str, value: bytes) -> None:
        match name:
            case "google.rpc.ErrorInfo":
                info = error_details_pb2.ErrorInfo.FromString(value)
                self.reason = info.reason if info.domain == ERROR_DOMAIN else ""
                left = info.metadata.get(LEFT_KEY, "")
                self.left = int(left) if _A_NUMBER.fullmatch(left) else None
            case "google.rpc.BadRequest":
                fields = error_details_pb2.BadRequest.FromString(value).field_violations
                self.violations = tuple(Violation(v.field, v.reason, v.description) for v in fields)
            case "google.rpc.RetryInfo":
                self.retry_after = error_details_pb2.RetryInfo.FromString(value).retry_delay.ToTimedelta().total_seconds()
            case _:
                pass  # a detail of a newer server: it can only add to what is known

    @property
    def must_be_logged(self) -> bool:
        """Whether the server owes a receipt for it: for every reason but those that never, or not always, reach the log."""
        known = BY_NAME.get(self.reason)
        return bool(self.reason) and (known is None or known.logged is Logged.ALWAYS)

    def to_exception(self, receipt: KeptReceipt | None) -> TallystickError:
        """The exception for this status; `receipt` is the verified one, if there was any."""
        known = BY_NAME.get(self.reason)
        if known is not None and known.family in _INTERRUPTIONS:
            return _INTERRUPTIONS[known.family](f"{self.reason}: {_one_line(self.details)}", self.retry_after)
        if self.reason:
            # A reason of a newer server has no family here.
            kind = _REFUSALS[known.family] if known is not None else Refused
            error = kind(_one_line(self.details), reason=self.reason, violations=self.violations, receipt=receipt)
            if isinstance(error, LimitExceeded):
                error.left = self.left
            return error
        return self._without_reason()

    def _without_reason(self) -> TallystickError:
        """Statuses that gRPC itself made: there is no reason to branch on, only its code."""
        text = _one_line(self.details)
        if self.code == "DEADLINE_EXCEEDED":
            return DeadlineExceeded(self._around(f"no answer from the {self._server} in time; send it again, or raise the timeout"))
        if self.code == "RESOURCE_EXHAUSTED" and any(sign in text for sign in _SIGNS_OF_SIZE):
            return LimitExceeded(f"a message is larger than the transport allows: {text}")
        if self.code == "RESOURCE_EXHAUSTED":
            return Overloaded(f"the {self._server} is busy: {text}", BUSY_RETRY_AFTER)
        if self.code == "CANCELLED":
            # Nothing here cancels a call and then asks what became of it: the other side broke it off, as when a worker ends.
            return Unavailable(self._around(f"the {self._server} broke the call off; send it again: {text}"))
        if self.code == "UNAVAILABLE":
            if is_distrust(text):
                told = f"the TLS handshake with the {self._server} failed; check the profile's ca, certificate and key: {text}"
                return ConnectionNotSecure(self._around(told))
            told = f"the {self._server} cannot be reached; check the address and the network: {text}"
            if any(sign in text for sign in _SIGNS_OF_HANGING_UP):
                told = (
                    f"the {self._server} ended the connection: it is stopping, or does not trust the profile's client certificate"
                    f" (is it of the authority that signs for this server?): {text}"
                )
            return Unavailable(self._around(told))
        return NotAnExchange(self.code, text, self._surroundings)

    def _around(self, text: str) -> str:
        return f"{text}; {self._surroundings}" if self._surroundings else text


def is_distrust(details: str) -> bool:
    """Whether what gRPC says of a failed call is that one side does not trust the other."""
    return any(sign in details.upper() for sign in _SIGNS_OF_DISTRUST)


_A_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
BUSY_RETRY_AFTER = 0.25
"""Seconds after which a server that was too busy to say anything itself is asked again."""
_SIGNS_OF_HANGING_UP = ("Socket closed", "recvmsg:Connection reset", "Connection reset by peer")
"""In TLS 1.3 a server judges the client's certificate after the client has finished its handshake: it can only hang up then."""
_SIGNS_OF_SIZE = ("larger than max", "exceeds")
"""What gRPC writes of a message, or of metadata, that is too large; it uses the same status for a server that is too busy."""
_SIGNS_OF_DISTRUST = ("SSL_ERROR_SSL", "CERTIFICATE", "PEER NAME", "HOSTNAME VERIFICATION")
"""What gRPC writes when one side does not trust the other. A handshake that merely breaks off is a server that went away."""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]

"""Who may make a request: its signature, as far as its bytes tell, and then its caller's standing.

A server looks up what is in its database; what it decides by is here, in the order in which it decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tallystick.contract.durations import in_words
from tallystick.contract.limits import MAX_AGE, MAX_AHEAD
from tallystick.contract.methods import Method
from tallystick.contract.refusals import Refusal
from tallystick.crypto import (
    RequestSignature,
    SignatureFormatError,
    SignatureVerificationError,
    parse_request_signature,
    verify_request,
)
from tallystick.v1 import errors_pb2
from tallystick.v1.membership_service_pb2 import Role

_LONGEST = 1_000 * 365 * 86_400
"""Seconds above which nobody wants to know by how much a clock is wrong."""


def read_signature(
    method: Method[Any, Any], message: bytes, metadata: Sequence[tuple[str, str | bytes]], origin: str
) -> RequestSignature:
    """The signature of a request to the log of that origin, not yet verified. Raises Refusal."""
    if len(message) > method.max_bytes:
        text = f"the message is larger than the {method.max_bytes} bytes that this method takes; send less at once"
        raise Refusal(errors_pb2.ERROR_REASON_MESSAGE_TOO_LARGE, text)
    try:
        signature = parse_request_signature(metadata)
    except SignatureFormatError as error:
        raise Refusal(errors_pb2.ERROR_REASON_SIGNATURE_MALFORMED, str(error)) from None
    if signature.audience != origin:
        raise Refusal(errors_pb2.ERROR_REASON_AUDIENCE_MISMATCH, f"this is {origin}; the request is addressed to another")
    return signature


def key_unknown() -> Refusal:
    """For a keyid that no member's key has."""
    return Refusal(errors_pb2.ERROR_REASON_KEY_UNKNOWN, "keyid names no registered key; have the operator register it")


def verify_signature(signature: RequestSignature, public_key: bytes, method: Method[Any, Any], message: bytes) -> None:
    """Raises Refusal for a signature that does not hold."""
    try:
        verify_request(signature, public_key=public_key, path=method.path, message=message)
    except SignatureVerificationError as error:
        raise Refusal(errors_pb2.ERROR_REASON_SIGNATURE_INVALID, str(error)) from None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a server knows a request's key, nonce and member."""

    fresh: bool
    """Whether its signature is of this minute (`is_fresh`)."""
    spent: bool
    """Whether its nonce was its own to spend."""
    revoked: bool
    active: bool
    created: int
    """When the request was signed, by its signer's clock: seconds since 1970."""
    clock: datetime
    """The server's."""
    certificate_mismatch: bool = False
    """Whether the client certificate names another member than the one whose key signed."""


def is_fresh(signature: RequestSignature, now: float) -> bool:
    """Whether a signature may be accepted at `now`, seconds since 1970."""
    return now - MAX_AGE <= signature.created <= now + MAX_AHEAD and signature.expires >= now


def authorise(standing: Standing, roles: Collection[int], held: Collection[int]) -> Refusal | None:
    """Why a member of the roles `held` may not make a request that needs one of `roles`.

    It comes before validation, so that callers learn nothing that they are not allowed to know."""
    if standing.certificate_mismatch:
        return Refusal(
            errors_pb2.ERROR_REASON_CERTIFICATE_MISMATCH,
            "the client certificate names another member than the signing key's",
        )
    if not standing.fresh:
        return Refusal(errors_pb2.ERROR_REASON_SIGNATURE_STALE, _stale(standing.created, standing.clock))
    if not standing.spent:
        return Refusal(errors_pb2.ERROR_REASON_NONCE_REPLAYED, "this key used this nonce before; sign each attempt anew")
    if standing.revoked:
        return Refusal(errors_pb2.ERROR_REASON_KEY_REVOKED, "the signing key was revoked")
    if not standing.active:
        return Refusal(errors_pb2.ERROR_REASON_MEMBER_SUSPENDED, "the member is suspended; ask the operator")
    if roles and not set(roles) & set(held):
        needed = " or ".join(sorted(Role.Name(Role.ValueType(role)).removeprefix("ROLE_") for role in roles))
        return Refusal(errors_pb2.ERROR_REASON_ROLE_MISSING, f"this method needs the role {needed}; ask the operator")
    return None


def _stale(created: int, clock: datetime) -> str:
    """By how much a signature misses the time of this server: its signer cannot know."""
    says = f"the server's clock, which says {clock.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if (seconds := int(clock.timestamp()) - created) in range(-MAX_AHEAD, MAX_AGE + 1):
        return f"the signature expired, or was used before, by {says}; sign each attempt anew"
    which = "behind" if seconds > 0 else "ahead of"
    # No timedelta of what came from outside: it may be too large for one.
    apart = in_words(timedelta(seconds=min(abs(seconds), _LONGEST)))
    return (
        f"created is {apart} {which} {says}; it must lie within {MAX_AGE} seconds back and {MAX_AHEAD} ahead of it: set this"
        " machine's clock"
    )


def request_id_reused() -> Refusal:
    """For a request_id under which something else was asked before."""
    reason = errors_pb2.ERROR_REASON_REQUEST_ID_REUSED
    return Refusal.of_field(reason, "request_id", "was used for another request; make a new random one")

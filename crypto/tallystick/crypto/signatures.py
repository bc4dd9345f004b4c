"""Request signatures: one strict profile of RFC 9421 with Ed25519, over the content digest of RFC 9530.

What is covered, and in which order, is fixed (docs/protocol.md, "Request signature"). A header in any form but the one
that `sign_request` would write is refused, so that one signature has one text and nothing hides in a second reading.
"""

import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.crypto import base64_canonical
from tallystick.crypto.ed25519 import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, is_signed, raw_public_key
from tallystick.crypto.errors import SignatureFormatError, SignatureVerificationError
from tallystick.crypto.origins import is_origin

DIGEST_KEY = "content-digest"
AUDIENCE_KEY = "tallystick-audience"
INPUT_KEY = "signature-input"
SIGNATURE_KEY = "signature"
MAX_LIFETIME = 60
"""Seconds from `created` to `expires` at most."""
MIN_NONCE_BYTES, MAX_NONCE_BYTES = 16, 32

_KEYS = (DIGEST_KEY, AUDIENCE_KEY, INPUT_KEY, SIGNATURE_KEY)
# The longest canonical signature-input has 316 characters and every other value fewer.
_MAX_VALUE_CHARACTERS = 512
_LABEL = "tallystick"
_COVERED = '("@method" "@path" "content-digest" "tallystick-audience")'
# Eleven digits reach the year 5138, which every calendar that stands behind this can still represent.
_SECONDS = r"(0|[1-9][0-9]{0,10})"
_INPUT = re.compile(
    re.escape(f"{_LABEL}={_COVERED}")
    + rf';created={_SECONDS};expires={_SECONDS};nonce="([A-Za-z0-9+/]{{22,43}}={{0,2}})"'
    + r';keyid="([0-9a-f]{64})";alg="ed25519";tag="tallystick-v1"',
    re.ASCII,
)
_MAX_SECONDS = 99_999_999_999
_PATH = re.compile(r"/[!-~]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What signing gives: four metadata entries to send, and the two values that a receipt's envelope must repeat."""

    metadata: tuple[tuple[str, str], ...]
    signature_params: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class RequestSignature:
    """A request's signature headers, parsed and in canonical form; nothing of it is verified yet."""

    audience: str
    content_digest: str
    created: int
    expires: int
    nonce: bytes
    keyid: bytes
    signature_params: str
    signature: bytes


def keyid(public_key: bytes) -> bytes:
    """Returns the 32 bytes that name a key: SHA-256 of its 32 bytes. Raises SignatureFormatError for another length."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise SignatureFormatError(f"a public key must be {PUBLIC_KEY_BYTES} bytes")
    return sha256(public_key).digest()


def content_digest(message: bytes) -> str:
    """Returns a call's content-digest value: over the byte 0, the length in four bytes, and the message.

    Raises SignatureFormatError when the message is too long for a gRPC frame.
    """
    if len(message) >= 2**32:
        raise SignatureFormatError("the message is longer than a gRPC frame can hold")
    content = sha256(b"\x00" + len(message).to_bytes(4, "big"))
    content.update(message)
    return f"sha-256=:{base64_canonical.encode(content.digest())}:"


def signature_base(components: Iterable[tuple[str, str]], signature_params: str) -> bytes:
    """Returns the bytes that RFC 9421 signs (section 2.5) over covered components, (name, value) in their order."""
    lines = [f'"{name}": {value}' for name, value in components]
    lines.append(f'"@signature-params": {signature_params}')
    return "\n".join(lines).encode()


def sign_request(
    private_key: Ed25519PrivateKey,
    *,
    path: str,
    message: bytes,
    audience: str,
    created: int,
    lifetime: int = MAX_LIFETIME,
    nonce: bytes | None = None,
) -> SignedRequest:
    """Signs a call for one addressee.

    `path` is the full method, `audience` the addressee's log origin, `created` seconds since 1970, `lifetime` 1 to 60
    seconds; `nonce` is fresh and random unless a test vector fixes it. Raises SignatureFormatError when one cannot
    stand in the headers.
    """
    _check_addressee(path, audience)
    nonce = secrets.token_bytes(MIN_NONCE_BYTES) if nonce is None else nonce
    if not MIN_NONCE_BYTES <= len(nonce) <= MAX_NONCE_BYTES:
        raise SignatureFormatError(f"nonce must be {MIN_NONCE_BYTES} to {MAX_NONCE_BYTES} bytes")
    if not (1 <= lifetime <= MAX_LIFETIME and 0 <= created <= _MAX_SECONDS - lifetime):
        raise SignatureFormatError(f"created must be seconds since 1970 and lifetime 1 to {MAX_LIFETIME} seconds")
    digest = content_digest(message)
    params = _signature_params(created, created + lifetime, nonce, keyid(raw_public_key(private_key)))
    signature = private_key.sign(_request_base(path, digest, audience, params))
    metadata = request_metadata(message=message, audience=audience, signature_params=params, signature=signature)
    return SignedRequest(metadata, params, signature)


def request_metadata(*, message: bytes, audience: str, signature_params: str, signature: bytes) -> tuple[tuple[str, str], ...]:
    """Returns the four metadata entries of a call: those to send, or those that were sent of a request that a log has kept."""
    return (
        (DIGEST_KEY, content_digest(message)),
        (AUDIENCE_KEY, audience),
        (INPUT_KEY, f"{_LABEL}={signature_params}"),
        (SIGNATURE_KEY, _signature_value(signature)),
    )


def parse_request_signature(metadata: Sequence[tuple[str, str | bytes]]) -> RequestSignature:
    """Reads a request's four signature headers; other metadata is passed over.

    Raises SignatureFormatError when one is missing, doubled, or not exactly what `sign_request` would write for its
    values.
    """
    values = _only_values(metadata)
    audience = values[AUDIENCE_KEY]
    if not is_origin(audience):
        raise SignatureFormatError(f"{AUDIENCE_KEY}: must be a log origin")
    match = _INPUT.fullmatch(values[INPUT_KEY])
    if match is None:
        raise SignatureFormatError(f"{INPUT_KEY}: not the one form that docs/protocol.md gives")
    created, expires = int(match[1]), int(match[2])
    nonce = base64_canonical.decode(match[3])
    if nonce is None or not MIN_NONCE_BYTES <= len(nonce) <= MAX_NONCE_BYTES:
        raise SignatureFormatError(f"{INPUT_KEY}: nonce must be canonical base64 of 16 to 32 bytes")
    if not created < expires <= created + MAX_LIFETIME:
        raise SignatureFormatError(f"{INPUT_KEY}: expires must be 1 to {MAX_LIFETIME} seconds after created")
    key = bytes.fromhex(match[4])
    params = _signature_params(created, expires, nonce, key)
    signature = _byte_sequence(values[SIGNATURE_KEY], f"{_LABEL}=", SIGNATURE_BYTES)
    digest = _byte_sequence(values[DIGEST_KEY], "sha-256=", 32)
    # Everything was matched against the one form above; this holds even if a pattern there is one day made too wide.
    if values[INPUT_KEY] != f"{_LABEL}={params}" or signature is None or values[SIGNATURE_KEY] != _signature_value(signature):
        raise SignatureFormatError(f"{INPUT_KEY} or {SIGNATURE_KEY}: not in canonical form")
    if digest is None:
        raise SignatureFormatError(f"{DIGEST_KEY}: must be sha-256=:<canonical base64 of 32 bytes>:")
    return RequestSignature(audience, values[DIGEST_KEY], created, expires, nonce, key, params, signature)


def verify_request(request_signature: RequestSignature, *, public_key: bytes, path: str, message: bytes) -> None:
    """Verifies that the key signed this call.

    Whether it is fresh, not replayed and addressed to us is the caller's to judge.

    1. `message` has the content digest that is stated. 2. `keyid` names `public_key`. 3. The signature verifies.
    Raises SignatureVerificationError when one does not hold.
    """
    if not hmac.compare_digest(content_digest(message).encode(), request_signature.content_digest.encode()):
        raise SignatureVerificationError("content-digest does not match the message")
    if not hmac.compare_digest(sha256(public_key).digest(), request_signature.keyid):
        raise SignatureVerificationError("keyid does not name this key")
    if _PATH.fullmatch(path) is None:
        raise SignatureVerificationError("the path is not a gRPC method")
    base = _request_base(path, request_signature.content_digest, request_signature.audience, request_signature.signature_params)
    if not is_signed(public_key, request_signature.signature, base):
        raise SignatureVerificationError("the signature does not verify")


def _only_values(metadata: Sequence[tuple[str, str | bytes]]) -> dict[str, str]:
    """The value of each of the four keys, each present once."""
    values: dict[str, str] = {}
    for key, value in metadata:
        if key not in _KEYS:
            continue
        if key in values:
            raise SignatureFormatError(f"{key}: given more than once")
        if not value or len(value) > _MAX_VALUE_CHARACTERS:
            raise SignatureFormatError(f"{key}: empty or longer than {_MAX_VALUE_CHARACTERS} characters")
        try:
            values[key] = value.decode("ascii") if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            raise SignatureFormatError(f"{key}: not ASCII") from None
    for key in _KEYS:
        if key not in values:
            raise SignatureFormatError(f"{key}: missing; every request must be signed")
    return values


def _byte_sequence(value: str, prefix: str, length: int) -> bytes | None:
    """The bytes of `prefix:<canonical base64>:`; None for any other form or length."""
    if not (value.startswith(f"{prefix}:") and value.endswith(":")):
        return None
    data = base64_canonical.decode(value[len(prefix) + 1 : -1])
    return data if data is not None and len(data) == length else None


def _check_addressee(path: str, audience: str) -> None:
    if _PATH.fullmatch(path) is None:
        raise SignatureFormatError('path must be a full gRPC method, such as "/package.Service/Method"')
    if not is_origin(audience):
        raise SignatureFormatError("audience must be a log origin: 1 to 255 visible ASCII characters without '+'")


def _signature_params(created: int, expires: int, nonce: bytes, key: bytes) -> str:
    return (
        f'{_COVERED};created={created};expires={expires};nonce="{base64_canonical.encode(nonce)}"'
        f';keyid="{key.hex()}";alg="ed25519";tag="tallystick-v1"'
    )


def _signature_value(signature: bytes) -> str:
    return f"{_LABEL}=:{base64_canonical.encode(signature)}:"


def _request_base(path: str, digest: str, audience: str, params: str) -> bytes:
    return signature_base((("@method", "POST"), ("@path", path), (DIGEST_KEY, digest), (AUDIENCE_KEY, audience)), params)

"""Request signatures: RFC 9421's own example, and every header form and change that must be refused."""

import base64
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import (
    AUDIENCE_KEY,
    DIGEST_KEY,
    INPUT_KEY,
    SIGNATURE_KEY,
    SignatureFormatError,
    SignatureVerificationError,
    content_digest,
    keyid,
    parse_request_signature,
    sign_request,
    verify_request,
)
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.crypto.signatures import signature_base

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = raw_public_key(KEY)
PATH = "/tallystick.v1.InquiryService/QueryCreditHistory"
AUDIENCE = "exchange.example/log"


def signed(**changed: Any) -> list[tuple[str, str]]:
    arguments: dict[str, Any] = {"path": PATH, "message": b"message", "audience": AUDIENCE, "created": 1_767_225_600} | changed
    return list(sign_request(KEY, **arguments).metadata)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_rfc_9421_example(vectors: Callable[[str], Any]) -> None:
    example = vectors("rfc9421-b26-ed25519")
    values = example["fields"] | example["derived"]
    names = [part.strip('"') for part in example["signature_params"].partition(")")[0][1:].split(" ")]
    base = signature_base([(name, values[name]) for name in names], example["signature_params"])
    assert base.decode() == example["signature_base"]
    key = Ed25519PrivateKey.from_private_bytes(decoded(example["private_key_b64url"]))
    assert raw_public_key(key) == decoded(example["public_key_b64url"])
    assert base64.b64encode(key.sign(base)).decode() == example["signature_b64"]


def test_signature_base_is_the_documented_text() -> None:
    metadata = dict(signed())
    params = metadata[INPUT_KEY].removeprefix("tallystick=")
    base = (
        f'"@method": POST\n"@path": {PATH}\n"content-digest": {metadata[DIGEST_KEY]}\n'
        f'"tallystick-audience": {AUDIENCE}\n"@signature-params": {params}'
    )
    signature = base64.b64decode(metadata[SIGNATURE_KEY].removeprefix("tallystick=:").removesuffix(":"))
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(signature, base.encode())


def test_content_digest_is_over_the_framed_message() -> None:
    framed = b"\x00\x00\x00\x00\x07message"
    assert content_digest(b"message") == f"sha-256=:{base64.b64encode(sha256(framed).digest()).decode()}:"


@given(
    message=st.binary(max_size=200),
    created=st.integers(0, 10**11 - 100),
    lifetime=st.integers(1, 60),
    nonce=st.none() | st.binary(min_size=16, max_size=32),
    audience=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+"), min_size=1, max_size=255),
)
def test_what_is_signed_is_read_and_verified(
    message: bytes, created: int, lifetime: int, nonce: bytes | None, audience: str
) -> None:
    request = sign_request(KEY, path=PATH, message=message, audience=audience, created=created, lifetime=lifetime, nonce=nonce)
    read = parse_request_signature([("user-agent", "x"), *request.metadata, ("grpc-trace-bin", b"\xff")])
    assert (read.audience, read.created, read.expires, read.keyid) == (audience, created, created + lifetime, keyid(PUBLIC))
    assert (read.signature_params, read.signature) == (request.signature_params, request.signature)
    assert nonce is None or read.nonce == nonce
    verify_request(read, public_key=PUBLIC, path=PATH, message=message)
    with pytest.raises(SignatureVerificationError):
        verify_request(read, public_key=PUBLIC, path=PATH, message=message + b"\0")


def test_ascii_bytes_are_read_as_text() -> None:
    assert parse_request_signature([(key, value.encode()) for key, value in signed(nonce=bytes(16))]) == parse_request_signature(
        signed(nonce=bytes(16))
    )
    with pytest.raises(SignatureFormatError):
        parse_request_signature([(key, b"\xff" if key == AUDIENCE_KEY else value) for key, value in signed()])


def test_order_of_metadata_does_not_matter() -> None:
    metadata = signed()
    assert parse_request_signature(metadata[::-1]) == parse_request_signature(metadata)


def test_nonces_are_fresh() -> None:
    assert len({parse_request_signature(signed()).nonce for _ in range(10)}) == 10


def test_negative_vectors_are_what_their_script_writes(
    vectors: Callable[[str], Any], vector_script: Callable[[str], ModuleType]
) -> None:
    import json

    script = vector_script("make_request_signature_vectors")
    assert json.loads(script.rendered()) == vectors("request_signatures_negative")


def context(case: dict[str, Any]) -> dict[str, Any]:
    return {
        "public_key": bytes.fromhex(case["public_key"]),
        "path": case["path"],
        "message": bytes.fromhex(case["message"]),
    }


def test_good_vector_is_accepted(vectors: Callable[[str], Any]) -> None:
    good = vectors("request_signatures_negative")["good"]
    verify_request(parse_request_signature([tuple(entry) for entry in good["metadata"]]), **context(good))


def test_malformed_vectors_are_refused(vectors: Callable[[str], Any]) -> None:
    cases = vectors("request_signatures_negative")["malformed"]
    assert len(cases) > 250
    for case in cases:
        with pytest.raises(SignatureFormatError) as caught:
            parse_request_signature([tuple(entry) for entry in case["metadata"]])
        assert any(key in str(caught.value) for key in (DIGEST_KEY, AUDIENCE_KEY, INPUT_KEY, SIGNATURE_KEY)), case["name"]


def test_invalid_vectors_are_read_and_refused(vectors: Callable[[str], Any]) -> None:
    cases = vectors("request_signatures_negative")["invalid"]
    assert len(cases) > 20
    for case in cases:
        read = parse_request_signature([tuple(entry) for entry in case["metadata"]])
        with pytest.raises(SignatureVerificationError):
            verify_request(read, **context(case))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audience", "other.example/log"),
        ("content_digest", content_digest(b"other")),
        ("signature_params", "()"),
        ("signature", bytes(64)),
        ("signature", b""),
        ("keyid", bytes(32)),
    ],
)
def test_changed_after_reading(field: str, value: Any) -> None:
    read = replace(parse_request_signature(signed()), **{field: value})
    with pytest.raises(SignatureVerificationError):
        verify_request(read, public_key=PUBLIC, path=PATH, message=b"message")


@pytest.mark.parametrize("public_key", [b"", PUBLIC[:31], PUBLIC + b"\0", bytes(32), b"\xff" * 32])
def test_other_keys(public_key: bytes) -> None:
    read = replace(parse_request_signature(signed()), keyid=sha256(public_key).digest())
    with pytest.raises(SignatureVerificationError):
        verify_request(read, public_key=public_key, path=PATH, message=b"message")


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "no-slash"},
        {"path": "/with space"},
        {"path": "/a\n/b"},
        {"path": "/"},
        {"path": "/" + "a" * 256},
        {"audience": ""},
        {"audience": "with space"},
        {"audience": "line\nfeed"},
        {"audience": "ü"},
        {"created": -1},
        {"created": 10**11},
        {"lifetime": 0},
        {"lifetime": 61},
        {"nonce": bytes(15)},
        {"nonce": bytes(33)},
    ],
    ids=repr,
)
def test_what_cannot_be_signed(changed: dict[str, Any]) -> None:
    with pytest.raises(SignatureFormatError):
        signed(**changed)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keyid_needs_a_key(length: int) -> None:
    with pytest.raises(SignatureFormatError):
        keyid(bytes(length))

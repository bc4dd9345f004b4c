"""Signatures prove who signed: keys under which anybody can sign, and signatures in a second form, are refused."""

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto.ed25519 import is_signed, is_usable_public_key, raw_public_key

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493

Point = tuple[int, int]


def recovered(encoding: int) -> Point | None:
    """The point of an encoding, canonical or not; a sign bit on x = 0 is passed over, as lax verifiers do."""
    y = (encoding & ((1 << 255) - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return (P - x) % P if x & 1 != encoding >> 255 else x, y


def added(left: Point, right: Point) -> Point:
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def times(scalar: int, point: Point) -> Point:
    product = (0, 1)
    for bit in f"{scalar:b}":
        product = added(product, product)
        if bit == "1":
            product = added(product, point)
    return product


def test_every_point_of_small_order_is_refused() -> None:
    # The prime order's multiple of any point is one of the eight that are left.
    small = small_points()
    assert len(small) == 8
    for x, y in small:
        for encoded_y in {y, y + P} if y + P < 2**255 else {y}:
            # x = 0 has no sign, and yet some verifiers read its encoding with the sign bit set.
            for sign in {0, 1} if x == 0 else {x & 1}:
                encoding = (encoded_y | sign << 255).to_bytes(32, "little")
                assert recovered(int.from_bytes(encoding, "little")) == (x, y)
                assert not is_usable_public_key(encoding)


def test_a_key_of_small_order_would_sign_anything() -> None:
    identity = bytes([1]) + bytes(31)
    Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), b"never signed")
    assert not is_signed(identity, identity + bytes(32), b"never signed")


def encoded(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def small_points() -> list[Point]:
    return sorted({times(ORDER, point) for point in map(recovered, range(2, 60)) if point is not None})


def secret_scalar(seed: bytes) -> int:
    """RFC 8032, section 5.1.5."""
    half = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return half & ~7 & ((1 << 254) - 1) | 1 << 254


def response(r: bytes, public: bytes, message: bytes, secret: int, nonce: int = 0) -> bytes:
    """S of section 5.1.6, for an R that is chosen freely."""
    challenge = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % ORDER
    return ((nonce + challenge * secret) % ORDER).to_bytes(32, "little")


def openssl_takes(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize("r", [encoded(point) for point in small_points()], ids=lambda r: r.hex()[:8])
def test_an_r_of_small_order_is_refused(r: bytes) -> None:
    """Its signer chose it, and gave its secret key away; that the verifiers of others may take it is why it is refused here."""
    seed, message = bytes(range(32)), b"signed without a nonce"
    public = raw_public_key(Ed25519PrivateKey.from_private_bytes(seed))
    signature = r + response(r, public, message, secret_scalar(seed))
    assert not is_signed(public, signature, message)
    # What proves that these are signatures: with R the identity the equation holds, and OpenSSL says so.
    assert openssl_takes(public, signature, message) == (r == encoded((0, 1)))


def test_what_differs_by_a_point_of_small_order_is_refused() -> None:
    """With the cofactor such a signature would hold, and not without: two verifiers must not differ in it."""
    seed, message, nonce = bytes(range(32)), b"signed beside the group", 12345
    public = raw_public_key(Ed25519PrivateKey.from_private_bytes(seed))
    base = recovered(int.from_bytes(bytes.fromhex("58" + "66" * 31), "little"))
    assert base is not None
    honest = times(nonce, base)
    for point in small_points():
        r = encoded(added(honest, point))
        signature = r + response(r, public, message, secret_scalar(seed), nonce)
        assert is_signed(public, signature, message) == openssl_takes(public, signature, message) == (point == (0, 1))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_signatures_hold_for_their_message_and_key_alone(seed: bytes, message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = raw_public_key(key), key.sign(message)
    assert is_signed(public, signature, message)
    assert not is_signed(public, signature, message + b"x")
    assert not is_signed(raw_public_key(Ed25519PrivateKey.generate()), signature, message)
    above = (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
    assert not is_signed(public, signature[:32] + above, message)


@given(st.binary(max_size=70), st.binary(max_size=70), st.binary(max_size=8))
def test_anything_else_is_no_signature(public: bytes, signature: bytes, message: bytes) -> None:
    assert not is_signed(public, signature, message)

"""Ed25519 verification (RFC 8032) that refuses the public keys for which anybody can make signatures.

It is libsodium's: each request is verified, and it takes half of OpenSSL's time. It is also the stricter of the two, so that what
it takes every other verifier takes: a non-canonical key, and a signature whose R is of small order, are refused
(docs/adr/0027-libsodium-verifies.md).
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_SIGN_BIT = 1 << 255
_P = 2**255 - 19
# RFC 8032 has no name for them: the y of the points of order eight, which come in pairs y and -y.
_ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# Every encoding, canonical or not, of the eight points of small order, with either sign bit. Under such a key a
# signature holds for messages that nobody signed, so that its owner could deny all of them.
_SMALL_ORDER_KEYS = frozenset(
    (y | sign).to_bytes(32, "little") for y in (0, 1, _P - 1, _P, _P + 1, _ORDER_8_Y, _P - _ORDER_8_Y) for sign in (0, _SIGN_BIT)
)


def is_usable_public_key(public_key: bytes) -> bool:
    """Whether these are 32 bytes that do not encode a point of small order.

    Whether they are a point shows at verification.
    """
    return len(public_key) == PUBLIC_KEY_BYTES and public_key not in _SMALL_ORDER_KEYS


def raw_public_key(private_key: Ed25519PrivateKey) -> bytes:
    """Returns the 32 bytes of the public key that belongs to `private_key`."""
    return private_key.public_key().public_bytes_raw()


def is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` verifies under `public_key`; False for malformed keys and signatures too."""
    if not is_usable_public_key(public_key) or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True

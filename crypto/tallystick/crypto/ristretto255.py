"""The group ristretto255 (RFC 9496) by libsodium: the only module that knows which library does the arithmetic.

Scalars are byte strings from birth to death: Python's integers have no constant-time arithmetic.
"""

import contextlib
import ctypes
from pathlib import Path

import rbcl

from tallystick.crypto.errors import ElementError

BYTES = 32
"""Length of an encoded element and of an encoded scalar."""
IDENTITY = bytes(BYTES)
"""The encoding of the identity, which is never a valid input or output here."""

_ZERO_HALF = bytes(32)
# A token takes two multiplications and an addition, and rbcl's own wrappers of them a twentieth of its time.
_multiply = rbcl._sodium.crypto_scalarmult_ristretto255
_add = rbcl._sodium.crypto_core_ristretto255_add
# libsodium 1.0.18, which rbcl 1.1 carries, masks the highest bit of an encoding away instead of refusing it: each element would
# have a second encoding, and each subject a second token.
_HIGHEST_BIT = 0x80
_NOT_AN_ELEMENT = "not the canonical encoding of a ristretto255 element other than the identity"

# rbcl writes its copy of libsodium to a temporary file at each import and leaves it there. Once loaded it stays mapped,
# so the name can go; where an open file cannot be deleted (Windows) it stays as rbcl left it.
with contextlib.suppress(OSError, AttributeError, TypeError):
    Path(rbcl._sodium._name).unlink()


def is_element(data: bytes) -> bool:
    """Whether `data` is the canonical encoding of an element other than the identity."""
    return (
        isinstance(data, bytes)
        and len(data) == BYTES
        and data != IDENTITY
        and data[31] < _HIGHEST_BIT
        and bool(rbcl.crypto_core_ristretto255_is_valid_point(data))
    )


def is_scalar(data: bytes) -> bool:
    """Whether `data` is the canonical encoding of a scalar other than zero."""
    return (
        isinstance(data, bytes)
        and len(data) == BYTES
        and data != _ZERO_HALF
        and bool(rbcl.crypto_core_ristretto255_scalar_reduce(data + _ZERO_HALF) == data)
    )


def random_scalar() -> bytes:
    """Returns a uniformly random scalar other than zero."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_random())


def reduce_scalar(wide: bytes) -> bytes:
    """Returns 64 uniform bytes, little endian, modulo the group's order."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_reduce(wide))


def invert_scalar(scalar: bytes) -> bytes:
    """Returns the multiplicative inverse of a scalar other than zero."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_invert(scalar))


def multiply_scalars(left: bytes, right: bytes) -> bytes:
    """Returns the product of two scalars."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_mul(left, right))


def subtract_scalars(left: bytes, right: bytes) -> bytes:
    """Returns the difference of two scalars."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_sub(left, right))


def element_from_hash(digest: bytes) -> bytes:
    """Maps 64 uniform bytes to an element (the one-way map of RFC 9496, section 4.3.4)."""
    return bytes(rbcl.crypto_core_ristretto255_from_hash(digest))


def multiply(scalar: bytes, element: bytes) -> bytes:
    """Returns `scalar · element`. Raises ElementError when the element is not canonical, or the product would be the identity."""
    if not (_is_encoding(scalar) and _is_encoding(element)) or element[31] >= _HIGHEST_BIT:
        raise ElementError(_NOT_AN_ELEMENT)
    product = ctypes.create_string_buffer(BYTES)
    if _multiply(product, scalar, element) != 0:
        raise ElementError(_NOT_AN_ELEMENT)
    return product.raw


def multiply_base(scalar: bytes) -> bytes:
    """Returns `scalar · generator`. Raises ElementError when the scalar is zero."""
    try:
        return bytes(rbcl.crypto_scalarmult_ristretto255_base(scalar))
    except (RuntimeError, ValueError, TypeError):
        raise ElementError("not the canonical encoding of a scalar other than zero") from None


def add(left: bytes, right: bytes) -> bytes:
    """Returns the sum of two encoded elements, which may be the identity.

    Both must come from this module. Raises ElementError when the library cannot decode one of them.
    """
    total = ctypes.create_string_buffer(BYTES)
    if not (_is_encoding(left) and _is_encoding(right)) or _add(total, left, right) != 0:
        raise ElementError(_NOT_AN_ELEMENT)
    return total.raw


def _is_encoding(data: bytes) -> bool:
    """Whether the library may read 32 bytes there."""
    return type(data) is bytes and len(data) == BYTES

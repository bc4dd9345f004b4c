"""Whether 32 bytes are an Ed25519 public key that nobody but its holder can sign under (RFC 8032, section 5.1).

Verification libraries accept any point of the curve. Under one of small order anybody can forge, so that possession
would prove nothing; one with a part of small order verifies at some verifiers and not at others, so that a member could
deny its own signature. Both are refused here, once, at registration. The numbers are public: constant time is not
needed.
"""

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]
"""Extended homogeneous coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z."""

IDENTITY: Point = (0, 1, 1, 0)


def is_signing_key(public_key: bytes) -> bool:
    """Whether the bytes are the canonical encoding of a point of the prime-order subgroup other than the identity."""
    point = _decode(public_key)
    if point is None or _is_identity(point):
        return False
    return _is_identity(_multiply(ORDER, point))


def _decode(data: bytes) -> Point | None:
    """RFC 8032, section 5.1.3; None for bytes that encode no point, or one in a second way."""
    if len(data) != 32:
        return None
    encoded = int.from_bytes(data, "little")
    sign, y = encoded >> 255, encoded & ((1 << 255) - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_MINUS_ONE % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def _add(left: Point, right: Point) -> Point:
    """RFC 8032, section 5.1.4: complete on this curve, so that it doubles too."""
    a = (left[1] - left[0]) * (right[1] - right[0]) % P
    b = (left[1] + left[0]) * (right[1] + right[0]) % P
    c = 2 * left[3] * right[3] * D % P
    d = 2 * left[2] * right[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _multiply(scalar: int, point: Point) -> Point:
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _is_identity(point: Point) -> bool:
    return point[0] % P == 0 and (point[1] - point[2]) % P == 0

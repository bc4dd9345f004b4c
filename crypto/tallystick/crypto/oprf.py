"""The subject token: RFC 9497's OPRF and VOPRF over ristretto255 with SHA-512, up to the unblinded element.

The suite identifier is a parameter: with RFC_SUITE the functions are the RFC's and run its vectors, with SUITE they are
Tallystick's, whose output is the element itself and not the RFC's final hash. A key serves one suite and nothing else.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256, sha512

from tallystick.crypto import ristretto255
from tallystick.crypto.errors import CryptoError, ElementError, ProofError

SUITE = "ristretto255-SHA512-tallystick-element-v1"
RFC_SUITE = "ristretto255-SHA512"
MODE_OPRF = 0
MODE_VOPRF = 1

ELEMENT_BYTES = ristretto255.BYTES
PROOF_BYTES = 2 * ristretto255.BYTES
EPOCH_ID_BYTES = 20

# Positions in a batch and lengths of inputs are two bytes in the RFC's transcripts.
_MAX_BATCH = 0xFFFF
_MAX_INPUT_BYTES = 0xFFFF
_SHA512_BLOCK = bytes(128)
_EXPANDED_LENGTH = (64).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Blinded:
    """A blinded input: `element` is sent, `blind` is kept, since it unblinds and must never serve twice."""

    blind: bytes = field(repr=False)
    element: bytes


# --- Hashing (RFC 9497 section 4.1, RFC 9380 section 5.3.1) -----------------------------------------------------------


@lru_cache(maxsize=16)
def _context(mode: int, suite: str) -> bytes:
    if mode not in (MODE_OPRF, MODE_VOPRF):
        raise CryptoError("mode must be MODE_OPRF or MODE_VOPRF")
    return b"OPRFV1-" + bytes([mode]) + b"-" + suite.encode()


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _expand_message(message: bytes, dst: bytes) -> bytes:
    """expand_message_xmd with SHA-512 for 64 bytes of output, which is one block."""
    suffix = dst + bytes([len(dst)])
    first = sha512(_SHA512_BLOCK + message + _EXPANDED_LENGTH + b"\x00" + suffix).digest()
    return sha512(first + b"\x01" + suffix).digest()


def _hash_to_group(data: bytes, context: bytes) -> bytes:
    return ristretto255.element_from_hash(_expand_message(data, b"HashToGroup-" + context))


def _hash_to_scalar(data: bytes, context: bytes) -> bytes:
    return ristretto255.reduce_scalar(_expand_message(data, b"HashToScalar-" + context))


def _input_element(data: bytes, context: bytes) -> bytes:
    if len(data) > _MAX_INPUT_BYTES:
        raise ElementError(f"the input is longer than {_MAX_INPUT_BYTES} bytes")
    element = _hash_to_group(data, context)
    if element == ristretto255.IDENTITY:
        raise ElementError("the input hashes to the identity; it cannot be used")
    return element


def _check_scalar(scalar: bytes, name: str) -> None:
    if not ristretto255.is_scalar(scalar):
        raise ElementError(f"{name} is not the canonical encoding of a scalar other than zero")


def check_element(data: bytes) -> None:
    """Raises ElementError unless `data` is the canonical encoding, 32 bytes, of an element other than the identity."""
    if not ristretto255.is_element(data):
        raise ElementError("not the canonical encoding of a ristretto255 element other than the identity")


# --- Keys -------------------------------------------------------------------------------------------------------------


def generate_private_key() -> bytes:
    """Returns a new random private key: a scalar, 32 bytes."""
    return ristretto255.random_scalar()


def public_key(private_key: bytes) -> bytes:
    """Returns the public key of `private_key`. Raises ElementError unless that is a canonical scalar other than zero."""
    _check_scalar(private_key, "private_key")
    return ristretto255.multiply_base(private_key)


def derive_key_pair(seed: bytes, info: bytes, *, mode: int, suite: str = SUITE) -> tuple[bytes, bytes]:
    """Derives (private key, public key) from a secret seed of 32 bytes (DeriveKeyPair).

    Raises CryptoError for a wrong length.
    """
    if len(seed) != 32 or len(info) > _MAX_INPUT_BYTES:
        raise CryptoError("seed must be 32 bytes and info at most 65535")
    dst = b"DeriveKeyPair" + _context(mode, suite)
    for counter in range(256):
        private = ristretto255.reduce_scalar(_expand_message(seed + _prefixed(info) + bytes([counter]), dst))
        if ristretto255.is_scalar(private):
            return private, ristretto255.multiply_base(private)
    raise CryptoError("no key can be derived from this seed; take another")


def epoch_id(sequence: int, public_key: bytes, *, suite: str = SUITE) -> bytes:
    """Returns the 20 bytes that name a key epoch: its sequence number and 16 bytes of SHA-256(suite ‖ public key).

    Raises ElementError for a bad public key, CryptoError unless 0 ≤ sequence < 2³².
    """
    check_element(public_key)
    if not 0 <= sequence < 2**32:
        raise CryptoError("sequence must fit in four bytes")
    return sequence.to_bytes(4, "big") + sha256(suite.encode() + public_key).digest()[:16]


def epoch_sequence(epoch_id: bytes) -> int:
    """Returns the sequence number that is in an epoch id. Raises CryptoError unless it is 20 bytes."""
    if len(epoch_id) != EPOCH_ID_BYTES:
        raise CryptoError(f"epoch_id must be {EPOCH_ID_BYTES} bytes")
    return int.from_bytes(epoch_id[:4], "big")


# --- The protocol (RFC 9497 section 3.3) ------------------------------------------------------------------------------


def blind(
    input: bytes,  # noqa: A002  RFC 9497's name for it
    *,
    suite: str = SUITE,
    mode: int = MODE_VOPRF,
    blind: bytes | None = None,
) -> Blinded:
    """Blinds `input` with a fresh random scalar (Blind).

    `blind` fixes the scalar, for test vectors alone: a scalar used twice links the two requests.
    Raises ElementError when the input is longer than 65,535 bytes.
    """
    scalar = ristretto255.random_scalar() if blind is None else blind
    _check_scalar(scalar, "blind")
    return Blinded(scalar, ristretto255.multiply(scalar, _input_element(input, _context(mode, suite))))


def evaluate(
    private_key: bytes,
    public_key: bytes,
    blinded: Sequence[bytes],
    *,
    suite: str = SUITE,
    mode: int = MODE_VOPRF,
    proof_randomness: bytes | None = None,
) -> tuple[list[bytes], bytes]:
    """Evaluates a batch of blinded elements with the key, and proves it (BlindEvaluate).

    Returns the evaluated elements in order, and one proof of 64 bytes over all of them (empty in mode OPRF).
    `public_key` must be that of `private_key`, or the proof does not verify. `proof_randomness` fixes the proof's
    nonce, for test vectors alone: one used twice gives the private key away. Raises ElementError, with the index, for
    an element that is not canonical or the identity.
    """
    context = _context(mode, suite)
    _check_scalar(private_key, "private_key")
    _check_batch(blinded)
    evaluated = _multiply_each(private_key, blinded)
    if mode == MODE_OPRF:
        return evaluated, b""
    nonce = ristretto255.random_scalar() if proof_randomness is None else proof_randomness
    _check_scalar(nonce, "proof_randomness")
    weights = _weights(public_key, blinded, evaluated, context)
    composite = _weighted_sum(weights, blinded)
    # ComputeCompositesFast: the holder of the key needs no second sum.
    evaluated_composite = ristretto255.multiply(private_key, composite)
    challenge = _challenge(
        public_key,
        composite,
        evaluated_composite,
        ristretto255.multiply_base(nonce),
        ristretto255.multiply(nonce, composite),
        context,
    )
    response = ristretto255.subtract_scalars(nonce, ristretto255.multiply_scalars(challenge, private_key))
    return evaluated, challenge + response


def verify_evaluation(
    public_key: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes, *, suite: str = SUITE
) -> None:
    """Verifies that each of `evaluated` is its blinded element under the key of `public_key` (VerifyProof).

    Raises ElementError for an element or key that is not canonical or the identity (with the index in a batch),
    ProofError for everything else.
    """
    context = _context(MODE_VOPRF, suite)
    check_element(public_key)
    _check_batch(blinded)
    if len(evaluated) != len(blinded):
        raise ProofError("there must be one evaluated element for each blinded one")
    _check_batch(evaluated)
    challenge, response = proof[:32], proof[32:]
    if len(proof) != PROOF_BYTES or not (ristretto255.is_scalar(challenge) and ristretto255.is_scalar(response)):
        raise ProofError("the proof is not two canonical scalars other than zero")
    weights = _weights(public_key, blinded, evaluated, context)
    composite = _weighted_sum(weights, blinded)
    evaluated_composite = _weighted_sum(weights, evaluated)
    try:
        commitment = ristretto255.add(ristretto255.multiply_base(response), ristretto255.multiply(challenge, public_key))
        composite_commitment = ristretto255.add(
            ristretto255.multiply(response, composite), ristretto255.multiply(challenge, evaluated_composite)
        )
    except ElementError:
        # Every element was checked above: only a composite can be the identity here, which no honest evaluation gives.
        raise ProofError("the batch adds up to the identity") from None
    expected = _challenge(public_key, composite, evaluated_composite, commitment, composite_commitment, context)
    if not hmac.compare_digest(expected, challenge):
        raise ProofError("the elements were not evaluated with the key of this public key")


def unblind(blind: bytes, evaluated: bytes) -> bytes:
    """Returns the token: the evaluated element without its blind. Verify the evaluation first.

    Raises ElementError for a bad scalar or element.
    """
    _check_scalar(blind, "blind")
    return ristretto255.multiply(ristretto255.invert_scalar(blind), evaluated)


def finalize(
    input: bytes,  # noqa: A002  RFC 9497's name for it
    blind: bytes,
    evaluated: bytes,
) -> bytes:
    """Returns RFC 9497's final hash, 64 bytes. Tokens are elements and do without it; it serves the RFC's vectors.

    Raises ElementError for a bad scalar or element.
    """
    if len(input) > _MAX_INPUT_BYTES:
        raise ElementError(f"the input is longer than {_MAX_INPUT_BYTES} bytes")
    return sha512(_prefixed(input) + _prefixed(unblind(blind, evaluated)) + b"Finalize").digest()


# --- Batches and proofs (RFC 9497 section 2.2) ------------------------------------------------------------------------


def _check_batch(elements: Sequence[bytes]) -> None:
    if not 1 <= len(elements) <= _MAX_BATCH:
        raise ElementError(f"a batch has 1 to {_MAX_BATCH} elements")
    for index, element in enumerate(elements):
        if len(element) != ELEMENT_BYTES:
            raise ElementError(f"an element must be {ELEMENT_BYTES} bytes", index)


def _multiply_each(scalar: bytes, elements: Iterable[bytes]) -> list[bytes]:
    products = []
    for index, element in enumerate(elements):
        try:
            products.append(ristretto255.multiply(scalar, element))
        except ElementError as error:
            raise ElementError(error.description, index) from None
    return products


def _weights(public_key: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], context: bytes) -> list[bytes]:
    """The random weights of ComputeComposites, one for each pair."""
    seed = sha512(_prefixed(public_key) + _prefixed(b"Seed-" + context)).digest()
    head = _prefixed(seed)
    return [
        _hash_to_scalar(head + index.to_bytes(2, "big") + _prefixed(left) + _prefixed(right) + b"Composite", context)
        for index, (left, right) in enumerate(zip(blinded, evaluated, strict=True))
    ]


def _weighted_sum(weights: Sequence[bytes], elements: Sequence[bytes]) -> bytes:
    total = ristretto255.IDENTITY
    for index, (weight, element) in enumerate(zip(weights, elements, strict=True)):
        try:
            total = ristretto255.add(total, ristretto255.multiply(weight, element))
        except ElementError as error:
            raise ElementError(error.description, index) from None
    return total


def _challenge(
    public_key: bytes,
    composite: bytes,
    evaluated_composite: bytes,
    commitment: bytes,
    composite_commitment: bytes,
    context: bytes,
) -> bytes:
    parts = (public_key, composite, evaluated_composite, commitment, composite_commitment)
    return _hash_to_scalar(b"".join(map(_prefixed, parts)) + b"Challenge", context)

"""Commitments to the details of a log entry: salted leaves, their root and their number (docs/protocol.md, "Log entry")."""

import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256

from tallystick.crypto.errors import CryptoError
from tallystick.crypto.framing import framed
from tallystick.crypto.merkle import leaf_hash, root

SEED_BYTES = 32
SALT_BYTES = 16


def new_seed() -> bytes:
    """Returns 32 random bytes, from which all salts of one entry derive. Each entry takes its own."""
    return secrets.token_bytes(SEED_BYTES)


def salt(seed: bytes, i: int) -> bytes:
    """Returns the salt, 16 bytes, of the leaf at position `i`.

    Raises CryptoError unless the seed is 32 bytes and 0 ≤ i < 2³².
    """
    if len(seed) != SEED_BYTES or not 0 <= i < 2**32:
        raise CryptoError(f"the seed must be {SEED_BYTES} bytes, and the position must fit in four")
    return hmac.digest(seed, i.to_bytes(4, "big"), "sha256")[:SALT_BYTES]


def subject_leaf(epoch_id: bytes, element: bytes, purpose: int, consent_reference: str) -> bytes:
    """Returns the bytes of a subject's leaf, before its salt: purpose 0 and an empty reference where a method has none.

    `epoch_id` and `element` are taken as they were sent, whatever their length, so that a refused request can be
    committed to. Raises CryptoError when the reference is not text that UTF-8 can hold.
    """
    try:
        reference = consent_reference.encode()
    except UnicodeEncodeError:
        raise CryptoError("consent_reference holds characters that UTF-8 cannot encode") from None
    return framed("tallystick-subject-v1", epoch_id, element, str(int(purpose)).encode(), reference)


def salted_leaf_hash(salt: bytes, content: bytes) -> bytes:
    """Returns the hash of one leaf.

    Raises CryptoError unless the salt is 16 bytes: a shorter one would let content pass for salt.
    """
    if len(salt) != SALT_BYTES:
        raise CryptoError(f"a salt must be {SALT_BYTES} bytes")
    return leaf_hash(salt + content)


def details_commitment(seed: bytes, envelope: bytes, subject_leaves: Sequence[bytes]) -> bytes:
    """Returns the commitment, 32 bytes, to the envelope and the request's subjects, in its order. Raises CryptoError."""
    return commitment_from_hashes(
        [salted_leaf_hash(salt(seed, i), content) for i, content in enumerate((envelope, *subject_leaves))]
    )


def commitment_from_hashes(hashes: Sequence[bytes]) -> bytes:
    """Returns the commitment from the salted leaves' hashes, as remain when a leaf was erased.

    Raises CryptoError unless there is one hash at least, each of 32 bytes.
    """
    if not 1 <= len(hashes) < 2**32 or any(len(hash_) != 32 for hash_ in hashes):
        raise CryptoError("a commitment is over at least one hash, each of 32 bytes")
    # The number fixes the tree's shape. An erased leaf is a bare hash, for which an inner node could be shown in place of
    # the leaves under it: under the root alone, an entry about three subjects would also open as one about fewer.
    return sha256(framed("tallystick-details-v1", len(hashes).to_bytes(4, "big"), root(hashes))).digest()

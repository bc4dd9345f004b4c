"""The Merkle tree of RFC 6962 section 2.1 with SHA-256: roots, compact ranges, proofs, verification (RFC 9162).

Sizes and indices count leaves from 0; a range is [begin, end). All hashes are 32 bytes. The hashes of a range's
complete subtrees are in the order of the leaves, which is the largest subtree first.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from tallystick.crypto.errors import MerkleError

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Returns the hash of a leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node over the hashes of its two children."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Returns the root of a range from the roots of its complete subtrees, largest first; EMPTY_ROOT from none."""
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for position in range(len(hashes) - 2, -1, -1):
        folded = node_hash(hashes[position], folded)
    return folded


@dataclass
class CompactRange:
    """A tree of `size` leaves as the roots of its complete subtrees: all that appending and the root need.

    Raises MerkleError when `hashes` is not one hash of 32 bytes for each bit that is set in `size`.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        _check_size(self.size)
        _check_hashes(self.hashes, self.size.bit_count(), "compact range")

    def append(self, leaf_hash: bytes) -> None:
        """Appends one leaf by its hash."""
        node = leaf_hash
        merging = self.size
        while merging & 1:
            node = node_hash(self.hashes.pop(), node)
            merging >>= 1
        self.hashes.append(node)
        self.size += 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Appends leaves by their hashes, in order."""
        for hash_ in leaf_hashes:
            self.append(hash_)

    def root(self) -> bytes:
        """Returns the tree's root."""
        return fold(self.hashes)

    def to_bytes(self) -> bytes:
        """Returns the hashes joined, largest subtree first; the size is kept apart."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "CompactRange":
        """Rebuild a range from its size and `to_bytes`. Raises MerkleError when the two do not fit."""
        _check_size(size)
        if len(data) != HASH_BYTES * size.bit_count():
            raise MerkleError("the compact range's length does not fit its size")
        return cls(size, [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)])


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Returns the root of a tree over these leaf hashes; EMPTY_ROOT over none."""
    compact = CompactRange()
    compact.extend(leaf_hashes)
    return compact.root()


# --- Which subtrees a proof consists of -------------------------------------------------------------------------------


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Returns the ranges of leaves whose roots are the inclusion proof (RFC 6962 section 2.1.1), in the proof's order.

    Raises MerkleError unless 0 ≤ index < size.
    """
    _check_size(size)
    if not 0 <= index < size:
        raise MerkleError("the index lies outside the tree")
    ranges: list[tuple[int, int]] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Returns the ranges of leaves whose roots are the consistency proof (RFC 6962 section 2.1.2), in the proof's order.

    From size 0, and between equal sizes, the proof is empty. Raises MerkleError unless 0 ≤ old ≤ new.
    """
    _check_size(new)
    if not 0 <= old <= new:
        raise MerkleError("the old size must not be greater than the new one")
    ranges: list[tuple[int, int]] = []
    if old in (0, new):
        return ranges
    begin, end = 0, new
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin:
        # The old tree is not itself a subtree from leaf 0, so the verifier needs this last part of it.
        ranges.append((begin, end))
    return ranges[::-1]


def complete_subtrees(begin: int, end: int) -> list[tuple[int, int]]:
    """Decompose an aligned range into complete subtrees, largest first; `fold` over their roots is the range's root.

    Each is (level, index): it covers the leaves [index · 2^level, (index + 1) · 2^level). Raises MerkleError unless the
    range is not empty and `begin` is a multiple of the smallest power of two that is not below its length, as holds for
    every range of a proof.
    """
    _check_size(end)
    if not 0 <= begin < end or begin % (1 << (end - begin - 1).bit_length()):
        raise MerkleError("the range is empty or not aligned")
    subtrees = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        subtrees.append((level, begin >> level))
        begin += 1 << level
    return subtrees


def inclusion_proof(index: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Returns the inclusion proof of a leaf in the tree over these leaf hashes.

    Raises MerkleError for an index outside.
    """
    return [root(leaf_hashes[begin:end]) for begin, end in inclusion_ranges(index, len(leaf_hashes))]


def consistency_proof(old_size: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Returns the proof that the tree over these leaf hashes continues its first `old_size` ones. Raises MerkleError."""
    return [root(leaf_hashes[begin:end]) for begin, end in consistency_ranges(old_size, len(leaf_hashes))]


# --- Verification -----------------------------------------------------------------------------------------------------


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Verifies that the leaf is at `index` of the tree of `size` leaves with `root` (RFC 9162 section 2.1.3.2).

    Raises MerkleError when it does not, or when anything is malformed.
    """
    # One hash for each range: the RFC's two failures over the proof's length ("sn is 0", "sn is not 0") are this
    # comparison.
    _check_hashes(proof, len(inclusion_ranges(index, size)), "inclusion proof")
    _check_hashes((leaf_hash, root), 2, "leaf hash and root")
    position, last, computed = index, size - 1, leaf_hash
    for sibling in proof:
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        position >>= 1
        last >>= 1
    if not hmac.compare_digest(computed, root):
        raise MerkleError("the inclusion proof does not lead to the root")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Verifies that the tree of `new_size` leaves continues that of `old_size` (RFC 9162 section 2.1.4.2).

    From size 0 the proof is empty and the old root must be EMPTY_ROOT; between equal sizes it is empty and the roots
    must be equal. Raises MerkleError when it does not hold, or when anything is malformed.
    """
    _check_hashes(proof, len(consistency_ranges(old_size, new_size)), "consistency proof")
    _check_hashes((old_root, new_root), 2, "roots")
    if old_size in (0, new_size):
        expected = new_root if old_size == new_size else EMPTY_ROOT
        if not hmac.compare_digest(old_root, expected) or (new_size == 0 and new_root != EMPTY_ROOT):
            raise MerkleError("the roots do not fit their sizes")
        return
    old_computed, new_computed = _consistent_roots(old_size, new_size, old_root, proof)
    if not (hmac.compare_digest(old_computed, old_root) and hmac.compare_digest(new_computed, new_root)):
        raise MerkleError("the consistency proof does not lead to the roots")


def _consistent_roots(old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of both sizes as the proof gives them, 0 < old_size < new_size."""
    power_of_two = old_size & (old_size - 1) == 0
    path = [old_root, *proof] if power_of_two else list(proof)
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if position & 1 or position == last:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            new_computed = node_hash(new_computed, sibling)
        position >>= 1
        last >>= 1
    return old_computed, new_computed


def _split(size: int) -> int:
    """The largest power of two below `size`, where a tree of that size divides."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise MerkleError("the size lies outside 0 to 2^63 - 1")


def _check_hashes(hashes: Sequence[bytes], count: int, name: str) -> None:
    if len(hashes) != count or any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise MerkleError(f"{name}: there must be {count} hashes of {HASH_BYTES} bytes")

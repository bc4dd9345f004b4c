"""The tree against RFC 6962's definitions, written down here once more as they are there."""

from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import (
    EMPTY_ROOT,
    CompactRange,
    MerkleError,
    complete_subtrees,
    consistency_proof,
    consistency_ranges,
    fold,
    inclusion_proof,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [i.to_bytes(2, "big") for i in range(300)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


# --- RFC 6962 section 2.1, literally ----------------------------------------------------------------------------------


def split_point(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = split_point(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split_point(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: list[bytes], complete: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if complete else [naive_root(leaves)]
    k = split_point(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], complete), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


# --- Roots ------------------------------------------------------------------------------------------------------------


def test_published_roots(vectors: Callable[[str], Any]) -> None:
    published = vectors("rfc6962-8leaf-roots")
    leaves = [bytes.fromhex(leaf) for leaf in published["leaves_hex"]]
    compact = CompactRange()
    assert EMPTY_ROOT.hex() == published["empty_root"] == compact.root().hex() == root([]).hex()
    for leaf, expected in zip(leaves, published["roots_hex_by_size"], strict=True):
        compact.append(leaf_hash(leaf))
        assert compact.root().hex() == expected
        assert root([leaf_hash(leaf) for leaf in leaves[: compact.size]]).hex() == expected


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_roots_are_the_definition(leaves: list[bytes]) -> None:
    assert root([leaf_hash(leaf) for leaf in leaves]) == naive_root(leaves)


@given(st.integers(0, 300), st.integers(0, 300))
def test_compact_range_goes_on_where_it_was_stored(first: int, second: int) -> None:
    first, second = sorted((first, second))
    stored = CompactRange()
    stored.extend(HASHES[:first])
    assert stored.size == first
    again = CompactRange.from_bytes(first, stored.to_bytes())
    assert again == stored
    again.extend(HASHES[first:second])
    assert (again.size, again.root()) == (second, root(HASHES[:second]))
    assert len(again.hashes) == second.bit_count()
    assert stored.size == first


@pytest.mark.parametrize(("size", "length"), [(1, 0), (0, 32), (3, 32), (3, 96), (2, 31), (2, 33), (-1, 32), (2**63, 32)])
def test_compact_range_must_fit_its_size(size: int, length: int) -> None:
    with pytest.raises(MerkleError):
        CompactRange.from_bytes(size, bytes(length))
    with pytest.raises(MerkleError):
        CompactRange(size, [bytes(31)])


# --- Proofs -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_are_the_definition(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, HASHES[:size])
    assert proof == naive_path(index, LEAVES[:size])
    verify_inclusion(index, size, HASHES[index], proof, root(HASHES[:size]))


@given(st.integers(1, 70), st.data())
def test_consistency_proofs_are_the_definition(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, HASHES[:new])
    assert proof == naive_subproof(old, LEAVES[:new], True)
    verify_consistency(old, new, root(HASHES[:old]), root(HASHES[:new]), proof)


def test_every_proof_of_every_small_tree() -> None:
    roots = [root(HASHES[:size]) for size in range(18)]
    for new in range(1, 18):
        for index in range(new):
            verify_inclusion(index, new, HASHES[index], inclusion_proof(index, HASHES[:new]), roots[new])
        for old in range(new + 1):
            verify_consistency(old, new, roots[old], roots[new], consistency_proof(old, HASHES[:new]))


def flipped(hash_: bytes) -> bytes:
    return bytes([hash_[0] ^ 1]) + hash_[1:]


def without_one_each(proof: list[bytes]) -> list[list[bytes]]:
    dropped = [proof[:i] + proof[i + 1 :] for i in range(len(proof))]
    changed = [[*proof[:i], flipped(proof[i]), *proof[i + 1 :]] for i in range(len(proof))]
    return [*dropped, *changed, [*proof, bytes(32)], [bytes(32), *proof], [*proof, *proof[-1:]] if proof else [b""]]


@given(st.integers(1, 40), st.data())
def test_inclusion_proof_holds_for_nothing_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, tree = inclusion_proof(index, HASHES[:size]), root(HASHES[:size])
    for bad in without_one_each(proof):
        with pytest.raises(MerkleError):
            verify_inclusion(index, size, HASHES[index], bad, tree)
    for at in range(-1, size + 1):
        if at != index:
            with pytest.raises(MerkleError):
                verify_inclusion(at, size, HASHES[index], proof, tree)
    for leaf, bad_root in ((flipped(HASHES[index]), tree), (HASHES[index], flipped(tree)), (b"", tree), (HASHES[index], b"")):
        with pytest.raises(MerkleError):
            verify_inclusion(index, size, leaf, proof, bad_root)


@given(st.integers(1, 40), st.data())
def test_consistency_proof_holds_for_nothing_else(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    proof = consistency_proof(old, HASHES[:new])
    old_root, new_root = root(HASHES[:old]), root(HASHES[:new])
    for bad in without_one_each(proof):
        with pytest.raises(MerkleError):
            verify_consistency(old, new, old_root, new_root, bad)
    with pytest.raises(MerkleError):
        verify_consistency(old, new, flipped(old_root), new_root, proof)
    if old:
        # From the empty tree any tree follows, whatever its root.
        with pytest.raises(MerkleError):
            verify_consistency(old, new, old_root, flipped(new_root), proof)
    with pytest.raises(MerkleError):
        verify_consistency(new + 1, new, old_root, new_root, proof)
    with pytest.raises(MerkleError):
        verify_consistency(-1, new, old_root, new_root, proof)


def test_two_empty_trees() -> None:
    verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    with pytest.raises(MerkleError):
        verify_consistency(0, 0, bytes(32), bytes(32), [])


def test_a_rewritten_log_has_no_consistency_proof() -> None:
    rewritten = [leaf_hash(b"other"), *HASHES[1:20]]
    with pytest.raises(MerkleError):
        verify_consistency(10, 20, root(HASHES[:10]), root(rewritten), consistency_proof(10, rewritten))
    with pytest.raises(MerkleError):
        verify_consistency(10, 20, root(HASHES[:10]), root(rewritten), consistency_proof(10, HASHES[:20]))


# --- Which subtrees ---------------------------------------------------------------------------------------------------


def stored_subtree(level: int, index: int) -> bytes:
    begin, end = index << level, (index + 1) << level
    return root(HASHES[begin:end])


@given(st.integers(1, 300), st.data())
def test_ranges_and_stored_subtrees_make_the_proofs(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    for ranges, proof in (
        (inclusion_ranges(index, size), inclusion_proof(index, HASHES[:size])),
        (consistency_ranges(old, size), consistency_proof(old, HASHES[:size])),
    ):
        built = [fold([stored_subtree(*subtree) for subtree in complete_subtrees(*item)]) for item in ranges]
        assert built == proof


@given(st.integers(1, 2**63 - 1), st.data())
def test_ranges_of_large_trees_are_few_aligned_and_disjoint(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    inclusion = sorted([*inclusion_ranges(index, size), (index, index + 1)])
    consistency = sorted(consistency_ranges(old, size))
    for ranges in (inclusion, consistency):
        assert len(ranges) <= 65
        for begin, end in ranges:
            levels = [level for level, _ in complete_subtrees(begin, end)]
            assert levels == sorted(levels, reverse=True)
            assert sum(1 << level for level in levels) == end - begin
    # Together they are the whole tree, each leaf once; a consistency proof may leave out the old tree as a whole.
    assert inclusion[0][0] == 0
    assert inclusion[-1][1] == size
    assert all(left[1] == right[0] for left, right in pairwise(inclusion))
    assert all(left[1] == right[0] for left, right in pairwise(consistency))
    assert not consistency or (consistency[-1][1] == size and consistency[0][0] in (0, old))


@pytest.mark.parametrize(("begin", "end"), [(0, 0), (5, 5), (3, 2), (-1, 1), (1, 3), (2, 5), (4, 9), (0, 2**63)])
def test_ranges_that_no_proof_has(begin: int, end: int) -> None:
    with pytest.raises(MerkleError):
        complete_subtrees(begin, end)


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (0, 0), (1, 1), (0, -1), (0, 2**63)])
def test_indices_outside(index: int, size: int) -> None:
    with pytest.raises(MerkleError):
        inclusion_ranges(index, size)


@pytest.mark.parametrize(("old", "new"), [(-1, 1), (2, 1), (0, -1), (0, 2**63)])
def test_sizes_outside(old: int, new: int) -> None:
    with pytest.raises(MerkleError):
        consistency_ranges(old, new)


def test_fold_joins_from_the_right() -> None:
    a, b, c = HASHES[:3]
    assert fold([]) == EMPTY_ROOT
    assert fold([a]) == a
    assert fold([a, b, c]) == node_hash(a, node_hash(b, c))

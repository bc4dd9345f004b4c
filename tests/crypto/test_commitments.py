"""Commitments: they bind the envelope and every subject, in order, and open leaf by leaf."""

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import (
    CryptoError,
    commitment_from_hashes,
    details_commitment,
    framed,
    new_seed,
    root,
    salt,
    salted_leaf_hash,
    subject_leaf,
)

SEED = bytes(range(32))

subjects = st.tuples(st.binary(max_size=24), st.binary(max_size=40), st.integers(0, 30), st.text(max_size=10))


@given(st.binary(max_size=50), st.lists(subjects, max_size=9))
def test_commitment_is_the_number_and_the_root_of_the_salted_leaves(
    envelope: bytes, given_subjects: list[tuple[bytes, bytes, int, str]]
) -> None:
    leaves = [subject_leaf(*subject) for subject in given_subjects]
    hashes = []
    for i, content in enumerate([envelope, *leaves]):
        salt_i = hmac.new(SEED, i.to_bytes(4, "big"), "sha256").digest()[:16]
        assert salt(SEED, i) == salt_i
        hashes.append(sha256(b"\x00" + salt_i + content).digest())
        assert salted_leaf_hash(salt_i, content) == hashes[-1]
    commitment = details_commitment(SEED, envelope, leaves)
    counted = framed("tallystick-details-v1", len(hashes).to_bytes(4, "big"), root(hashes))
    assert commitment == commitment_from_hashes(hashes) == sha256(counted).digest()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=40))
def test_an_inner_node_passes_for_no_leaf(hashes: list[bytes]) -> None:
    commitment, level = commitment_from_hashes(hashes), hashes
    while len(level) > 1:
        # One level up the root is the same, and would open the entry as one with fewer leaves.
        level = [root(level[i : i + 2]) for i in range(0, len(level), 2)]
        assert root(level) == root(hashes)
        assert commitment_from_hashes(level) != commitment


def test_an_entry_about_three_opens_as_no_other_number() -> None:
    leaves = [subject_leaf(bytes(20), bytes([i]) * 32, 2, f"consent {i}") for i in range(3)]
    commitment = details_commitment(SEED, b"envelope", leaves)
    first, second, third, fourth = (salted_leaf_hash(salt(SEED, i), leaf) for i, leaf in enumerate([b"envelope", *leaves]))
    whole = [first, second, third, fourth]
    assert commitment_from_hashes(whole) == commitment
    for shown in (
        [first, second, root([third, fourth])],
        [root([first, second]), root([third, fourth])],
        [root(whole)],
    ):
        assert root(shown) == root(whole)
        assert commitment_from_hashes(shown) != commitment
    assert commitment_from_hashes([commitment]) != commitment


@given(st.lists(st.binary(max_size=5), max_size=5), st.lists(st.binary(max_size=5), max_size=5))
def test_other_subjects_give_another_commitment(first: list[bytes], second: list[bytes]) -> None:
    same = details_commitment(SEED, b"envelope", first) == details_commitment(SEED, b"envelope", second)
    assert same == (first == second)


def test_everything_counts() -> None:
    leaves = [subject_leaf(bytes(20), bytes(32), 2, "consent")]
    variants = {
        details_commitment(SEED, b"envelope", leaves),
        details_commitment(bytes(32), b"envelope", leaves),
        details_commitment(SEED, b"other", leaves),
        details_commitment(SEED, b"envelope", []),
        details_commitment(SEED, b"envelope", leaves * 2),
        details_commitment(SEED, b"envelope", [subject_leaf(bytes(20), bytes(32), 3, "consent")]),
        details_commitment(SEED, b"envelope", [subject_leaf(bytes(20), bytes(32), 2, "consent2")]),
        details_commitment(SEED, b"envelope", [subject_leaf(bytes(19), bytes(33), 2, "consent")]),
    }
    assert len(variants) == 8


def test_subject_leaf_is_the_documented_frame() -> None:
    assert subject_leaf(b"e" * 20, b"t" * 32, 26, "授权") == framed(
        "tallystick-subject-v1", b"e" * 20, b"t" * 32, b"26", "授权".encode()
    )
    assert subject_leaf(b"", b"", 0, "") == framed("tallystick-subject-v1", b"", b"", b"0", b"")


def test_seeds_are_fresh() -> None:
    assert len({new_seed() for _ in range(10)}) == 10
    assert len(new_seed()) == 32


@pytest.mark.parametrize(("seed", "i"), [(b"", 0), (bytes(31), 0), (bytes(33), 0), (bytes(32), -1), (bytes(32), 2**32)])
def test_salts_need_a_seed_and_a_position(seed: bytes, i: int) -> None:
    with pytest.raises(CryptoError):
        salt(seed, i)


def test_malformed_parts() -> None:
    with pytest.raises(CryptoError):
        salted_leaf_hash(bytes(15), b"content")
    with pytest.raises(CryptoError):
        commitment_from_hashes([])
    with pytest.raises(CryptoError):
        commitment_from_hashes([bytes(31)])
    with pytest.raises(CryptoError):
        subject_leaf(bytes(20), bytes(32), 2, "\ud800")
    with pytest.raises(CryptoError):
        details_commitment(b"short", b"envelope", [])

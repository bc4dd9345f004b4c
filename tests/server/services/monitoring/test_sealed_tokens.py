"""Sealed tokens: they open for the watch that they were sealed for, and for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.server.services.monitoring.sealed_tokens import TokenBox
from tallystick.v1.subject_pb2 import SubjectToken

BOX = TokenBox(b"s" * 32)
TOKEN = SubjectToken(epoch_id=b"e" * 20, element=bytes(range(32)))
WATCH, SUBJECT = b"w" * 16, b"k" * 32


def sealed() -> bytes:
    return BOX.seal(TOKEN, watch_id=WATCH, subject_key=SUBJECT)


@given(
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.binary(max_size=32),
)
def test_a_token_opens_as_it_was_sealed(epoch_id: bytes, element: bytes, watch_id: bytes, subject_key: bytes) -> None:
    token = SubjectToken(epoch_id=epoch_id, element=element)
    closed = BOX.seal(token, watch_id=watch_id, subject_key=subject_key)
    assert element not in closed
    assert TokenBox(b"s" * 32).open(closed, watch_id=watch_id, subject_key=subject_key) == token


def test_a_token_is_sealed_otherwise_each_time() -> None:
    assert len({sealed() for _ in range(100)}) == 100
    assert len({closed[:12] for closed in (sealed() for _ in range(100))}) == 100


@given(st.integers(0, 8 * len(sealed()) - 1))
def test_a_changed_bit_does_not_open(bit: int) -> None:
    changed = bytearray(sealed())
    changed[bit // 8] ^= 1 << bit % 8
    assert BOX.open(bytes(changed), watch_id=WATCH, subject_key=SUBJECT) is None


@pytest.mark.parametrize("length", range(len(sealed())))
def test_a_part_does_not_open(length: int) -> None:
    assert BOX.open(sealed()[:length], watch_id=WATCH, subject_key=SUBJECT) is None
    assert BOX.open(sealed() + bytes(length + 1), watch_id=WATCH, subject_key=SUBJECT) is None


@given(st.binary(max_size=200))
def test_what_was_never_sealed_does_not_open(garbage: bytes) -> None:
    assert BOX.open(garbage, watch_id=WATCH, subject_key=SUBJECT) is None


@pytest.mark.parametrize(
    ("watch_id", "subject_key"),
    [(b"v" * 16, SUBJECT), (WATCH, b"l" * 32), (SUBJECT, WATCH), (WATCH + SUBJECT[:1], SUBJECT[1:]), (b"", WATCH + SUBJECT)],
    ids=["of another watch", "of another subject", "exchanged", "cut elsewhere", "joined"],
)
def test_a_token_that_was_moved_does_not_open(watch_id: bytes, subject_key: bytes) -> None:
    assert BOX.open(sealed(), watch_id=watch_id, subject_key=subject_key) is None


def test_another_key_folder_opens_nothing() -> None:
    assert TokenBox(b"t" * 32).open(sealed(), watch_id=WATCH, subject_key=SUBJECT) is None

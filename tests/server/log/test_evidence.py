"""Evidence opens for the entry and month that it was sealed for, and for nothing else."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.server.installation.key_folder import EvidenceKeys
from tallystick.server.log.evidence import (
    EvidenceBox,
    EvidenceCorruptError,
    EvidenceKeyDestroyedError,
    evidence_month,
)

MONTH = date(2026, 3, 1)
COMMITMENT = bytes(range(32))


class KeysInMemory:
    """Month keys that enforce the folder's rules without a folder."""

    def __init__(self) -> None:
        self.keys: dict[date, bytes] = {}

    def key(self, month: date) -> bytes:
        assert month.day == 1
        return self.keys.setdefault(month, month.isoformat().encode().ljust(32, b"."))

    def existing(self, month: date) -> bytes | None:
        return self.keys.get(month)


@given(st.binary(max_size=200), st.dates().map(lambda day: day.replace(day=1)), st.binary(min_size=32, max_size=32))
def test_what_was_sealed_opens(plaintext: bytes, month: date, commitment: bytes) -> None:
    box = EvidenceBox(KeysInMemory())
    sealed = box.seal(plaintext, month=month, details_commitment=commitment)
    assert box.open(sealed, month=month, details_commitment=commitment) == plaintext


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_does_not_open(position: int, change: int) -> None:
    box = EvidenceBox(KeysInMemory())
    sealed = bytearray(box.seal(b"evidence", month=MONTH, details_commitment=COMMITMENT))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(EvidenceCorruptError):
        box.open(bytes(sealed), month=MONTH, details_commitment=COMMITMENT)


@given(st.binary(max_size=40))
def test_no_bytes_raise_another_error(sealed: bytes) -> None:
    box = EvidenceBox(KeysInMemory())
    box.seal(b"", month=MONTH, details_commitment=COMMITMENT)
    with pytest.raises(EvidenceCorruptError):
        box.open(sealed, month=MONTH, details_commitment=COMMITMENT)


def test_evidence_moved_to_another_entry_or_month_does_not_open() -> None:
    keys = KeysInMemory()
    box, other_month = EvidenceBox(keys), date(2026, 4, 1)
    sealed = box.seal(b"evidence", month=MONTH, details_commitment=COMMITMENT)
    with pytest.raises(EvidenceCorruptError):
        box.open(sealed, month=MONTH, details_commitment=COMMITMENT[::-1])
    # Even if one key served both months.
    keys.keys[other_month] = keys.key(MONTH)
    with pytest.raises(EvidenceCorruptError):
        box.open(sealed, month=other_month, details_commitment=COMMITMENT)


def test_the_same_evidence_never_seals_to_the_same_bytes() -> None:
    box = EvidenceBox(KeysInMemory())
    assert len({box.seal(b"evidence", month=MONTH, details_commitment=COMMITMENT) for _ in range(100)}) == 100


def test_a_destroyed_key_ends_its_month_alone(tmp_path: Path) -> None:
    keys = EvidenceKeys(tmp_path)
    box, next_month = EvidenceBox(keys), date(2026, 4, 1)
    ended = box.seal(b"ended", month=MONTH, details_commitment=COMMITMENT)
    kept = box.seal(b"kept", month=next_month, details_commitment=COMMITMENT)
    keys.destroy(MONTH)
    with pytest.raises(EvidenceKeyDestroyedError):
        box.open(ended, month=MONTH, details_commitment=COMMITMENT)
    assert box.open(kept, month=next_month, details_commitment=COMMITMENT) == b"kept"


def test_opening_never_creates_a_key(tmp_path: Path) -> None:
    with pytest.raises(EvidenceKeyDestroyedError):
        EvidenceBox(EvidenceKeys(tmp_path)).open(b"x" * 40, month=MONTH, details_commitment=COMMITMENT)
    assert list(tmp_path.iterdir()) == []


def test_the_month_is_that_of_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert evidence_month(datetime(2026, 4, 1, 7, 59, tzinfo=shanghai)) == date(2026, 3, 1)
    assert evidence_month(datetime(2026, 4, 1, tzinfo=UTC)) == date(2026, 4, 1)

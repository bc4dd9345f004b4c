"""Evidence at rest: what opens an entry's commitment, sealed with AES-256-GCM (NIST SP 800-38D) under a key that lasts
a month.

The month's key lies outside the database, so a stolen database opens nothing, and destroying one key ends a month's
evidence wherever copies of the rows may still be. Each entry is sealed under a key of its own, derived from the
month's: random nonces under one key are only safe for 2^32 messages, which a busy month can exceed.
"""

import hmac
import os
from datetime import UTC, date, datetime
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tallystick.crypto import framed

TAG = "tallystick-evidence-v1"
NONCE_LENGTH = 12


class EvidenceError(Exception):
    """Evidence cannot be opened."""


class EvidenceKeyDestroyedError(EvidenceError):
    """The month's key was destroyed: its retention period is over."""


class EvidenceCorruptError(EvidenceError):
    """The sealed bytes are not what was sealed for this entry: changed, swapped with another's, or sealed under another
    key."""


class MonthKeys(Protocol):
    """Where the keys come from: one of 32 bytes a month."""

    def key(self, month: date) -> bytes:
        """The month's key, created when there is none."""
        ...

    def existing(self, month: date) -> bytes | None:
        """The month's key, or None when there is none any more."""
        ...


def evidence_month(create_time: datetime) -> date:
    """The first day of the month, in UTC, under which the evidence of an entry of that time is stored and sealed."""
    return create_time.astimezone(UTC).date().replace(day=1)


class EvidenceBox:
    """Seals and opens the serialised tallystick.v1.Evidence of an entry. Sealed bytes open for that entry and month
    alone."""

    def __init__(self, keys: MonthKeys) -> None:
        self._keys = keys

    def seal(self, plaintext: bytes, *, month: date, details_commitment: bytes) -> bytes:
        """Seals the evidence of the entry that carries `details_commitment`; returns nonce and ciphertext."""
        binding = _binding(month, details_commitment)
        nonce = os.urandom(NONCE_LENGTH)
        return nonce + _cipher(self._keys.key(month), binding).encrypt(nonce, plaintext, binding)

    def open(self, sealed: bytes, *, month: date, details_commitment: bytes) -> bytes:
        """Opens what `seal` made; raises EvidenceKeyDestroyedError or EvidenceCorruptError."""
        key = self._keys.existing(month)
        if key is None:
            raise EvidenceKeyDestroyedError(f"there is no evidence key for {month:%Y-%m}")
        binding = _binding(month, details_commitment)
        try:
            return _cipher(key, binding).decrypt(sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:], binding)
        except (InvalidTag, ValueError) as error:
            raise EvidenceCorruptError("the sealed evidence does not open for this entry and month") from error


def _binding(month: date, details_commitment: bytes) -> bytes:
    """The associated data: a row moved to another entry or month does not open there."""
    return framed(TAG, month.isoformat().encode(), details_commitment)


def _cipher(month_key: bytes, binding: bytes) -> AESGCM:
    return AESGCM(hmac.digest(month_key, binding, "sha256"))

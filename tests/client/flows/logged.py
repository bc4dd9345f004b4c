"""A log with entries, and its verification."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from tallystick.client import (
    Identity,
    KeptReceipt,
    Purpose,
)
from tallystick.crypto import details_commitment, leaf_hash, subject_leaf
from tallystick.v1 import log_pb2

SUBJECT = Identity.passport("DE", "C01X00T47")


def fill(system: Any, count: int) -> list[KeptReceipt]:
    """Makes entries; returns their receipts."""
    with system.open() as exchange:
        return [exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, f"consent-{n}").receipt for n in range(count)]


def verify(system: Any, *arguments: Any, **options: Any) -> Any:
    with system.open() as exchange:
        return exchange.audit_verify(*arguments, **options)


def forge_entry(system: Any, forge: Callable[[log_pb2.Envelope, log_pb2.AuditEntry], None] = lambda *_: None) -> None:
    """Has an operator log entry 0 as it likes, with the request that the double now has: a commitment that opens, in a leaf that
    it signs for."""
    logged = system.exchange.log.entries[0]
    envelope, entry = log_pb2.Envelope.FromString(logged.envelope), log_pb2.AuditEntry.FromString(logged.leaf)
    envelope.request_digest = hashlib.sha256(logged.request).digest()
    forge(envelope, entry)
    logged.envelope = envelope.SerializeToString()
    leaves = [subject_leaf(*subject) for subject in logged.subjects]
    entry.details_commitment = details_commitment(logged.seed, logged.envelope, leaves)
    logged.leaf = entry.SerializeToString()
    logged.hash = leaf_hash(logged.leaf)

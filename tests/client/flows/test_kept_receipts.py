"""Kept receipts held against the log: pending, kept, broken, forged, and of another log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.client.flows.logged import SUBJECT, fill, verify

from tallystick.client import (
    Difference,
    DifferenceKind,
    FileInvalid,
    KeptReceipt,
    Purpose,
)
from tallystick.crypto import leaf_hash, sign_receipt
from tallystick.v1 import log_pb2


def test_receipts_newer_than_a_kept_checkpoint_are_pending_and_no_success(system: Any) -> None:
    receipts = fill(system, 3)
    with system.open() as exchange:
        old = exchange.checkpoint()
        kept = exchange.verify_included([*receipts, *receipts], old)
        assert (kept.included, kept.pending, kept.differences, kept.verified) == (3, (), (), True)
        newer = exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent").receipt
        report = exchange.verify_included([*receipts, newer, newer], old)
        assert (report.included, report.pending, report.differences, report.verified) == (3, (newer,), (), False)
        with pytest.raises(TypeError, match="verified"):
            bool(report)
        assert exchange.audit_verify([*receipts, newer]).receipts_included == 4


def test_what_the_log_does_not_keep_of_a_signed_receipt_is_a_broken_promise(system: Any) -> None:
    receipts = fill(system, 3)
    system.exchange.log.entries[1], system.exchange.log.entries[2] = system.exchange.log.entries[2], system.exchange.log.entries[1]
    with system.open() as exchange:
        report = exchange.verify_included(receipts, exchange.checkpoint())
    assert not report.verified
    assert report.differences == (
        Difference(DifferenceKind.NOT_INCLUDED, 1, 2),
        Difference(DifferenceKind.NOT_INCLUDED, 2, 3),
    )


FORGERIES = [
    *("empty", "another leaf hash beside its bytes", "another index beside its bytes"),
    *("another entry", "another index", "another key"),
]


def _forged(receipt: KeptReceipt, what: str) -> KeptReceipt:
    """A receipt that the exchange never gave."""
    message = log_pb2.Receipt.FromString(receipt.message)
    match what:
        case "empty":
            return KeptReceipt(receipt.origin, 1, bytes(32), receipt.create_time, b"")
        case "another leaf hash beside its bytes":
            return replace(receipt, leaf_hash=bytes(32))
        case "another index beside its bytes":
            return replace(receipt, index=999)
        case "another entry":
            message.entry += log_pb2.AuditEntry(member_id="bank-b").SerializeToString()
        case "another index":
            message.index = 999
        case "another key":
            key = Ed25519PrivateKey.generate()
            message.entry += log_pb2.AuditEntry(member_id="bank-b").SerializeToString()
            message.signature = sign_receipt(key, receipt.origin, message.index, leaf_hash(message.entry))
    made = replace(receipt, index=message.index, leaf_hash=leaf_hash(message.entry), message=message.SerializeToString())
    return KeptReceipt.from_json(made.to_json())


@pytest.mark.parametrize("what", FORGERIES)
def test_a_receipt_that_the_exchange_did_not_sign_accuses_nobody(system: Any, what: str) -> None:
    receipts = fill(system, 3)
    forged = _forged(receipts[2], what)
    with system.open() as exchange:
        old = exchange.checkpoint()
        with pytest.raises(FileInvalid, match=r"^line 3: .*proves nothing"):
            exchange.verify_included([*receipts[:2], forged], old)
        with pytest.raises(FileInvalid, match=r"^line 1: "):
            exchange.audit_verify([forged, *receipts])


def test_a_receipt_of_another_log_is_the_fault_of_who_gave_it(system: Any) -> None:
    receipts = fill(system, 2)
    with system.open() as exchange, pytest.raises(FileInvalid, match=r"line 2: .*another log than exchange\.test/log"):
        exchange.audit_verify([receipts[0], replace(receipts[1], origin="elsewhere.test/log")])


def test_a_receipt_under_a_key_that_is_no_longer_pinned_can_still_be_seen_to_be_kept(system: Any) -> None:
    receipts = fill(system, 3)
    system.exchange.log.receipt_key = Ed25519PrivateKey.generate()
    file = system.folder / "exchange.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("receipt_key")]
    key = system.exchange.log.receipt_key.public_key().public_bytes_raw().hex()
    file.write_text("\n".join([*lines, f'receipt_key = "{key}"']))
    assert verify(system, receipts).verified
    del system.exchange.log.entries[2:]
    with pytest.raises(FileInvalid, match="line 3"):
        verify(system, receipts)

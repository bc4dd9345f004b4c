"""Receipts: each of the seven steps of docs/protocol.md, broken, is found as that step; and what is kept of a good one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.client import FileInvalid, KeptReceipt, ReceiptFalse
from tallystick.client.protocol.receipts import Expected, verify_receipt
from tallystick.crypto import details_commitment, leaf_hash, sign_receipt, subject_leaf
from tallystick.v1 import log_pb2

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SEED = b"s" * 32
SUBJECTS = (subject_leaf(b"e" * 20, b"t" * 32, 2, "consent"), subject_leaf(b"e" * 20, b"u" * 32, 2, "consent"))
EXPECTED = Expected(
    origin="exchange.test/log",
    receipt_key=KEY.public_key().public_bytes_raw(),
    member_id="bank-a",
    keyid=b"i" * 32,
    method="/tallystick.v1.InquiryService/BatchQueryCreditHistories",
    request=b"the request",
    signature_params="(...);created=1",
    signature=b"g" * 64,
    answer=b"the answer",
    reason="",
    subjects=SUBJECTS,
)


def envelope(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "request_digest": hashlib.sha256(EXPECTED.request).digest(),
        "signature_params": EXPECTED.signature_params,
        "signature": EXPECTED.signature,
        "answer_digest": hashlib.sha256(EXPECTED.answer).digest(),
    }
    return log_pb2.Envelope(**{**values, **changes}).SerializeToString()


def receipt(
    envelope_bytes: bytes | None = None,
    *,
    seed: bytes = SEED,
    subjects: tuple[bytes, ...] = SUBJECTS,
    key: Ed25519PrivateKey = KEY,
    origin: str = EXPECTED.origin,
    signed_index: int = 7,
    index: int = 7,
    entry_bytes: bytes | None = None,
    **changes: Any,
) -> bytes:
    """A receipt that holds, but for what is changed; signed as the exchange would sign it."""
    opened = envelope() if envelope_bytes is None else envelope_bytes
    values: dict[str, Any] = {
        "format_version": 1,
        "member_id": EXPECTED.member_id,
        "keyid": EXPECTED.keyid,
        "method": EXPECTED.method,
        "outcome": log_pb2.ENTRY_OUTCOME_OK,
        "details_commitment": details_commitment(SEED, opened, list(subjects)),
    }
    entry = log_pb2.AuditEntry(**{**values, **changes}).SerializeToString() if entry_bytes is None else entry_bytes
    return log_pb2.Receipt(
        entry=entry,
        index=index,
        seed=seed,
        envelope=opened,
        signature=sign_receipt(key, origin, signed_index, leaf_hash(entry)),
    ).SerializeToString()


def test_a_receipt_that_holds_is_kept() -> None:
    kept = verify_receipt(receipt(), EXPECTED)
    assert (kept.origin, kept.index) == (EXPECTED.origin, 7)
    assert kept.leaf_hash == leaf_hash(log_pb2.Receipt.FromString(receipt()).entry)
    assert KeptReceipt.from_json(kept.to_json()) == kept
    refused = replace(EXPECTED, reason="ROLE_MISSING", answer=b"status", subjects=())
    opened = envelope(answer_digest=hashlib.sha256(b"status").digest(), reason="ROLE_MISSING")
    verify_receipt(receipt(opened, subjects=(), outcome=log_pb2.ENTRY_OUTCOME_REFUSED), refused)


OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
FALSE: list[tuple[int, str, Callable[[], bytes]]] = [
    (1, "not a message", lambda: b"\xff\xff\xff"),
    (1, "empty", lambda: b""),
    (1, "too large", lambda: b"\x00" * 100_000),
    (1, "short seed", lambda: receipt(seed=b"s" * 31)),
    (2, "another key", lambda: receipt(key=OTHER_KEY)),
    (2, "another index", lambda: receipt(signed_index=8)),
    (2, "another log", lambda: receipt(origin="staging.test/log")),
    (3, "entry is no message", lambda: receipt(entry_bytes=b"\xff\xff\xff")),
    (3, "an index that no log has", lambda: receipt(signed_index=2**62, index=2**62)),
    (3, "the first index that no log has", lambda: receipt(signed_index=2**48, index=2**48)),
    (3, "another format", lambda: receipt(format_version=2)),
    (3, "another member", lambda: receipt(member_id="bank-b")),
    (3, "another signing key", lambda: receipt(keyid=b"j" * 32)),
    (3, "another method", lambda: receipt(method="/tallystick.v1.InquiryService/QueryCreditHistory")),
    (4, "envelope is no message", lambda: receipt(b"\xff\xff\xff")),
    (4, "another request", lambda: receipt(envelope(request_digest=b"r" * 32))),
    (4, "short digest", lambda: receipt(envelope(request_digest=b""))),
    (4, "other parameters", lambda: receipt(envelope(signature_params="(...);created=2"))),
    (4, "another signature", lambda: receipt(envelope(signature=b"h" * 64))),
    (5, "another answer", lambda: receipt(envelope(answer_digest=b"a" * 32))),
    (6, "refused in the log", lambda: receipt(outcome=log_pb2.ENTRY_OUTCOME_REFUSED)),
    (6, "no outcome", lambda: receipt(outcome=log_pb2.ENTRY_OUTCOME_UNSPECIFIED)),
    (6, "a reason for an answer", lambda: receipt(envelope(reason="ROLE_MISSING"))),
    (7, "a subject is left out", lambda: receipt(subjects=SUBJECTS[:1])),
    (7, "subjects in another order", lambda: receipt(subjects=SUBJECTS[::-1])),
    (7, "no commitment", lambda: receipt(details_commitment=b"")),
    (7, "another seed", lambda: receipt(seed=b"z" * 32)),
]


@pytest.mark.parametrize(("step", "make"), [(s, m) for s, _, m in FALSE], ids=[f"{s}-{n}" for s, n, _ in FALSE])
def test_each_step_is_taken(step: int, make: Callable[[], bytes]) -> None:
    with pytest.raises(ReceiptFalse) as caught:
        verify_receipt(make(), EXPECTED)
    assert caught.value.step == step


@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    good = receipt()
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        kept = verify_receipt(bytes(changed), EXPECTED)
    except ReceiptFalse:
        return
    # Only what leaves every signed byte as it was may pass: protobuf has more than one encoding of a message.
    assert kept.leaf_hash == verify_receipt(good, EXPECTED).leaf_hash
    assert kept.index == 7


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_the_same_way(data: bytes) -> None:
    with pytest.raises(ReceiptFalse):
        verify_receipt(data, EXPECTED)


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", '{"origin": 1, "receipt": ""}', '{"origin": "o", "receipt": "!"}', '{"origin": "o", "receipt": ""}']
)
def test_a_line_that_is_no_receipt_is_refused(line: str) -> None:
    with pytest.raises(FileInvalid):
        KeptReceipt.from_json(line)

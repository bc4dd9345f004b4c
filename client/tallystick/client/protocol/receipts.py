"""Receipts: the seven steps of docs/protocol.md, "Receipt", and what a member keeps of one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from tallystick.client.exceptions import FileInvalid, ReceiptFalse
from tallystick.contract.limits import MAX_LOG_SIZE
from tallystick.crypto import ReceiptError, details_commitment, leaf_hash, verify_receipt_signature
from tallystick.v1 import log_pb2

MAX_RECEIPT_BYTES = 64 * 1024
"""Above this it is no receipt: gRPC's metadata is limited to 16 KiB, and one beside a page is no larger."""


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """What a member keeps to hold the exchange to its promise that the entry is in the log."""

    origin: str
    """The log whose receipt key signed it."""
    index: int
    """The entry's index in the log, from 0."""
    leaf_hash: bytes
    """The entry's RFC 6962 leaf hash, 32 bytes."""
    create_time: datetime
    """When the entry was committed, by the exchange's clock; UTC."""
    message: bytes = field(repr=False)
    """The serialised tallystick.v1.Receipt, as received. It opens the entry's details: keep it as safe as the request."""

    def to_json(self) -> str:
        """One line of a receipts file."""
        return json.dumps(
            {
                "origin": self.origin,
                "index": self.index,
                "leaf_hash": self.leaf_hash.hex(),
                "create_time": self.create_time.isoformat(),
                "receipt": base64.b64encode(self.message).decode("ascii"),
                "sha256": hashlib.sha256(self.message).hexdigest(),
            }
        )

    @classmethod
    def from_json(cls, line: str) -> KeptReceipt:
        """Reads one line of a receipts file. What it says is taken from the receipt's own bytes.

        Raises FileInvalid, also for a line that says something else than those, or whose bytes are not those that were kept: the
        receipt's signature is over the entry alone, and what opens its details must be whole too.
        """
        try:
            record = json.loads(line)
            origin, encoded = record["origin"], record["receipt"]
            if not isinstance(origin, str) or not isinstance(encoded, str):
                raise TypeError
            kept, _ = _parse(origin, base64.b64decode(encoded, validate=True))
        except (ValueError, KeyError, TypeError, binascii.Error, ReceiptFalse):
            raise FileInvalid("a line is not a receipt that was kept by this package") from None
        said = json.loads(kept.to_json())
        # Lines of before have no digest.
        if any(record[name] != value for name, value in said.items() if name in record):
            raise FileInvalid("this line is damaged: it says something else than its own receipt")
        return kept


@dataclass(frozen=True, slots=True)
class Expected:
    """What a receipt must say: what was sent, by whom, and what came back."""

    origin: str
    receipt_key: bytes
    member_id: str
    keyid: bytes
    method: str
    request: bytes
    signature_params: str
    signature: bytes
    answer: bytes
    """The answer's bytes as received, or the status bytes of a refusal."""
    reason: str
    """Empty for an answer; otherwise the refusal's reason."""
    subjects: Sequence[bytes]
    """The subject leaves of the request, unsalted, in its order."""


def verify_receipt(message: bytes, expected: Expected) -> KeptReceipt:
    """Verifies a serialised Receipt in the order of docs/protocol.md; raises ReceiptFalse with the step that failed."""
    # 1. It parses, and its seed is 32 bytes.
    kept, receipt = _parse(expected.origin, message)
    # 2. The receipt key's signature holds for the leaf and its index.
    _require_signed(kept, receipt, expected.receipt_key)
    # 3. The entry is about the caller's own call, at an index that a log can have.
    _require(3, kept.index < MAX_LOG_SIZE, "its index is beyond the end of any log")
    entry = _parse_entry(receipt.entry)
    _require(3, entry.format_version == 1, "its entry has another format version than 1")
    _require(3, entry.member_id == expected.member_id, "its entry names another member")
    _require(3, entry.keyid == expected.keyid, "its entry names another key")
    _require(3, entry.method == expected.method, "its entry names another method")
    # 4. The envelope holds the request as it was signed.
    envelope = _parse_envelope(receipt.envelope)
    _require(4, _same(envelope.request_digest, hashlib.sha256(expected.request).digest()), "another request")
    _require(4, envelope.signature_params == expected.signature_params, "other signature parameters than those sent")
    _require(4, _same(envelope.signature, expected.signature), "another signature than the one sent")
    # 5. The envelope holds the answer as it was received.
    _require(5, _same(envelope.answer_digest, hashlib.sha256(expected.answer).digest()), "another answer")
    # 6. The outcome is the one the caller was told.
    outcome = log_pb2.ENTRY_OUTCOME_REFUSED if expected.reason else log_pb2.ENTRY_OUTCOME_OK
    _require(6, entry.outcome == outcome, "its entry has another outcome than the answer")
    _require(6, envelope.reason == expected.reason, "its envelope gives another reason than the answer")
    # 7. The commitment opens to this envelope and these subjects, and to nothing else.
    commitment = details_commitment(receipt.seed, receipt.envelope, list(expected.subjects))
    _require(7, _same(entry.details_commitment, commitment), "its commitment is to other details")
    return kept


def verify_promise(kept: KeptReceipt, receipt_key: bytes) -> None:
    """Steps 1 and 2 for a receipt that was kept: without them it proves nothing against the exchange, whose key it must be.

    Raises ReceiptFalse with the step that failed.
    """
    parsed, receipt = _parse(kept.origin, kept.message)
    _require(1, parsed == kept, "its own bytes say something else than what was kept of it")
    _require_signed(kept, receipt, receipt_key)


def _require_signed(kept: KeptReceipt, receipt: log_pb2.Receipt, receipt_key: bytes) -> None:
    try:
        verify_receipt_signature(receipt_key, kept.origin, receipt.index, kept.leaf_hash, receipt.signature)
    except ReceiptError:
        raise ReceiptFalse(2, "it is not signed by the pinned receipt key") from None


def _parse(origin: str, message: bytes) -> tuple[KeptReceipt, log_pb2.Receipt]:
    _require(1, len(message) <= MAX_RECEIPT_BYTES, "it is too large")
    try:
        receipt = log_pb2.Receipt.FromString(message)
    except DecodeError:
        raise ReceiptFalse(1, "it does not parse") from None
    _require(1, len(receipt.seed) == 32, "its seed is not 32 bytes")
    create_time = _create_time(receipt.entry)
    return KeptReceipt(origin, receipt.index, leaf_hash(receipt.entry), create_time, message), receipt


def _create_time(entry: bytes) -> datetime:
    """The entry's time; the epoch if it has none that reads: step 3 judges the entry, and only after its signature."""
    try:
        return log_pb2.AuditEntry.FromString(entry).create_time.ToDatetime(UTC)
    except (DecodeError, ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


def _parse_entry(data: bytes) -> log_pb2.AuditEntry:
    try:
        return log_pb2.AuditEntry.FromString(data)
    except DecodeError:
        raise ReceiptFalse(3, "its entry does not parse") from None


def _parse_envelope(data: bytes) -> log_pb2.Envelope:
    try:
        return log_pb2.Envelope.FromString(data)
    except DecodeError:
        raise ReceiptFalse(4, "its envelope does not parse") from None


def _same(left: bytes, right: bytes) -> bool:
    return hmac.compare_digest(left, right)


def _require(step: int, condition: bool, description: str) -> None:
    if not condition:
        raise ReceiptFalse(step, description)

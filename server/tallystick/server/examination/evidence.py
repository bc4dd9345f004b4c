"""The evidence of each entry: that it is there as long as it must be, opens, and is that of the entry beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256

from google.protobuf.message import DecodeError

from tallystick.contract.instants import EPOCH
from tallystick.contract.limits import MAX_AGE, MAX_AHEAD
from tallystick.crypto import CryptoError, RequestSignature, parse_request_signature, request_metadata, verify_request
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.streams import Row
from tallystick.server.log.details import open_details
from tallystick.server.log.evidence import EvidenceBox, EvidenceCorruptError, EvidenceKeyDestroyedError, evidence_month
from tallystick.v1 import log_pb2, storage_pb2

LONGEST_WAY = timedelta(minutes=3)
"""From admission to commit, with every lock waited for and every rerun."""
_UNSEEN = ("SIGNATURE_STALE", "CERTIFICATE_MISMATCH")
"""Reasons of refusals whose requests need not have been fresh."""


class Evidence:
    """Opens the evidence of entries, and says what is wrong with it."""

    def __init__(
        self, anomalies: Anomalies, box: EvidenceBox, origin: str, public_keys: Mapping[bytes, bytes], first_kept: date
    ) -> None:
        """`first_kept` is the first month whose evidence must be there."""
        self._anomalies = anomalies
        self._box = box
        self._origin = origin
        self._public_keys = public_keys
        self._first_kept = first_kept
        self._time: datetime | None = None

    def take(self, entry: Examined, rows: Sequence[Row]) -> None:
        """One entry, whose evidence is opened into it; and all rows of evidence of its index."""
        month, sealed = evidence_month(entry.create_time), None
        for _, stored_month, stored in rows:
            if stored_month == month:
                sealed = stored
            else:
                self._anomalies.add("evidence", entry.index, f"is in {stored_month:%Y-%m}, where no evidence of this entry belongs")
        evidence = self._open(entry, month, sealed)
        if evidence is not None:
            self._read(entry, evidence)
        self._time = entry.create_time

    def _open(self, entry: Examined, month: date, sealed: bytes | None) -> storage_pb2.Evidence | None:
        if sealed is None:
            if month >= self._first_kept:
                self._anomalies.add("evidence", entry.index, "MISSING: it is gone before its time")
            entry.dropped = month < self._first_kept
            return None
        try:
            plain = self._box.open(sealed, month=month, details_commitment=entry.leaf.details_commitment)
            evidence = storage_pb2.Evidence.FromString(plain)
            entry.details = open_details(evidence, entry.leaf.details_commitment)
        except EvidenceKeyDestroyedError:
            if month >= self._first_kept:
                self._anomalies.add("evidence", entry.index, f"its key evidence/{month:%Y-%m}.key is gone before its time")
            entry.dropped = month < self._first_kept
            return None
        except (EvidenceCorruptError, DecodeError):
            text = "does not open for its entry: it was changed, or the entry's leaf was"
            self._anomalies.add("evidence", entry.index, text)
            return None
        return evidence

    def _read(self, entry: Examined, evidence: storage_pb2.Evidence) -> None:
        first = entry.details[0]
        wrong = [] if evidence.method == entry.leaf.method else ["method"]
        if first.WhichOneof("content") == "envelope":
            entry.envelope = log_pb2.Envelope.FromString(first.envelope)
            if bool(entry.envelope.reason) == entry.carried_out:
                wrong.append("outcome")
        if not evidence.leaves:
            entry.request = evidence.request
            wrong += self._parse(entry)
        if entry.envelope is not None:
            wrong += self._signature(entry, entry.envelope)
        if wrong:
            text = f"its leaf was changed: {', '.join(wrong)} of the request in its evidence is another"
            self._anomalies.add("audit_entry", entry.index, text)

    @staticmethod
    def _parse(entry: Examined) -> list[str]:
        assert entry.request is not None
        if entry.contract is not None:
            try:
                entry.message = entry.contract.request.FromString(entry.request)
            except DecodeError:
                return ["method"] if entry.carried_out else []
        same = entry.envelope is not None and sha256(entry.request).digest() == entry.envelope.request_digest
        return [] if same else ["request_digest"]

    def _signature(self, entry: Examined, envelope: log_pb2.Envelope) -> list[str]:
        """What of the leaf is not that of the request's signature. Without the request only its parameters can be read."""
        try:
            signed = _signature_of(envelope, self._origin, entry.request or b"")
        except CryptoError:
            return ["signature"]
        entry.signature = signed
        wrong = [] if signed.keyid == entry.leaf.keyid else ["keyid"]
        public_key = self._public_keys.get(signed.keyid)
        if not wrong and entry.request is not None and public_key is not None:
            try:
                verify_request(signed, public_key=public_key, path=entry.leaf.method, message=entry.request)
            except CryptoError:
                wrong.append("signature")
        # A clock that was set back stands still in the log, and later pages of a stream are signed with the first one.
        moved = self._time is None or entry.create_time > self._time
        paged = entry.contract is not None and entry.contract.paged
        if moved and not paged and envelope.reason not in _UNSEEN:
            created = EPOCH + timedelta(seconds=signed.created)
            earliest = created - timedelta(seconds=MAX_AHEAD)
            if not earliest <= entry.create_time <= created + timedelta(seconds=MAX_AGE) + LONGEST_WAY:
                wrong.append("create_time")
        return wrong


def _signature_of(envelope: log_pb2.Envelope, origin: str, request: bytes) -> RequestSignature:
    """The signature of a request, from its envelope. Raises SignatureFormatError."""
    params, signature = envelope.signature_params, envelope.signature
    return parse_request_signature(request_metadata(message=request, audience=origin, signature_params=params, signature=signature))

"""Auditing: reading entries, opening their details, and checking both against what the log commits to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from tallystick.client.exceptions import AnswerMalformed, DetailsFalse
from tallystick.client.flows.checkpoints import Checkpoints
from tallystick.client.flows.inquiries import receipt_of
from tallystick.client.flows.reporting import to_timestamp
from tallystick.client.flows.signatures import RequestSignatures, SignatureCheck, SignedEntry, not_verifiable
from tallystick.client.flows.stated import StatedInquiries, purpose_of, read_stated
from tallystick.client.flows.tokens import Tokeniser
from tallystick.client.identities import AnyIdentity, canonical
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.contract.details import detail_hash, subject_of
from tallystick.contract.methods import METHODS
from tallystick.contract.subjects import nobody
from tallystick.credit.enums import Purpose
from tallystick.crypto import CryptoError, commitment_from_hashes, leaf_hash, subject_leaf
from tallystick.v1 import audit_service_pb2, codes_pb2, log_pb2, subject_pb2

GET_AUDIT_ENTRY = Method.of(methods.GET_AUDIT_ENTRY)
LIST_AUDIT_ENTRIES = Method.of(methods.LIST_AUDIT_ENTRIES)

_PAGE = 500
_EMPTY_DIGEST = hashlib.sha256(b"").digest()
"""Of a request without any field: its bytes are shown by showing none."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the log."""

    index: int
    create_time: datetime
    member_id: str
    keyid: bytes
    method: str
    """The full method, such as "/tallystick.v1.InquiryService/QueryCreditHistory"."""
    refused: bool
    details_commitment: bytes
    leaf_hash: bytes
    """Computed from the entry's bytes as received."""
    purpose: Purpose | int | None = None
    """Why a subject was queried: in a list by subject that one, in others the only one that the entry is about. UNSPECIFIED where
    the request states none, and None where the list does not say. A bare number is not on the list: such a request was refused, and
    is in the log as it was sent."""
    consent_reference: str | None = None
    """The consent that the query stated, likewise; None where the list does not say."""
    inquiries: StatedInquiries | None = None
    """In a list that was not asked for by subject: what the server says of the inquiries in the entry. None for entries of other
    services, and where the evidence does not open."""


@dataclass(frozen=True, slots=True)
class DisclosedSubject:
    """One subject of an entry's request."""

    erased: bool
    """True when its leaf's hash alone is shown: it was erased, or the request was not kept (`request_kept` of the entry)."""
    element: bytes = field(default=b"", repr=False)
    epoch_id: bytes = b""
    purpose: Purpose | int = Purpose.UNSPECIFIED
    """A bare number where a refused request stated none of the list."""
    consent_reference: str = ""


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """An entry whose details were opened, and found to be what its leaf commits to."""

    entry: AuditEntry
    disclosed: bool
    """False when the evidence was dropped after its retention period: the entry remains, and nothing opens it any more."""
    request_digest: bytes
    signature_params: str
    """The request's own signature parameters, as the member signed them; empty when the envelope is erased."""
    signature: bytes
    answer_digest: bytes
    reason: str
    """For a refused request: why."""
    subjects: tuple[DisclosedSubject, ...]
    request: bytes = field(repr=False)
    """The request message as received; empty when a part of it was erased, its evidence was dropped, it was not kept, or it was too
    large to be shown."""
    receipt: KeptReceipt
    """For this reading of the entry, which is in the log as well."""
    signature_check: SignatureCheck = field(default_factory=lambda: not_verifiable("its evidence was dropped"))
    """Whether the member's own key signed the request."""
    request_kept: bool = True
    """False for a refused request that the exchange did not keep, since its caller was not admitted or it could not be read. The
    envelope still says who signed it, and why it was refused; whom it was about nobody can open."""
    evidence_months: int = 0
    """Of an entry that is not disclosed: how many whole months beside the running one the server says that it keeps evidence."""

    def is_missing(self, now: datetime) -> bool:
        """Whether the evidence is gone though the server says that it still keeps that month's."""
        return not self.disclosed and is_kept(self.entry.create_time, self.evidence_months, now)


@dataclass(frozen=True, slots=True)
class Disclosed:
    """What the server shows of an entry whose leaf is known from the log."""

    entry: AuditEntry
    subjects: tuple[DisclosedSubject, ...] | None
    """None when it shows no evidence."""
    request: bytes = field(repr=False)
    """Empty when it is not shown."""
    evidence_months: int
    """When it shows none: for how many whole months beside the running one it keeps evidence, by its own word."""
    envelope: log_pb2.Envelope | None = None
    """None when it shows no evidence, or the envelope was erased."""

    def is_dropped(self, now: datetime) -> bool:
        """Whether the evidence is gone because its time is over, and for no other reason that is known."""
        return self.subjects is None and not is_kept(self.entry.create_time, self.evidence_months, now)


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to list. All that is set must hold."""

    identity: AnyIdentity | None = None
    """Entries about this subject; for auditors, who need the token authority to turn it into a token."""
    element: bytes = field(default=b"", repr=False)
    """Entries about the subject of this token; for auditors without the identity."""
    member_id: str = ""
    purpose: Purpose = Purpose.UNSPECIFIED
    """Entries of queries with this purpose; needs a subject or a consent."""
    consent_reference: str = ""
    """Entries of queries under this consent, each once; with a subject, of queries about it under this consent. For auditors."""
    refused: bool | None = None
    """True for refused requests alone, False for those carried out, None for both."""
    start: datetime | None = None
    """Entries at or after this instant; with time zone."""
    end: datetime | None = None
    """Entries before this instant; with time zone."""


class Auditing:
    """The flows of AuditService that read entries, at the exchange or at the token authority."""

    def __init__(self, tokeniser: Tokeniser, checkpoints: Checkpoints, signatures: RequestSignatures) -> None:
        self._tokeniser = tokeniser
        self._checkpoints = checkpoints
        self._signatures = signatures

    def entries_page(self, wanted: EntryFilter, server: Server, page_token: str) -> Flow[tuple[list[AuditEntry], str]]:
        """A page of entries, newest first, and the token of the next."""
        request = audit_service_pb2.ListAuditEntriesRequest(member_id=wanted.member_id, page_size=_PAGE, page_token=page_token)
        request.purpose = codes_pb2.Purpose.ValueType(int(wanted.purpose))
        request.consent_reference = wanted.consent_reference
        if wanted.refused is not None:
            request.outcome = log_pb2.ENTRY_OUTCOME_REFUSED if wanted.refused else log_pb2.ENTRY_OUTCOME_OK
        if wanted.start is not None:
            request.start_time.CopyFrom(to_timestamp(wanted.start, "start"))
        if wanted.end is not None:
            request.end_time.CopyFrom(to_timestamp(wanted.end, "end"))
        leaves: tuple[bytes, ...] = ()
        element = yield from self.element_of(wanted)
        if element:
            request.subject.CopyFrom(self._tokeniser.subject(element))
            leaves = (subject_leaf(self._tokeniser.epoch_id, element, 0, ""),)
        method = LIST_AUDIT_ENTRIES.at(server)
        answered = yield from ask(Call(method, request.SerializeToString(), leaves))
        entries = [_listed(each, by_subject=bool(element)) for each in answered.message.entries]
        return entries, answered.message.next_page_token

    def element_of(self, wanted: EntryFilter) -> Flow[bytes]:
        """The token of the subject that a filter asks for; empty when it asks for none."""
        if wanted.identity is None:
            return wanted.element
        (element,) = yield from self._tokeniser.tokens([canonical(wanted.identity)])
        return element

    def disclosed(self, index: int, server: Server) -> Flow[Disclosed]:
        """What an entry's evidence says, after its commitment was rebuilt. For a caller that has the entry's leaf from elsewhere:
        no proof of its inclusion is asked for."""
        answered = yield from ask(self._get(index, server))
        message = answered.message
        entry = read_entry(message.logged_entry)
        if not message.details:
            return Disclosed(entry, None, b"", message.evidence_months)
        envelope, subjects = _open_details(entry, message.details)
        if message.request:
            _check_request(entry, message.request, envelope, message.details[1:])
        return Disclosed(entry, subjects, message.request, 0, envelope)

    @staticmethod
    def _get(index: int, server: Server) -> Call[audit_service_pb2.GetAuditEntryResponse]:
        request = audit_service_pb2.GetAuditEntryRequest(index=index)
        return Call(GET_AUDIT_ENTRY.at(server), request.SerializeToString())

    def open_entry(self, index: int, server: Server) -> Flow[OpenedEntry]:
        """One entry with its details; raises InclusionFalse when the signed log holds another leaf at its index, and DetailsFalse
        when the details are not what its leaf commits to, or the request shown is not what the details say."""
        answered = yield from ask(self._get(index, server))
        message = answered.message
        if message.logged_entry.index != index:
            raise AnswerMalformed(f"entry {index} was asked for, and another one came")
        entry = read_entry(message.logged_entry)
        receipt = receipt_of(answered)
        signed = yield from self._checkpoints.fetch(server)
        yield from self._checkpoints.require_included(server, index, entry.leaf_hash, signed.checkpoint)
        if not message.details:
            months = message.evidence_months
            return OpenedEntry(entry, False, b"", "", b"", b"", "", (), b"", receipt, evidence_months=months)
        envelope, subjects = _open_details(entry, message.details)
        without_fields = envelope is not None and envelope.request_digest == _EMPTY_DIGEST
        shown = bool(message.request) or (without_fields and not any(subject.erased for subject in subjects))
        if shown:
            _check_request(entry, message.request, envelope, message.details[1:])
        opened = envelope or log_pb2.Envelope()
        if envelope is None:
            check = not_verifiable("the envelope was erased")
        elif not shown:
            check = not_verifiable("the request is not shown")
        else:
            signed_by = SignedEntry(
                entry.member_id, entry.keyid, entry.method, message.request, opened.signature_params, opened.signature
            )
            check = yield from self._signatures.verify(signed_by, server)
        return OpenedEntry(
            entry,
            True,
            opened.request_digest,
            opened.signature_params,
            opened.signature,
            opened.answer_digest,
            opened.reason,
            subjects,
            message.request,
            receipt,
            check,
            # An erasure takes the envelope too: where that is left and the request is not, there never was one in the evidence.
            request_kept=shown or message.request_omitted or envelope is None or not entry.refused,
        )


def is_kept(create_time: datetime, evidence_months: int, now: datetime) -> bool:
    """Whether evidence of an instant is still kept: for whole months, beside the running one."""
    return (now.year - create_time.year) * 12 + now.month - create_time.month <= evidence_months


def read_entry(logged: log_pb2.LoggedEntry) -> AuditEntry:
    """Reads an entry from its leaf's own bytes; raises AnswerMalformed."""
    try:
        entry = log_pb2.AuditEntry.FromString(logged.entry)
        create_time = entry.create_time.ToDatetime(UTC)
    except (DecodeError, ValueError, OverflowError):
        raise AnswerMalformed(f"entry {logged.index} cannot be read") from None
    if entry.format_version != 1:
        raise AnswerMalformed(f"entry {logged.index} has a format that this version does not know")
    return AuditEntry(
        logged.index,
        create_time,
        entry.member_id,
        entry.keyid,
        entry.method,
        entry.outcome == log_pb2.ENTRY_OUTCOME_REFUSED,
        entry.details_commitment,
        leaf_hash(logged.entry),
    )


def _listed(listed: audit_service_pb2.ListedEntry, *, by_subject: bool) -> AuditEntry:
    entry = read_entry(listed.logged_entry)
    if by_subject:
        return replace(entry, purpose=purpose_of(listed.purpose), consent_reference=listed.consent_reference)
    if not listed.HasField("inquiries"):
        return entry
    stated = read_stated(listed.inquiries)
    purpose, consent = stated.only or (None, None)
    return replace(entry, purpose=purpose, consent_reference=consent, inquiries=stated)


def _open_details(
    entry: AuditEntry, details: Sequence[log_pb2.DetailLeaf]
) -> tuple[log_pb2.Envelope | None, tuple[DisclosedSubject, ...]]:
    """Rebuilds the commitment from the disclosed leaves and the hashes of erased ones, and only then reads them. An erased envelope
    is None."""
    try:
        commitment = commitment_from_hashes([detail_hash(leaf) for leaf in details])
    except CryptoError as error:
        raise DetailsFalse(f"entry {entry.index}: {error}") from None
    if not hmac.compare_digest(commitment, entry.details_commitment):
        raise DetailsFalse(f"entry {entry.index}: the details shown are not those that the log commits to")
    first, *rest = details
    if first.WhichOneof("content") == "subject":
        raise DetailsFalse(f"entry {entry.index}: its first detail is not an envelope")
    if any(leaf.WhichOneof("content") == "envelope" for leaf in rest):
        raise DetailsFalse(f"entry {entry.index}: a subject is shown as an envelope")
    subjects = tuple(_disclosed(leaf) for leaf in rest)
    if first.WhichOneof("content") != "envelope":
        return None, subjects
    try:
        return log_pb2.Envelope.FromString(first.envelope), subjects
    except DecodeError:
        raise DetailsFalse(f"entry {entry.index}: its envelope cannot be read") from None


def _check_request(
    entry: AuditEntry, request: bytes, envelope: log_pb2.Envelope | None, subjects: Sequence[log_pb2.DetailLeaf]
) -> None:
    """The request is the one that the envelope names, and the subjects shown are its own: a commitment to others would open too."""
    digest = b"" if envelope is None else envelope.request_digest
    if not hmac.compare_digest(hashlib.sha256(request).digest(), digest):
        raise DetailsFalse(f"entry {entry.index}: the request shown is not the one that its envelope names")
    if any(leaf.WhichOneof("content") != "subject" for leaf in subjects):
        return
    shown = [leaf.subject for leaf in subjects]
    named = [subject_of(each) for each in shown]
    contract = METHODS.get(entry.method)
    # An entry of a method that this version does not know names no subject that it could compare.
    expected = contract.logged_subjects(request, refused=entry.refused) if contract is not None else ()
    if expected is None or named[: len(expected)] != list(expected) or (len(named) > len(expected) and not _tells(entry)):
        raise DetailsFalse(f"entry {entry.index}: the subjects shown are not those of its request")


def _tells(entry: AuditEntry) -> bool:
    """Whether the entry may name more subjects than its request: those of whom its answer told, which no request says."""
    contract = METHODS.get(entry.method)
    return contract is not None and contract.told is not nobody and not entry.refused


def _disclosed(leaf: log_pb2.DetailLeaf) -> DisclosedSubject:
    if leaf.WhichOneof("content") != "subject":
        return DisclosedSubject(erased=True)
    token: subject_pb2.SubjectToken = leaf.subject.subject
    return DisclosedSubject(False, token.element, token.epoch_id, purpose_of(leaf.subject.purpose), leaf.subject.consent_reference)

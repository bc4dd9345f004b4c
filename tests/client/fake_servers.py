"""A double of both servers behind the SDK's own Transport interface. It enforces what they enforce: signatures, nonces, addressee,
limits, request_ids, receipts and a log; faults are set on it from the tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message
from tests.client.fake_methods import METHODS, stated_of, subjects_of
from tests.client.fake_refusal import FakeRefusal

from tallystick.client import Server
from tallystick.client.protocol.calls import Metadata, RawAnswer, RawFailure
from tallystick.crypto import (
    Checkpoint,
    consistency_proof,
    details_commitment,
    epoch_id,
    evaluate,
    generate_private_key,
    inclusion_proof,
    leaf_hash,
    new_seed,
    parse_request_signature,
    public_key,
    root,
    salt,
    sign_checkpoint,
    sign_receipt,
    subject_leaf,
    verify_request,
)
from tallystick.v1 import (
    account_pb2,
    audit_service_pb2,
    codes_pb2,
    inquiry_service_pb2,
    log_pb2,
    membership_service_pb2,
    reporting_service_pb2,
    subject_token_service_pb2,
)

MEMBER = "bank-a"
ORIGINS = {Server.EXCHANGE: "exchange.test/log", Server.TOKEN_AUTHORITY: "tokens.test/log"}
START = 1_760_000_000


@dataclass
class Logged:
    """One entry as the double stores it; tests may change `leaf` behind the log's back."""

    leaf: bytes
    hash: bytes
    seed: bytes
    envelope: bytes
    request: bytes
    subjects: list[tuple[bytes, bytes, int, str]]


@dataclass
class FakeServer:
    """One server's log, keys and state; carries out calls as a Transport."""

    server: Server
    member_key: Ed25519PrivateKey
    receipt_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    checkpoint_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    token_key: bytes = field(default_factory=generate_private_key)
    sequence: int = 1
    log: list[Logged] = field(default_factory=list)
    accounts: dict[bytes, dict[bytes, account_pb2.Account]] = field(default_factory=dict)
    submissions: dict[bytes, tuple[int, reporting_service_pb2.SubmitReportsResponse]] = field(default_factory=dict)
    calls: list[tuple[str, bytes, tuple[tuple[str, Any], ...]]] = field(default_factory=list)
    faults: list[Callable[[], RawFailure | None]] = field(default_factory=list)
    """Taken first, one for each call: a failure that the transport gives before anything reaches the server."""
    lost_answers: int = 0
    """How many answers get lost after the request had its effect."""
    refuse: Callable[[str, Any], None] | None = None
    tamper_receipt: Callable[[log_pb2.Receipt], log_pb2.Receipt | None] | None = None
    tamper_answer: Callable[[str, Message], Message] | None = None
    page_size: int = 4
    break_after_pages: int | None = None
    nonces: set[bytes] = field(default_factory=set)
    clock: int = START
    closed: bool = False
    unopened: set[int] = field(default_factory=set)
    """Entries whose evidence no list opens."""
    counts: audit_service_pb2.CountAuditEntriesResponse = field(default_factory=audit_service_pb2.CountAuditEntriesResponse)
    """What it counts; `counted_by` is what it was asked last."""
    counted_by: Any = None
    registered_as: str = MEMBER
    """Whose the member's key is by the registry; empty for nobody's."""

    @property
    def origin(self) -> str:
        return ORIGINS[self.server]

    # --- The Transport interface ---

    def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        assert seconds > 0
        self.calls.append((path.rpartition("/")[2], message, tuple(metadata)))
        if self.faults and (failure := self.faults.pop(0)()):
            return failure
        handler = getattr(self, path.rpartition("/")[2])
        request_type, public = METHODS[path.rpartition("/")[2]]
        if public:
            return self._public(handler, request_type, message)
        signed = self._authenticate(path, message, metadata)
        request = request_type.FromString(message)
        subjects = subjects_of(request)
        try:
            if self.refuse:
                self.refuse(path.rpartition("/")[2], request)
            answer = self._tampered(path, handler(request)).SerializeToString()
        except FakeRefusal as refusal:
            return self._refused(refusal, path, message, signed, subjects)
        receipt = self._receipt(path, message, signed, answer, "", subjects)
        if self.lost_answers:
            self.lost_answers -= 1
            return RawFailure("UNAVAILABLE", "connection reset")
        return RawAnswer(answer, [("tallystick-receipt-bin", receipt.SerializeToString())] if receipt else [])

    def stream(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> Iterator[RawAnswer | RawFailure]:
        self.calls.append((path.rpartition("/")[2], message, tuple(metadata)))
        if self.faults and (failure := self.faults.pop(0)()):
            yield failure
            return
        signed = self._authenticate(path, message, metadata)
        request = audit_service_pb2.ExportAuditEntriesRequest.FromString(message)
        try:
            for number, page in enumerate(self.export(request)):
                if self.break_after_pages == number:
                    self.break_after_pages = None
                    yield RawFailure("UNAVAILABLE", "connection reset")
                    return
                body = page.SerializeToString()
                receipt = self._receipt(path, message, signed, body, "", [])
                yield RawAnswer(log_pb2.SignedPage(page=body, receipt=receipt).SerializeToString())
        except FakeRefusal as refusal:
            yield self._refused(refusal, path, message, signed, [])

    def close(self) -> None:
        self.closed = True

    # --- What every call goes through ---

    def _authenticate(self, path: str, message: bytes, metadata: Metadata) -> Any:
        signed = parse_request_signature(metadata)
        verify_request(signed, public_key=raw(self.member_key), path=path, message=message)
        assert signed.audience == self.origin
        assert signed.nonce not in self.nonces, "a nonce is good once"
        assert signed.created <= self.clock + 10
        assert len(message) <= 4 * 1024 * 1024
        self.nonces.add(signed.nonce)
        return signed

    def _public(self, handler: Any, request_type: type[Message], message: bytes) -> RawAnswer | RawFailure:
        request = request_type.FromString(message)
        try:
            if self.refuse:
                self.refuse(handler.__name__, request)
            return RawAnswer(self._tampered(handler.__name__, handler(request)).SerializeToString())
        except FakeRefusal as refusal:
            return RawFailure(refusal.code, "", [("grpc-status-details-bin", refusal.status())])

    def _tampered(self, path: str, answer: Message) -> Message:
        return self.tamper_answer(path.rpartition("/")[2], answer) if self.tamper_answer else answer

    def _refused(
        self, refusal: FakeRefusal, path: str, message: bytes, signed: Any, subjects: list[tuple[bytes, bytes, int, str]]
    ) -> RawFailure:
        status = refusal.status()
        trailing: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", status)]
        if refusal.logged:
            receipt = self._receipt(path, message, signed, status, refusal.reason, subjects)
            if receipt is not None:
                trailing.append(("tallystick-receipt-bin", receipt.SerializeToString()))
        return RawFailure(refusal.code, "", trailing)

    def _receipt(
        self,
        path: str,
        message: bytes,
        signed: Any,
        answer: bytes,
        reason: str,
        subjects: list[tuple[bytes, bytes, int, str]],
    ) -> log_pb2.Receipt | None:
        envelope = log_pb2.Envelope(
            request_digest=hashlib.sha256(message).digest(),
            signature_params=signed.signature_params,
            signature=signed.signature,
            answer_digest=hashlib.sha256(answer).digest(),
            reason=reason,
        ).SerializeToString()
        seed = new_seed()
        self.clock += 1
        entry = log_pb2.AuditEntry(
            format_version=1,
            member_id=MEMBER,
            keyid=signed.keyid,
            method=path,
            outcome=log_pb2.ENTRY_OUTCOME_REFUSED if reason else log_pb2.ENTRY_OUTCOME_OK,
            details_commitment=details_commitment(seed, envelope, [subject_leaf(*subject) for subject in subjects]),
        )
        entry.create_time.seconds = self.clock
        leaf = entry.SerializeToString()
        index = len(self.log)
        self.log.append(Logged(leaf, leaf_hash(leaf), seed, envelope, message, subjects))
        receipt = log_pb2.Receipt(
            entry=leaf,
            index=index,
            seed=seed,
            envelope=envelope,
            signature=sign_receipt(self.receipt_key, self.origin, index, leaf_hash(leaf)),
        )
        return self.tamper_receipt(receipt) if self.tamper_receipt else receipt

    # --- Token authority ---

    def GetTokenKey(self, _: Message) -> Message:  # noqa: N802 - the RPC's name
        answer = subject_token_service_pb2.GetTokenKeyResponse()
        answer.token_key.public_key = public_key(self.token_key)
        answer.token_key.sequence = self.sequence
        answer.token_key.epoch_id = epoch_id(self.sequence, public_key(self.token_key))
        return answer

    def EvaluateTokens(self, request: Any) -> Message:  # noqa: N802
        assert 1 <= len(request.blinded_elements) <= 1000
        if request.epoch_id != epoch_id(self.sequence, public_key(self.token_key)):
            raise FakeRefusal("FAILED_PRECONDITION", "TOKEN_EPOCH_MISMATCH")
        evaluated, proof = evaluate(self.token_key, public_key(self.token_key), list(request.blinded_elements))
        return subject_token_service_pb2.EvaluateTokensResponse(evaluated_elements=evaluated, proof=proof)

    # --- Exchange ---

    def SubmitReports(self, request: Any) -> Message:  # noqa: N802
        assert 1 <= len(request.reports) <= 1000
        if request.request_id in self.submissions:
            return self.submissions[request.request_id][1]
        answer = reporting_service_pb2.SubmitReportsResponse()
        for position, report in enumerate(request.reports):
            if report.account.currency != "CNY":
                verdict = answer.verdicts.add(outcome=reporting_service_pb2.REPORT_OUTCOME_REJECTED)
                path = f"reports[{position}].account.currency"
                verdict.violations.add(field=path, reason="CODE_UNKNOWN", description="not a currency")
                answer.rejected_count += 1
                continue
            self.accounts.setdefault(report.subject.element, {})[report.account_reference.digest] = report.account
            answer.verdicts.add(outcome=reporting_service_pb2.REPORT_OUTCOME_ACCEPTED)
            answer.accepted_count += 1
        self.submissions[request.request_id] = (len(self.log), answer)
        return answer

    def WithdrawAccount(self, request: Any) -> Message:  # noqa: N802
        gone = self.accounts.get(request.subject.element, {}).pop(request.account_reference.digest, None)
        return reporting_service_pb2.WithdrawAccountResponse(withdrawn=gone is not None)

    def GetSubmission(self, request: Any) -> Message:  # noqa: N802
        if request.submission_request_id not in self.submissions:
            raise FakeRefusal("NOT_FOUND", "NOT_FOUND")
        index, answer = self.submissions[request.submission_request_id]
        return reporting_service_pb2.GetSubmissionResponse(
            submission=self._submission(request.submission_request_id, index, answer), verdicts=answer.verdicts
        )

    def ListSubmissions(self, request: Any) -> Message:  # noqa: N802
        newest_first = list(reversed(self.submissions.items()))
        start = int(request.page_token or 0)
        page = newest_first[start : start + 2]
        return reporting_service_pb2.ListSubmissionsResponse(
            submissions=[self._submission(request_id, index, answer) for request_id, (index, answer) in page],
            next_page_token=str(start + 2) if start + 2 < len(newest_first) else "",
        )

    def _submission(
        self, request_id: bytes, index: int, answer: reporting_service_pb2.SubmitReportsResponse
    ) -> reporting_service_pb2.Submission:
        submission = reporting_service_pb2.Submission(
            request_id=request_id,
            accepted_count=answer.accepted_count,
            rejected_count=answer.rejected_count,
            entry_index=index,
        )
        submission.create_time.seconds = self.clock
        return submission

    def QueryCreditHistory(self, request: Any) -> Message:  # noqa: N802
        self._check_purposes({"inquiry": request.inquiry})
        return inquiry_service_pb2.QueryCreditHistoryResponse(credit_history=self._history(request.inquiry.subject.element))

    def BatchQueryCreditHistories(self, request: Any) -> Message:  # noqa: N802
        assert 1 <= len(request.inquiries) <= 200
        self._check_purposes({f"inquiries[{place}]": inquiry for place, inquiry in enumerate(request.inquiries)})
        return inquiry_service_pb2.BatchQueryCreditHistoriesResponse(
            credit_histories=[self._history(inquiry.subject.element) for inquiry in request.inquiries]
        )

    def _check_purposes(self, inquiries: dict[str, Any]) -> None:
        """The member may ask for every purpose but one."""
        denied = [
            (f"{field}.purpose", "PURPOSE_NOT_ALLOWED")
            for field, inquiry in inquiries.items()
            if inquiry.purpose == codes_pb2.PURPOSE_JUDICIAL_INVESTIGATION
        ]
        if denied:
            raise FakeRefusal("PERMISSION_DENIED", "PURPOSE_NOT_ALLOWED", *denied)

    def _history(self, element: bytes) -> inquiry_service_pb2.CreditHistory:
        accounts = list(self.accounts.get(element, {}).values())
        history = inquiry_service_pb2.CreditHistory(
            outcome=inquiry_service_pb2.HISTORY_OUTCOME_FOUND if accounts else inquiry_service_pb2.HISTORY_OUTCOME_NO_RECORD
        )
        history.as_of.seconds = self.clock
        for account in accounts:
            history.accounts.add(institution=1, own=True, account=account)
        return history

    # --- Audit ---

    def ListAuditEntries(self, request: Any) -> Message:  # noqa: N802
        element = request.subject.element
        found = [
            (index, subject)
            for index, logged in reversed(list(enumerate(self.log)))
            for subject in ([each for each in logged.subjects if each[1] == element] if element else [None])
            if request.consent_reference in ("", *(each[3] for each in logged.subjects))
        ]
        below = int(request.page_token) if request.page_token else len(self.log)
        rest = [each for each in found if each[0] < below]
        page = rest[: self.page_size]
        answer = audit_service_pb2.ListAuditEntriesResponse(next_page_token=str(page[-1][0]) if len(rest) > len(page) else "")
        for index, subject in page:
            listed = answer.entries.add(logged_entry=log_pb2.LoggedEntry(index=index, entry=self.log[index].leaf))
            if subject:
                listed.purpose, listed.consent_reference = codes_pb2.Purpose.ValueType(subject[2]), subject[3]
            elif (
                index not in self.unopened
                and "/tallystick.v1.InquiryService/" in log_pb2.AuditEntry.FromString(self.log[index].leaf).method
            ):
                listed.inquiries.CopyFrom(stated_of(self.log[index].subjects))
        return answer

    def CountAuditEntries(self, request: Any) -> Message:  # noqa: N802
        self.counted_by = request
        return self.counts

    def ListMembers(self, _: Message) -> Message:  # noqa: N802
        public = raw(self.member_key)
        key = membership_service_pb2.MemberKey(keyid=hashlib.sha256(public).digest(), public_key=public)
        member = membership_service_pb2.Member(member_id=self.registered_as, keys=[key])
        return membership_service_pb2.ListMembersResponse(members=[member] if self.registered_as else [])

    def GetAuditEntry(self, request: Any) -> Message:  # noqa: N802
        if request.index >= len(self.log):
            raise FakeRefusal("NOT_FOUND", "NOT_FOUND")
        logged = self.log[request.index]
        answer = audit_service_pb2.GetAuditEntryResponse(request=logged.request)
        answer.logged_entry.index, answer.logged_entry.entry = request.index, logged.leaf
        answer.details.add(salt=salt(logged.seed, 0), envelope=logged.envelope)
        for place, (epoch, element, purpose, consent) in enumerate(logged.subjects, 1):
            detail = answer.details.add(salt=salt(logged.seed, place))
            detail.subject.subject.element, detail.subject.subject.epoch_id = element, epoch
            detail.subject.purpose, detail.subject.consent_reference = purpose, consent
        return answer

    def export(self, request: Any) -> Iterator[audit_service_pb2.AuditEntryPage]:
        for start in range(request.start_index, request.end_index, self.page_size):
            page = audit_service_pb2.AuditEntryPage(end_index=request.end_index)
            for index in range(start, min(start + self.page_size, request.end_index)):
                page.entries.add(index=index, entry=self.log[index].leaf)
            yield page

    def hashes(self, size: int) -> list[bytes]:
        return [logged.hash for logged in self.log[:size]]

    def GetCheckpoint(self, _: Message) -> Message:  # noqa: N802
        size = len(self.log)
        checkpoint = Checkpoint(self.origin, size, root(self.hashes(size)))
        return audit_service_pb2.GetCheckpointResponse(checkpoint=sign_checkpoint(checkpoint, self.checkpoint_key))

    def GetInclusionProof(self, request: Any) -> Message:  # noqa: N802
        hashes = self.hashes(request.tree_size)
        return audit_service_pb2.GetInclusionProofResponse(
            leaf_hash=hashes[request.index], hashes=inclusion_proof(request.index, hashes)
        )

    def GetConsistencyProof(self, request: Any) -> Message:  # noqa: N802
        proof = consistency_proof(request.old_size, self.hashes(request.new_size))
        return audit_service_pb2.GetConsistencyProofResponse(hashes=proof)


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()

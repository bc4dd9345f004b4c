"""A client written from the .proto files and docs/protocol.md alone: it tokenises, reports, queries, and takes nothing on trust."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc import error_details_pb2, status_pb2
from tests.contract.independent_protocol import (
    DistrustError,
    Server,
    account_reference,
    blind,
    epoch_id,
    keyid,
    leaf_hash,
    sign,
    subject_leaf,
    unblind,
    verify_checkpoint,
    verify_evaluation,
    verify_inclusion,
    verify_receipt,
)

from tallystick.v1 import (
    account_pb2,
    audit_service_pb2,
    inquiry_service_pb2,
    log_pb2,
    reporting_service_pb2,
    subject_pb2,
    subject_token_service_pb2,
)


class RefusedError(Exception):
    """The server said no, and proved that it has logged so unless `receipt` is None."""

    def __init__(self, code: str, reason: str, receipt: log_pb2.Receipt | None) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.receipt = receipt


class Connection:
    """A member's connection to one server: every answer is verified before it is returned."""

    def __init__(self, channel: grpc.Channel, server: Server, member_id: str, key: Ed25519PrivateKey) -> None:
        self.server = server
        self._channel = channel
        self._member_id = member_id
        self._key = key

    def call(self, path: str, message: bytes, subjects: Sequence[bytes] = ()) -> tuple[bytes, log_pb2.Receipt]:
        """A signed call: the answer's bytes and the verified receipt; raises RefusedError."""
        now = int(time.time())
        sent = sign(self._key, path, message, self.server.origin, now, now + 60, secrets.token_bytes(16))
        answer, status, reason, failed = b"", b"", "", None
        try:
            answer, call = self._stub(path).with_call(message, metadata=sent.metadata, timeout=60)
            trailing = pairs(call.trailing_metadata())
        except grpc.RpcError as error:
            failed, trailing = error.code(), pairs(error.trailing_metadata())
            status = trailing.get("grpc-status-details-bin", b"")
            reason = refusal_reason(status)
        data, receipt = trailing.get("tallystick-receipt-bin"), None
        if data is not None:
            key = keyid(self._key)
            receipt = verify_receipt(data, self.server, self._member_id, key, sent, status if failed else answer, reason, subjects)
        if failed is not None:
            raise RefusedError(failed.name, reason, receipt)
        if receipt is None:
            raise DistrustError("an answer without a receipt")
        return answer, receipt

    def ask(self, path: str, message: bytes) -> bytes:
        """A public call."""
        answer: bytes = self._stub(path)(message, timeout=60)
        return answer

    def _stub(self, path: str) -> Any:
        return self._channel.unary_unary(path)

    def included(self, receipt: log_pb2.Receipt) -> int:
        """The size of a checkpoint under which the receipt's promise is kept; raises DistrustError if it is not."""
        audit = "/tallystick.v1.AuditService/"
        note = audit_service_pb2.GetCheckpointResponse.FromString(self.ask(audit + "GetCheckpoint", b"")).checkpoint
        size, root = verify_checkpoint(note, self.server)
        request = audit_service_pb2.GetInclusionProofRequest(index=receipt.index, tree_size=size)
        answer = self.ask(audit + "GetInclusionProof", request.SerializeToString())
        proof = audit_service_pb2.GetInclusionProofResponse.FromString(answer)
        verify_inclusion(receipt.index, size, leaf_hash(receipt.entry), proof.hashes, root)
        return size


class IndependentClient:
    """What a bank does: tokenise, report, query."""

    def __init__(self, exchange: Connection, authority: Connection, token_key: bytes, sequence: int, secret: bytes) -> None:
        self.exchange = exchange
        self.authority = authority
        self._token_key = token_key
        self.epoch_id = epoch_id(sequence, token_key)
        self._secret = secret

    def tokenise(self, identities: Sequence[bytes]) -> list[bytes]:
        """The tokens of canonical identities."""
        blinds, blinded = zip(*map(blind, identities), strict=True)
        request = subject_token_service_pb2.EvaluateTokensRequest(
            request_id=secrets.token_bytes(16), epoch_id=self.epoch_id, blinded_elements=blinded
        )
        path = "/tallystick.v1.SubjectTokenService/EvaluateTokens"
        answer, _ = self.authority.call(path, request.SerializeToString())
        response = subject_token_service_pb2.EvaluateTokensResponse.FromString(answer)
        verify_evaluation(self._token_key, blinded, response.evaluated_elements, response.proof)
        return [unblind(scalar, element) for scalar, element in zip(blinds, response.evaluated_elements, strict=True)]

    def report(self, token: bytes, number: str, account: account_pb2.Account) -> tuple[int, log_pb2.Receipt]:
        """The outcome of one report."""
        secret_id, digest = account_reference(self._secret, number)
        request = reporting_service_pb2.SubmitReportsRequest(request_id=secrets.token_bytes(16))
        request.reports.add(
            subject=self._subject(token),
            account_reference=account_pb2.AccountReference(secret_id=secret_id, digest=digest),
            account=account,
        )
        path, leaf = "/tallystick.v1.ReportingService/SubmitReports", subject_leaf(self.epoch_id, token, 0, "")
        answer, receipt = self.exchange.call(path, request.SerializeToString(), [leaf])
        return reporting_service_pb2.SubmitReportsResponse.FromString(answer).verdicts[0].outcome, receipt

    def query(self, token: bytes, purpose: int, consent: str) -> tuple[inquiry_service_pb2.CreditHistory, log_pb2.Receipt]:
        """What is known of one subject."""
        request: Any = inquiry_service_pb2.QueryCreditHistoryRequest(request_id=secrets.token_bytes(16))
        request.inquiry.subject.CopyFrom(self._subject(token))
        request.inquiry.purpose, request.inquiry.consent_reference = purpose, consent
        path, leaf = "/tallystick.v1.InquiryService/QueryCreditHistory", subject_leaf(self.epoch_id, token, purpose, consent)
        answer, receipt = self.exchange.call(path, request.SerializeToString(), [leaf])
        return inquiry_service_pb2.QueryCreditHistoryResponse.FromString(answer).credit_history, receipt

    def _subject(self, token: bytes) -> subject_pb2.SubjectToken:
        return subject_pb2.SubjectToken(element=token, epoch_id=self.epoch_id)


def refusal_reason(status: bytes) -> str:
    """The reason in a google.rpc.Status; empty when there is none of ours."""
    for detail in status_pb2.Status.FromString(status).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "tallystick":
            return str(info.reason)
    return ""


def pairs(metadata: Any) -> dict[str, Any]:
    """Metadata by key; a server of this protocol gives none of them twice."""
    return dict(metadata or ())

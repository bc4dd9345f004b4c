"""A caller that can do everything wrong: it signs by hand, sends any bytes and metadata, and reads answers as they came."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from tests.contract.installation import Installation, TlsIdentity, public_bytes

from tallystick.client.protocol.receipts import Expected, KeptReceipt, verify_receipt
from tallystick.crypto import keyid, parse_request_signature, sign_request, subject_leaf
from tallystick.v1 import (  # noqa: F401 - imported so that the pool knows every service
    audit_service_pb2,
    inquiry_service_pb2,
    log_pb2,
    membership_service_pb2,
    reporting_service_pb2,
    subject_token_service_pb2,
)

PACKAGE = "tallystick.v1"
RECEIPT_KEY = "tallystick-receipt-bin"
STATUS_KEY = "grpc-status-details-bin"
MAX_INQUIRIES, MAX_REPORTS, MAX_EVENTS, MAX_WATCHES = 200, 1000, 1000, 1000

Metadata = Sequence[tuple[str, str | bytes]]


def path(method: str) -> str:
    """The full method of "Service/Method"."""
    return f"/{PACKAGE}.{method}"


def message_class(method: str, *, answer: bool) -> type[Message]:
    """The request's or the answer's class of "Service/Method"."""
    service, name = method.split("/")
    descriptor = descriptor_pool.Default().FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(name)
    return GetMessageClass(descriptor.output_type if answer else descriptor.input_type)


@dataclass(frozen=True)
class Reply:
    """What came back of one call, and what was sent."""

    method: str
    sent: bytes
    metadata: Metadata
    code: grpc.StatusCode
    answer: bytes = b""
    status: bytes = b""
    """The google.rpc.Status of a refusal, as received."""
    reason: str = ""
    text: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    """Field and reason of each."""
    retry_after: float | None = None
    receipt: bytes | None = None

    @property
    def ok(self) -> bool:
        """Whether it was carried out."""
        return self.code is grpc.StatusCode.OK

    @property
    def message(self) -> Any:
        """The answer, parsed."""
        assert self.ok, f"{self.method}: {self.code.name} {self.reason} {self.text} {self.violations}"
        return message_class(self.method, answer=True).FromString(self.answer)

    @property
    def logged(self) -> log_pb2.Receipt:
        """The receipt, unverified."""
        assert self.receipt is not None, f"{self.method}: no receipt; {self.code.name} {self.reason} {self.text}"
        return log_pb2.Receipt.FromString(self.receipt)


class RawCaller:
    """One member at one server."""

    def __init__(
        self, server: Installation, address: str, member_id: str, key: Ed25519PrivateKey, tls: TlsIdentity | None = None
    ) -> None:
        self.server = server
        self.member_id = member_id
        self.key = key
        self.tls = tls or server.issue(member_id)
        self._channel = open_channel(address, self.tls)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def at(self, address: str) -> RawCaller:
        """The same member at another worker."""
        return RawCaller(self.server, address, self.member_id, self.key, self.tls)

    def with_certificate(self, tls: TlsIdentity, address: str) -> RawCaller:
        """The same key behind another certificate."""
        return RawCaller(self.server, address, self.member_id, self.key, tls)

    def sign(
        self,
        method: str,
        message: bytes,
        *,
        key: Ed25519PrivateKey | None = None,
        audience: str | None = None,
        age: int = 0,
        lifetime: int = 60,
        nonce: bytes | None = None,
    ) -> tuple[tuple[str, str], ...]:
        """The metadata of a signed call; by default as it should be. `age` is how many seconds ago it was created."""
        return sign_request(
            key or self.key,
            path=path(method),
            message=message,
            audience=audience or self.server.origin,
            created=int(time.time()) - age,
            lifetime=lifetime,
            nonce=nonce,
        ).metadata

    def call(self, method: str, message: Message | bytes, *, timeout: float = 60, **signing: Any) -> Reply:
        """Signs and sends."""
        data = message if isinstance(message, bytes) else message.SerializeToString()
        return self.send(method, data, self.sign(method, data, **signing), timeout=timeout)

    def send(self, method: str, data: bytes, metadata: Metadata, *, timeout: float = 60) -> Reply:
        """Sends what it is given."""
        stub = self._channel.unary_unary(path(method), request_serializer=_same, response_deserializer=_same)
        try:
            answer, call = stub.with_call(data, timeout=timeout, metadata=tuple(metadata), wait_for_ready=False)
        except grpc.RpcError as error:
            return _refused(method, data, metadata, error)
        trailing: dict[str, Any] = dict(call.trailing_metadata() or ())
        return Reply(method, data, metadata, grpc.StatusCode.OK, answer, receipt=trailing.get(RECEIPT_KEY))

    def stream(self, method: str, message: Message, *, timeout: float = 60) -> list[bytes]:
        """Signs and sends; every message that came back. Raises grpc.RpcError."""
        data = message.SerializeToString()
        stub = self._channel.unary_stream(path(method), request_serializer=_same, response_deserializer=_same)
        return list(stub(data, timeout=timeout, metadata=self.sign(method, data)))

    def verified_receipt(self, reply: Reply) -> KeptReceipt:
        """The reply's receipt; raises ReceiptFalse unless it says exactly what was sent and what came back."""
        assert reply.receipt is not None, f"{reply.method}: no receipt; {reply.code.name} {reply.reason} {reply.text}"
        signature = parse_request_signature(reply.metadata)
        expected = Expected(
            origin=self.server.origin,
            receipt_key=public_bytes(self.server.keys.receipt_key),
            member_id=self.member_id,
            keyid=signature.keyid,
            method=path(reply.method),
            request=reply.sent,
            signature_params=signature.signature_params,
            signature=signature.signature,
            answer=reply.answer if reply.ok else reply.status,
            reason=reply.reason,
            subjects=subject_leaves(reply.method, reply.sent, reply.answer if reply.ok else b""),
        )
        return verify_receipt(reply.receipt, expected)

    @property
    def keyid(self) -> bytes:
        """The key's id."""
        return keyid(public_bytes(self.key))


def open_channel(address: str, tls: TlsIdentity) -> grpc.Channel:
    """A connection without a limit of its own on what is sent, and without gRPC's own retries."""
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_metadata_size", 65_536),
        ("grpc.absolute_max_metadata_size", 65_536),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 200),
    ]
    credentials = grpc.ssl_channel_credentials(tls.authority, tls.key, tls.certificate)
    return grpc.secure_channel(address, credentials, options=options)


def subject_leaves(method: str, data: bytes, answer: bytes = b"") -> list[bytes]:
    """Whom a request's log entry commits to (docs/protocol.md, "Log entry"); of a pull, those that its answer tells of."""
    try:
        message: Any = message_class(method, answer=False).FromString(data)
    except DecodeError:
        return []
    match method.split("/")[1]:
        case "QueryCreditHistory":
            return [_stated_leaf(message.inquiry)]
        case "BatchQueryCreditHistories":
            return [_stated_leaf(each) for each in message.inquiries] if len(message.inquiries) <= MAX_INQUIRIES else []
        case "PutWatches":
            return [_stated_leaf(each) for each in message.watches] if len(message.watches) <= MAX_WATCHES else []
        case "PullMessages":
            told: Any = message_class(method, answer=True).FromString(answer)
            return [_stated_leaf(each) for each in told.messages]
        case "SubmitReports":
            return [_subject_leaf(each.subject) for each in message.reports] if len(message.reports) <= MAX_REPORTS else []
        case "RecordServicingEvents":
            return [_subject_leaf(each.subject) for each in message.events] if len(message.events) <= MAX_EVENTS else []
        case "WithdrawAccount" | "ListServicingEvents":
            return [_subject_leaf(message.subject)]
        case "ListAuditEntries" if message.HasField("subject"):
            return [_subject_leaf(message.subject)]
        case _:
            return []


def _stated_leaf(stated: Any) -> bytes:
    subject = stated.subject
    return subject_leaf(subject.epoch_id, subject.element, stated.purpose, stated.consent_reference)


def _subject_leaf(subject: Any) -> bytes:
    return subject_leaf(subject.epoch_id, subject.element, 0, "")


def _refused(method: str, data: bytes, metadata: Metadata, error: Any) -> Reply:
    trailing = dict(error.trailing_metadata() or ())
    reason, violations, retry_after = "", [], None
    status = trailing.get(STATUS_KEY, b"")
    for detail in status_pb2.Status.FromString(status).details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            assert info.domain == "tallystick"
            reason = info.reason
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            found = error_details_pb2.BadRequest.FromString(detail.value).field_violations
            violations = [(each.field, each.reason) for each in found]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry_after = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay.ToTimedelta().total_seconds()
    return Reply(
        method,
        data,
        metadata,
        error.code(),
        status=status,
        reason=reason,
        text=error.details() or "",
        violations=tuple(violations),
        retry_after=retry_after,
        receipt=trailing.get(RECEIPT_KEY),
    )


def _same(data: bytes) -> bytes:
    return data

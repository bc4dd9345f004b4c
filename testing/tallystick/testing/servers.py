"""An in-memory server behind the SDK's own Transport interface: what every call goes through, and what a test does to it.

In the order of a real one: size, signature, addressee and key; the caller's standing; the message; its request_id; the operation.
An answer, and each refusal that a real log holds, is an entry of the log and carries its receipt.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import DecodeError, Message

from tallystick.client.protocol.calls import Metadata, RawAnswer, RawFailure
from tallystick.contract.admission import (
    Standing,
    authorise,
    is_fresh,
    key_unknown,
    read_signature,
    request_id_reused,
    verify_signature,
)
from tallystick.contract.limits import MAX_MESSAGE
from tallystick.contract.messages import parse_request
from tallystick.contract.methods import (
    EXPORT_AUDIT_ENTRIES,
    GET_CHECKPOINT,
    GET_CONSISTENCY_PROOF,
    GET_INCLUSION_PROOF,
    METHODS,
    Method,
)
from tallystick.contract.refusals import Refusal
from tallystick.contract.wire import RECEIPT_KEY, STATUS_KEY
from tallystick.credit.audit_requests import check_export
from tallystick.credit.requests import answer_too_large
from tallystick.crypto import RequestSignature, keyid
from tallystick.testing.audit import Reading
from tallystick.testing.clock import Clock
from tallystick.testing.log import Log, Named
from tallystick.testing.refusals import AnyRefusal
from tallystick.testing.requests import Caller, Operation, Request
from tallystick.v1 import errors_pb2, log_pb2

PublicMethod = Callable[[Any], Message]
_MINUTE = timedelta(minutes=1)


@dataclass
class InMemoryServer:
    """One server's log and state; carries out calls as a Transport. Without a fault it behaves as docs/protocol.md says."""

    log: Log
    reading: Reading
    caller: Caller
    member_key: Ed25519PrivateKey
    clock: Clock
    operations: dict[str, Operation]
    public_methods: dict[str, PublicMethod] = field(default_factory=dict)
    calls: list[tuple[str, bytes, tuple[tuple[str, Any], ...]]] = field(default_factory=list)
    """Every attempt: the method's name, the message and the metadata."""
    faults: list[Callable[[], RawFailure | None]] = field(default_factory=list)
    """Taken first, one for each call: a failure that the transport gives before anything reaches the server."""
    down: Callable[[], RawFailure] | None = None
    """The same for every call, until it is None again."""
    lost_answers: int = 0
    """How many answers get lost after the request had its effect."""
    refuse: Callable[[str, Any], None] | None = None
    """Called with the method's name and the message of each authenticated request; raises AnyRefusal or Refusal."""
    tamper_receipt: Callable[[log_pb2.Receipt], log_pb2.Receipt | None] | None = None
    tamper_answer: Callable[[str, Message], Message] | None = None
    tamper_sent: Callable[[bytes], bytes] | None = None
    """Given the bytes of an answer once its receipt is made; what is sent in their place."""
    break_after_pages: int | None = None
    closed: bool = False
    _nonces: set[bytes] = field(default_factory=set)
    _done: dict[bytes, tuple[str, bytes, bytes | None]] = field(default_factory=dict)
    _told: dict[str, datetime] = field(default_factory=dict)
    _latest: datetime | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.public_methods = {
            GET_CHECKPOINT.path: self.log.checkpoint,
            GET_INCLUSION_PROOF.path: self.log.inclusion,
            GET_CONSISTENCY_PROOF.path: self.log.consistency,
            **self.public_methods,
        }
        self.operations = {**self.reading.operations(), **self.operations}

    # --- The Transport interface ---

    def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        """Carries one call out, one at a time."""
        with self._lock:
            if failure := self._arrived(path, message, metadata):
                return failure
            if path in self.public_methods:
                return self._public(path, message)
            if path not in self.operations and not self._barred(path):
                return RawFailure("UNIMPLEMENTED", "an in-memory server does not serve this method")
            return self._signed(METHODS[path], message, metadata)

    def stream(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> Iterator[RawAnswer | RawFailure]:
        """Carries an export out. Its pages are made at once: who stops reading in the middle must not keep others waiting."""
        with self._lock:
            pages = list(self._export(path, message, metadata))
        yield from pages

    def _export(self, path: str, message: bytes, metadata: Metadata) -> Iterator[RawAnswer | RawFailure]:
        if failure := self._arrived(path, message, metadata):
            yield failure
            return
        signed: RequestSignature | None = None
        try:
            signed = self._authenticate(EXPORT_AUDIT_ENTRIES, message, metadata)
            request = self._admit(EXPORT_AUDIT_ENTRIES, message, signed, lambda each, _now: check_export(each))
            for number, page in enumerate(self.reading.export(request.message)):
                if self.break_after_pages == number:
                    self.break_after_pages = None
                    yield RawFailure("UNAVAILABLE", "connection reset")
                    return
                body = page.SerializeToString()
                receipt = self._receipt(path, message, signed, body, "", ())
                yield RawAnswer(log_pb2.SignedPage(page=body, receipt=receipt).SerializeToString())
        except (AnyRefusal, Refusal) as refusal:
            yield self._refused(refusal, path, message, signed, ())

    def close(self) -> None:
        """The connection is closed; the server stays."""
        self.closed = True

    # --- What every call goes through ---

    def _arrived(self, path: str, message: bytes, metadata: Metadata) -> RawFailure | None:
        self.calls.append((path.rpartition("/")[2], message, tuple(metadata)))
        if self.faults and (failure := self.faults.pop(0)()):
            return failure
        return self.down() if self.down else None

    def _barred(self, path: str) -> bool:
        """Whether the caller's roles do not allow the method, served here or not."""
        return path in METHODS and bool(METHODS[path].roles) and not METHODS[path].roles & self.caller.roles

    def _public(self, path: str, message: bytes) -> RawAnswer | RawFailure:
        name = path.rpartition("/")[2]
        try:
            request = METHODS[path].request.FromString(message)
            if self.refuse:
                self.refuse(name, request)
            return RawAnswer(self._tampered(name, self.public_methods[path](request)).SerializeToString())
        except DecodeError:
            text = f"the bytes are no request of {path}"
            return self._refused(Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, text), path, message, None, ())
        except (AnyRefusal, Refusal) as refusal:
            return self._refused(refusal, path, message, None, ())

    def _signed(self, method: Method[Any, Any], message: bytes, metadata: Metadata) -> RawAnswer | RawFailure:
        signed: RequestSignature | None = None
        subjects: Sequence[Named] = ()
        try:
            signed = self._authenticate(method, message, metadata)
            subjects = parse_request(method, message).subjects or ()
            body = self._carry_out(method, message, signed)
        except (AnyRefusal, Refusal) as refusal:
            return self._refused(refusal, method.path, message, signed, subjects)
        subjects = [*subjects, *method.told(method.answer.FromString(body))]
        receipt = self._receipt(method.path, message, signed, body, "", subjects)
        if self.lost_answers:
            self.lost_answers -= 1
            return RawFailure("UNAVAILABLE", "connection reset")
        return RawAnswer(self.tamper_sent(body) if self.tamper_sent else body, _carrying(receipt))

    def _authenticate(self, method: Method[Any, Any], message: bytes, metadata: Metadata) -> RequestSignature:
        signed = read_signature(method, message, metadata, self.log.origin)
        public_key = self.member_key.public_key().public_bytes_raw()
        if signed.keyid != keyid(public_key):
            raise key_unknown()
        verify_signature(signed, public_key, method, message)
        return signed

    def _admit(
        self,
        method: Method[Any, Any],
        message: bytes,
        signed: RequestSignature,
        validate: Callable[[Any, datetime], Any],
    ) -> Request:
        """The request, if its caller may make it and it is well formed."""
        now = self._now()
        parsed = parse_request(method, message)
        standing = Standing(
            fresh=is_fresh(signed, now.timestamp()),
            spent=signed.nonce not in self._nonces,
            revoked=self.caller.revoked,
            active=self.caller.active,
            created=signed.created,
            clock=now,
        )
        if standing.fresh:
            self._nonces.add(signed.nonce)
        if barred := authorise(standing, method.roles, self.caller.roles):
            raise barred
        if self.refuse:
            self.refuse(method.name, parsed.message)
        if parsed.invalid:
            raise parsed.invalid
        prepared = validate(parsed.message, now)
        return Request(parsed.message, parsed.subjects or (), self.caller, now, len(self.log.entries), prepared)

    def _carry_out(self, method: Method[Any, Any], message: bytes, signed: RequestSignature) -> bytes:
        operation = self.operations.get(method.path, _BARRED)
        request = self._admit(method, message, signed, operation.validate)
        request_id = method.request_id(request.message)
        asked = method.path, hashlib.sha256(message).digest()
        if request_id is not None and request_id in self._done:
            *before, answered = self._done[request_id]
            if tuple(before) != asked:
                raise request_id_reused()
            if answered is not None:
                return answered
        body = self._tampered(method.name, operation.run(request)).SerializeToString()
        if len(body) > MAX_MESSAGE:
            raise answer_too_large(MAX_MESSAGE)
        if request_id is not None:
            self._done.setdefault(request_id, (*asked, body if operation.keeps_answer else None))
        return body

    def _tampered(self, name: str, answer: Message) -> Message:
        return self.tamper_answer(name, answer) if self.tamper_answer else answer

    def _refused(
        self, refusal: AnyRefusal | Refusal, path: str, message: bytes, signed: RequestSignature | None, subjects: Sequence[Named]
    ) -> RawFailure:
        told = AnyRefusal.of(refusal) if isinstance(refusal, Refusal) else refusal
        status = told.status()
        trailing: list[tuple[str, str | bytes]] = [(STATUS_KEY, status)]
        if signed is not None and told.logged and not self._spared(told):
            trailing += _carrying(self._receipt(path, message, signed, status, told.reason, subjects))
        return RawFailure(told.code, "", trailing)

    def _spared(self, refusal: AnyRefusal) -> bool:
        """Whether the log has a refusal of the kind from less than a minute ago, and need not hold this one."""
        if not refusal.sparingly:
            return False
        now, last = self._now(), self._told.get(refusal.reason)
        if last is not None and now - last < _MINUTE:
            return True
        self._told[refusal.reason] = now
        return False

    def _receipt(
        self, path: str, message: bytes, signed: RequestSignature, answer: bytes, reason: str, subjects: Sequence[Named]
    ) -> log_pb2.Receipt | None:
        receipt = self.log.append(path, message, signed, self.caller.member_id, answer, reason, subjects, self._now())
        return self.tamper_receipt(receipt) if self.tamper_receipt else receipt

    def _now(self) -> datetime:
        """The clock's time, whole microseconds; never before that of the entry before."""
        now = self.clock.now()
        self._latest = now if self._latest is None else max(now, self._latest)
        return self._latest


def _carrying(receipt: log_pb2.Receipt | None) -> list[tuple[str, str | bytes]]:
    return [(RECEIPT_KEY, receipt.SerializeToString())] if receipt else []


def _never(_: Request) -> Message:
    raise TypeError("a method that the caller's roles do not allow was carried out")


_BARRED = Operation(_never)
"""For what the caller may not do: it is refused for its role before anything else is looked at."""

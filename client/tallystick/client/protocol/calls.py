"""The sans-I/O core: what a signed call sends, and what must hold of what comes back before anybody sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from tallystick.client.exceptions import (
    AnswerMalformed,
    NotReached,
    ReceiptMissing,
    Refusal,
    TallystickError,
)
from tallystick.client.profile.servers import Counterpart, Server, Signer
from tallystick.client.protocol.receipts import Expected, KeptReceipt, verify_receipt
from tallystick.contract.methods import Method as ContractMethod
from tallystick.contract.subjects import SubjectReader, nobody
from tallystick.contract.wire import RECEIPT_KEY, STATUS_KEY
from tallystick.crypto import sign_request
from tallystick.v1 import log_pb2

M = TypeVar("M", bound=Message)
R = TypeVar("R")

Metadata = Sequence[tuple[str, str | bytes]]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Method(Generic[M]):
    """One RPC."""

    server: Server
    path: str
    answer: type[M]
    signed: bool = True
    """Public methods are neither signed nor logged, and have no receipt."""
    told: SubjectReader = nobody
    """Reads whom an answer tells of: the entry commits to them, behind those that the request names."""

    @classmethod
    def of(cls, contract: ContractMethod[Any, M], server: Server = Server.EXCHANGE) -> Method[M]:
        """The method of the contract, at one server."""
        return cls(server, contract.path, contract.answer, signed=not contract.public, told=contract.told)

    def at(self, server: Server) -> Method[M]:
        """The same method elsewhere: both servers have an AuditService, each for its own log."""
        return replace(self, server=server)


@dataclass(frozen=True, slots=True)
class Call(Generic[M]):
    """One request, serialised once: every attempt sends these bytes."""

    method: Method[M]
    message: bytes
    subjects: tuple[bytes, ...] = ()
    """The subject leaves that its log entry commits to, unsalted, in the request's order."""


@dataclass(frozen=True, slots=True)
class PageStream:
    """A server-streaming call. `take` gets each page's bytes, once its receipt was verified, and may raise."""

    call: Call[log_pb2.SignedPage]
    take: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Answered(Generic[M]):
    """An answer whose receipt was verified."""

    message: M
    receipt: KeptReceipt | None
    """None only for public methods."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a call: its own nonce and signature."""

    metadata: tuple[tuple[str, str], ...]
    signature_params: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What a transport got for a call: the body's bytes as received, never parsed before they are verified."""

    body: bytes
    trailing: Metadata = ()


@dataclass(frozen=True, slots=True)
class RawFailure:
    """A call's status when it is not OK: the canonical code's name, its text, and the trailing metadata."""

    code: str
    details: str
    trailing: Metadata = ()
    surroundings: str = ""
    """What of this machine may be the cause."""


Flow = Generator[Call[Any] | PageStream, Any, R]
"""A piece of the protocol that is written once: it yields calls, is sent their answers (or has their exception thrown in),
and returns its result. Exchange and AsyncExchange drive it, each over its own kind of I/O."""


@dataclass(frozen=True, slots=True)
class Finished(Generic[R]):
    """A flow's result."""

    result: R


def advance(
    flow: Flow[R], answered: Answered[Any] | None = None, error: TallystickError | None = None
) -> Call[Any] | PageStream | Finished[R]:
    """Takes a flow to its next call or to its end, with the answer to the call before, or with what went wrong there."""
    try:
        return flow.throw(error) if error is not None else flow.send(answered)
    except StopIteration as stop:
        return Finished(stop.value)


def ask(call: Call[M]) -> Flow[Answered[M]]:
    """Yields one call from a flow, with the type of its answer."""
    answered: Answered[M] = yield call
    return answered


class Conversation:
    """Signs what goes to one counterpart and verifies what comes from it."""

    def __init__(self, signer: Signer, counterpart: Counterpart, clock: Clock = time.time) -> None:
        self._signer = signer
        self._counterpart = counterpart
        self._clock = clock

    def attempt(self, call: Call[Any]) -> Attempt:
        """A fresh signature over the call's bytes, valid for a minute from now."""
        if not call.method.signed:
            return Attempt((), "", b"")
        signed = sign_request(
            self._signer.key,
            path=call.method.path,
            message=call.message,
            audience=self._counterpart.origin,
            created=int(self._clock()),
        )
        return Attempt(signed.metadata, signed.signature_params, signed.signature)

    def conclude(self, call: Call[M], attempt: Attempt, raw: RawAnswer | RawFailure) -> Answered[M]:
        """Verifies, then parses. Raises NotTrusted, NotReached or Refused."""
        if isinstance(raw, RawFailure):
            raise self.failure(call, attempt, raw)
        receipt: KeptReceipt | None = None
        if call.method.signed:
            message = _only(raw.trailing, RECEIPT_KEY)
            if message is None:
                raise ReceiptMissing(f"an answer to {call.method.path} came without its receipt; do not use it")
            told = () if call.method.told is nobody else call.method.told(parse(call.method.answer, raw.body))
            receipt = self.verify(call, attempt, message, raw.body, "", [subject.leaf() for subject in told])
        return Answered(parse(call.method.answer, raw.body), receipt)

    def open_page(self, stream: PageStream, attempt: Attempt, raw: RawAnswer) -> bytes:
        """A page of a stream, its receipt verified; raises NotTrusted."""
        message = parse(stream.call.method.answer, raw.body)
        if not message.HasField("receipt"):
            raise ReceiptMissing(f"a page of {stream.call.method.path} came without its receipt; do not use it")
        self.verify(stream.call, attempt, message.receipt.SerializeToString(), message.page, "")
        return message.page

    def verify(
        self, call: Call[Any], attempt: Attempt, message: bytes, answer: bytes, reason: str, told: Sequence[bytes] = ()
    ) -> KeptReceipt:
        """Verifies a receipt for this attempt; raises ReceiptFalse. `told` are the leaves of whom the answer tells."""
        expected = Expected(
            origin=self._counterpart.origin,
            receipt_key=self._counterpart.receipt_key,
            member_id=self._signer.member_id,
            keyid=self._signer.keyid,
            method=call.method.path,
            request=call.message,
            signature_params=attempt.signature_params,
            signature=attempt.signature,
            answer=answer,
            reason=reason,
            subjects=(*call.subjects, *told),
        )
        return verify_receipt(message, expected)

    def failure(self, call: Call[Any], attempt: Attempt, raw: RawFailure) -> TallystickError:
        """The exception for a failed call, its receipt verified where there is one."""
        refusal = Refusal(raw.code, raw.details, _only(raw.trailing, STATUS_KEY) or b"", call.method.server.value, raw.surroundings)
        message = _only(raw.trailing, RECEIPT_KEY)
        receipt: KeptReceipt | None = None
        if message is not None and call.method.signed:
            receipt = self.verify(call, attempt, message, refusal.status, refusal.reason)
        error = refusal.to_exception(receipt)
        must_be_logged = call.method.signed and refusal.must_be_logged
        if must_be_logged and receipt is None and not isinstance(error, NotReached):
            return ReceiptMissing(f"a refusal ({refusal.reason}) came without its receipt; it may not be in the log")
        return error


def parse(kind: type[M], body: bytes) -> M:
    """Parses verified bytes; raises AnswerMalformed."""
    try:
        return kind.FromString(body)
    except DecodeError:
        raise AnswerMalformed(f"an answer is not a {kind.__name__}") from None


def _only(metadata: Metadata, key: str) -> bytes | None:
    """The one value of a binary key; None if there is none. A doubled key is no answer."""
    values = [value for name, value in metadata if name == key]
    if len(values) > 1:
        raise AnswerMalformed(f"an answer carries {key} more than once")
    if not values:
        return None
    value = values[0]
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")

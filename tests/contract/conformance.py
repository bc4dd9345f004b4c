"""One member at two exchanges, a real one and one in memory, that is answered by both; and what of an answer must be the same."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from tests.contract import requests
from tests.contract.raw_caller import RECEIPT_KEY, STATUS_KEY, message_class, path
from tests.contract.system import System

from tallystick.client.protocol.calls import RawAnswer, RawFailure
from tallystick.crypto import sign_request
from tallystick.testing import InMemoryExchange
from tallystick.v1 import subject_pb2

_OWN = ("as_of", "create_time", "entry_index", "next_page_token", "evaluated_elements", "proof", "token_key", "keys", "request_id")
"""Fields of answers that are each exchange's own."""


@dataclass(frozen=True)
class Told:
    """What a caller is told: what must not differ."""

    code: str
    reason: str
    text: str
    violations: tuple[tuple[str, str, str], ...]
    retries: bool
    receipt: bool
    answer: str


@dataclass
class Twin(ABC):
    """The member at one of the two."""

    origin: str
    key: Ed25519PrivateKey
    mint: Any
    """Makes tokens by `token(identity)`."""

    def call(self, method: str, message: Message | bytes, **signing: Any) -> Told:
        """Signs and sends; `signing` is what is wrong with the signature."""
        data = message if isinstance(message, bytes) else message.SerializeToString()
        metadata = self.signed(method, data, **signing)
        return self.send(method, data, metadata)

    def signed(
        self, method: str, data: bytes, *, age: int = 0, audience: str = "", nonce: bytes | None = None, **other: Any
    ) -> Any:
        """The metadata."""
        signed = sign_request(
            other.get("key", self.key),
            path=path(method),
            message=other.get("signs", data),
            audience=audience or self.origin,
            created=int(requests.now().timestamp()) - age,
            nonce=nonce,
        )
        return signed.metadata

    @abstractmethod
    def send(self, method: str, data: bytes, metadata: Any) -> Told:
        """Sends what it is given."""

    def told(self, method: str, code: str, answer: bytes, status: bytes, receipt: object) -> Told:
        """A reply without what is each exchange's own."""
        violations: list[tuple[str, str, str]] = []
        reason, retries = "", False
        parsed = status_pb2.Status.FromString(status)
        for detail in parsed.details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                reason = error_details_pb2.ErrorInfo.FromString(detail.value).reason
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                found = error_details_pb2.BadRequest.FromString(detail.value).field_violations
                violations = [(each.field, each.reason, self._text(each.description)) for each in found]
            retries |= detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)
        if status:
            assert code_pb2.Code.Name(parsed.code) == code
        message = message_class(method, answer=True).FromString(answer)
        _forget_own(message)
        return Told(code, reason, self._text(parsed.message), tuple(violations), retries, receipt is not None, str(message))

    def _text(self, text: str) -> str:
        return re.sub(r"\d+ entries", "… entries", text.replace(self.origin, "ORIGIN"))


def _forget_own(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in _OWN:
            message.ClearField(field.name)
        elif field.name == "accounts":
            for each in value:
                each.institution = 0
            value.sort(key=lambda each: each.SerializeToString(deterministic=True))
        elif field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                _forget_own(each)


class RealTwin(Twin):
    """At a server."""

    def __init__(self, system: System, member_id: str, *, authority: bool = False) -> None:
        self._caller = system[member_id].authority if authority else system[member_id].exchange
        super().__init__(self._caller.server.origin, self._caller.key, system.mint)

    def send(self, method: str, data: bytes, metadata: Any) -> Told:
        reply = self._caller.send(method, data, metadata)
        return self.told(method, reply.code.name, reply.answer, reply.status, reply.receipt)


class MemoryTwin(Twin):
    """In memory."""

    def __init__(self, memory: InMemoryExchange, *, authority: bool = False) -> None:
        self._memory = memory
        self._server = memory._authority if authority else memory._exchange
        super().__init__(self._server.log.origin, memory.profile.signer.key, self)

    @property
    def epoch_id(self) -> bytes:
        """The epoch of its tokens."""
        return self._memory._token_key.epoch_id

    def token(self, identity: Any) -> subject_pb2.SubjectToken:
        """An identity's token."""
        return subject_pb2.SubjectToken(element=self._memory._token_key.element(identity), epoch_id=self.epoch_id)

    def send(self, method: str, data: bytes, metadata: Any) -> Told:
        raw = self._server.unary(path(method), data, metadata, 60)
        trailing: dict[str, Any] = dict(raw.trailing)
        if isinstance(raw, RawAnswer):
            return self.told(method, "OK", raw.body, b"", trailing.get(RECEIPT_KEY))
        assert isinstance(raw, RawFailure)
        return self.told(method, raw.code, b"", trailing.get(STATUS_KEY, b""), trailing.get(RECEIPT_KEY))

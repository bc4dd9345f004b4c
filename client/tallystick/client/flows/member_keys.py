"""A member's own signing keys: what proves that it has a new one, and its registration under the old one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.client.exceptions import AnswerMalformed, ProfileError
from tallystick.client.flows.inquiries import receipt_of
from tallystick.client.profile.servers import Counterpart, Server, Signer
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.crypto import key_statement
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.v1 import membership_service_pb2

ADD_MEMBER_KEY = Method.of(methods.ADD_MEMBER_KEY)


@dataclass(frozen=True, slots=True)
class KeyRegistration:
    """What an operator, or the servers themselves, need to register a key (docs/protocol.md, "Key registration")."""

    origin: str
    member_id: str
    public_key: bytes
    possession_signature: bytes
    """By the new key itself."""
    endorsement_signature: bytes
    """By the profile's key; empty when that is the key to be registered, a member's first."""


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """A key as it was registered."""

    keyid: bytes
    create_time: datetime
    receipt: KeptReceipt


class MemberKeys:
    """The flow of MembershipService that a member runs itself."""

    def __init__(self, signer: Signer, counterparts: dict[Server, Counterpart]) -> None:
        self._signer = signer
        self._counterparts = counterparts

    def registration(self, new_key: Ed25519PrivateKey, server: Server) -> KeyRegistration:
        """Signs the statement with the new key and, unless they are the same, with the profile's. Nothing is sent.

        Raises ProfileError when the profile does not name the server.
        """
        if server not in self._counterparts:
            raise ProfileError(f"the profile does not say where the {server.value} is: add token-authority.toml")
        origin, member_id = self._counterparts[server].origin, self._signer.member_id
        public_key = raw_public_key(new_key)
        statement = key_statement(origin, member_id, public_key)
        is_first = public_key == raw_public_key(self._signer.key)
        endorsement = b"" if is_first else self._signer.key.sign(statement)
        return KeyRegistration(origin, member_id, public_key, new_key.sign(statement), endorsement)

    def register(self, new_key: Ed25519PrivateKey, server: Server) -> Flow[RegisteredKey]:
        """Registers the member's next key, under the profile's."""
        registration = self.registration(new_key, server)
        request = membership_service_pb2.AddMemberKeyRequest(
            request_id=uuid.uuid4().bytes,
            member_id=registration.member_id,
            public_key=registration.public_key,
            possession_signature=registration.possession_signature,
            endorsement_signature=registration.endorsement_signature,
        )
        answered = yield from ask(Call(ADD_MEMBER_KEY.at(server), request.SerializeToString()))
        key = answered.message.key
        if key.public_key != registration.public_key:
            raise AnswerMalformed("another key was registered than the one sent")
        try:
            return RegisteredKey(key.keyid, key.create_time.ToDatetime(UTC), receipt_of(answered))
        except (ValueError, OverflowError):
            raise AnswerMalformed("the registered key has no time that reads") from None

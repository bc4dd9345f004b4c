"""Whether an entry's request was signed by the key that the entry names (docs/protocol.md, "Opened entries and erasing").

A key's identifier is its own hash: a server can withhold a key, and cannot pass another off for it. That the key is the member's is
the registry's word here; `audit verify` replays it from the log.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tallystick.client.exceptions import AnswerMalformed
from tallystick.client.profile.servers import Counterpart, Server
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.contract import methods
from tallystick.crypto import CryptoError, keyid, parse_request_signature, request_metadata, verify_request
from tallystick.v1 import membership_service_pb2

LIST_MEMBERS = Method.of(methods.LIST_MEMBERS)
_PAGE = 1000


class SignatureState(Enum):
    """What became of the attempt to verify a request's own signature."""

    VERIFIED = "verified"
    FALSE = "false"
    """The entry shows a signature that is not the member's over this request: whoever wrote it is not who it says."""
    NOT_VERIFIABLE = "not verifiable"


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """A request's own signature, verified as far as that can be."""

    state: SignatureState
    detail: str
    """Why it is false, or cannot be verified; empty for one that is verified."""

    def __str__(self) -> str:
        return f"{self.state.value} ({self.detail})" if self.detail else self.state.value


VERIFIED = SignatureCheck(SignatureState.VERIFIED, "")


def false(detail: str) -> SignatureCheck:
    """A finding."""
    return SignatureCheck(SignatureState.FALSE, detail)


def not_verifiable(detail: str) -> SignatureCheck:
    """Nothing can be said."""
    return SignatureCheck(SignatureState.NOT_VERIFIABLE, detail)


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """What an opened entry shows of its request and of who signed it."""

    member_id: str
    keyid: bytes
    method: str
    request: bytes
    signature_params: str
    signature: bytes


class RequestSignatures:
    """The flow that verifies requests' own signatures, and the registered keys that it has seen for it."""

    def __init__(self, counterparts: Mapping[Server, Counterpart]) -> None:
        self._counterparts = counterparts
        self._keys: dict[tuple[Server, bytes], tuple[str, bytes]] = {}
        """By server and keyid: whose it is, and the public key."""

    def verify(self, entry: SignedEntry, server: Server) -> Flow[SignatureCheck]:
        """In the order of docs/protocol.md, for a request whose bytes are those that its envelope names."""
        # 2. The signature is in the one form there is, and names the entry's key.
        metadata = request_metadata(
            message=entry.request,
            audience=self._counterparts[server].origin,
            signature_params=entry.signature_params,
            signature=entry.signature,
        )
        try:
            parsed = parse_request_signature(metadata)
        except CryptoError as error:
            return false(f"it is no request signature: {error}")
        if not hmac.compare_digest(parsed.keyid, entry.keyid):
            return false("it names another key than the entry")
        # 3. The registry has a key of that hash, and it is the member's.
        known = yield from self._registered(entry.keyid, server)
        if known is None:
            return not_verifiable("the server's registry does not show the key")
        member_id, public_key = known
        if member_id != entry.member_id:
            return false(f"the key is registered for {member_id}")
        # 4. The signature verifies.
        try:
            verify_request(parsed, public_key=public_key, path=entry.method, message=entry.request)
        except CryptoError as error:
            return false(str(error))
        return VERIFIED

    def _registered(self, key: bytes, server: Server) -> Flow[tuple[str, bytes] | None]:
        """Whose key it is, revoked or not. The registry is read when a key is not known yet: each page is a call, and an entry."""
        token = ""
        while (server, key) not in self._keys:
            request = membership_service_pb2.ListMembersRequest(page_size=_PAGE, page_token=token)
            answered = yield from ask(Call(LIST_MEMBERS.at(server), request.SerializeToString()))
            for member in answered.message.members:
                for each in member.keys:
                    try:
                        self._keys[server, keyid(each.public_key)] = (member.member_id, each.public_key)
                    except CryptoError:
                        raise AnswerMalformed("a member's key has another length than a public key") from None
            token = answered.message.next_page_token
            if not token:
                break
        return self._keys.get((server, key))

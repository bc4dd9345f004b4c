"""Authentication: which registered key signed these bytes (docs/protocol.md, "Request signature").

In this order, each step for the cost of the one before it:

1. the message is not larger than its method takes;
2. the four headers are there once each and in canonical form;
3. the request is addressed to this log;
4. keyid is a registered key, revoked or not;
5. content-digest is that of the bytes, and the signature verifies.

A call that fails here is not logged: nobody is known to have made it. What follows (the certificate, freshness, replay, revocation,
roles) is decided by the database in the transaction that logs it; see tallystick.server.ledger.transaction.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tallystick.contract.admission import key_unknown, read_signature, verify_signature
from tallystick.contract.methods import METHODS
from tallystick.crypto import RequestSignature
from tallystick.server.requests.calls import Call

MAX_KNOWN_KEYS = 65_536


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """A key as it is in the registry for good: whose it is never changes, whether it is revoked is asked anew each time."""

    public_key: bytes
    member_id: str


KeyLookup = Callable[[bytes], Awaitable[RegisteredKey | None]]


class Authenticator:
    """Finds out whose key signed a call."""

    def __init__(self, origin: str, lookup: KeyLookup) -> None:
        self._origin = origin
        self._lookup = lookup
        self._known: OrderedDict[bytes, RegisteredKey] = OrderedDict()

    async def authenticate(self, call: Call) -> tuple[RequestSignature, RegisteredKey]:
        """Returns the verified signature and the key that made it; raises Refusal."""
        signature = read_signature(METHODS[call.method], call.message, call.metadata, self._origin)
        key = self._known.get(signature.keyid)
        if key is None:
            key = await self._find(signature.keyid)
        verify_signature(signature, key.public_key, METHODS[call.method], call.message)
        return signature, key

    async def _find(self, keyid: bytes) -> RegisteredKey:
        key = await self._lookup(keyid)
        if key is None:
            raise key_unknown()
        self._known[keyid] = key
        if len(self._known) > MAX_KNOWN_KEYS:
            self._known.popitem(last=False)
        return key

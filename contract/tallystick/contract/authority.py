"""Who may do what by the log itself: members, keys, roles and states as its own entries about membership gave them.

The registry of members is a table, which could be changed without an entry. So both sides replay those entries from the first on,
and hold every entry against what they had given by then. A change that nobody had the authority for gives nothing: what follows
from it has no authority either.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Final

from tallystick.contract.methods import ADD_MEMBER_KEY, CREATE_MEMBER, METHODS, REVOKE_MEMBER_KEY, UPDATE_MEMBER, Method
from tallystick.crypto import keyid
from tallystick.v1 import membership_service_pb2 as membership

CHANGES: Final[dict[str, Method[Any, Any]]] = {
    method.path: method for method in (CREATE_MEMBER, UPDATE_MEMBER, ADD_MEMBER_KEY, REVOKE_MEMBER_KEY)
}
"""The methods that change members or keys, by their path."""
BOOTSTRAP: Final = 2
"""The first two entries make the operator and its key, and are signed by that key."""


@dataclass(frozen=True, slots=True)
class Act:
    """What an entry says that somebody did."""

    index: int
    member_id: str
    keyid: bytes
    method: str
    refused: bool


@dataclass(frozen=True, slots=True)
class _Standing:
    """What a member may do from an entry on."""

    active: bool
    roles: frozenset[int]


class Registry:
    """Members and keys as the log's own entries gave them."""

    def __init__(self) -> None:
        self._members: dict[str, tuple[list[int], list[_Standing]]] = {}
        self._keys: dict[tuple[str, bytes], tuple[int, int | None]] = {}
        """From which entry on a key is the member's, and from which on it is revoked."""
        self._requests: set[tuple[str, bytes]] = set()
        self.public_keys: dict[bytes, bytes] = {}
        """Every key that was registered, revoked or not, by its keyid."""

    def take(self, act: Act, message: Any) -> bool:
        """One change that was carried out, in the order of the log; whether it had the authority, without which it gives nothing.

        Raises SignatureFormatError for a public key that is none."""
        if act.index >= BOOTSTRAP and not self.allows(act):
            return False
        if isinstance(message, membership.AddMemberKeyRequest):
            if not self._may_add(act, message.member_id):
                return False
            key = keyid(message.public_key)
            self._keys.setdefault((message.member_id, key), (act.index, None))
            self.public_keys[key] = message.public_key
        elif isinstance(message, membership.RevokeMemberKeyRequest):
            added, revoked = self._keys.get((message.member_id, message.keyid), (act.index, None))
            self._keys[message.member_id, message.keyid] = (added, act.index if revoked is None else revoked)
        else:
            again = (act.member_id, message.request_id) in self._requests
            self._set(act.index, message.member, again=again)
        self._requests.add((act.member_id, message.request_id))
        return True

    def allows(self, act: Act) -> bool:
        """Whether the log had given the member this key, and for what was carried out also the state and a role."""
        added, revoked = self._keys.get((act.member_id, act.keyid), (None, None))
        if added is None or not (added < act.index or added < BOOTSTRAP):
            return False
        if act.refused or act.index == 0:
            return True
        standing = self._standing(act.member_id, act.index)
        contract = METHODS.get(act.method)
        roles = contract.roles if contract is not None else frozenset()
        in_force = revoked is None or act.index <= revoked
        return in_force and standing is not None and standing.active and (not roles or bool(roles & standing.roles))

    def _may_add(self, act: Act, member_id: str) -> bool:
        """A member adds its own keys, and an operator those of others."""
        standing = self._standing(act.member_id, act.index)
        return member_id == act.member_id or (standing is not None and membership.ROLE_OPERATOR in standing.roles)

    def _set(self, index: int, member: membership.Member, *, again: bool) -> None:
        indices, standings = self._members.setdefault(member.member_id, ([], []))
        # A member that is admitted without a state is active.
        active = member.state in (membership.MEMBER_STATE_UNSPECIFIED, membership.MEMBER_STATE_ACTIVE)
        standing = _Standing(active, frozenset(member.roles))
        if again and standings:
            # A retry had no second effect, unless its first one had been forgotten: nobody is accused for either.
            standing = _Standing(standing.active or standings[-1].active, standing.roles | standings[-1].roles)
        indices.append(index)
        standings.append(standing)

    def _standing(self, member_id: str, index: int) -> _Standing | None:
        """As it was before an entry."""
        indices, standings = self._members.get(member_id, ([], []))
        place = bisect_left(indices, index)
        return standings[place - 1] if place else None

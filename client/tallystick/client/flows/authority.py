"""Authority by the log: which keys and roles its own entries gave to whom, and which entries had neither.

The registry of members is a table, which the operator could change without an entry. So the entries about membership are replayed,
from the first on, and every entry is held against what they had given by then.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import DecodeError

from tallystick.client.exceptions import ServerFault
from tallystick.client.flows.auditing import AuditEntry, Auditing, read_entry
from tallystick.client.flows.differences import Difference, DifferenceKind
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Flow
from tallystick.contract.methods import ADD_MEMBER_KEY, CREATE_MEMBER, METHODS, REVOKE_MEMBER_KEY, UPDATE_MEMBER
from tallystick.crypto import CryptoError, keyid
from tallystick.v1 import log_pb2
from tallystick.v1 import membership_service_pb2 as membership

_CHANGES = {method.path: method for method in (CREATE_MEMBER, UPDATE_MEMBER, ADD_MEMBER_KEY, REVOKE_MEMBER_KEY)}
_BOOTSTRAP = 2
"""The first two entries make the operator and its key, and are signed by that key."""


class Acts:
    """Who did what where in a log, collected while it is read: eight bytes an entry."""

    def __init__(self) -> None:
        self.changes: list[AuditEntry] = []
        """Entries of membership that were carried out."""
        self._indices: dict[tuple[str, bytes, str, bool], array[int]] = {}

    def observe(self, logged: log_pb2.LoggedEntry, entry: log_pb2.AuditEntry) -> None:
        """One entry, in the order of the log. Raises AnswerMalformed for one about membership that cannot be read."""
        refused = entry.outcome == log_pb2.ENTRY_OUTCOME_REFUSED
        who = (entry.member_id, entry.keyid, entry.method, refused)
        self._indices.setdefault(who, array("Q")).append(logged.index)
        if entry.method in _CHANGES and not refused:
            self.changes.append(read_entry(logged))

    def unauthorised(self, registry: _Registry) -> list[Difference]:
        """The acts that the registry does not allow, by index."""
        found = [
            index
            for (member_id, key, method, refused), indices in self._indices.items()
            for index in indices
            if not registry.allows(index, member_id, key, method, refused=refused)
        ]
        return [Difference(DifferenceKind.UNAUTHORISED, index, index + 1) for index in sorted(found)]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What a member may do from an entry on."""

    active: bool
    roles: frozenset[int]


class _Registry:
    """Members and keys as the log's own entries gave them."""

    def __init__(self) -> None:
        self._members: dict[str, tuple[list[int], list[_Standing]]] = {}
        self._keys: dict[tuple[str, bytes], tuple[int, int | None]] = {}
        """From which entry on a key is the member's, and from which on it is revoked."""
        self._requests: set[tuple[str, bytes]] = set()

    def take(self, entry: AuditEntry, request: bytes) -> None:
        """One change. Raises DecodeError."""
        message = _CHANGES[entry.method].request.FromString(request)
        again = (entry.member_id, message.request_id) in self._requests
        self._requests.add((entry.member_id, message.request_id))
        if isinstance(message, membership.AddMemberKeyRequest):
            if self._may_add(entry, message.member_id):
                self._keys.setdefault((message.member_id, keyid(message.public_key)), (entry.index, None))
        elif isinstance(message, membership.RevokeMemberKeyRequest):
            added, revoked = self._keys.get((message.member_id, message.keyid), (entry.index, None))
            self._keys[message.member_id, message.keyid] = (added, entry.index if revoked is None else revoked)
        else:
            self._set(entry.index, message.member, again=again)

    def _may_add(self, entry: AuditEntry, member_id: str) -> bool:
        """A member adds its own keys, and an operator those of others."""
        standing = self._standing(entry.member_id, entry.index)
        return member_id == entry.member_id or (standing is not None and membership.ROLE_OPERATOR in standing.roles)

    def _set(self, index: int, member: membership.Member, *, again: bool) -> None:
        indices, standings = self._members.setdefault(member.member_id, ([], []))
        standing = _Standing(member.state == membership.MEMBER_STATE_ACTIVE, frozenset(member.roles))
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

    def allows(self, index: int, member_id: str, key: bytes, method: str, *, refused: bool) -> bool:
        """Whether the log had given the member this key, and for what was carried out also the state and a role."""
        added, revoked = self._keys.get((member_id, key), (None, None))
        if added is None or not (added < index or added < _BOOTSTRAP):
            return False
        if refused or index == 0:
            return True
        standing = self._standing(member_id, index)
        contract = METHODS.get(method)
        roles = contract.roles if contract is not None else frozenset()
        in_force = revoked is None or index <= revoked
        return in_force and standing is not None and standing.active and (not roles or bool(roles & standing.roles))


class Authority:
    """The flow that replays the entries about membership."""

    def __init__(self, auditing: Auditing) -> None:
        self._auditing = auditing

    def unauthorised(self, acts: Acts, server: Server, now: datetime) -> Flow[tuple[list[Difference], bool]]:
        """The entries of a whole log that nobody had the authority for, and whether that could be told: not when the evidence of an
        entry about membership was dropped after its retention period."""
        registry = _Registry()
        for entry in acts.changes:
            try:
                shown = yield from self._auditing.disclosed(entry.index, server)
            except ServerFault:
                return [_withheld(entry)], False
            if shown.entry.leaf_hash != entry.leaf_hash:
                return [_withheld(entry)], False
            if shown.is_dropped(now):
                return [], False
            if not shown.request:
                # Or else the loss of one entry's evidence would excuse every key that was smuggled in.
                return [_withheld(entry)], False
            try:
                registry.take(entry, shown.request)
            except (DecodeError, CryptoError):
                return [Difference(DifferenceKind.MALFORMED, entry.index, entry.index + 1)], False
        return acts.unauthorised(registry), True


def _withheld(entry: AuditEntry) -> Difference:
    return Difference(DifferenceKind.WITHHELD, entry.index, entry.index + 1)

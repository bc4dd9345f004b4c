"""The registry of members and keys: what the entries about membership gave, held against the tables and against every entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from google.protobuf.message import Message

from tallystick.contract.authority import BOOTSTRAP, CHANGES, Act, Registry
from tallystick.crypto import CryptoError, keyid
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.services.membership.registry import KeyRow, MemberRow, key_message, member_message, settable
from tallystick.v1 import membership_service_pb2 as pb

_SETTABLE = ("display_name", "roles", "purposes", "state", "daily_evaluations", "quotas")


@dataclass(slots=True)
class _Member:
    """A member as the log gave it."""

    settable: list[tuple[Any, ...]]
    """What it may be set to: more than one where it cannot be told whether a retry had an effect."""
    admitted: Examined | None
    """The entry that admitted it; None when that one's evidence was dropped."""


@dataclass(slots=True)
class _Key:
    """A key as the log gave it."""

    member_id: str
    public_key: bytes
    added: Examined | None
    revoked: Examined | None = None


class Membership:
    """Replays the entries about membership."""

    def __init__(self, anomalies: Anomalies) -> None:
        self._anomalies = anomalies
        self._registry = Registry()
        self._members: dict[str, _Member] = {}
        self._keys: dict[bytes, _Key] = {}
        self._first: list[Examined] = []
        self._whole = True
        """Whether the evidence of every change was there so far."""
        self._dropped = False

    def take(self, entry: Examined) -> None:
        """One entry, in the order of the log."""
        if entry.index < BOOTSTRAP:
            # They are signed with the key that the second one registers.
            self._first.append(entry)
        else:
            self._hold(entry)
        if entry.carried_out and entry.leaf.method in CHANGES:
            self._change(entry)
        if entry.index == BOOTSTRAP - 1:
            for first in self._first:
                self._hold(first)

    def finish(self, members: Sequence[MemberRow], keys: Sequence[KeyRow]) -> None:
        """All entries were taken; these are the tables."""
        if not self._whole:
            self._anomalies.untold["entries about membership whose evidence is gone: members, keys and authority after them"] += 1
        if not self._whole and not self._dropped:
            return
        by_id = {row.member_id: row for row in members}
        for member_id in by_id.keys() - self._members.keys():
            if not self._dropped:
                self._anomalies.add("member", member_id, "no entry of the log admitted it: somebody added or renamed it")
        for member_id, member in self._members.items():
            if member_id not in by_id:
                self._anomalies.add("member", member_id, "MISSING: the log admitted it")
            else:
                self._compare_member(member, by_id[member_id])
        self._order(by_id)
        self._compare_keys({row.id: row.member_id for row in members}, keys)

    def _hold(self, entry: Examined) -> None:
        if self._whole and not self._registry.allows(_act(entry)):
            text = "NOT AUTHORISED: no entry had given this member this key, or the role or state for what it did"
            self._anomalies.add("audit_entry", entry.index, text)

    def _change(self, entry: Examined) -> None:
        if entry.message is None:
            self._whole, self._dropped = False, self._dropped or entry.dropped
            return
        try:
            if self._whole and not self._registry.take(_act(entry), entry.message):
                return
            self._expect(entry, entry.message)
        except CryptoError:
            self._anomalies.add("audit_entry", entry.index, "registers a key that is none")

    def _expect(self, entry: Examined, message: Any) -> None:
        if isinstance(message, pb.AddMemberKeyRequest):
            self._keys.setdefault(keyid(message.public_key), _Key(message.member_id, message.public_key, entry))
        elif isinstance(message, pb.RevokeMemberKeyRequest):
            key = self._keys.get(message.keyid)
            if key is not None and key.revoked is None:
                key.revoked = entry
        elif isinstance(message, pb.CreateMemberRequest):
            member = pb.Member()
            member.CopyFrom(message.member)
            member.state = member.state or pb.MEMBER_STATE_ACTIVE
            self._members.setdefault(member.member_id, _Member([settable(member)], entry))
        elif entry.repeated is not True:
            known = self._members.setdefault(message.member.member_id, _Member([], None))
            before = known.settable if entry.repeated is None else []
            known.settable = [*before, settable(message.member)]

    def _compare_member(self, member: _Member, row: MemberRow) -> None:
        stored = (row.display_name, list(row.roles), list(row.purposes), row.state, row.daily_evaluations, row.quotas)
        if stored not in member.settable:
            given = member.settable[-1]
            differing = [name for name, mine, other in zip(_SETTABLE, stored, given, strict=True) if mine != other]
            self._anomalies.add("member", row.member_id, f"its {', '.join(differing)} is not what the log gave it")
        if member.admitted is not None:
            made: pb.Member = member.admitted.message.member
            first = settable(made)
            as_made = replace(row, **dict(zip(_SETTABLE, first, strict=True)))
            as_made = replace(as_made, state=made.state or pb.MEMBER_STATE_ACTIVE)
            if not _answered(member.admitted, pb.CreateMemberResponse(member=member_message(as_made, ()))):
                self._anomalies.add("member", row.member_id, "its create_time is not the one that its admission answered")

    def _order(self, rows: dict[str, MemberRow]) -> None:
        """Identifiers are given in the order of admission."""
        last = -1
        for member_id, member in self._members.items():
            if member_id in rows and member.admitted is not None:
                if rows[member_id].id <= last:
                    self._anomalies.add("member", member_id, "its id is below that of a member admitted before it")
                last = rows[member_id].id

    def _compare_keys(self, members: dict[int, str], rows: Sequence[KeyRow]) -> None:
        stored = {row.keyid: row for row in rows}
        for key_id in stored.keys() - self._keys.keys():
            if not self._dropped:
                text = f"of {members.get(stored[key_id].member, 'nobody')}: no entry of the log registered it: somebody added it"
                self._anomalies.add("member_key", key_id.hex(), text)
        for key_id, key in self._keys.items():
            row = stored.get(key_id)
            if row is None:
                self._anomalies.add("member_key", key_id.hex(), f"MISSING: the log registered it for {key.member_id}")
            elif differing := _differing(key, row, members.get(row.member)):
                text = f"of {key.member_id}: its {', '.join(differing)} is not what the log says"
                self._anomalies.add("member_key", key_id.hex(), text)


def _differing(key: _Key, row: KeyRow, member_id: str | None) -> list[str]:
    added = key_message(replace(row, public_key=key.public_key, revoke_time=None))
    same = {
        "member": member_id == key.member_id,
        "public_key": row.public_key == key.public_key,
        "create_time": key.added is None or _answered(key.added, pb.AddMemberKeyResponse(key=added)),
        "revoke_time": (row.revoke_time is None) == (key.revoked is None),
    }
    if key.revoked is not None and row.revoke_time is not None and same["create_time"]:
        revoked = key_message(replace(row, public_key=key.public_key))
        same["revoke_time"] = _answered(key.revoked, pb.RevokeMemberKeyResponse(key=revoked))
    return [name for name, equal in same.items() if not equal]


def _answered(entry: Examined, answer: Message) -> bool:
    """Whether an entry's request was answered with these bytes."""
    return entry.envelope is None or sha256(answer.SerializeToString()).digest() == entry.envelope.answer_digest


def _act(entry: Examined) -> Act:
    leaf = entry.leaf
    return Act(entry.index, leaf.member_id, leaf.keyid, leaf.method, not entry.carried_out)

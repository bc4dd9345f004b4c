"""Keys of members: registration with proof of possession, and revocation (tallystick.v1.MembershipService)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tallystick.contract.methods import ADD_MEMBER_KEY, REVOKE_MEMBER_KEY
from tallystick.contract.request_fields import check_member_id
from tallystick.contract.violations import Violation
from tallystick.crypto import key_statement
from tallystick.crypto.ed25519 import is_signed
from tallystick.server.errors import Refusal, refuse_violations
from tallystick.server.requests.operation import FULL_BATCH, Caller, Operation, Work
from tallystick.server.services.membership import registry
from tallystick.server.services.membership.signing_keys import is_signing_key
from tallystick.v1 import errors_pb2
from tallystick.v1 import membership_service_pb2 as pb

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

MAX_GOOD_KEYS = 16
"""Most unrevoked keys of one member: enough for any rotation, and a bound on what a member can add by itself."""


class AddMemberKey(Operation):
    """Registers a key: by an operator for any member, by a member for itself.

    Every key comes with a signature of its own (possession). Where the member has an unrevoked key, one of those must
    sign too (endorsement), so that not even the operator slips a key into a member's hands. Where it has none, be it
    new or with all its keys revoked, nobody is left who could endorse, and only an operator can call: it vouches for
    the key by the same means as for a member's first one, and every member sees the entry. The other rule, to lock such
    a member out for good, would only make the operator admit it again under another name.
    """

    contract = ADD_MEMBER_KEY
    changes_registry = True
    cost = FULL_BATCH

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def validate(self, message: pb.AddMemberKeyRequest, now: datetime) -> None:
        violations = [
            *check_member_id(message.member_id, "member_id"),
            *_check_length(message.public_key, 32, "public_key"),
            *_check_length(message.possession_signature, 64, "possession_signature"),
        ]
        if message.endorsement_signature:
            violations += _check_length(message.endorsement_signature, 64, "endorsement_signature")
        if violations:
            raise refuse_violations(violations)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        await registry.lock_registry(connection)
        for work in works:
            try:
                row = await self._add(connection, work.caller, work.message, clock)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            work.answer = pb.AddMemberKeyResponse(key=registry.key_message(row)).SerializeToString()
            work.keep_answer = True

    async def _add(
        self, connection: Connection, caller: Caller, message: pb.AddMemberKeyRequest, clock: datetime
    ) -> registry.KeyRow:
        if message.member_id != caller.member_id and pb.ROLE_OPERATOR not in caller.roles:
            raise Refusal(errors_pb2.ERROR_REASON_ROLE_MISSING, "only an operator registers keys of other members")
        if not is_signing_key(message.public_key):
            text = "must be the canonical encoding of a point of Ed25519's prime-order group: make a new key"
            raise refuse_violations([Violation("public_key", "FIELD_OUT_OF_RANGE", text)])
        member = await registry.find_member(connection, message.member_id)
        if member is None:
            raise Refusal(errors_pb2.ERROR_REASON_NOT_FOUND, "there is no member of this member_id: admit it first")
        keys = (await registry.keys_of(connection, [member.id])).get(member.id, [])
        good_keys = [key for key in keys if key.revoke_time is None]
        self._check_signatures(message, good_keys)
        if len(good_keys) >= MAX_GOOD_KEYS:
            text = f"the member has {MAX_GOOD_KEYS} unrevoked keys: have those revoked that it no longer uses"
            raise Refusal(errors_pb2.ERROR_REASON_STATE_CONFLICT, text)
        row = await registry.insert_key(connection, member.id, message.public_key, clock)
        if row is None:
            text = "this key is registered already, or was and is revoked: make a new one"
            raise Refusal(errors_pb2.ERROR_REASON_ALREADY_EXISTS, text)
        return row

    def _check_signatures(self, message: pb.AddMemberKeyRequest, good_keys: Sequence[registry.KeyRow]) -> None:
        statement = key_statement(self._origin, message.member_id, message.public_key)
        if not is_signed(message.public_key, message.possession_signature, statement):
            text = "does not verify under public_key: sign the statement of the protocol for this exchange and member"
            raise refuse_violations([Violation("possession_signature", "FIELDS_INCONSISTENT", text)])
        endorsement = message.endorsement_signature
        if not good_keys:
            if endorsement:
                text = "the member has no unrevoked key that could endorse: leave endorsement_signature empty"
                raise Refusal(errors_pb2.ERROR_REASON_STATE_CONFLICT, text)
            return
        if not endorsement:
            text = "the member has a key already: one of its unrevoked keys must sign the statement too"
            raise refuse_violations([Violation("endorsement_signature", "FIELD_REQUIRED", text)])
        if not any(is_signed(key.public_key, endorsement, statement) for key in good_keys):
            text = "verifies under none of the member's unrevoked keys"
            raise refuse_violations([Violation("endorsement_signature", "FIELDS_INCONSISTENT", text)])


class RevokeMemberKey(Operation):
    """Revokes a key for good. Doing it again changes nothing and answers with the key as it was revoked."""

    contract = REVOKE_MEMBER_KEY
    changes_registry = True
    cost = FULL_BATCH

    def validate(self, message: pb.RevokeMemberKeyRequest, now: datetime) -> None:
        violations = [
            *check_member_id(message.member_id, "member_id"),
            *_check_length(message.keyid, 32, "keyid"),
        ]
        if violations:
            raise refuse_violations(violations)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        await registry.lock_registry(connection)
        for work in works:
            try:
                row = await self._revoke(connection, work.caller, work.message, clock)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            work.answer = pb.RevokeMemberKeyResponse(key=registry.key_message(row)).SerializeToString()
            work.keep_answer = True

    async def _revoke(
        self, connection: Connection, caller: Caller, message: pb.RevokeMemberKeyRequest, clock: datetime
    ) -> registry.KeyRow:
        member = await registry.find_member(connection, message.member_id)
        keys = (await registry.keys_of(connection, [member.id])).get(member.id, []) if member else []
        key = next((key for key in keys if key.keyid == message.keyid), None)
        if member is None or key is None:
            raise Refusal(errors_pb2.ERROR_REASON_NOT_FOUND, "there is no such member, or it has no key of this keyid")
        if key.revoke_time is not None:
            return key
        own_last = member.id == caller.member and all(other is key or other.revoke_time is not None for other in keys)
        last_operator = member.is_active_operator and not await registry.operator_remains(connection, without_key=key.keyid)
        if own_last or last_operator:
            text = "it is your own last key, or the last one of any active operator: register another first"
            raise Refusal(errors_pb2.ERROR_REASON_STATE_CONFLICT, text)
        return await registry.revoke_key(connection, key, clock)


def _check_length(value: bytes, length: int, field: str) -> list[Violation]:
    if not value:
        return [Violation(field, "FIELD_REQUIRED", f"give {length} bytes")]
    if len(value) != length:
        return [Violation(field, "FIELD_MALFORMED", f"must be {length} bytes")]
    return []

"""Membership: who takes part, in which roles, and with which keys (tallystick.v1.MembershipService).

Changes to the registry are rare, and each depends on what the one before it left: they run one after another under one
lock, and whatever can refuse is checked before the first write. Keys are in member_keys.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tallystick.contract.limits import MAX_VIOLATIONS
from tallystick.contract.methods import CREATE_MEMBER, GET_STANDING, LIST_MEMBERS, UPDATE_MEMBER
from tallystick.contract.quota_texts import LIMITED_METHODS
from tallystick.contract.request_fields import PAGE_BYTES, check_member_id, check_page_size, page_size
from tallystick.contract.violations import Violation
from tallystick.server.errors import Refusal, refuse_violations
from tallystick.server.ledger.quotas import quota_standings
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.server.services.membership import registry
from tallystick.server.services.page_tokens import PageTokens
from tallystick.v1 import codes_pb2, errors_pb2
from tallystick.v1 import membership_service_pb2 as pb

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

SERVICE = "/tallystick.v1.MembershipService/"
MAX_DISPLAY_NAME = 200
MAX_QUOTAS = 50
_MAX_BIGINT = 2**63 - 1


class CreateMember(Operation):
    """Admits a member; ALREADY_EXISTS when its member_id is taken. A state that is not stated is active."""

    contract = CREATE_MEMBER
    changes_registry = True
    cost = FULL_BATCH

    def validate(self, message: pb.CreateMemberRequest, now: datetime) -> pb.Member:
        member = pb.Member()
        member.CopyFrom(message.member)
        member.state = member.state or pb.MEMBER_STATE_ACTIVE
        _refuse_if_any(validate_member(member))
        return member

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            row = await registry.insert_member(connection, work.request.prepared, clock)
            if row is None:
                work.refusal = Refusal(
                    errors_pb2.ERROR_REASON_ALREADY_EXISTS,
                    "this member_id is taken: choose another, or change that member by an update",
                )
                continue
            work.answer = pb.CreateMemberResponse(member=registry.member_message(row, ())).SerializeToString()
            work.keep_answer = True


class UpdateMember(Operation):
    """Replaces every settable field of a member; STATE_CONFLICT when nobody would be left to administer."""

    contract = UPDATE_MEMBER
    changes_registry = True
    cost = FULL_BATCH

    def validate(self, message: pb.UpdateMemberRequest, now: datetime) -> None:
        _refuse_if_any(validate_member(message.member))

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        await registry.lock_registry(connection)
        for work in works:
            try:
                row = await self._update(connection, work.message.member)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            keys = await registry.keys_of(connection, [row.id])
            message = registry.member_message(row, keys.get(row.id, ()))
            work.answer = pb.UpdateMemberResponse(member=message).SerializeToString()
            work.keep_answer = True

    async def _update(self, connection: Connection, member: pb.Member) -> registry.MemberRow:
        row = await registry.find_member(connection, member.member_id)
        if row is None:
            raise Refusal(errors_pb2.ERROR_REASON_NOT_FOUND, "there is no member of this member_id: admit it first")
        stays_operator = member.state == pb.MEMBER_STATE_ACTIVE and pb.ROLE_OPERATOR in member.roles
        if row.is_active_operator and not stays_operator and not await registry.operator_remains(connection, without_member=row.id):
            raise Refusal(
                errors_pb2.ERROR_REASON_STATE_CONFLICT,
                "no active operator with a key would be left to undo this: make another member operator first",
            )
        return await registry.update_member(connection, row, member)


class ListMembers(Operation):
    """Lists members and their keys, by member_id.

    Open to every active member: each may read the log's entries about membership, and needs the keys to check what
    others signed.
    """

    contract = LIST_MEMBERS

    def __init__(self, page_secret: bytes) -> None:
        self._page_tokens = PageTokens(page_secret, self.method)

    def validate(self, message: pb.ListMembersRequest, now: datetime) -> None:
        _refuse_if_any(check_page_size(message.page_size))

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            try:
                after = self._page_tokens.position(work)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            work.answer = (await self._page(connection, work, (after or b"").decode())).SerializeToString()

    async def _page(self, connection: Connection, work: Work, after: str) -> pb.ListMembersResponse:
        limit = page_size(work.message.page_size)
        rows = await registry.members_after(connection, after, limit + 1)
        keys = await registry.keys_of(connection, [row.id for row in rows])
        page, size = pb.ListMembersResponse(), 0
        for row in rows:
            member = registry.member_message(row, keys.get(row.id, ()))
            size += member.ByteSize()
            if len(page.members) == limit or (page.members and size > PAGE_BYTES):
                page.next_page_token = self._page_tokens.issue(work, page.members[-1].member_id.encode())
                break
            page.members.append(member)
        return page


class GetStanding(Operation):
    """How the server sees the caller. It names nobody else, and is open to every active member."""

    contract = GET_STANDING

    def __init__(self, quotas: Sequence[pb.Quota]) -> None:
        self._quotas = quotas

    def validate(self, message: pb.GetStandingRequest, now: datetime) -> None:
        """Nothing is asked that could be wrong."""

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        rows = {row.id: row for row in await registry.members_of(connection, {work.caller.member for work in works})}
        keys = await registry.keys_of(connection, rows)
        for work in works:
            row = rows[work.caller.member]
            member = registry.member_message(row, keys.get(row.id, ()))
            answer = pb.GetStandingResponse(member=member, quotas=await quota_standings(connection, member, self._quotas, clock))
            answer.time.FromDatetime(clock)
            work.answer = answer.SerializeToString()


def validate_member(member: pb.Member) -> list[Violation]:
    """What is wrong with the settable fields of a member."""
    violations = check_member_id(member.member_id, "member.member_id")
    name = member.display_name
    if not name:
        violations.append(Violation("member.display_name", "FIELD_REQUIRED", "give the name that people know the member by"))
    elif len(name) > MAX_DISPLAY_NAME or not name.isprintable() or name != name.strip():
        text = f"must be 1 to {MAX_DISPLAY_NAME} printable characters without spaces at either end"
        violations.append(Violation("member.display_name", "FIELD_MALFORMED", text))
    if not member.roles:
        violations.append(Violation("member.roles", "FIELD_REQUIRED", "give at least one role"))
    violations += _check_codes(member.roles, pb.Role.values(), "member.roles")
    violations += _check_codes(member.purposes, codes_pb2.Purpose.values(), "member.purposes")
    if member.state == pb.MEMBER_STATE_UNSPECIFIED:
        violations.append(Violation("member.state", "FIELD_REQUIRED", "say whether the member is to be active or suspended"))
    elif member.state not in pb.MemberState.values():
        violations.append(Violation("member.state", "CODE_UNKNOWN", "must be a MemberState"))
    if member.daily_evaluations > _MAX_BIGINT:
        text = f"must be at most {_MAX_BIGINT}; 0 is no limit"
        violations.append(Violation("member.daily_evaluations", "FIELD_OUT_OF_RANGE", text))
    return violations + _check_quotas(member.quotas)


def _check_quotas(quotas: Sequence[pb.Quota]) -> list[Violation]:
    """What is wrong with a list of quotas: one violation a quota, and one for the list."""
    if len(quotas) > MAX_QUOTAS:
        return [Violation("member.quotas", "BATCH_TOO_LARGE", f"at most {MAX_QUOTAS}")]
    violations = []
    seen = set()
    for i, quota in enumerate(quotas):
        name, kind = f"member.quotas[{i}]", (quota.method, quota.purpose, quota.unit, quota.period)
        if quota.method and quota.method not in LIMITED_METHODS:
            violations.append(Violation(f"{name}.method", "CODE_UNKNOWN", "must be the name of a signed method, or empty for all"))
        elif quota.purpose not in codes_pb2.Purpose.values():
            violations.append(Violation(f"{name}.purpose", "CODE_UNKNOWN", "must be a Purpose, or unspecified for all"))
        elif not quota.unit or quota.unit not in pb.QuotaUnit.values():
            violations.append(Violation(f"{name}.unit", "CODE_UNKNOWN", "must be a QuotaUnit"))
        elif not quota.period or quota.period not in pb.QuotaPeriod.values():
            violations.append(Violation(f"{name}.period", "CODE_UNKNOWN", "must be a QuotaPeriod"))
        elif quota.limit > _MAX_BIGINT:
            violations.append(Violation(f"{name}.limit", "FIELD_OUT_OF_RANGE", f"must be at most {_MAX_BIGINT}; 0 is no limit"))
        elif kind in seen:
            violations.append(Violation(name, "FIELDS_INCONSISTENT", "is for the same as one before it; give each once"))
        seen.add(kind)
    return violations[:MAX_VIOLATIONS]


def _check_codes(codes: Sequence[int], known: Sequence[int], field: str) -> list[Violation]:
    """Codes of an enum: on its list, stated, and each once. One violation at most: the field is a set."""
    if any(code == 0 or code not in known for code in codes):
        return [Violation(field, "CODE_UNKNOWN", "holds a code that is not on the list, or the one for unspecified")]
    if len(set(codes)) != len(codes):
        return [Violation(field, "FIELDS_INCONSISTENT", "holds a code twice; give each once")]
    return []


def _refuse_if_any(violations: Sequence[Violation]) -> None:
    if violations:
        raise refuse_violations(violations)

"""Members are admitted, changed and listed; what is not well formed, taken, or would leave nobody to administer is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Caller
from tallystick.server.services.membership.members import CreateMember, ListMembers, UpdateMember
from tallystick.server.storage.connection import Connection
from tallystick.v1 import codes_pb2, errors_pb2
from tallystick.v1 import membership_service_pb2 as pb

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

REQUEST_ID = b"0123456789abcdef"
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def member(**changes: Any) -> pb.Member:
    fields: dict[str, Any] = {
        "member_id": "bank-b",
        "display_name": "Bank B of 上海",
        "roles": [pb.ROLE_INQUIRER, pb.ROLE_REPORTER],
        "purposes": [codes_pb2.PURPOSE_LOAN_APPROVAL],
        "state": pb.MEMBER_STATE_ACTIVE,
        "daily_evaluations": 5000,
    }
    return pb.Member(**(fields | changes))


def create(**changes: Any) -> pb.CreateMemberRequest:
    return pb.CreateMemberRequest(request_id=REQUEST_ID, member=member(**changes))


def update(**changes: Any) -> pb.UpdateMemberRequest:
    return pb.UpdateMemberRequest(request_id=REQUEST_ID, member=member(**changes))


async def test_a_member_is_admitted_with_all_its_fields(written_log: WrittenLog, connection: Connection, operator: Caller) -> None:
    (work,) = await written_log.run(connection, CreateMember(), (operator, create()))
    assert work.keep_answer
    admitted = pb.CreateMemberResponse.FromString(work.answer or b"").member
    assert admitted.HasField("create_time")
    admitted.ClearField("create_time")
    expected = member(roles=[pb.ROLE_REPORTER, pb.ROLE_INQUIRER])
    assert admitted == expected


async def test_a_state_that_is_not_stated_is_active(written_log: WrittenLog, connection: Connection, operator: Caller) -> None:
    (work,) = await written_log.run(connection, CreateMember(), (operator, create(state=0)))
    assert pb.CreateMemberResponse.FromString(work.answer or b"").member.state == pb.MEMBER_STATE_ACTIVE


async def test_of_two_of_one_name_the_first_is_admitted(written_log: WrittenLog, connection: Connection, operator: Caller) -> None:
    first, second, third = await written_log.run(
        connection,
        CreateMember(),
        (operator, create()),
        (operator, create(display_name="Other")),
        (operator, create(member_id="bank-c")),
    )
    assert first.answer
    assert third.answer
    assert second.refusal
    assert second.refusal.reason == errors_pb2.ERROR_REASON_ALREADY_EXISTS
    assert written_log.execute("SELECT display_name FROM member WHERE member_id = 'bank-b'") == [("Bank B of 上海",)]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"member_id": ""}, "member.member_id", "FIELD_REQUIRED"),
        ({"member_id": "ab"}, "member.member_id", "FIELD_MALFORMED"),
        ({"member_id": "a" * 33}, "member.member_id", "FIELD_MALFORMED"),
        ({"member_id": "Bank"}, "member.member_id", "FIELD_MALFORMED"),
        ({"member_id": "9bank"}, "member.member_id", "FIELD_MALFORMED"),
        ({"member_id": "bank-b\n"}, "member.member_id", "FIELD_MALFORMED"),
        ({"member_id": "bänk"}, "member.member_id", "FIELD_MALFORMED"),
        ({"display_name": ""}, "member.display_name", "FIELD_REQUIRED"),
        ({"display_name": "x" * 201}, "member.display_name", "FIELD_MALFORMED"),
        ({"display_name": "a\u202eb"}, "member.display_name", "FIELD_MALFORMED"),
        ({"display_name": "a\x00b"}, "member.display_name", "FIELD_MALFORMED"),
        ({"display_name": " a"}, "member.display_name", "FIELD_MALFORMED"),
        ({"roles": []}, "member.roles", "FIELD_REQUIRED"),
        ({"roles": [0]}, "member.roles", "CODE_UNKNOWN"),
        ({"roles": [99]}, "member.roles", "CODE_UNKNOWN"),
        ({"roles": [1, 1]}, "member.roles", "FIELDS_INCONSISTENT"),
        ({"purposes": [4]}, "member.purposes", "CODE_UNKNOWN"),
        ({"purposes": [2, 2]}, "member.purposes", "FIELDS_INCONSISTENT"),
        ({"state": 7}, "member.state", "CODE_UNKNOWN"),
        ({"daily_evaluations": 2**63}, "member.daily_evaluations", "FIELD_OUT_OF_RANGE"),
    ],
)
def test_a_malformed_member_is_refused_by_field(changes: dict[str, Any], field: str, reason: str) -> None:
    for validate in (
        lambda: CreateMember().validate(create(**changes), NOW),
        lambda: UpdateMember().validate(update(**changes), NOW),
    ):
        with pytest.raises(Refusal) as refused:
            validate()
        assert [(violation.field, violation.reason) for violation in refused.value.violations] == [(field, reason)]


def test_an_update_states_the_state() -> None:
    with pytest.raises(Refusal) as refused:
        UpdateMember().validate(update(state=0), NOW)
    assert [violation.field for violation in refused.value.violations] == ["member.state"]


async def test_an_update_replaces_every_settable_field(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller
) -> None:
    key = written_log.add_key(bank, b"k" * 32)
    changed = member(member_id="bank-a", roles=[pb.ROLE_AUDITOR], purposes=[], daily_evaluations=0, state=pb.MEMBER_STATE_SUSPENDED)
    (work,) = await written_log.run(connection, UpdateMember(), (operator, pb.UpdateMemberRequest(member=changed)))
    answer = pb.UpdateMemberResponse.FromString(work.answer or b"").member
    assert work.keep_answer
    assert [answer.keys[0].keyid] == [key]
    for field in ("create_time", "keys"):
        answer.ClearField(field)
    assert answer == changed


async def test_an_unknown_member_is_not_found(written_log: WrittenLog, connection: Connection, operator: Caller) -> None:
    (work,) = await written_log.run(connection, UpdateMember(), (operator, update()))
    assert work.refusal
    assert work.refusal.reason == errors_pb2.ERROR_REASON_NOT_FOUND


def demote(member_id: str) -> pb.UpdateMemberRequest:
    return update(member_id=member_id, roles=[pb.ROLE_AUDITOR])


def suspend(member_id: str) -> pb.UpdateMemberRequest:
    return update(member_id=member_id, roles=[pb.ROLE_OPERATOR], state=pb.MEMBER_STATE_SUSPENDED)


@pytest.mark.parametrize("request_of", [demote, suspend])
async def test_the_last_operator_that_can_act_stays(
    written_log: WrittenLog, connection: Connection, operator: Caller, request_of: Any
) -> None:
    written_log.add_key(operator, b"o" * 32)
    # Neither can administer: one has no key, the other is suspended.
    written_log.add_member("keyless", pb.ROLE_OPERATOR)
    suspended = written_log.add_member("suspended", pb.ROLE_OPERATOR, state=pb.MEMBER_STATE_SUSPENDED)
    written_log.add_key(suspended, b"s" * 32)
    (work,) = await written_log.run(connection, UpdateMember(), (operator, request_of("operator")))
    assert work.refusal
    assert work.refusal.reason == errors_pb2.ERROR_REASON_STATE_CONFLICT
    second = written_log.add_member("second", pb.ROLE_OPERATOR)
    written_log.add_key(second, b"2" * 32)
    (work,) = await written_log.run(connection, UpdateMember(), (operator, request_of("operator")))
    assert work.answer


async def test_two_operators_cannot_remove_one_another_at_once(
    written_log: WrittenLog, connection: Connection, operator: Caller
) -> None:
    written_log.add_key(operator, b"o" * 32)
    second = written_log.add_member("second", pb.ROLE_OPERATOR)
    written_log.add_key(second, b"2" * 32)
    other = await Connection.open(written_log.url)
    try:
        works = await asyncio.gather(
            written_log.run(connection, UpdateMember(), (operator, suspend("second"))),
            written_log.run(other, UpdateMember(), (second, suspend("operator"))),
        )
    finally:
        other.close()
    assert sorted(work.answer is not None for (work,) in works) == [False, True]
    assert written_log.execute("SELECT count(*) FROM member WHERE state = 1") == [(1,)]


async def list_all(log: WrittenLog, connection: Connection, caller: Caller, size: int) -> list[pb.Member]:
    operation, token = ListMembers(b"s" * 32), ""
    members: list[pb.Member] = []
    while True:
        request = pb.ListMembersRequest(page_size=size, page_token=token)
        (work,) = await log.run(connection, operation, (caller, request))
        page = pb.ListMembersResponse.FromString(work.answer or b"")
        assert not work.keep_answer
        assert 0 < len(page.members) <= size
        members += page.members
        token = page.next_page_token
        if not token:
            return members


async def test_every_member_lists_all_members_and_keys(written_log: WrittenLog, connection: Connection, bank: Caller) -> None:
    others = [written_log.add_member(f"member-{number:02}", pb.ROLE_REPORTER) for number in range(9)]
    keys = [written_log.add_key(others[3], bytes([number]) * 32) for number in range(3)]
    for size in (1, 4, 5, 10, 1000):
        members = await list_all(written_log, connection, bank, size)
        assert [m.member_id for m in members] == ["bank-a", *(other.member_id for other in others)]
        assert sorted(key.keyid for key in members[4].keys) == sorted(keys)
        assert sum(len(m.keys) for m in members) == 3


async def test_a_page_token_is_good_for_its_member_alone(
    written_log: WrittenLog, connection: Connection, bank: Caller, operator: Caller
) -> None:
    operation = ListMembers(b"s" * 32)
    (work,) = await written_log.run(connection, operation, (bank, pb.ListMembersRequest(page_size=1)))
    token = pb.ListMembersResponse.FromString(work.answer or b"").next_page_token
    forged = ["x", "====", token[:-4], token + "AAAA", "A" * 100_000, token.lower(), "é", f"{token[:-1]}\n"]
    requests = [(operator, token), *((bank, form) for form in forged)]
    for caller, form in requests:
        (work,) = await written_log.run(connection, operation, (caller, pb.ListMembersRequest(page_token=form)))
        assert work.refusal
        assert work.refusal.reason == errors_pb2.ERROR_REASON_PAGE_TOKEN_INVALID
    (work,) = await written_log.run(connection, operation, (bank, pb.ListMembersRequest(page_token=token)))
    assert [m.member_id for m in pb.ListMembersResponse.FromString(work.answer or b"").members] == ["operator"]


def test_a_page_size_has_a_limit() -> None:
    with pytest.raises(Refusal) as refused:
        ListMembers(b"s" * 32).validate(pb.ListMembersRequest(page_size=1001), NOW)
    assert refused.value.reason == errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE

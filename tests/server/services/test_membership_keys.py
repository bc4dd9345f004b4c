"""Keys come with proof of possession and the endorsement of an older one, and are revoked for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import key_statement, keyid
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Caller, Work
from tallystick.server.services.membership import signing_keys
from tallystick.server.services.membership.keys import MAX_GOOD_KEYS, AddMemberKey, RevokeMemberKey
from tallystick.server.services.membership.signing_keys import is_signing_key
from tallystick.server.storage.connection import Connection
from tallystick.v1 import errors_pb2
from tallystick.v1 import membership_service_pb2 as pb

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

ORIGIN = "exchange.example/log"
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def add_request(
    member_id: str,
    key: Ed25519PrivateKey,
    endorser: Ed25519PrivateKey | None = None,
    *,
    origin: str = ORIGIN,
    signed_for: str | None = None,
) -> pb.AddMemberKeyRequest:
    statement = key_statement(origin, signed_for or member_id, public(key))
    return pb.AddMemberKeyRequest(
        request_id=b"0123456789abcdef",
        member_id=member_id,
        public_key=public(key),
        possession_signature=key.sign(statement),
        endorsement_signature=endorser.sign(statement) if endorser else b"",
    )


async def add(log: WrittenLog, connection: Connection, caller: Caller, request: pb.AddMemberKeyRequest) -> Work:
    (work,) = await log.run(connection, AddMemberKey(ORIGIN), (caller, request))
    if work.refusal:
        assert log.execute("SELECT count(*) FROM member_key WHERE keyid = %s", (keyid(request.public_key),)) in ([(0,)], [(1,)])
    return work


async def revoke(log: WrittenLog, connection: Connection, caller: Caller, member_id: str, key: Ed25519PrivateKey) -> Work:
    request = pb.RevokeMemberKeyRequest(request_id=b"0123456789abcdef", member_id=member_id, keyid=keyid(public(key)))
    (work,) = await log.run(connection, RevokeMemberKey(), (caller, request))
    return work


def reason(work: Work) -> str:
    return work.refusal.reason_name if work.refusal else "OK"


def refused_field(work: Work) -> str:
    assert work.refusal
    return work.refusal.violations[0].field


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def next_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


async def test_the_operator_registers_a_first_key_without_endorsement(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller, key: Ed25519PrivateKey
) -> None:
    work = await add(written_log, connection, operator, add_request("bank-a", key))
    assert work.keep_answer
    registered = pb.AddMemberKeyResponse.FromString(work.answer or b"").key
    assert (registered.keyid, registered.public_key) == (keyid(public(key)), public(key))
    assert registered.HasField("create_time")
    assert not registered.HasField("revoke_time")
    assert written_log.execute("SELECT member FROM member_key") == [(bank.member,)]


async def test_a_later_key_needs_the_endorsement_of_a_good_older_one(
    written_log: WrittenLog,
    connection: Connection,
    operator: Caller,
    bank: Caller,
    key: Ed25519PrivateKey,
    next_key: Ed25519PrivateKey,
) -> None:
    written_log.add_key(bank, public(key))
    for caller in (operator, bank):
        work = await add(written_log, connection, caller, add_request("bank-a", next_key))
        assert (reason(work), refused_field(work)) == ("FIELD_REQUIRED", "endorsement_signature")
        # Its own endorsement is none, nor that of a stranger.
        for endorser in (next_key, Ed25519PrivateKey.generate()):
            work = await add(written_log, connection, caller, add_request("bank-a", next_key, endorser))
            assert (reason(work), refused_field(work)) == ("FIELDS_INCONSISTENT", "endorsement_signature")
    assert (await add(written_log, connection, bank, add_request("bank-a", next_key, key))).answer


async def test_a_revoked_key_endorses_nothing_while_another_is_good(
    written_log: WrittenLog,
    connection: Connection,
    operator: Caller,
    bank: Caller,
    key: Ed25519PrivateKey,
    next_key: Ed25519PrivateKey,
) -> None:
    for old in (key, next_key):
        written_log.add_key(bank, public(old))
    assert (await revoke(written_log, connection, operator, "bank-a", key)).answer
    third = Ed25519PrivateKey.generate()
    assert reason(await add(written_log, connection, bank, add_request("bank-a", third, key))) == "FIELDS_INCONSISTENT"
    assert (await add(written_log, connection, bank, add_request("bank-a", third, next_key))).answer


async def test_after_all_keys_are_revoked_the_operator_registers_anew(
    written_log: WrittenLog,
    connection: Connection,
    operator: Caller,
    bank: Caller,
    key: Ed25519PrivateKey,
    next_key: Ed25519PrivateKey,
) -> None:
    written_log.add_key(bank, public(key))
    assert (await revoke(written_log, connection, operator, "bank-a", key)).answer
    # The revoked key's endorsement is not taken, and the revoked key does not come back.
    assert reason(await add(written_log, connection, operator, add_request("bank-a", next_key, key))) == "STATE_CONFLICT"
    assert reason(await add(written_log, connection, operator, add_request("bank-a", key))) == "ALREADY_EXISTS"
    assert (await add(written_log, connection, operator, add_request("bank-a", next_key))).answer


async def test_a_member_registers_no_key_for_another(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, key: Ed25519PrivateKey
) -> None:
    for member_id in ("auditor", "nobody"):
        assert reason(await add(written_log, connection, bank, add_request(member_id, key))) == "ROLE_MISSING"


async def test_a_key_belongs_to_one_member(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller, auditor: Caller, key: Ed25519PrivateKey
) -> None:
    assert reason(await add(written_log, connection, operator, add_request("nobody", key))) == "NOT_FOUND"
    assert (await add(written_log, connection, operator, add_request("bank-a", key))).answer
    assert reason(await add(written_log, connection, operator, add_request("auditor", key))) == "ALREADY_EXISTS"


async def test_possession_is_proved_for_this_exchange_and_member(
    written_log: WrittenLog,
    connection: Connection,
    operator: Caller,
    bank: Caller,
    key: Ed25519PrivateKey,
    next_key: Ed25519PrivateKey,
) -> None:
    stolen = add_request("bank-a", key)
    stolen.possession_signature = next_key.sign(key_statement(ORIGIN, "bank-a", public(key)))
    for request in (
        stolen,
        add_request("bank-a", key, origin="other.example/log"),
        add_request("bank-a", key, signed_for="bank-b"),
    ):
        work = await add(written_log, connection, operator, request)
        assert (reason(work), refused_field(work)) == ("FIELDS_INCONSISTENT", "possession_signature")


async def test_keys_under_which_anybody_signs_are_refused(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller
) -> None:
    weak = (1).to_bytes(32, "little")
    request = pb.AddMemberKeyRequest(member_id="bank-a", public_key=weak, possession_signature=weak + bytes(32))
    work = await add(written_log, connection, operator, request)
    assert (reason(work), refused_field(work)) == ("FIELD_OUT_OF_RANGE", "public_key")


async def test_the_number_of_good_keys_is_bounded(
    written_log: WrittenLog, connection: Connection, bank: Caller, key: Ed25519PrivateKey, next_key: Ed25519PrivateKey
) -> None:
    written_log.add_key(bank, public(key))
    for number in range(MAX_GOOD_KEYS - 1):
        written_log.add_key(bank, bytes([number]) * 32)
    assert reason(await add(written_log, connection, bank, add_request("bank-a", next_key, key))) == "STATE_CONFLICT"


@pytest.mark.parametrize(
    ("field", "length", "expected"),
    [
        ("public_key", 0, "FIELD_REQUIRED"),
        ("public_key", 31, "FIELD_MALFORMED"),
        ("possession_signature", 0, "FIELD_REQUIRED"),
        ("possession_signature", 65, "FIELD_MALFORMED"),
        ("endorsement_signature", 63, "FIELD_MALFORMED"),
        ("keyid", 0, "FIELD_REQUIRED"),
        ("keyid", 20, "FIELD_MALFORMED"),
    ],
)
def test_fields_of_the_wrong_length_are_refused(key: Ed25519PrivateKey, field: str, length: int, expected: str) -> None:
    request: Any = pb.RevokeMemberKeyRequest(member_id="bank-a") if field == "keyid" else add_request("bank-a", key)
    operation = RevokeMemberKey() if field == "keyid" else AddMemberKey(ORIGIN)
    setattr(request, field, b"x" * length)
    with pytest.raises(Refusal) as refused:
        operation.validate(request, NOW)
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [(field, expected)]


async def test_revoking_twice_answers_with_the_key_as_it_was_revoked(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller, key: Ed25519PrivateKey
) -> None:
    written_log.add_key(bank, public(key))
    first = await revoke(written_log, connection, operator, "bank-a", key)
    later = written_log.work(operator, pb.RevokeMemberKeyRequest(member_id="bank-a", keyid=keyid(public(key))), RevokeMemberKey())
    await RevokeMemberKey().run(connection, [later], written_log.execute("SELECT now()")[0][0] + timedelta(days=1))
    assert first.answer == later.answer
    assert pb.RevokeMemberKeyResponse.FromString(first.answer or b"").key.HasField("revoke_time")


async def test_a_key_is_found_under_its_member_alone(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller, auditor: Caller, key: Ed25519PrivateKey
) -> None:
    written_log.add_key(bank, public(key))
    for member_id in ("auditor", "nobody"):
        assert reason(await revoke(written_log, connection, operator, member_id, key)) == "NOT_FOUND"


async def test_an_operator_keeps_its_own_last_key(
    written_log: WrittenLog, connection: Connection, operator: Caller, key: Ed25519PrivateKey, next_key: Ed25519PrivateKey
) -> None:
    written_log.add_key(operator, public(key))
    second = written_log.add_member("second", pb.ROLE_OPERATOR)
    written_log.add_key(second, public(next_key))
    assert reason(await revoke(written_log, connection, operator, "operator", key)) == "STATE_CONFLICT"
    # Another operator may revoke it, and is then itself the last.
    assert (await revoke(written_log, connection, second, "operator", key)).answer
    assert reason(await revoke(written_log, connection, operator, "second", next_key)) == "STATE_CONFLICT"
    third = Ed25519PrivateKey.generate()
    assert (await add(written_log, connection, second, add_request("second", third, next_key))).answer
    assert (await revoke(written_log, connection, second, "second", next_key)).answer


@given(st.binary(min_size=32, max_size=32))
def test_generated_keys_are_signing_keys(seed: bytes) -> None:
    assert is_signing_key(public(Ed25519PrivateKey.from_private_bytes(seed)))


@given(st.binary(max_size=40))
def test_no_bytes_raise(data: bytes) -> None:
    assert is_signing_key(data) in (True, False)


def test_points_of_small_or_mixed_order_and_second_encodings_are_no_signing_keys() -> None:
    p = signing_keys.P
    order_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    small = [(y | sign << 255).to_bytes(32, "little") for y in (0, 1, p - 1, p, p + 1) for sign in (0, 1)]
    assert not any(is_signing_key(encoding) for encoding in [*small, order_8])
    good = signing_keys._decode(public(Ed25519PrivateKey.generate()))
    torsion = signing_keys._decode(order_8)
    assert good is not None
    assert torsion is not None
    x, y, z, _ = signing_keys._add(good, torsion)
    inverse = pow(z, -1, p)
    mixed = ((y * inverse % p) | (x * inverse % p & 1) << 255).to_bytes(32, "little")
    assert signing_keys._decode(mixed) is not None
    assert not is_signing_key(mixed)


def test_an_error_names_no_key(key: Ed25519PrivateKey) -> None:
    request = add_request("bank-a", key)
    request.public_key = b"secretsecretsecret"
    with pytest.raises(Refusal) as refused:
        AddMemberKey(ORIGIN).validate(request, NOW)
    assert "secret" not in str(refused.value)
    assert refused.value.reason == errors_pb2.ERROR_REASON_FIELD_MALFORMED

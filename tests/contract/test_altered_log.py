"""A log that was altered by SQL: the auditor's verification names what is gone, with the signed checkpoint as evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract import requests
from tests.contract.examined import examine
from tests.contract.installation import public_bytes
from tests.contract.raw_caller import RawCaller, Reply
from tests.contract.requests import BATCH_QUERY, QUERY, SUBMIT
from tests.contract.system import INQUIRER, REPORTER, System, add_key, admit

from tallystick.client import Difference, DifferenceKind, EntryFilter, Exchange, Server
from tallystick.client.cli.program import run
from tallystick.crypto import leaf_hash
from tallystick.v1 import membership_service_pb2


@pytest.fixture
def entry(system: System) -> int:
    """An entry in the midst of others."""
    replies = [system["bank-a"].exchange.call(QUERY, requests.query(system.mint.stranger())) for _ in range(5)]
    return int(replies[2].logged.index)


def test_a_deleted_entry_is_named_and_the_others_are_read(system: System, sdk: Callable[[str], Exchange], entry: int) -> None:
    stored = system.exchange.database_view
    (row,) = stored.rows("DELETE FROM audit_entry WHERE index = %s RETURNING *", (entry,))
    try:
        report = sdk("auditor").audit_verify()
    finally:
        stored.rows(f"INSERT INTO audit_entry VALUES ({', '.join(['%s'] * len(row))})", row)
    assert Difference(DifferenceKind.WITHHELD, entry, entry + 1) in report.differences
    assert report.entries_read == report.checkpoint.size - 1
    assert report.note.startswith(system.exchange.installation.origin)
    assert sdk("auditor").audit_verify().verified


def test_a_changed_entry_is_named(system: System, sdk: Callable[[str], Exchange], entry: int) -> None:
    stored = system.exchange.database_view
    ((leaf,),) = stored.rows("SELECT leaf FROM audit_entry WHERE index = %s", (entry,))
    stored.rows("UPDATE audit_entry SET leaf = %s WHERE index = %s", (leaf.replace(b"bank-a", b"bank-b"), entry))
    try:
        report = sdk("auditor").audit_verify()
    finally:
        stored.rows("UPDATE audit_entry SET leaf = %s WHERE index = %s", (leaf, entry))
    assert report.differences == (Difference(DifferenceKind.CHANGED, entry, entry + 1),)


class Asked:
    """Queries about one person by two members, one of them refused, among others about others; and when they began."""

    def __init__(self, system: System) -> None:
        self.subject = system.mint.stranger()
        a, b, c = (system[name].exchange for name in ("bank-a", "bank-b", "lender-c"))
        twice = requests.batch_query([requests.inquiry(self.subject, 2, f"batch-{n}") for n in range(2)])
        replies = [
            a.call(QUERY, requests.query(self.subject, 2, "first")),
            b.call(BATCH_QUERY, twice),
            c.call(QUERY, requests.query(self.subject, 1, "refused")),
            a.call(SUBMIT, requests.submission([requests.report(self.subject)])),
        ]
        self.indices = [reply.logged.index for reply in replies]
        last = b.call(QUERY, requests.query(system.mint.stranger())).logged.index
        begun, ended = (system.exchange.database_view.entry(n).create_time.ToDatetime(UTC) for n in (self.indices[0], last))
        self.wanted = EntryFilter(element=self.subject.element, start=begun, end=ended)


@pytest.fixture(scope="module")
def asked(system: System) -> Asked:
    return Asked(system)


@contextmanager
def deleted(system: System, table: str, column: str, index: int) -> Iterator[None]:
    """The rows of a table about one entry, gone for a while."""
    stored = system.exchange.database_view
    rows = stored.rows(f"DELETE FROM {table} WHERE {column} = %s RETURNING *", (index,))
    assert rows
    try:
        yield
    finally:
        for row in rows:
            stored.rows(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})", row)


def test_an_untouched_list_is_complete(asked: Asked, sdk: Callable[[str], Exchange]) -> None:
    first, batch, refused, report = asked.indices
    found = sdk("auditor").audit_list_complete(asked.wanted)
    assert found.complete
    assert [entry.index for entry in found.entries] == [report, refused, batch, batch, first]
    assert {entry.consent_reference for entry in found.entries} == {"first", "batch-0", "batch-1", "refused", ""}
    assert list(found.entries) == list(sdk("auditor").audit_list(asked.wanted))
    for narrower in (replace(asked.wanted, refused=True), replace(asked.wanted, member_id="bank-b")):
        assert sdk("auditor").audit_list_complete(narrower).complete
    everything = sdk("auditor").audit_list_complete(replace(asked.wanted, element=b""))
    assert everything.complete
    assert everything.opened == 0


@pytest.mark.parametrize("place", range(4))
def test_an_entry_that_the_index_hides_is_named(system: System, asked: Asked, sdk: Callable[[str], Exchange], place: int) -> None:
    index = asked.indices[place]
    with deleted(system, "audit_subject", "entry_index", index):
        assert index not in {entry.index for entry in sdk("auditor").audit_list(asked.wanted)}
        found = sdk("auditor").audit_list_complete(asked.wanted)
    assert not found.complete
    assert {entry.index for entry in found.left_out} == {index}
    assert found.invented == ()
    assert index in {entry.index for entry in found.entries}


@pytest.mark.parametrize(("column", "value"), [("purpose", 7), ("consent_reference", "another"), ("subject", bytes(32))])
def test_a_changed_row_of_the_index_is_named(
    system: System, asked: Asked, sdk: Callable[[str], Exchange], column: str, value: object
) -> None:
    stored, index = system.exchange.database_view, asked.indices[0]
    ((before,),) = stored.rows(f"SELECT {column} FROM audit_subject WHERE entry_index = %s", (index,))
    stored.rows(f"UPDATE audit_subject SET {column} = %s WHERE entry_index = %s", (value, index))
    try:
        found = sdk("auditor").audit_list_complete(asked.wanted)
    finally:
        stored.rows(f"UPDATE audit_subject SET {column} = %s WHERE entry_index = %s", (before, index))
    assert [entry.index for entry in found.left_out] == [index]
    assert [entry.index for entry in found.invented] == ([] if column == "subject" else [index])


def test_evidence_that_is_gone_before_its_time_is_missing(
    system: System, asked: Asked, sdk: Callable[[str], Exchange], capsys: pytest.CaptureFixture[str]
) -> None:
    index = asked.indices[0]
    with deleted(system, "evidence", "entry_index", index):
        opened = sdk("auditor").audit_show(index)
        found = sdk("auditor").audit_list_complete(asked.wanted)
        code = run(["--profile", str(system["auditor"].folder), "audit", "show", str(index)])
    assert (opened.disclosed, opened.evidence_months) == (False, 60)
    assert opened.is_missing(datetime.now(UTC))
    assert not opened.is_missing(datetime.now(UTC) + timedelta(days=62 * 31))
    assert [entry.index for entry in found.missing] == [index]
    assert not found.complete
    assert code == 1
    assert "MISSING: its evidence is gone after 0 days" in capsys.readouterr().out


def test_a_hole_in_the_log_is_no_complete_list(system: System, asked: Asked, sdk: Callable[[str], Exchange]) -> None:
    with deleted(system, "audit_entry", "index", asked.indices[0]):
        found = sdk("auditor").audit_list_complete(asked.wanted)
    assert not found.complete
    assert Difference(DifferenceKind.WITHHELD, asked.indices[0], asked.indices[0] + 1) in found.differences


def test_the_command_says_what_a_list_is_worth(
    system: System, asked: Asked, sdk: Callable[[str], Exchange], capsys: pytest.CaptureFixture[str]
) -> None:
    start, end = asked.wanted.start, asked.wanted.end
    assert start is not None
    assert end is not None
    arguments = ["--profile", str(system["auditor"].folder), "audit", "list", "--token", asked.subject.element.hex()]
    arguments += ["--from", start.isoformat(), "--to", end.isoformat()]
    assert run(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("from the server's index")
    assert run([*arguments, "--complete"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("COMPLETE")
    with deleted(system, "audit_subject", "entry_index", asked.indices[0]):
        assert run([*arguments, "--complete"]) == 1
        shown = capsys.readouterr().out
        assert run([*arguments, "--complete", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["complete"] is False
    assert "LEFT OUT" in shown
    assert shown.splitlines()[-1].startswith("INCOMPLETE")
    assert system.exchange.installation.origin in shown
    bank = ["--profile", str(system["bank-a"].folder), *arguments[2:], "--complete"]
    assert run(bank) == 4


def unauthorised(sdk: Callable[[str], Exchange], server: Server = Server.EXCHANGE) -> list[int]:
    report = sdk("auditor").audit_verify(server=server)
    assert report.authority_replayed
    assert {each.kind for each in report.differences} <= {DifferenceKind.UNAUTHORISED}
    return [index for each in report.differences for index in range(each.begin, each.end)]


@pytest.mark.parametrize("server", Server)
def test_every_entry_of_an_honest_log_is_authorised_by_it(sdk: Callable[[str], Exchange], server: Server) -> None:
    assert unauthorised(sdk, server) == []


@contextmanager
def calling(system: System, member_id: str, key: Ed25519PrivateKey) -> Iterator[RawCaller]:
    """A member at the exchange with a key of the test's choice."""
    caller = system.exchange.caller(member_id, key)
    yield caller
    caller.close()


def query_once(system: System, caller: RawCaller) -> Reply:
    return caller.call(QUERY, requests.query(system.mint.stranger()))


def test_a_revoked_key_keeps_what_it_did_before(own_system: System, own_sdk: Callable[[str], Exchange]) -> None:
    operator, key = own_system.operator, Ed25519PrivateKey.generate()
    keyid = add_key(operator, "bank-a", key, endorsed_by=own_system["bank-a"].key)
    with calling(own_system, "bank-a", key) as second:
        assert query_once(own_system, second).ok
        revoke = membership_service_pb2.RevokeMemberKeyRequest(request_id=requests.request_id(), member_id="bank-a", keyid=keyid)
        assert operator.call("MembershipService/RevokeMemberKey", revoke).ok
        assert query_once(own_system, second).reason == "KEY_REVOKED"
    assert unauthorised(own_sdk) == []
    # Made valid again by the table alone: the log says that it is revoked.
    stored = own_system.exchange.database_view
    stored.rows("UPDATE member_key SET revoke_time = NULL WHERE keyid = %s", (keyid,))
    with calling(own_system, "bank-a", key) as second:
        smuggled = query_once(own_system, second)
    assert smuggled.ok
    assert smuggled.logged.index in unauthorised(own_sdk)


def test_a_key_that_no_entry_gave_is_named(own_system: System, own_sdk: Callable[[str], Exchange]) -> None:
    before, key = unauthorised(own_sdk), Ed25519PrivateKey.generate()
    public, stored = public_bytes(key), own_system.exchange.database_view
    smuggle = "INSERT INTO member_key SELECT %s, id, %s, now() FROM member WHERE member_id = 'bank-b'"
    stored.rows(smuggle, (sha256(public).digest(), public))
    with calling(own_system, "bank-b", key) as caller:
        replies = [query_once(own_system, caller) for _ in range(2)]
    assert all(reply.ok for reply in replies)
    assert unauthorised(own_sdk) == [*before, *(reply.logged.index for reply in replies)]


def test_a_role_or_a_state_that_no_entry_gave_is_named(own_system: System, own_sdk: Callable[[str], Exchange]) -> None:
    before, stored = unauthorised(own_sdk), own_system.exchange.database_view
    caller = own_system["reporter-d"].exchange
    assert query_once(own_system, caller).reason == "ROLE_MISSING"
    stored.rows("UPDATE member SET roles = roles || 2::smallint, purposes = '{2}' WHERE member_id = 'reporter-d'")
    reply = query_once(own_system, caller)
    assert reply.ok
    assert unauthorised(own_sdk) == [*before, reply.logged.index]


def test_members_that_the_log_made_and_changed_are_held_against_it(own_system: System, own_sdk: Callable[[str], Exchange]) -> None:
    before, operator = unauthorised(own_sdk), own_system.operator
    member: Any = membership_service_pb2.Member(member_id="late-bank", display_name="Late")
    member.state = membership_service_pb2.MEMBER_STATE_ACTIVE
    key = Ed25519PrivateKey.generate()
    admit(operator, "late-bank", key, [INQUIRER], (2,))
    with calling(own_system, "late-bank", key) as caller:
        assert query_once(own_system, caller).ok
        member.roles[:] = [REPORTER]
        update = membership_service_pb2.UpdateMemberRequest(request_id=requests.request_id(), member=member)
        assert operator.call("MembershipService/UpdateMember", update).ok
        # Its retry has no second effect, and accuses nobody.
        assert operator.call("MembershipService/UpdateMember", update).ok
        assert query_once(own_system, caller).reason == "ROLE_MISSING"
        submission = requests.submission([requests.report(own_system.mint.stranger())])
        assert caller.call(SUBMIT, submission).ok
    assert unauthorised(own_sdk) == before


def test_the_loss_of_one_entry_s_evidence_excuses_no_key(own_system: System, own_sdk: Callable[[str], Exchange]) -> None:
    stored = own_system.exchange.database_view
    sql = "SELECT index FROM audit_entry WHERE method LIKE '%%/AddMemberKey' AND outcome = 1 ORDER BY index DESC LIMIT 1"
    ((change,),) = stored.rows(sql)
    with deleted(own_system, "evidence", "entry_index", change):
        report = own_sdk("auditor").audit_verify()
    assert not report.verified
    assert not report.authority_replayed
    assert Difference(DifferenceKind.WITHHELD, change, change + 1) in report.differences


def test_what_a_smuggled_operator_gave_gives_nothing(own_system: System, own_sdk: Callable[[str], Exchange]) -> None:
    before, stored = unauthorised(own_sdk), own_system.exchange.database_view
    keys = [Ed25519PrivateKey.generate() for _ in range(2)]
    public = public_bytes(keys[0])
    smuggled = "INSERT INTO member (member_id, display_name, roles, purposes, state, daily_evaluations, create_time)"
    stored.rows(f"{smuggled} VALUES ('shadow', 'Shadow', '{{4}}', '{{}}', 1, 0, now())")
    key = "INSERT INTO member_key SELECT %s, id, %s, now() FROM member WHERE member_id = 'shadow'"
    stored.rows(key, (sha256(public).digest(), public))
    size = stored.size
    with calling(own_system, "shadow", keys[0]) as shadow:
        admit(shadow, "friend", keys[1], [INQUIRER], (2,))
    with calling(own_system, "friend", keys[1]) as friend:
        assert query_once(own_system, friend).ok
    assert unauthorised(own_sdk) == [*before, size, size + 1, size + 2]
    rows = {str(anomaly) for anomaly in examine(own_system.exchange).found if anomaly.table.startswith("member")}
    assert {row.split(":")[0] for row in rows} >= {"member shadow", "member friend"}


def test_an_entry_changed_with_its_hash_is_named_though_no_proof_is_left(
    own_system: System, own_sdk: Callable[[str], Exchange]
) -> None:
    before, stored = own_sdk("auditor").audit_verify().differences, own_system.exchange.database_view
    index = query_once(own_system, own_system["bank-a"].exchange).logged.index
    columns = "leaf, leaf_hash, member"
    ((leaf, hashed, member),) = stored.rows(f"SELECT {columns} FROM audit_entry WHERE index = %s", (index,))
    changed = leaf.replace(b"bank-a", b"bank-b")
    ((other,),) = stored.rows("SELECT id FROM member WHERE member_id = 'bank-b'")
    update = f"UPDATE audit_entry SET ({columns}) = (%s, %s, %s) WHERE index = %s"
    stored.rows(update, (changed, leaf_hash(changed), other, index))
    try:
        report = own_sdk("auditor").audit_verify()
        found = examine(own_system.exchange).found
    finally:
        stored.rows(update, (leaf, hashed, member, index))
    differences = [each for each in report.differences if each not in before]
    assert Difference(DifferenceKind.CONTRADICTED, index, index + 1) in differences
    (unprovable,) = (each for each in differences if each.kind is DifferenceKind.UNPROVABLE)
    assert unprovable.begin <= index < unprovable.end
    assert len(differences) == 2
    assert ("audit_entry", str(index)) in {(anomaly.table, anomaly.row) for anomaly in found}

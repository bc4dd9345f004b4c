"""Whatever SQL changes in any row of any table is named by a tool, or is written down as what nobody can detect.

The changes are made from the tables' metadata: a new table or column is changed here too, and must be found or written down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract import requests
from tests.contract.examined import examine
from tests.contract.system import INQUIRER, SYSTEM, Running, System, add_key, admit
from tests.contract.tampering import ADDED, Database, Tampering, Unchangeable, copy_rows, is_single, tamperings

from tallystick.client import DifferenceKind, EntryFilter, Exchange, NotTrusted, Refused
from tallystick.server.errors import Problem
from tallystick.server.installation.identity import check_identity
from tallystick.server.log.tiles import TILE_WIDTH, integrate
from tallystick.server.storage import migration
from tallystick.server.storage.tables import metadata
from tallystick.v1 import audit_service_pb2, membership_service_pb2
from tallystick.v1 import subject_token_service_pb2 as tokens

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
HEADING = "## What no tool finds in a changed database"
CASES = list(tamperings())


@dataclass
class Populated:
    """A system with a row of every kind in every table."""

    system: System
    subject: Any
    """A token that entries are listed by."""
    databases: dict[str, Database]
    examined: dict[str, str]
    """What the operators examine: the authority's own database, and a copy of the exchange's, whose log stays as short
    as it is while an auditor's questions make that of the exchange longer and longer."""

    def server_of(self, table: str) -> Running:
        """The one whose table has rows."""
        return self.system.authority if table == "token_meter" else self.system.exchange

    def database_of(self, table: str) -> Database:
        """Its database."""
        return self.databases["authority" if table == "token_meter" else "exchange"]

    @contextmanager
    def examined_with(self, tampering: Tampering) -> Iterator[str]:
        """The database that the operator of the table's server examines, with the change made, for a while. Raises Unchangeable."""
        url = self.examined["authority" if tampering.table == "token_meter" else "exchange"]
        database = Database(url)
        try:
            with database.tampered(tampering):
                yield url
        finally:
            database.close()


@pytest.fixture(scope="module")
def populated(own_system: System, database: str) -> Iterator[Populated]:
    subject = _reports_and_queries(own_system)
    _watches(own_system)
    _registry(own_system)
    _erasure(own_system)
    _evaluations(own_system)
    for _ in range(2):
        assert own_system.operator.call(requests.INSTALL, requests.installing(requests.scorecard())).ok
    for _ in range(2 * TILE_WIDTH + 8 - own_system.exchange.database_view.size):
        assert own_system["bank-a"].exchange.call(requests.LIST_SUBMISSIONS, b"").ok
    integrate(own_system.exchange.installation.database)
    servers = {"exchange": own_system.exchange, "authority": own_system.authority}
    databases = {name: Database(server.installation.database) for name, server in servers.items()}
    copy_rows(own_system.exchange.installation.database, database)
    examined = {"exchange": database, "authority": own_system.authority.installation.database}
    for name, server in servers.items():
        assert examine(server).found == examine(server, examined[name]).found == []
    yield Populated(own_system, subject, databases, examined)
    # The questions above are entries too, more or fewer by how long they took, and no upkeep runs here that writes their tiles.
    integrate(own_system.exchange.installation.database)
    for name, server in servers.items():
        assert examine(server).found == examine(server, examined[name]).found == [], "a change was not undone"
    for each in databases.values():
        each.close()


def _reports_and_queries(system: System) -> Any:
    a, b = system["bank-a"].exchange, system["bank-b"].exchange
    subject, other = system.mint.stranger(), system.mint.stranger()
    months = [requests.month(number) for number in requests.months_back(4)[1:]]
    first = requests.now() - timedelta(hours=1)
    for caller, whom in ((a, subject), (a, other), (b, subject)):
        report = requests.report(whom, requests.account(as_of=first, months=months))
        bad = requests.report(whom, requests.account(currency="?"))
        submission = requests.submission([report, bad])
        assert caller.call(requests.SUBMIT, submission).message.accepted_count == 1
        again = requests.report(whom, requests.account(months=months[:1], balance=7), report.account_reference)
        assert caller.call(requests.SUBMIT, requests.submission([again])).ok
        # A retry has no second effect.
        assert caller.call(requests.SUBMIT, submission).ok
        done = [requests.event(report), requests.plan_event(report)]
        unknown = requests.event(requests.report(other))
        recording = requests.recording([*done, unknown])
        for _ in range(2):
            verdicts = caller.call(requests.RECORD_EVENTS, recording).message.verdicts
            assert [verdict.outcome for verdict in verdicts] == [1, 1, 3]
        assert caller.call(requests.RECORD_EVENTS, requests.recording(done)).ok
    gone = requests.report(other)
    assert b.call(requests.SUBMIT, requests.submission([gone])).ok
    until = datetime.now(UTC) + timedelta(seconds=1)
    assert b.call(requests.WITHDRAW, requests.withdrawal(other, gone.account_reference, until)).message.withdrawn
    query = requests.query(subject)
    assert a.call(requests.QUERY, query).ok
    assert a.call(requests.QUERY, query).ok
    assert a.call(requests.BATCH_QUERY, requests.batch_query([requests.inquiry(each) for each in (subject, other)])).ok
    assert system["lender-c"].exchange.call(requests.QUERY, requests.query(subject, 1)).reason == "PURPOSE_NOT_ALLOWED"
    assert system["reporter-d"].exchange.call(requests.QUERY, requests.query(subject)).reason == "ROLE_MISSING"
    return subject


def _watches(system: System) -> None:
    a, b = system["bank-a"].exchange, system["bank-b"].exchange
    borrowers = [requests.report(system.mint.stranger()) for _ in range(3)]
    assert a.call(requests.SUBMIT, requests.submission(borrowers)).ok
    put = requests.put([requests.watch(each, triggers) for each, triggers in zip(borrowers, ([], [(1, 2)], []), strict=True)])
    for _ in range(2):
        verdicts = a.call(requests.PUT_WATCHES, put).message.verdicts
    for borrower in borrowers[:2]:
        bad = requests.account()
        bad.running_overdue.since_date, bad.running_overdue.days_past_due = 20250101, 100
        assert b.call(requests.SUBMIT, requests.submission([requests.report(borrower.subject, bad)])).ok
    pulled = a.call(requests.PULL, requests.pull()).message
    assert len(pulled.messages) == 2
    assert a.call(requests.ACKNOWLEDGE, requests.acknowledgement(pulled.next_cursor)).ok
    assert a.call(requests.END_WATCHES, requests.ending([verdicts[2].watch_id])).message.ended_count == 1
    system_member = system.admit_caller("exchange-itself", [SYSTEM])
    assert system_member.call(requests.SWEEP, requests.sweeping(2)).ok
    # Another member that has a cursor of its own.
    c = requests.report(system.mint.stranger())
    assert b.call(requests.SUBMIT, requests.submission([c])).ok
    assert b.call(requests.PUT_WATCHES, requests.put([requests.watch(c)])).ok
    until = datetime.now(UTC) + timedelta(seconds=1)
    assert b.call(requests.WITHDRAW, requests.withdrawal(c.subject, c.account_reference, until)).message.withdrawn
    told = b.call(requests.PULL, requests.pull()).message
    assert b.call(requests.ACKNOWLEDGE, requests.acknowledgement(told.next_cursor)).ok


def _registry(system: System) -> None:
    operator, key = system.operator, Ed25519PrivateKey.generate()
    keyid = add_key(operator, "bank-a", key, endorsed_by=system["bank-a"].key)
    revoke = membership_service_pb2.RevokeMemberKeyRequest(request_id=requests.request_id(), member_id="bank-a", keyid=keyid)
    assert operator.call(requests.REVOKE_KEY, revoke).ok
    admit(operator, "late-bank", Ed25519PrivateKey.generate(), [INQUIRER], (2,), 100)
    member: Any = membership_service_pb2.Member(member_id="late-bank", display_name="Later")
    member.roles.append(INQUIRER)
    member.state = membership_service_pb2.MEMBER_STATE_SUSPENDED
    update = membership_service_pb2.UpdateMemberRequest(request_id=requests.request_id(), member=member)
    assert operator.call(requests.UPDATE_MEMBER, update).ok


def _erasure(system: System) -> None:
    subject, caller = system.mint.stranger(), system["reporter-d"].exchange
    assert caller.call(requests.SUBMIT, requests.submission([requests.report(subject)])).ok
    erase = audit_service_pb2.EraseSubjectRequest(request_id=requests.request_id(), subject=subject)
    assert system.operator.call(requests.ERASE, erase).message.complete


def _evaluations(system: System) -> None:
    for member in ("bank-a", "bank-b"):
        element = system.mint.stranger().element
        count = 1 if member == "bank-a" else 2
        request = tokens.EvaluateTokensRequest(request_id=requests.request_id(), epoch_id=system.mint.epoch_id)
        request.blinded_elements.extend([element] * count)
        assert system[member].authority.call(requests.EVALUATE, request).ok


def named_by_the_server(populated: Populated, tampering: Tampering) -> bool:
    """Whether `tallystickd doctor --log` finds something, and what it names is a row of the table."""
    server, table = populated.server_of(tampering.table), tampering.table
    installation = server.installation
    with populated.examined_with(tampering) as url:
        try:
            check_identity(url, installation.settings, installation.keys)
        except Problem:
            return table == "server_identity"
        found = examine(server, url).found
    assert not found or table in {anomaly.table for anomaly in found}, found[:5]
    return bool(found)


def named_by_an_auditor(populated: Populated, tampering: Tampering) -> bool:
    """Whether `audit verify`, `audit list --complete` or `audit show` of the row's entry finds anything."""
    # The questions of the cases before are entries, and no upkeep runs here that writes their tiles.
    integrate(populated.system.exchange.installation.database)
    try:
        with (
            populated.database_of(tampering.table).tampered(tampering) as row,
            Exchange.from_profile(populated.system["auditor"].folder) as exchange,
        ):
            if not exchange.audit_verify().verified:
                return True
            if not exchange.audit_list_complete(EntryFilter(element=populated.subject.element)).complete:
                return True
            index = row.get("entry_index", row.get("index"))
            return index is not None and exchange.audit_show(index).is_missing(datetime.now(UTC))
    except (NotTrusted, Refused):
        return True


def undetectable() -> dict[Tampering, str]:
    """What docs/security.md says that nobody can find, with the reason."""
    text = SECURITY.read_text("utf-8")
    section = text[text.index(HEADING) :].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {Tampering(table, change.replace("`", "")): why for table, changes, why in rows for change in changes.split("; ")}


@pytest.mark.parametrize("tampering", CASES, ids=str)
def test_every_change_is_named_or_written_down(populated: Populated, tampering: Tampering) -> None:
    try:
        named = named_by_the_server(populated, tampering) or named_by_an_auditor(populated, tampering)
    except Unchangeable:
        # The one row of such a table can be neither doubled nor called otherwise.
        named = is_single(metadata.tables[tampering.table]) and tampering.change in (ADDED, "singleton")
    assert named == (tampering not in undetectable())


@pytest.mark.parametrize("tile", [0, 1])
def test_an_entry_changed_with_its_hash_is_told_from_its_tile(populated: Populated, tile: int) -> None:
    exchange, database = populated.system.exchange, populated.databases["exchange"]
    index = tile * TILE_WIDTH + 77
    with database.rewritten(index) as time:
        assert exchange.database_view.entry(index).create_time.ToDatetime(UTC) == time
        found = [str(anomaly) for anomaly in examine(exchange).found]
        with Exchange.from_profile(populated.system["auditor"].folder) as auditor:
            report = auditor.audit_verify()
    assert f"audit_entry {index}: was changed together with its hash: tile (0, {tile}) and the head have another" in found
    assert [str(each) for each in report.differences if each.kind is not DifferenceKind.REWRITTEN] == [f"entry {index}: changed"]


def test_accounts_as_an_earlier_release_wrote_them_are_what_was_reported(populated: Populated) -> None:
    exchange = populated.system.exchange
    integrate(exchange.installation.database)
    count = "SELECT count(*), sum(length(versions)) FROM account"
    ((accounts, before),) = exchange.database_view.rows(count)
    # A table that the earlier release does not have goes with its rows.
    exchange.database_view.rows("CREATE TABLE kept_events AS SELECT * FROM servicing_event")
    exchange.database_view.rows("CREATE TABLE kept_scorecards AS SELECT * FROM scorecard")
    url = exchange.installation.database
    migration.downgrade(url, "0005")
    migration.upgrade(url)
    exchange.database_view.rows("INSERT INTO servicing_event SELECT * FROM kept_events")
    exchange.database_view.rows("DROP TABLE kept_events")
    exchange.database_view.rows("INSERT INTO scorecard SELECT * FROM kept_scorecards")
    exchange.database_view.rows("DROP TABLE kept_scorecards")
    ((_, after),) = exchange.database_view.rows(count)
    assert after > before > accounts
    assert examine(exchange).found == []


def test_what_is_written_down_exists_and_has_a_reason() -> None:
    assert undetectable().keys() <= set(CASES)
    assert all(len(why) > 20 for why in undetectable().values())

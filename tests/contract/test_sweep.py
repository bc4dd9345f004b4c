"""Rounds of the sweep as a server runs them: what they tell and how often, and how the exchange's own member comes to sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract import requests
from tests.contract.installation import public_bytes
from tests.contract.raw_caller import RawCaller
from tests.contract.system import INQUIRER, REPORTER, SYSTEM, System

from tallystick.server.installation.key_folder import ServerKeys
from tallystick.server.process.sweeper import SweepProblem, sweep_round
from tallystick.v1 import audit_service_pb2, codes_pb2, membership_service_pb2, subject_pb2

SHARE, OPENED, GREW, BURST, FELL = (
    codes_pb2.TRIGGER_TYPE_SHARE_OVER_90_DAYS,
    codes_pb2.TRIGGER_TYPE_ACCOUNTS_OPENED,
    codes_pb2.TRIGGER_TYPE_DEBT_GREW,
    codes_pb2.TRIGGER_TYPE_INQUIRY_BURST,
    codes_pb2.TRIGGER_TYPE_RATING_FELL,
)


def sweep(system: System, keys: ServerKeys | None = None, **settings: str) -> int:
    """A round as the server's own process runs it; how many messages came of it."""
    installation = system.exchange.installation
    changed = installation.settings.model_copy(update=settings)
    return asyncio.run(sweep_round(changed, keys or installation.keys, installation.database))


def member(system: System, member_id: str) -> Any:
    listed = system.operator.call(requests.LIST_MEMBERS, b"").message.members
    return next((each for each in listed if each.member_id == member_id), None)


def methods(system: System, first: int) -> list[tuple[str, str, int]]:
    """Who did what from an entry on, and with what outcome."""
    view = system.exchange.database_view
    entries = [view.entry(index) for index in range(first, view.size)]
    return [(each.member_id, each.method.rpartition("/")[2], each.outcome) for each in entries]


class Watcher:
    """A member with one watched borrower."""

    def __init__(self, system: System, number: int, **account: Any) -> None:
        self.system = system
        self.caller: RawCaller = system.admit_caller(f"watcher-{number}", [REPORTER, INQUIRER], (1, 2))
        self.state = account
        self.borrower = requests.report(system.mint.stranger(), requests.account(**account))
        assert self.caller.call(requests.SUBMIT, requests.submission([self.borrower])).message.accepted_count == 1

    def watch(self, *triggers: tuple[int, int]) -> None:
        put = requests.put([requests.watch(self.borrower, triggers)])
        assert self.caller.call(requests.PUT_WATCHES, put).message.verdicts[0].accepted

    def report(self, member_id: str, of: Any = None, after: int = 0, overdue: int = 0, **changes: Any) -> Any:
        """Another member's report of the borrower; the account's reference."""
        state = requests.account(as_of=requests.now() + timedelta(seconds=after), **{**self.state, **changes})
        if overdue:
            state.running_overdue.since_date, state.running_overdue.days_past_due = 20250101, overdue
            state.running_overdue.amount = 5_000
        report = requests.report(self.borrower.subject, state, of)
        answer = self.system[member_id].exchange.call(requests.SUBMIT, requests.submission([report])).message
        assert answer.accepted_count == 1, answer
        return report.account_reference

    def told(self) -> list[tuple[int, int, int]]:
        """The alerts that were not told yet."""
        answer = self.caller.call(requests.PULL, requests.pull()).message
        if answer.messages:
            assert self.caller.call(requests.ACKNOWLEDGE, requests.acknowledgement(answer.next_cursor)).ok
        return [(each.alert.type, each.alert.before, each.alert.after) for each in answer.messages]


def today() -> int:
    return int(f"{requests.now():%Y%m%d}")


@pytest.fixture(scope="module")
def admitted(own_system: System) -> System:
    """A system whose exchange swept before: the first test of the module sees to that."""
    Watcher(own_system, 0).watch()
    sweep(own_system)
    return own_system


def test_the_exchange_admits_its_own_member_when_there_is_something_to_sweep(own_system: System) -> None:
    first = own_system.exchange.database_view.size
    assert sweep(own_system) == 0
    assert methods(own_system, first) == []
    assert member(own_system, "exchange") is None
    Watcher(own_system, 1).watch()
    first = own_system.exchange.database_view.size
    assert sweep(own_system) == 0
    operator = own_system.operator.member_id
    assert [each for each in methods(own_system, first) if each[2] == 1] == [
        (operator, "CreateMember", 1),
        (operator, "AddMemberKey", 1),
        ("exchange", "SweepWatches", 1),
    ]
    own = member(own_system, "exchange")
    assert list(own.roles) == [SYSTEM]
    assert [key.public_key for key in own.keys] == [public_bytes(own_system.exchange.installation.keys.system_key)]
    first = own_system.exchange.database_view.size
    assert sweep(own_system) == 0
    assert methods(own_system, first) == [("exchange", "SweepWatches", 1)]


@pytest.mark.parametrize("with_key", [True, False], ids=["who has a key", "who has none"])
def test_a_name_that_another_has_is_not_taken_from_it(admitted: System, with_key: bool) -> None:
    name = "bank-a" if with_key else "keyless"
    if not with_key:
        other: Any = membership_service_pb2.Member(member_id=name, display_name=name)
        other.roles.append(REPORTER)
        other.state = membership_service_pb2.MEMBER_STATE_ACTIVE
        create = membership_service_pb2.CreateMemberRequest(request_id=requests.request_id(), member=other)
        assert admitted.operator.call(requests.CREATE_MEMBER, create).ok
    before = member(admitted, name)
    keys = replace(admitted.exchange.installation.keys, system_key=Ed25519PrivateKey.generate())
    for _ in range(2):
        with pytest.raises(
            SweepProblem, match=f"{name} is a member without the role system: set system_member to a name that nobody"
        ):
            sweep(admitted, keys, system_member=name)
    assert member(admitted, name) == before


def test_a_key_that_is_another_members_does_not_sweep(admitted: System) -> None:
    keys = replace(admitted.exchange.installation.keys, system_key=admitted["bank-a"].key)
    with pytest.raises(SweepProblem, match="is a member without the role system"):
        sweep(admitted, keys)


def test_who_signs_with_another_operators_key_is_told_what_to_run(admitted: System) -> None:
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = replace(admitted.exchange.installation.keys, operator_key=first, system_key=second)
    with pytest.raises(
        SweepProblem, match=r"operator\.key .* cannot admit new-exchange \(KEY_UNKNOWN\).* tallystickd member system"
    ):
        sweep(admitted, keys, system_member="new-exchange")
    assert member(admitted, "new-exchange") is None


def test_an_attempt_that_ended_half_way_is_finished(admitted: System) -> None:
    admitted_member: Any = membership_service_pb2.Member(member_id="half-done", display_name="This exchange")
    admitted_member.roles.append(SYSTEM)
    admitted_member.state = membership_service_pb2.MEMBER_STATE_ACTIVE
    create = membership_service_pb2.CreateMemberRequest(request_id=requests.request_id(), member=admitted_member)
    assert admitted.operator.call(requests.CREATE_MEMBER, create).ok
    keys = replace(admitted.exchange.installation.keys, system_key=Ed25519PrivateKey.generate())
    first = admitted.exchange.database_view.size
    assert sweep(admitted, keys, system_member="half-done") == 0
    assert methods(admitted, first)[-1] == ("half-done", "SweepWatches", 1)


def test_accounts_that_others_opened_are_told_once_and_anew_when_they_are_more(admitted: System) -> None:
    watcher = Watcher(admitted, 2)
    watcher.watch((OPENED, 3))
    opened = [watcher.report("bank-b", opened_date=today()) for _ in range(2)]
    sweep(admitted)
    assert watcher.told() == []
    opened.append(watcher.report("bank-b", opened_date=today()))
    sweep(admitted)
    assert watcher.told() == [(OPENED, 0, 3)]
    sweep(admitted)
    assert watcher.told() == []
    # Fewer: the baseline falls with them, without a word; as many as before are then news again.
    until = requests.now() + timedelta(seconds=1)
    assert (
        admitted["bank-b"]
        .exchange.call(requests.WITHDRAW, requests.withdrawal(watcher.borrower.subject, opened[0], until))
        .message.withdrawn
    )
    sweep(admitted)
    assert watcher.told() == []
    watcher.report("bank-b", opened_date=today())
    sweep(admitted)
    assert watcher.told() == [(OPENED, 2, 3)]


def test_what_is_so_as_a_watch_begins_is_not_told(admitted: System) -> None:
    watcher = Watcher(admitted, 3)
    for _ in range(3):
        watcher.report("bank-b", opened_date=today())
    watcher.watch((OPENED, 3))
    sweep(admitted)
    assert watcher.told() == []


def test_a_debt_that_grew_is_told_once(admitted: System) -> None:
    watcher = Watcher(admitted, 4)
    of = watcher.report("bank-b", balance=100_000)
    watcher.watch((GREW, 50))
    watcher.report("bank-b", of, 1, balance=149_000)
    sweep(admitted)
    assert watcher.told() == []
    watcher.report("bank-b", of, 2, balance=165_000)
    for expected in ([(GREW, 0, 60)], []):
        sweep(admitted)
        assert watcher.told() == expected
    # It counts from what was told; the own account is no news, however large.
    watcher.report("bank-b", of, 3, balance=240_000)
    watcher.report(watcher.caller.member_id, watcher.borrower.account_reference, 1, balance=90_000_000)
    sweep(admitted)
    assert watcher.told() == []


def test_institutions_that_ask_in_order_to_lend_are_told_once(admitted: System) -> None:
    watcher = Watcher(admitted, 5)
    watcher.watch((BURST, 4))
    asking = [admitted["bank-a"], admitted["bank-b"], admitted["lender-c"]]
    for each in asking:
        for _ in range(2):
            assert each.exchange.call(requests.QUERY, requests.query(watcher.borrower.subject, 2)).ok
    # The own inquiry, and one that is not made in order to lend, do not count.
    assert watcher.caller.call(requests.QUERY, requests.query(watcher.borrower.subject, 2)).ok
    fourth = admitted.admit_caller("lender-e", [INQUIRER], (2, 8))
    assert fourth.call(requests.QUERY, requests.query(watcher.borrower.subject, 8)).ok
    sweep(admitted)
    assert watcher.told() == []
    assert fourth.call(requests.QUERY, requests.query(watcher.borrower.subject, 2)).ok
    for expected in ([(BURST, 0, 4)], []):
        sweep(admitted)
        assert watcher.told() == expected


def test_the_share_of_an_organisation_that_is_long_overdue_is_told_once(admitted: System) -> None:
    organisation: dict[str, Any] = {"subject_kind": subject_pb2.SUBJECT_KIND_ORGANISATION}
    watcher = Watcher(admitted, 6, **organisation, balance=70_000)
    watcher.watch((SHARE, 20))
    of = watcher.report("bank-b", balance=30_000, overdue=90)
    sweep(admitted)
    assert watcher.told() == []
    watcher.report("bank-b", of, 1, balance=30_000, overdue=91)
    for expected in ([(SHARE, 0, 30)], []):
        sweep(admitted)
        assert watcher.told() == expected
    watcher.report("bank-b", of, 2, balance=30_000)
    sweep(admitted)
    assert watcher.told() == []
    watcher.report("bank-b", of, 3, balance=30_000, overdue=100)
    sweep(admitted)
    assert watcher.told() == [(SHARE, 0, 30)]


def months(*dispositions: int) -> list[Any]:
    """The last months, this one last, as the trade's digits have them; 0 is paid as agreed."""
    return [
        requests.month(number, disposition or codes_pb2.DISPOSITION_PAID_AS_AGREED)
        for number, disposition in zip(requests.months_back(len(dispositions)), reversed(dispositions), strict=True)
    ]


def grade_of(system: System, subject: Any) -> int:
    history = system["bank-a"].exchange.call(requests.QUERY, requests.rated_query(subject)).message.credit_history
    return int(history.rating.grade)


def test_a_rating_that_fell_is_told_once(admitted: System) -> None:
    watcher = Watcher(admitted, 8, months=months(*[0] * 13))
    of = watcher.report("bank-b")
    watcher.watch((FELL, 2))
    best = grade_of(admitted, watcher.borrower.subject)
    sweep(admitted)
    assert watcher.told() == []
    watcher.report("bank-b", of, 1, months=months(*[0] * 10, 1, 2, 3))
    worst = grade_of(admitted, watcher.borrower.subject)
    assert worst >= best + 2
    for expected in ([(FELL, best, worst)], []):
        sweep(admitted)
        assert watcher.told() == expected


def test_the_own_report_counts_in_the_rating_of_the_watch(admitted: System) -> None:
    """It is the rating that a query is answered with, the same for all who ask."""
    watcher = Watcher(admitted, 9, months=months(*[0] * 13))
    watcher.watch()
    watcher.report(watcher.caller.member_id, watcher.borrower.account_reference, 1, months=months(*[0] * 10, 1, 2, 3))
    sweep(admitted)
    ((told, before, after),) = watcher.told()
    assert (told, after) == (FELL, grade_of(admitted, watcher.borrower.subject))
    assert before <= after - 2


def test_a_watch_of_before_ratings_were_looked_at_begins_with_what_it_finds(admitted: System) -> None:
    watcher = Watcher(admitted, 10, months=months(*[0] * 13))
    watcher.watch((FELL, 1))
    admitted.exchange.database_view.rows("UPDATE watch SET baseline = ''")
    of = watcher.report("bank-b", months=months(*[0] * 4, 1, *[0] * 8))
    sweep(admitted)
    assert watcher.told() == []
    watcher.report("bank-b", of, 1, months=months(*[0] * 4, 1, *[0] * 5, 1, 2, 3))
    sweep(admitted)
    assert [each[0] for each in watcher.told()] == [FELL]


def test_what_was_swept_names_in_the_log_nobody(admitted: System) -> None:
    watcher = Watcher(admitted, 7)
    watcher.watch((OPENED, 1))
    watcher.report("bank-b", opened_date=today())
    first = admitted.exchange.database_view.size
    sweep(admitted)
    assert methods(admitted, first) == [("exchange", "SweepWatches", 1)]
    shown = admitted["auditor"].exchange.call(requests.GET_ENTRY, audit_service_pb2.GetAuditEntryRequest(index=first)).message
    assert kinds(shown.details) == ["envelope"]


def kinds(details: Sequence[Any]) -> list[str]:
    return [leaf.WhichOneof("content") for leaf in details]

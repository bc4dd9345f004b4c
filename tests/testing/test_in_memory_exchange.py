"""tallystick.testing by itself: what it says is known, what it has happen, and what it tells of what was asked."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import tallystick.testing
from tallystick.client import (
    AccountEvent,
    CheckpointFalse,
    Exchange,
    Inquiry,
    NotAllowed,
    NotAnExchange,
    NotTrusted,
    Overloaded,
    Purpose,
    QueryResult,
    ReceiptFalse,
    ReceiptMissing,
    Refused,
    Report,
    ReportOutcome,
    TokenProofFalse,
    Unavailable,
    WithdrawalReason,
)
from tallystick.client.cli.context import Tool
from tallystick.client.cli.program import run
from tallystick.contract.reasons import REASONS
from tallystick.credit import (
    AccountType,
    AssetQuality,
    Channel,
    Decision,
    Disposition,
    HistoryOutcome,
    ScreeningPolicy,
    ServicingEvent,
    ServicingEventType,
)
from tallystick.testing import InMemoryExchange, KnownAccount, account, person

PUBLIC = ["AskedInquiry", "InMemoryExchange", "KnownAccount", "account", "person"]
NOW = dt.datetime(2026, 3, 31, 23, 30, tzinfo=dt.UTC)


def ask(memory: InMemoryExchange, serial: int = 0) -> QueryResult:
    with memory.exchange() as exchange:
        return exchange.query(person(serial), Purpose.LOAN_APPROVAL, "C-1")


def test_the_public_names_are_frozen() -> None:
    assert tallystick.testing.__all__ == PUBLIC
    for name in PUBLIC:
        assert getattr(tallystick.testing, name).__doc__


def test_the_plugin_loads_nothing_before_a_test_asks_for_it() -> None:
    code = (
        "import sys; import pytest; before = set(sys.modules); import tallystick.testing.pytest_plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded == "['tallystick', 'tallystick.testing', 'tallystick.testing.pytest_plugin']\n"


def test_the_package_needs_no_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; from tallystick.testing import *; InMemoryExchange(); print('made')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "made\n"


@pytest.mark.parametrize(
    ("accounts", "decision"),
    [
        ([account()], Decision.APPROVE),
        ([account(closed_months_ago=3), account(guarantor=True, liability=100)], Decision.APPROVE),
        ([], Decision.REFER),
        ([account(overdue={1: 2})], Decision.REFER),
        ([account(overdue_now=5)], Decision.REFER),
        ([account(limit=100, balance=100)], Decision.REFER),
        ([account(overdue_now=61)], Decision.DECLINE),
        ([account(overdue=dict.fromkeys(range(3), 2))], Decision.DECLINE),
        ([account(written_off=True, account_type=AccountType.D1)], Decision.DECLINE),
    ],
)
@pytest.mark.parametrize("now", [None, NOW, dt.datetime(2028, 2, 29, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC)])
def test_a_history_is_decided_on_alike_on_any_day(
    accounts: list[KnownAccount], decision: Decision, now: dt.datetime | None
) -> None:
    memory = InMemoryExchange(now=now)
    memory.known(person(), *accounts)
    assert ScreeningPolicy.default().evaluate(ask(memory).history).decision is decision


@pytest.mark.parametrize("kind", [kind for kind in AccountType if kind not in (AccountType.UNSPECIFIED, AccountType.D2)])
@pytest.mark.parametrize("now", [NOW, dt.datetime(2028, 3, 1, tzinfo=dt.UTC)])
def test_every_account_that_can_be_said_would_be_taken(kind: AccountType, now: dt.datetime) -> None:
    memory = InMemoryExchange(now=now)
    base = account(account_type=kind, overdue_amount=5)
    said = [replace(base, overdue_now=days) for days in (0, 1, 30, 31, 400, 1008)]
    said += [replace(base, closed_months_ago=ago, overdue={ago + 1: late}) for ago in (0, 7, 34) for late in range(1, 8)]
    said += [replace(base, opened_months_ago=0, months=months) for months in (0, 1, 60)]
    if kind is not AccountType.C1:
        said += [replace(base, written_off=True), replace(base, written_off=True, closed_months_ago=2)]
    memory.known(person(), *(replace(each, institution=f"bank-{n}") for n, each in enumerate(said)))
    assert len(ask(memory).history.accounts) == len(said)


def test_what_is_known_is_told_as_it_was_said() -> None:
    memory = InMemoryExchange(now=NOW)
    memory.known(person(), account(overdue={2: 3}, overdue_amount=700, opened_months_ago=12))
    memory.known(person(), account(institution="a-third-bank", overdue_now=45, months=3), account(institution="a-third-bank"))
    history = ask(memory).history
    assert sorted(each.institution for each in history.accounts) in ([1, 1, 2], [1, 2, 2])
    told = next(each.account for each in history.accounts if len(each.account.months) == 13)
    assert (told.opened_date, told.months[2].month) == (dt.date(2025, 3, 1), dt.date(2026, 1, 1))
    assert (told.months[2].disposition, told.months[2].overdue_amount) == (Disposition.OVERDUE_3, 700)
    running = next(each.account for each in history.accounts if each.account.running_overdue)
    assert [month.disposition for month in running.months] == [
        Disposition.OVERDUE_2,
        Disposition.OVERDUE_1,
        Disposition.PAID_AS_AGREED,
    ]
    assert history.overdue.accounts_overdue_now == 1


@pytest.mark.parametrize(
    "said",
    [
        {"overdue": {3: 8}},
        {"overdue": {24: 1}},
        {"months": 61},
        {"closed_months_ago": 40},
        {"overdue_now": 10, "closed_months_ago": 1},
        {"overdue_now": 10, "opened_months_ago": 0},
        {"liability": 5},
        {"written_off": True, "account_type": AccountType.C1},
        {"opened_months_ago": -1},
    ],
)
def test_an_account_that_contradicts_itself_is_told_before_it_is_asked_about(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^\w+: "):
        account(**said)


def test_what_a_real_exchange_would_reject_is_not_known() -> None:
    memory = InMemoryExchange()
    with pytest.raises(ValueError, match=r"accounts\[1\]\.currency: "):
        memory.known(person(), account(), account(currency="XXX"))
    with pytest.raises(ValueError, match="through the SDK"):
        memory.known(person(), account(institution="bank-under-test"))


def test_inquiries_by_others_are_counted() -> None:
    memory = InMemoryExchange(now=NOW)
    for days_ago, by in ((1, "x"), (29, "x"), (100, "y"), (300, "z"), (800, "z")):
        memory.asked_about(person(), by=by, days_ago=days_ago)
    told = ask(memory).history.inquiries
    assert (told.count_1_month, told.count_6_months, told.institutions_6_months, len(told.inquiries)) == (2, 3, 2, 4)
    assert [each.date for each in told.inquiries] == sorted((each.date for each in told.inquiries), reverse=True)


FALSE: list[tuple[Callable[[InMemoryExchange], None], type[NotTrusted]]] = [
    (InMemoryExchange.withhold_receipts, ReceiptMissing),
    (InMemoryExchange.falsify_receipts, ReceiptFalse),
    (InMemoryExchange.falsify_answers, ReceiptFalse),
    (InMemoryExchange.falsify_tokens, TokenProofFalse),
]


@pytest.mark.parametrize(("spoil", "error"), FALSE)
async def test_what_is_false_is_not_trusted_until_it_is_mended(
    spoil: Callable[[InMemoryExchange], None], error: type[NotTrusted]
) -> None:
    memory = InMemoryExchange()
    memory.known(person(), account())
    spoil(memory)
    with pytest.raises(error):
        ask(memory)
    async with memory.async_exchange() as exchange:
        with pytest.raises(error):
            await exchange.query(person(), Purpose.LOAN_APPROVAL, "C-1")
        memory.mend()
        assert (await exchange.query(person(), Purpose.LOAN_APPROVAL, "C-1")).history.outcome is HistoryOutcome.FOUND


def test_a_false_checkpoint_is_not_trusted() -> None:
    memory = InMemoryExchange()
    memory.falsify_checkpoints()
    with memory.exchange() as exchange:
        with pytest.raises(CheckpointFalse):
            exchange.checkpoint()
        memory.mend()
        assert exchange.checkpoint().checkpoint.size == 0


@pytest.mark.parametrize("reason", [each for each in REASONS if not each.retry], ids=lambda each: each.name)
def test_every_reason_can_be_met(reason: Any) -> None:
    memory = InMemoryExchange()
    memory.refuse(reason.name, field="inquiry.purpose")
    with pytest.raises(Refused) as caught:
        ask(memory)
    assert (caught.value.reason, caught.value.violations[0].field) == (reason.name, "inquiry.purpose")
    assert memory.attempts == ["QueryCreditHistory"]


def test_a_reason_that_there_is_not_or_that_is_tried_again_is_no_refusal() -> None:
    for reason in ("NO_SUCH_REASON", "QUEUE_FULL"):
        with pytest.raises(ValueError, match=reason):
            InMemoryExchange().refuse(reason)


def test_what_is_tried_again_takes_no_time_and_asks_once() -> None:
    memory = InMemoryExchange(now=NOW)
    memory.busy(times=2, retry_after=20)
    memory.lose_answers(2)
    result = ask(memory)
    assert memory.attempts == ["QueryCreditHistory"] * 5
    assert len({asked.request_id for asked in memory.inquiries(person())}) == 1
    assert memory.inquiries(person(1)) == []
    assert sum(memory.waits) >= 40
    assert result.history.as_of - NOW >= dt.timedelta(seconds=sum(memory.waits) - 0.001)


@pytest.mark.parametrize(("fail", "error"), [(InMemoryExchange.unreachable, Unavailable), (InMemoryExchange.busy, Overloaded)])
def test_an_exchange_that_stays_away_is_not_reached(fail: Callable[[InMemoryExchange], None], error: type[Exception]) -> None:
    memory = InMemoryExchange()
    fail(memory)
    with pytest.raises(error):
        ask(memory)
    assert len(memory.waits) > 3


def test_reports_lost_on_the_way_back_have_their_effect_once() -> None:
    memory = InMemoryExchange()
    record = account().on(dt.datetime.now(dt.UTC))
    with memory.exchange() as exchange:
        memory.lose_answers()
        result = exchange.report(Report(person(), "4000-1", record))
        assert (result.outcome, memory.attempts) == (ReportOutcome.ACCEPTED, ["SubmitReports"] * 2)
        assert memory.reported(person()) == [record]
        assert exchange.query(person(), Purpose.LOAN_APPROVAL, "C-1").history.accounts[0].own
        exchange.withdraw(person(), "4000-1", WithdrawalReason.FRAUD)
    assert memory.reported(person()) == []


def test_many_are_asked_about_over_threads() -> None:
    memory = InMemoryExchange()
    memory.known(person(7), account())
    inquiries = [Inquiry(person(n), Purpose.LOAN_APPROVAL, "C-1") for n in range(600)]
    with memory.exchange() as exchange:
        outcomes = list(exchange.query_many(inquiries))
    assert [n for n, each in enumerate(outcomes) if each.unwrap().history.accounts] == [7]
    assert (memory.token_requests, len(memory.inquiries())) == (3, 600)


def test_a_member_may_do_what_is_agreed() -> None:
    memory = InMemoryExchange(may_report=False, purposes=[Purpose.POST_LOAN_MANAGEMENT])
    with memory.exchange() as exchange:
        with pytest.raises(NotAllowed, match="PURPOSE_NOT_ALLOWED"):
            exchange.query(person(), Purpose.LOAN_APPROVAL, "C-1")
        with pytest.raises(NotAllowed, match="ROLE_MISSING"):
            exchange.list_submissions().__next__()
        with pytest.raises(NotAnExchange):
            exchange.register_key(memory.profile.signer.key)


def test_the_servicing_record_goes_page_by_page_and_stays() -> None:
    memory = InMemoryExchange()
    day = memory.clock.now().date()
    visits = [ServicingEvent(event_id=uuid4(), type=ServicingEventType.RETURN_VISIT, date=day) for _ in range(999)]
    events = [AccountEvent(person(), "4000-1", visit) for visit in visits]
    with memory.exchange() as exchange:
        assert not any(result.accepted for result in exchange.servicing.record(events[:1]))
        assert exchange.report(Report(person(), "4000-1", account().on(memory.clock.now()))).accepted
        for _ in range(2):
            assert all(result.accepted for result in exchange.servicing.record(events))
        assert list(exchange.servicing.list(person(), "4000-1")) == visits[::-1]
        (changed,) = exchange.servicing.record([replace(events[0], event=replace(visits[0], channel=Channel.LETTER))])
        assert [violation.reason for violation in changed.violations] == ["ALREADY_EXISTS"]


def test_who_has_no_living_account_may_not_ask_after_the_loan() -> None:
    memory = InMemoryExchange()
    with memory.exchange() as exchange:
        with pytest.raises(NotAllowed, match="PURPOSE_WITHOUT_ACCOUNT"):
            exchange.query(person(), Purpose.POST_LOAN_MANAGEMENT, "C-1")
        record = account().on(memory.clock.now())
        assert exchange.report(Report(person(), "4000-1", record)).outcome is ReportOutcome.ACCEPTED
        assert exchange.query(person(), Purpose.POST_LOAN_MANAGEMENT, "C-2").history.accounts[0].own
        # What another institution is known to have said is no contract of the caller's.
        memory.known(person(1), account())
        with pytest.raises(NotAllowed, match="PURPOSE_WITHOUT_ACCOUNT"):
            exchange.query(person(1), Purpose.POST_LOAN_MANAGEMENT, "C-3")
        memory.clock.advance(dt.timedelta(days=92))
        with pytest.raises(NotAllowed, match="PURPOSE_WITHOUT_ACCOUNT"):
            exchange.query(person(), Purpose.POST_LOAN_MANAGEMENT, "C-4")


def test_a_profile_leads_into_memory(
    tallystick_exchange: InMemoryExchange, tallystick_profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tallystick_exchange.known(person(), account(written_off=True))
    with Exchange.from_profile() as exchange:
        assert exchange.query(person(), Purpose.LOAN_APPROVAL, "C-1").history.accounts
    arguments = ["query", "--type", "10", "--number", person().number, "--purpose", "loan_approval", "--consent", "C-2", "--json"]
    assert run(arguments, Tool()) == 0
    assert '"decision": "decline"' in capsys.readouterr().out
    assert [asked.consent_reference for asked in tallystick_exchange.inquiries()] == ["C-1", "C-2"]
    tallystick_exchange.unreachable()
    with Exchange.from_profile(tallystick_profile) as exchange, pytest.raises(Unavailable):
        exchange.query(person(1), Purpose.LOAN_APPROVAL, "C-1")


def test_outside_of_serving_a_profile_leads_nowhere(tmp_path: Path) -> None:
    memory, other = InMemoryExchange(), InMemoryExchange()
    folder = memory.write_profile(tmp_path / "profile")
    made = Exchange.__init__
    with other.serving(), Exchange.from_profile(folder) as exchange:
        assert exchange._driver._transports == {}
    assert Exchange.__init__ is made


def test_a_clock_needs_a_zone_and_goes_one_way() -> None:
    with pytest.raises(ValueError, match="time zone"):
        InMemoryExchange(now=dt.datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="backwards"):
        InMemoryExchange().advance(dt.timedelta(seconds=-1))


def test_persons_are_told_apart() -> None:
    numbers = [person(n).normalised().number for n in (0, 1, 999, 1000, 2_999_999)]
    assert len(set(numbers)) == 5
    with pytest.raises(ValueError, match="serial"):
        person(3_000_000)


def test_codes_may_be_said_by_name() -> None:
    by_name: Any = {"account_type": "d1", "asset_quality": "special-mention", "subject_kind": "person"}
    said = account(**by_name)
    assert (said.account_type, said.asset_quality) == (AccountType.D1, AssetQuality.SPECIAL_MENTION)
    purposes: Any = ["loan_approval", "03"]
    memory = InMemoryExchange(purposes=purposes)
    memory.known(person(), said)
    purpose: Any = "loan_approval"
    memory.asked_about(person(), purpose=purpose)
    assert ask(memory).history.accounts[0].account.account_type is AccountType.D1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda _: account(account_type="R9"), "account_type: must be a AccountType.*R2"),  # type: ignore[arg-type]
        (lambda _: account(account_type=0), "account_type: "),  # type: ignore[arg-type]
        (lambda _: account(asset_quality="fine"), "asset_quality: .*SPECIAL_MENTION"),  # type: ignore[arg-type]
        (lambda _: account(limit=1.5), "limit: must be a whole number, and is a float"),  # type: ignore[arg-type]
        (lambda _: account(months="3"), "months: must be a whole number"),  # type: ignore[arg-type]
        (lambda _: account(overdue={"4": 2}), "overdue: how many months ago"),  # type: ignore[dict-item]
        (lambda _: account(overdue={4: "2"}), "overdue: how late"),  # type: ignore[dict-item]
        (lambda _: account(overdue=[4]), "overdue: must be a dict"),  # type: ignore[arg-type]
        (lambda _: InMemoryExchange(purposes=["curiosity"]), "purposes: .*LOAN_APPROVAL"),  # type: ignore[list-item]
        (lambda _: InMemoryExchange(purposes="loan_approval"), "purposes: give a list"),  # type: ignore[arg-type]
        (lambda memory: memory.asked_about(person(), purpose="curiosity"), "purpose: .*LOAN_APPROVAL"),
        (lambda memory: memory.asked_about(person(), days_ago="1"), "days_ago: "),
        (lambda memory: memory.known("x", account()), "identity: give an Identity"),
        (lambda memory: memory.known(person(), "x"), r"accounts\[0\]: give account"),
        (lambda memory: memory.advance(3), "passed: give a timedelta"),
        (lambda _: person("1"), "serial: must be a whole number"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_said_is_named_by_its_parameter(wrong: Callable[[InMemoryExchange], object], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        wrong(InMemoryExchange())

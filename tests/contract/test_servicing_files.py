"""The servicing record through the SDK and the command, against servers: from a file to the list, and what is wrong with a row."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract import requests
from tests.contract.system import System

from tallystick.client import AccountEvent, AsyncExchange, EventResult, Exchange, Identity, InputInvalid, NotUsable, Report
from tallystick.client.cli.context import Tool
from tallystick.client.cli.program import run
from tallystick.credit import (
    Account,
    AccountType,
    Channel,
    EventOutcome,
    PlanKind,
    RepaymentPlan,
    ServicingEvent,
    ServicingEventType,
    SubjectKind,
)

HEADER = (
    "id_kind,id_type,id_country,id_number,account_number,event_id,type,date,channel,outcome,next_date,plan_kind,"
    "plan_first_due_date,plan_instalments,plan_instalment_amount,plan_months_changed,plan_financial_difficulty,text_commitment"
)
VISIT = "person,10,CN,{number},{account},{id},return_visit,2025-11-03,in_person,reached,2026-02-03,,,,,,,"
PLAN = "person,10,CN,{number},{account},{id},12,2025-11-04,2,hardship,,instalments,2025-12-01,12.0,50000,-3,yes," + "ab" * 32


@pytest.fixture
def borrower(sdk: Callable[[str], Exchange]) -> tuple[str, str]:
    """The identity number and the account number of an account that bank-a reports."""
    number, account = requests.resident_number(next(requests._serial)), f"loan {uuid.uuid4()}"
    state = Account(
        as_of=requests.now(),
        account_type=AccountType.D1,
        status=1,
        currency="CNY",
        opened_date=dt.date(2024, 1, 1),
        subject_kind=SubjectKind.PERSON,
    )
    assert sdk("bank-a").report(Report(Identity.resident_id(number), account, state)).accepted
    return number, account


@pytest.fixture
def event(system: System, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `tallystick event …` as bank-a; exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["event", *map(str, arguments)], Tool(profile=system["bank-a"].folder))
        return code, *capsys.readouterr()

    return call


def file_of(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]), "utf-8")
    return path


def a_visit(**changes: Any) -> ServicingEvent:
    good: dict[str, Any] = {"event_id": uuid.uuid4(), "type": ServicingEventType.RETURN_VISIT, "date": dt.date(2025, 11, 3)}
    return ServicingEvent(**(good | changes))


def test_file_is_recorded_once_and_listed(borrower: Any, event: Any, tmp_path: Path) -> None:
    number, account = borrower
    ids = [uuid.uuid4(), uuid.uuid4()]
    rows = [form.format(number=number, account=account, id=each) for form, each in zip((VISIT, PLAN), ids, strict=True)]
    receipts = tmp_path / "receipts.jsonl"
    file = file_of(tmp_path / "events.csv", *rows)
    for _ in range(2):
        assert event(file, "--keep-receipts", receipts)[:2] == (0, "2 events: 2 accepted, 0 rejected\n")
    assert len(receipts.read_text().splitlines()) == 2
    identity = ("--type", "10", "--number", number, "--account", account)
    code, out, _ = event("list", *identity, "--json")
    assert code == 0
    plan, visit = map(json.loads, out.splitlines())
    assert visit == {
        "event_id": str(ids[0]),
        "type": "return_visit",
        "date": "2025-11-03",
        "channel": "in_person",
        "outcome": "reached",
        "next_date": "2026-02-03",
        "plan": None,
        "text_commitment": "",
    }
    assert (plan["type"], plan["channel"], plan["text_commitment"]) == ("plan_agreed", "telephone", "ab" * 32)
    assert plan["plan"] == {
        "kind": "instalments",
        "first_due_date": "2025-12-01",
        "instalments": 12,
        "instalment_amount": 50000,
        "months_changed": -3,
        "financial_difficulty": True,
    }
    code, out, _ = event("list", *identity, "--limit", "1")
    assert code == 0
    assert "instalments: 12 instalments of 50000 (minor units) from 2025-12-01, -3 months, financial difficulty" in out
    assert "there are more: raise --limit" in out
    assert str(ids[0]) not in out


def test_rows_are_rejected_by_column_in_the_order_of_the_file(borrower: Any, event: Any, tmp_path: Path) -> None:
    number, account = borrower

    def row(form: str, **changes: str) -> str:
        values = {"number": number, "account": account, "id": str(uuid.uuid4())}
        text = form.format(**(values | {key: value for key, value in changes.items() if key in values}))
        return text.replace(changes.get("old", "\0"), changes.get("new", ""), 1)

    rows = [
        row(VISIT),
        row(VISIT, old="return_visit", new="visit"),
        row(VISIT, account="another account"),
        row(VISIT, old="2026-02-03", new="2025-11-02"),
        row(VISIT, id="17", old="2025-11-03", new="2099-01-01"),
        row(PLAN, old="50000", new="500.00"),
        row(PLAN, old="12.0", new="0"),
        row(VISIT, number="110101195001010000"),
        row(PLAN, old="instalments,2025-12-01,12.0,50000,-3,yes", new=",,,,,"),
        row(VISIT, old=",return_visit,", new=",=1+1,"),
    ]
    rejects = tmp_path / "rejects.csv"
    code, out, _ = event(file_of(tmp_path / "events.csv", *rows), "--rejects", rejects, "--json")
    assert code == 1
    assert json.loads(out) == {"events": 10, "accepted": 1, "rejected": 9, "complete": True}
    with rejects.open() as opened:
        found = [(int(each["row"]), each["field"], each["reason"]) for each in csv.DictReader(opened)]
    assert found == [
        (3, "type", "FIELD_MALFORMED"),
        (4, "account_number", "NOT_FOUND"),
        (5, "next_date", "FIELDS_INCONSISTENT"),
        (6, "event_id", "FIELD_MALFORMED"),
        (6, "date", "FIELD_OUT_OF_RANGE"),
        (7, "plan_instalment_amount", "FIELD_MALFORMED"),
        (8, "plan_instalments", "FIELD_OUT_OF_RANGE"),
        (9, "id_number", "FIELD_MALFORMED"),
        (10, "plan_kind", "FIELD_REQUIRED"),
        (11, "type", "FIELD_MALFORMED"),
    ]
    assert number not in rejects.read_text()


def test_other_content_under_the_same_id_is_told(borrower: Any, event: Any, tmp_path: Path) -> None:
    number, account = borrower
    row = VISIT.format(number=number, account=account, id=uuid.uuid4())
    assert event(file_of(tmp_path / "events.csv", row))[0] == 0
    code, out, err = event(file_of(tmp_path / "events.csv", row.replace("reached", "not_reached")))
    assert (code, out) == (1, "1 events: 0 accepted, 1 rejected\n")
    assert err.startswith("row 2: event_id: is recorded with other content")
    assert "(ALREADY_EXISTS)" in err


@pytest.mark.parametrize(
    ("text", "told"),
    [(HEADER, "there is a header and no row"), ("a,b\n1,2", "event_id"), (HEADER.replace("date,", "dates,", 1) + "\nx", "date")],
)
def test_file_that_is_none_is_refused_whole(event: Any, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "events.csv"
    file.write_text(text)
    code, out, err = event(file)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert told in err


def test_sdk_records_more_than_a_batch_in_order(borrower: Any, sdk: Callable[[str], Exchange]) -> None:
    number, account = borrower
    identity = Identity.resident_id(number)
    events = [AccountEvent(identity, account, a_visit(channel=Channel.LETTER)) for _ in range(990)]
    events += [AccountEvent(identity, account, a_visit(outcome=EventOutcome.PAID)) for _ in range(30)]
    results = list(sdk("bank-a").servicing.record(iter(events)))
    assert [result.event for result in results] == events
    # Batches are under way at once: which one fills the account up nobody knows.
    accepted = [result.event.event for result in results if result.accepted]
    assert len(accepted) == 1000
    assert {violation.field for result in results for violation in result.violations} == {"account_reference"}
    assert len({result.request_id for result in results}) == 2
    listed = list(sdk("bank-a").servicing.list(identity, account.upper()))
    assert {each.event_id: each for each in listed} == {each.event_id: each for each in accepted}
    assert list(sdk("bank-b").servicing.list(identity, account)) == []


def test_sdk_tells_all_that_is_wrong_with_an_event(borrower: Any, sdk: Callable[[str], Exchange]) -> None:
    number, account = borrower
    plan = RepaymentPlan(kind=PlanKind.GRACE, first_due_date=dt.date(2025, 10, 1), instalments=601)
    offered = a_visit(type=ServicingEventType.PLAN_OFFERED, plan=plan)
    results: list[EventResult] = list(
        sdk("bank-a").servicing.record(
            [
                AccountEvent(Identity.resident_id("110101195001010000"), account, offered),
                AccountEvent(Identity.resident_id(number), account, offered),
                AccountEvent(Identity.resident_id(number), account, a_visit(text_commitment=b"my notes")),
                AccountEvent(Identity.resident_id(number), account, a_visit(plan=None, date=dt.date(1, 1, 1))),
                AccountEvent(Identity.resident_id(number), account, a_visit(event_id="17")),
                AccountEvent(Identity.resident_id(number), account, a_visit()),
            ]
        )
    )
    of_plan = ["plan.first_due_date", "plan.instalments"]
    assert [[violation.field for violation in result.violations] for result in results] == [
        ["identity.number", *of_plan],
        of_plan,
        ["text_commitment"],
        ["date"],
        ["event_id"],
        [],
    ]
    assert [result.accepted for result in results] == [False] * 5 + [True]
    assert [result.receipt is None for result in results] == [True, False, False, False, True, False]


@pytest.mark.parametrize("wrong", [a_visit(), "event", None, AccountEvent(Identity.resident_id("x"), "a", None)])  # type: ignore[arg-type]
def test_sdk_takes_nothing_else_for_an_event(sdk: Callable[[str], Exchange], wrong: Any) -> None:
    with pytest.raises(InputInvalid, match="give a"):
        list(sdk("bank-a").servicing.record([wrong]))


def test_asynchronous_exchange_has_the_same_record(system: System, borrower: Any) -> None:
    number, account = borrower
    identity, one = Identity.resident_id(number), a_visit()

    async def both() -> tuple[list[bool], list[ServicingEvent]]:
        async with AsyncExchange.from_profile(system["bank-a"].folder) as exchange:
            recorded = [each.accepted async for each in exchange.servicing.record([AccountEvent(identity, account, one)])]
            listed = [each async for each in exchange.servicing.list(identity, account)]
        with pytest.raises(NotUsable):
            [each async for each in exchange.servicing.list(identity, account)]
        return recorded, listed

    assert asyncio.run(both()) == ([True], [one])

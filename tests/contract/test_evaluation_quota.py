"""A member whose evaluations of the day run out: what still fits is done, and the rest is named."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli.inputs import accounts_file, applicants_file
from tests.client.test_exchange import account
from tests.contract import requests
from tests.contract.system import INQUIRER, REPORTER, System

from tallystick.client import Exchange, Identity, Inquiry, LimitExceeded, Profile, Purpose, Report, ReportOutcome
from tallystick.client.cli.context import Tool
from tallystick.client.cli.program import run
from tallystick.client.flows import tokens
from tallystick.v1 import membership_service_pb2 as membership

EXCEEDED = "EVALUATION_QUOTA_EXCEEDED"


def limited(system: System, member_id: str, evaluations: int) -> Path:
    """A member with so many evaluations a day."""
    member = system.admit(member_id, [REPORTER, INQUIRER], (2,))
    limit(system, member_id, evaluations)
    return member.folder


def limit(system: System, member_id: str, evaluations: int) -> None:
    message = membership.Member(member_id=member_id, display_name="Limited", state=membership.MEMBER_STATE_ACTIVE)
    message.roles.append(membership.ROLE_TOKEN_REQUESTER)
    message.daily_evaluations = evaluations
    request = membership.UpdateMemberRequest(request_id=requests.request_id(), member=message)
    operator = system.authority.operator()
    assert operator.call(requests.UPDATE_MEMBER, request).ok
    operator.close()


def refusals(system: System, member_id: str) -> int:
    """How often the authority said no to a member."""
    rows = system.authority.database_view.rows(
        "SELECT count(*) FROM audit_entry JOIN member ON member.id = audit_entry.member WHERE member_id = %s AND outcome = 2",
        [member_id],
    )
    return int(rows[0][0])


def test_a_file_is_reported_as_far_as_the_evaluations_go(
    system: System, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = limited(system, "limited-report", 20)
    file, rejects = accounts_file(tmp_path / "accounts.csv", 30), tmp_path / "rejects.csv"
    assert run(["report", str(file), "--rejects", str(rejects), "--json"], Tool(profile=folder)) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["accepted"], summary["rejected"], summary["complete"]) == (20, 10, True)
    rows = list(csv.DictReader(rejects.open()))
    assert [(row["row"], row["field"], row["reason"]) for row in rows] == [
        (str(2 + 2 * n), "id_number", EXCEEDED) for n in range(20, 30)
    ]
    assert "tomorrow" in rows[0]["description"]
    # The next day, or after the operator gave more: the same file, whole.
    limit(system, "limited-report", 100)
    assert run(["report", str(file), "--json"], Tool(profile=folder)) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["accepted"], summary["superseded"]) == (10, 20)


def test_a_file_is_screened_as_far_as_the_evaluations_go(system: System, tmp_path: Path, capsys: Any) -> None:
    folder, out = limited(system, "limited-screen", 3), tmp_path / "decisions.csv"
    rows = [f"A-{n},person,2,DE,C01Z{n:05d},02,c-{n}" for n in range(5)]
    assert run(["screen", str(applicants_file(tmp_path / "in.csv", rows)), "--out", str(out)], Tool(profile=folder)) == 1
    capsys.readouterr()
    written = list(csv.DictReader(out.open()))
    assert [row["outcome"] for row in written] == ["no_record"] * 3 + ["error"] * 2
    assert {row["error_reason"] for row in written[3:]} == {EXCEEDED}


def test_many_batches_ask_the_authority_no_more_than_needed(system: System) -> None:
    folder = limited(system, "limited-many", 7)
    identities = [Identity.passport("DE", f"C01Y{n:05d}") for n in range(1_000)]
    with Exchange(Profile.load(folder)) as exchange:
        inquiries = (Inquiry(each, Purpose.LOAN_APPROVAL, "c-1") for each in identities)
        outcomes = list(exchange.query_many(inquiries))
        assert Counter(outcome.error is None for outcome in outcomes) == {True: 7, False: 993}
        assert all(isinstance(each.error, LimitExceeded) for each in outcomes if each.error)
        # At the most one for each batch that was under way, and one for what it then asked for less.
        asked = refusals(system, "limited-many")
        assert 1 <= asked <= 8
        with pytest.raises(LimitExceeded):
            exchange.query(identities[-1], Purpose.LOAN_APPROVAL, "c-1")
        # What was evaluated is known.
        known = next(each for each in outcomes if each.error is None).inquiry.identity
        assert exchange.query(known, Purpose.LOAN_APPROVAL, "c-1").receipt
        assert refusals(system, "limited-many") == asked


def test_the_authority_is_asked_again_after_a_while(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "SHORTAGE_SECONDS", 0.2)
    folder = limited(system, "limited-again", 1)
    with Exchange(Profile.load(folder)) as exchange:
        exchange.query(Identity.passport("DE", "C01W00001"), Purpose.LOAN_APPROVAL, "c-1")
        with pytest.raises(LimitExceeded) as refused:
            exchange.query(Identity.passport("DE", "C01W00002"), Purpose.LOAN_APPROVAL, "c-1")
        assert (refused.value.left, refused.value.reason) == (0, EXCEEDED)
        limit(system, "limited-again", 5)
        time.sleep(0.3)
        assert exchange.query(Identity.passport("DE", "C01W00002"), Purpose.LOAN_APPROVAL, "c-1").receipt


def test_a_report_without_a_token_is_rejected_and_not_sent(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = limited(system, "limited-sdk", 1)
    with Exchange(Profile.load(folder)) as exchange:
        reports = [Report(Identity.passport("DE", f"C01V0000{n}"), f"{n}", account()) for n in range(2)]
        taken, left = exchange.report_many(reports)
    assert taken.outcome is ReportOutcome.ACCEPTED
    assert (left.outcome, left.receipt, left.violations[0].reason) == (ReportOutcome.REJECTED, None, EXCEEDED)

"""An auditor's questions to `tallystick`: what a list says of consents, counts, files, and whether the request was signed."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from tests.client.cli.inputs import QUERY, applicants_file
from tests.client.flows.logged import forge_entry

from tallystick.client import CountFilter, Dimension, SignatureState
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import codes_pb2, log_pb2


def consenting(consent: str) -> list[str]:
    return [consent if argument == "c-1" else argument for argument in QUERY]


def screen(cli: Any, folder: Path, consents: list[str]) -> None:
    """One batch of queries."""
    rows = [f"app-{n},person,2,DE,C01X{n:05d},loan_approval,{consent}" for n, consent in enumerate(consents)]
    assert cli("screen", applicants_file(folder / "applicants.csv", rows), "--out", folder / "decisions.csv").code == 0


# --- What a list says ------------------------------------------------------------------------------------------------------------


def test_any_list_shows_purposes_and_consents(cli: Any, tmp_path: Path) -> None:
    cli(*QUERY)
    screen(cli, tmp_path, [f"c-{n}" for n in range(8)])
    screen(cli, tmp_path, ["same", "same"])
    cli("submissions")
    out = cli("audit", "list").out
    rows = {line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[6:8]] for line in out.splitlines() if "│" in line}
    assert rows["0"] == ["02 loan approval", "c-1"]
    assert rows["1"] == ["02 loan approval", "c-0, c-1, c-2, c-3, c-4, 3 more (8 subjects)"]
    assert rows["2"] == ["02 loan approval", "same (2 subjects)"]
    assert rows["3"] == ["-", "-"]
    assert "not shown" not in out
    listed = {each["index"]: each for each in cli("audit", "list", "--json").json}
    assert (listed[0]["purpose"], listed[0]["consent_reference"]) == ("loan_approval", "c-1")
    assert (listed[1]["purpose"], listed[1]["inquiries"]["consents_in_all"]) == (None, 8)
    assert listed[3]["inquiries"] is None


def test_what_the_server_does_not_say_is_not_shown_as_none(cli: Any, system: Any) -> None:
    for _ in range(2):
        cli(*QUERY)
    system.exchange.reading.unopened = {1}
    out = cli("audit", "list").out
    assert out.count("(not shown)") == 3
    assert "audit show says why" in out
    assert "unspecified" not in out
    unshown = next(each for each in cli("audit", "list", "--json").json if each["index"] == 1)
    assert (unshown["purpose"], unshown["consent_reference"], unshown["inquiries"]) == (None, None, None)


def test_a_list_that_shows_more_than_it_counts_is_not_taken(cli: Any, system: Any) -> None:
    cli(*QUERY)

    def tamper(method: str, answer: Any) -> Any:
        if isinstance(answer, pb.ListAuditEntriesResponse):
            answer.entries[0].inquiries.consent_count = 0
        return answer

    system.exchange.tamper_answer = tamper
    ran = cli("audit", "list")
    assert (ran.code, "AnswerMalformed" in ran.err) == (5, True)


def test_a_list_by_consent(cli: Any, tmp_path: Path) -> None:
    for consent in ("c-1", "c-2", "c-1"):
        cli(*consenting(consent))
    screen(cli, tmp_path, ["c-1", "c-3", "c-1"])
    assert [each["index"] for each in cli("audit", "list", "--consent", "c-1", "--json").json] == [3, 2, 0]
    assert [each["index"] for each in cli("audit", "list", "--consent", "c-3", "--json").json] == [3]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_list_goes_whole_into_a_file(cli: Any, system: Any, tmp_path: Path, suffix: str) -> None:
    cli(*consenting("=1+1"))
    screen(cli, tmp_path, [f"c-{n}" for n in range(7)])
    cli(*QUERY)
    system.exchange.reading.unopened = {2}
    out = tmp_path / f"entries.{suffix}"
    ran = cli("audit", "list", "--out", out)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"3 entries written to {out}")
    if suffix == "csv":
        with out.open() as opened:
            rows: list[dict[str, Any]] = list(csv.DictReader(opened))
    else:
        rows = pyarrow.parquet.read_table(out).to_pylist()
    assert [int(row["entry"]) for row in rows] == [2, 1, 0]
    apostrophe = "'" if suffix == "csv" else ""
    assert [row["consents"] for row in rows] == ["", "c-0 c-1 c-2 c-3 c-4", f"{apostrophe}=1+1"]
    assert [str(row["consents_in_all"] or "") for row in rows] == ["", "7", "1"]
    assert [row["purposes"] for row in rows] == ["", "loan_approval", "loan_approval"]
    assert all(len(row["signing_key"]) == len(row["leaf_hash"]) == 64 for row in rows)
    assert rows[0]["method"] == "/tallystick.v1.InquiryService/QueryCreditHistory"
    cut = cli("audit", "list", "--out", out, "--limit", "2")
    assert cut.out.splitlines()[0].startswith("2 entries")
    assert cut.out.splitlines()[-1] == "there are more: raise --limit"
    assert cli("audit", "list", "--out", out, "--json").json == [{"entries": 5, "more": False}]


def test_a_complete_list_goes_into_a_file_too(cli: Any, tmp_path: Path) -> None:
    cli(*QUERY)
    out = tmp_path / "entries.csv"
    ran = cli("audit", "list", "--consent", "c-1", "--complete", "--out", out)
    assert ran.code == 0
    assert ran.out.splitlines()[-1].startswith("COMPLETE")
    with out.open() as opened:
        assert [(row["entry"], row["consents"], row["in_list"], row["in_log"]) for row in csv.DictReader(opened)] == [
            ("0", "c-1", "yes", "yes")
        ]
    assert cli("audit", "list", "--complete", "--limit", "3").code == 2


def test_a_complete_list_does_not_call_made_up_what_nobody_can_open(cli: Any, system: Any) -> None:
    system.memory.clock.stand_at(datetime(2025, 10, 9, tzinfo=UTC))
    for _ in range(2):
        cli(*QUERY)
    (token,) = {subject[1].hex() for logged in system.exchange.log.entries for subject in logged.subjects}

    def dropped(method: str, answer: Any) -> Any:
        if isinstance(answer, pb.GetAuditEntryResponse) and answer.logged_entry.index == 0:
            del answer.details[:]
            answer.request = b""
        return answer

    system.exchange.tamper_answer = dropped
    for by in (("--consent", "c-1"), ("--token", token)):
        (found,) = cli("audit", "list", *by, "--to", "2026-01-01", "--complete", "--json").json
        assert (found["complete"], found["invented"]) == (True, [])
        assert [entry["index"] for entry in found["unopened"]] == [0]
        assert 1 in [entry["index"] for entry in found["entries"]]


# --- Counts ----------------------------------------------------------------------------------------------------------------------

COUNTS = pb.CountAuditEntriesResponse(
    group_count=5,
    counts=[
        pb.AuditEntryCount(
            member_id="bank-a",
            hour=23,
            day=20261120,
            method="/tallystick.v1.InquiryService/QueryCreditHistory",
            outcome=log_pb2.ENTRY_OUTCOME_REFUSED,
            purpose=codes_pb2.PURPOSE_LOAN_APPROVAL,
            consent_reference="=cmd",
            request_count=12,
            subject_count=7,
        ),
        pb.AuditEntryCount(member_id="bank-b", day=20261121, outcome=log_pb2.ENTRY_OUTCOME_OK, request_count=3),
    ],
)
BY = "member,hour,day,method,outcome,purpose,consent"


def test_who_asks_most_at_night(cli: Any, system: Any) -> None:
    system.counts.answer = COUNTS
    period = ("--from", "2026-11-01", "--to", "2026-12-01T00:00:00Z")
    ran = cli("audit", "count", "--by", "member,hour", "--hours", "22-6", "--zone", "Asia/Taipei", *period)
    assert ran.code == 0
    asked = system.counts.asked
    assert list(asked.hours) == [22, 23, 0, 1, 2, 3, 4, 5]
    assert list(asked.dimensions) == [pb.COUNT_DIMENSION_MEMBER, pb.COUNT_DIMENSION_HOUR]
    # A day without a zone begins in the zone that hours are counted in.
    assert asked.start_time.ToDatetime(UTC).isoformat() == "2026-10-31T16:00:00+00:00"
    assert asked.end_time.ToDatetime(UTC).isoformat() == "2026-12-01T00:00:00+00:00"
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ran.out.splitlines() if "│" in line]
    assert rows == [["bank-a", "23", "12", "7"], ["bank-b", "00", "3", "0"]]
    assert ran.out.splitlines()[-3:] == [
        "requests of 2026-11-01T00:00:00+08:00 to 2026-12-01T08:00:00+08:00; hours and days of Asia/Taipei",
        "counted from the server's index, which it could cut; erased subjects are not counted",
        "CUT: 2 of 5 groups; raise --limit (1000 at most), or ask for less",
    ]


def test_a_count_asks_for_what_it_was_given(cli: Any, system: Any) -> None:
    options = ["--consent", "c-1", "--member", "bank-a", "--purpose", "02", "--refused", "--min-subjects", "2", "--limit", "7"]
    before = datetime.now(UTC)
    assert cli("audit", "count", "--by", BY, *options).code == 0
    asked = system.counts.asked
    assert list(asked.dimensions) == [1, 2, 3, 4, 5, 6, 7]
    assert (asked.consent_reference, asked.member_id, asked.purpose, asked.outcome) == ("c-1", "bank-a", 2, 2)
    assert (asked.min_subjects, asked.max_groups, asked.time_zone, list(asked.hours)) == (2, 7, "UTC", [])
    end = asked.end_time.ToDatetime(UTC)
    assert timedelta(0) <= end - before < timedelta(minutes=1)
    assert end - asked.start_time.ToDatetime(UTC) == timedelta(days=30)
    assert cli("audit", "count", "--carried-out").code == 0
    assert system.counts.asked.outcome == log_pb2.ENTRY_OUTCOME_OK


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_counts_go_whole_into_a_file(cli: Any, system: Any, tmp_path: Path, suffix: str) -> None:
    system.counts.answer, out = COUNTS, tmp_path / f"counts.{suffix}"
    ran = cli("audit", "count", "--by", BY, "--out", out)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"2 groups written to {out}")
    assert ran.out.splitlines()[-1].startswith("CUT: 2 of 5")
    if suffix == "csv":
        with out.open() as opened:
            rows: list[dict[str, Any]] = list(csv.DictReader(opened))
    else:
        rows = pyarrow.parquet.read_table(out).to_pylist()
    assert list(rows[0]) == [*BY.split(","), "requests", "subjects"]
    consent = "'=cmd" if suffix == "csv" else "=cmd"
    method = "/tallystick.v1.InquiryService/QueryCreditHistory"
    wanted = ["bank-a", "23", "2026-11-20", method, "refused", "loan_approval", consent, "12", "7"]
    assert [str(cell) for cell in rows[0].values()] == wanted
    assert (rows[1]["outcome"], rows[1]["purpose"]) == ("ok", "")


def test_counts_as_json(cli: Any, system: Any) -> None:
    system.counts.answer = COUNTS
    ran = cli("audit", "count", "--by", "day,outcome", "--json")
    first = ran.json[0]
    assert (first["day"], first["refused"], first["requests"], first["subjects"]) == ("2026-11-20", True, 12, 7)
    assert first["member_id"] is None
    assert "could cut" in ran.err
    assert "CUT: 2 of 5" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--by", "reason"],
        ["--by", "member,member"],
        ["--hours", "22"],
        ["--hours", "24-6"],
        ["--hours", "5-5"],
        ["--zone", "Asia/Nowhere"],
        ["--zone", "../etc/passwd"],
        ["--from", "yesterday"],
        ["--limit", "1001"],
    ],
)
def test_what_cannot_be_counted_by_is_wrong_usage(cli: Any, system: Any, arguments: list[str]) -> None:
    ran = cli("audit", "count", *arguments)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert system.exchange.log.entries == []


def test_hours_of_one_day(cli: Any, system: Any) -> None:
    for text, hours in (("9-17", list(range(9, 17))), ("23-0", [23]), ("0-24", None), ("22-24", [22, 23])):
        ran = cli("audit", "count", "--hours", text)
        assert (ran.code == 0) == (hours is not None)
        assert hours is None or list(system.counts.asked.hours) == hours


@pytest.mark.parametrize("day", [20261340, 0])
def test_an_answer_that_counts_nothing_sensible_is_not_taken(cli: Any, system: Any, day: int) -> None:
    system.counts.answer = pb.CountAuditEntriesResponse(counts=[pb.AuditEntryCount(day=day)], group_count=1)
    assert cli("audit", "count", "--by", "day").code == 5
    system.counts.answer = pb.CountAuditEntriesResponse(counts=COUNTS.counts, group_count=1)
    assert cli("audit", "count").code == 5


async def test_counts_asynchronously(system: Any) -> None:
    system.counts.answer = COUNTS
    now = datetime.now(UTC)
    async with system.open_async() as exchange:
        counted = await exchange.audit_count([Dimension.MEMBER], CountFilter(now - timedelta(days=1), now))
    assert [(each.member_id, each.requests) for each in counted.counts] == [("bank-a", 12), ("bank-b", 3)]
    assert (counted.groups, counted.receipt.index) == (5, 0)


# --- Whether the member signed ---------------------------------------------------------------------------------------------------


def test_show_verifies_the_requests_own_signature(cli: Any, system: Any) -> None:
    cli(*QUERY)
    ran = cli("audit", "show", "0")
    keyid = log_pb2.AuditEntry.FromString(system.exchange.log.entries[0].leaf).keyid.hex()
    assert ran.code == 0
    assert f"signature: verified with key {keyid} of bank-a" in ran.out.splitlines()
    assert cli("audit", "show", "0", "--json").json[0]["signature_check"] == {"state": "verified", "detail": ""}


def test_the_registry_is_read_once(system: Any) -> None:
    with system.open() as exchange:
        list(exchange.audit_list())
        for _ in range(3):
            assert exchange.audit_show(0).signature_check.state is SignatureState.VERIFIED
    assert system.methods().count("ListMembers") == 1


def other_request(envelope: log_pb2.Envelope, _: log_pb2.AuditEntry) -> None:
    envelope.signature = bytes(64)


def other_time(envelope: log_pb2.Envelope, _: log_pb2.AuditEntry) -> None:
    created = envelope.signature_params.partition("created=")[2].partition(";")[0]
    envelope.signature_params = envelope.signature_params.replace(created, str(int(created) + 1)).replace(
        f"expires={int(created) + 60}", f"expires={int(created) + 61}"
    )


def other_form(envelope: log_pb2.Envelope, _: log_pb2.AuditEntry) -> None:
    envelope.signature_params += ";tag=2"


def other_key(_: log_pb2.Envelope, entry: log_pb2.AuditEntry) -> None:
    entry.keyid = bytes(32)


def other_method(_: log_pb2.Envelope, entry: log_pb2.AuditEntry) -> None:
    entry.method = "/tallystick.v1.AuditService/ListAuditEntries"


def other_member(_: log_pb2.Envelope, entry: log_pb2.AuditEntry) -> None:
    entry.member_id = "bank-b"


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (other_request, "does not verify"),
        (other_time, "does not verify"),
        (other_form, "no request signature"),
        (other_key, "another key than the entry"),
        (other_method, "does not verify"),
        (other_member, "registered for bank-a"),
    ],
)
def test_an_entry_that_the_member_did_not_sign_is_a_finding(cli: Any, system: Any, forge: Any, says: str) -> None:
    with system.open() as exchange:
        list(exchange.list_submissions())
    forge_entry(system, forge)
    ran = cli("audit", "show", "0")
    assert ran.code == 1
    assert "FALSE SIGNATURE" in ran.out.splitlines()[-1]
    assert says in ran.out.splitlines()[-1]
    as_json = cli("audit", "show", "0", "--json")
    assert (as_json.code, as_json.json[0]["signature_check"]["state"]) == (1, "false")


def test_another_request_than_was_signed_is_a_finding(cli: Any, system: Any) -> None:
    """The envelope names its bytes, the subjects are its own, and the commitment opens: only the signature tells."""
    cli(*QUERY)
    logged = system.exchange.log.entries[0]
    logged.request = logged.request.replace(b"c-1", b"c-2")
    logged.subjects = [(*subject[:3], "c-2") for subject in logged.subjects]
    forge_entry(system)
    ran = cli("audit", "show", "0")
    assert (ran.code, "FALSE SIGNATURE" in ran.out) == (1, True)


def test_what_cannot_be_verified_says_why(cli: Any, system: Any) -> None:
    cli(*QUERY)
    system.exchange.reading.registered_as = ""
    ran = cli("audit", "show", "0")
    assert ran.code == 0
    assert "signature: not verifiable (the server's registry does not show the key)" in ran.out.splitlines()

    def omitted(method: str, answer: Any) -> Any:
        if isinstance(answer, pb.GetAuditEntryResponse):
            answer.request, answer.request_omitted = b"", True
        return answer

    system.exchange.tamper_answer = omitted
    assert "signature: not verifiable (the request is not shown)" in cli("audit", "show", "0").out

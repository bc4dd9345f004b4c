"""The `tallystick` command over the in-memory exchange: results, rejects, exit codes, and one line for whatever goes wrong."""

from __future__ import annotations

import base64
import csv
import io
import json
import signal
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from tests.client.cli.inputs import ACCOUNT, NUMBER, QUERY, accounts_file, applicants_file

from tallystick.client.cli.context import Tool
from tallystick.client.cli.process import Interruptions
from tallystick.client.cli.program import run
from tallystick.client.exceptions import NotAllowed, ProfileError
from tallystick.client.exchange import Exchange
from tallystick.client.flows.reporting import NumberedReports, ReportedBatch, ReportResult
from tallystick.client.protocol.calls import RawFailure
from tallystick.credit.enums import Purpose, ReportOutcome, WithdrawalReason
from tallystick.crypto.identity_documents import DOCUMENTS
from tallystick.v1 import log_pb2


def test_a_file_of_accounts_is_reported_and_rejects_are_named(cli: Any, system: Any, tmp_path: Path) -> None:
    file = accounts_file(tmp_path / "accounts.csv", 30, bad=[3, 7])
    with file.open("a") as opened:
        opened.write("\n" + ACCOUNT.format(number="x" * 30, account="a", currency="CNY", month="2025-09", disposition="N"))
        opened.write("\n" + ACCOUNT.format(number="C1", account="b", currency="CNY", month="2025-09", disposition="8"))
    rejects, receipts = tmp_path / "rejects.csv", tmp_path / "receipts.jsonl"
    ran = cli("report", file, "--rejects", rejects, "--keep-receipts", receipts, "--json")
    assert ran.code == 1
    summary = ran.json[0]
    assert {key: summary[key] for key in ("accounts", "accepted", "superseded", "rejected")} == {
        "accounts": 32,
        "accepted": 28,
        "superseded": 0,
        "rejected": 4,
    }
    assert len(summary["submissions"]) == 1
    with rejects.open() as opened:
        found = {(int(row["row"]), row["field"], row["reason"]) for row in csv.DictReader(opened)}
    assert found == {
        (8, "currency", "CODE_UNKNOWN"),
        (16, "currency", "CODE_UNKNOWN"),
        (62, "id_number", "FIELD_MALFORMED"),
        (63, "disposition", "FIELD_MALFORMED"),
        (63, "id_number", "FIELD_MALFORMED"),
    }
    assert len(receipts.read_text().splitlines()) == 1
    assert receipts.stat().st_mode & 0o077 == 0
    assert cli("audit", "verify", "--receipts", receipts).code == 0


def test_rejects_without_a_file_are_told_and_not_without_end(cli: Any, tmp_path: Path) -> None:
    ran = cli("report", accounts_file(tmp_path / "accounts.csv", 40, bad=range(40)))
    assert ran.code == 1
    assert ran.out == "40 accounts: 0 accepted, 0 superseded, 40 rejected\n"
    assert len(ran.err.splitlines()) == 11
    assert "row 2: currency:" in ran.err
    assert "--rejects" in ran.err


def test_a_good_file_is_exit_code_0(cli: Any, tmp_path: Path) -> None:
    ran = cli("report", accounts_file(tmp_path / "accounts.csv", 3))
    assert (ran.code, ran.out) == (0, "3 accounts: 3 accepted, 0 superseded, 0 rejected\n")


def test_a_query_shows_history_and_decision(cli: Any, system: Any, tmp_path: Path) -> None:
    ran = cli(*QUERY, "--json")
    assert ran.code == 0
    assert ran.json[0]["decision"] == "refer"
    assert ran.json[0]["reasons"][0]["rule"] == "no-record"
    assert ran.json[0]["history"]["outcome"] == "no_record"
    cli("report", accounts_file(tmp_path / "accounts.csv", 1))
    known = ["C01X00000" if argument == NUMBER else argument for argument in QUERY]
    shown = cli(*known)
    assert shown.code == 0
    assert "Decision: approve" in shown.out
    assert "D1 non-revolving loan" in shown.out
    assert "NN" in shown.out
    assert "receipt was verified" in shown.out
    assert "C01X00000" not in shown.out + shown.err


def test_the_number_can_come_from_standard_input(cli: Any, system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NUMBER}\n"))
    assert cli(*["-" if argument == NUMBER else argument for argument in QUERY]).code == 0
    assert len(system.exchange.log.entries) == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_screening_a_file_gives_each_applicant_a_row_in_order(cli: Any, tmp_path: Path, suffix: str) -> None:
    cli("report", accounts_file(tmp_path / "accounts.csv", 300))
    rows = [f"app-{n},person,2,DE,C01X{n:05d},loan_approval,c-{n}" for n in range(500)]
    rows[0] = "app-0,person,2,DE,C01X00000,curiosity,c-0"
    rows[5] = "app-5,person,10,CN,123,loan_approval,c-5"
    rows[6] = "app-6,person,2,DE,C01X00006,loan_approval,"
    rows[499] = "app-499,ghost,2,DE,C01X00006,loan_approval,c"
    out = tmp_path / f"decisions.{suffix}"
    ran = cli("screen", applicants_file(tmp_path / "applicants.csv", rows), "--out", out, "--json")
    assert ran.code == 1
    assert ran.json == [{"applicants": 500, "error": 4, "approve": 297, "refer": 199}] or ran.json[0]["error"] == 4
    if suffix == "csv":
        with out.open() as opened:
            decided = list(csv.DictReader(opened))
    else:
        decided = pyarrow.parquet.read_table(out).to_pylist()
    assert [row["applicant_id"] for row in decided] == [f"app-{n}" for n in range(500)]
    assert [n for n, row in enumerate(decided) if row["outcome"] == "error"] == [0, 5, 6, 499]
    assert [decided[n]["error_field"] for n in (0, 5, 6, 499)] == ["purpose", "id_number", "consent_reference", "id_kind"]
    assert {row["decision"] for row in decided[7:300]} == {"approve"}
    assert {row["rules"] for row in decided[300:499]} == {"no-record"}
    assert {int(row["records"]) for row in decided[7:300]} == {1}
    assert b"C01X" not in out.read_bytes()


def test_withdrawals_and_submissions(cli: Any, tmp_path: Path) -> None:
    cli("report", accounts_file(tmp_path / "accounts.csv", 3, bad=[1]))
    (submission,) = cli("submissions", "--json").json
    assert (submission["accepted_count"], submission["rejected_count"]) == (2, 1)
    shown = cli("submissions", submission["request_id"])
    assert shown.code == 1
    assert "currency" in shown.out
    assert submission["request_id"] in cli("submissions").out
    withdraw = ["withdraw", "--type", "2", "--country", "DE", "--number", "C01X00000", "--account", "acc-0"]
    assert cli(*withdraw, "--reason", "fraud", "--json").json[0]["withdrawn"] is True
    assert "no such account" in cli(*withdraw, "--reason", "fraud").out
    assert cli(*withdraw, "--reason", "boredom").code == 2


def test_the_log_is_listed_shown_and_verified(cli: Any, system: Any) -> None:
    for _ in range(3):
        cli(*QUERY)
    listed = cli("audit", "list", "--type", "2", "--country", "DE", "--number", NUMBER, "--json").json
    assert [entry["consent_reference"] for entry in listed if entry["purpose"] == "loan_approval"] == ["c-1"] * 3
    assert len(cli("audit", "list", "--limit", "2", "--json").json) == 2
    shown = cli("audit", "show", "1", "--json").json[0]
    assert shown["subjects"][0]["consent_reference"] == "c-1"
    assert len(cli("audit", "list", "--token", shown["subjects"][0]["token"], "--json").json) == 4
    assert "open its commitment" in cli("audit", "show", "1").out
    assert cli("audit", "verify").out.endswith("VERIFIED\n")
    system.exchange.log.entries[1].leaf += log_pb2.AuditEntry(member_id="bank-b").SerializeToString()
    ran = cli("audit", "verify")
    assert ran.code == 1
    assert "entry 1: changed" in ran.out
    as_json = cli("audit", "verify", "--json").json[0]
    assert as_json["verified"] is False
    assert as_json["differences"] == [{"kind": "changed", "begin": 1, "end": 2}]
    assert cli("audit", "verify", "--authority", "--no-entries").code == 0
    assert cli("audit", "list", "--token", "zz").code == 2


def test_receipts_are_held_against_the_log_and_a_file_that_proves_nothing_is_the_files_fault(
    cli: Any, system: Any, tmp_path: Path
) -> None:
    receipts = tmp_path / "receipts.jsonl"
    for _ in range(3):
        assert cli(*QUERY, "--keep-receipts", receipts).code == 0
    held = ("audit", "verify", "--no-entries", "--receipts", receipts)
    assert "3 receipts kept" in cli(*held).out
    (system.folder / "state" / "exchange.checkpoint").unlink()
    lost = system.exchange.log.entries.pop()
    ran = cli(*held)
    assert ran.code == 1
    assert ran.out.splitlines()[1:3] == ["2 receipts kept", "entry 2: rolled back"]
    system.exchange.log.entries.append(lost)
    lines = [json.loads(line) for line in receipts.read_text().splitlines()]
    forged = log_pb2.Receipt.FromString(base64.b64decode(lines[1]["receipt"]))
    forged.index = 7
    whole = lines[1]
    lines[1] = {**whole, "receipt": base64.b64encode(forged.SerializeToString()).decode()}
    receipts.write_text("\n".join(map(json.dumps, lines)))
    ran = cli(*held)
    assert (ran.code, ran.out) == (2, "")
    assert f"{receipts}: line 2: this line is damaged" in ran.err
    lines[1] = {name: lines[1][name] for name in ("origin", "receipt")}
    receipts.write_text("\n".join(map(json.dumps, lines)))
    assert f"{receipts}: line 2: this proves nothing" in cli(*held).err
    receipts.write_text("")
    assert (cli(*held).code, f"{receipts}: holds no receipt" in cli(*held).err) == (2, True)


def test_a_receipts_file_that_was_changed_anywhere_is_named(cli: Any, tmp_path: Path) -> None:
    receipts = tmp_path / "receipts.jsonl"
    assert cli(*QUERY, "--keep-receipts", receipts).code == 0
    held = ("audit", "verify", "--no-entries", "--receipts", receipts)
    assert "1 receipt kept" in cli(*held).out
    kept = json.loads(receipts.read_text())
    message = base64.b64decode(kept["receipt"])
    spoilt: list[dict[str, object]] = [{"index": 7}, {"leaf_hash": "00" * 32}, {"create_time": "2020-01-01T00:00:00+00:00"}]
    for place in range(0, len(message), 37):
        flipped = message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]
        spoilt.append({"receipt": base64.b64encode(flipped).decode()})
    for change in spoilt:
        receipts.write_text(json.dumps({**kept, **change}))
        ran = cli(*held)
        assert (ran.code, "line 1" in ran.err) == (2, True), change


def test_the_receipt_of_a_logged_refusal_is_kept_too(cli: Any, system: Any, tmp_path: Path) -> None:
    receipts = tmp_path / "receipts.jsonl"
    refused = cli(*["09" if argument == "02" else argument for argument in QUERY], "--keep-receipts", receipts)
    assert refused.code == 4
    rows = [f"app-{n},person,2,DE,C01X{n:05d},09,c-{n}" for n in range(3)]
    screened = cli("screen", applicants_file(tmp_path / "in.csv", rows), "--out", tmp_path / "out.csv", "--keep-receipts", receipts)
    assert screened.code == 1
    kept = [json.loads(line)["index"] for line in receipts.read_text().splitlines()]
    assert kept == [0, 1]
    assert "2 receipts kept" in cli("audit", "verify", "--no-entries", "--receipts", receipts).out


def test_keys_are_made_and_proved(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "next.key"
    made = cli("key", "new", file, "--json").json[0]
    assert file.stat().st_mode & 0o077 == 0
    proved = cli("key", "prove", file, "--json").json[0]
    assert proved["public_key"] == made["public_key"]
    assert proved["origin"] == "exchange.test/log"
    assert len(proved["endorsement_signature"]) == 128
    assert cli("key", "new", file).code == 2


@pytest.mark.parametrize(
    ("prepare", "code", "says"),
    [
        (lambda system: setattr(system.exchange, "tamper_receipt", lambda _: None), 5, "NOT TRUSTED (ReceiptMissing)"),
        (lambda system: system.exchange.faults.extend([lambda: RawFailure("UNAVAILABLE", "refused\nhere")] * 9), 3, "not reached"),
        (lambda system: (system.folder / "exchange.toml").unlink(), 2, "exchange.toml is missing"),
        (lambda system: (system.folder / "signing.key").write_text("no"), 2, "member.toml: signing_key: signing.key"),
    ],
)
def test_whatever_goes_wrong_is_one_line_and_a_code(cli: Any, system: Any, prepare: Any, code: int, says: str) -> None:
    prepare(system)
    ran = cli(*QUERY)
    assert ran.code == code
    assert ran.out == ""
    assert len(ran.err.splitlines()) == 1
    assert says in ran.err
    assert NUMBER not in ran.err


def test_a_refusal_is_code_4_and_a_wrong_identity_or_command_line_code_2(cli: Any, system: Any) -> None:
    ran = cli(*["09" if argument == "02" else argument for argument in QUERY])
    assert (ran.code, ran.err.startswith("tallystick: refused: PURPOSE_NOT_ALLOWED")) == (4, True)
    ran = cli(*["" if argument == "c-1" else argument for argument in QUERY])
    assert (ran.code, ran.err.startswith("tallystick: consent_reference: is missing")) == (2, True)
    ran = cli(*["" if argument == NUMBER else argument for argument in QUERY])
    assert (ran.code, ran.err) == (2, "tallystick: number: give the document's number\n")
    ran = cli("query")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert cli("report", "/nowhere/accounts.csv").code == 2
    assert cli("submissions", "not-a-uuid").code == 2


@pytest.mark.parametrize(
    ("command", "lists"),
    [
        (["query"], [Purpose, "types"]),
        (["screen"], [Purpose, "types"]),
        (["withdraw"], [WithdrawalReason, "types"]),
        (["audit", "list"], [Purpose, "types"]),
        (["audit", "count"], [Purpose]),
    ],
)
def test_help_lists_the_values_and_what_they_mean(cli: Any, command: list[str], lists: list[Any]) -> None:
    out = cli(*command, "--help").out
    for each in lists:
        if each == "types":
            for document in DOCUMENTS.values():
                assert document.name in out
        else:
            for value in each:
                if value:
                    line = next(line for line in out.splitlines() if value.name.lower() in line.split()[:2])
                    assert len(line.split()) >= 4, "a meaning, not the name alone"


def test_a_refusal_to_read_the_entries_names_the_way_without(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise NotAllowed("the role is not yours", reason="ROLE_MISSING")

    monkeypatch.setattr(Exchange, "audit_verify", refuse)
    ran = cli("audit", "verify")
    assert (ran.code, len(ran.err.splitlines())) == (4, 1)
    assert "--no-entries" in ran.err


def test_an_interrupted_run_is_one_line_that_says_how_far_it_came(
    system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object, batches: Iterable[NumberedReports], *, run: uuid.UUID) -> Iterator[ReportedBatch]:
        number, reports = next(iter(batches))
        yield ReportedBatch(number, tuple(ReportResult(report, ReportOutcome.ACCEPTED) for report in reports))
        raise KeyboardInterrupt

    monkeypatch.setattr(Exchange, "report_batches", interrupted)
    file = accounts_file(tmp_path / "accounts.csv", 2)
    assert run(["report", str(file)], Tool(open_exchange=lambda profile: system.open())) == 130
    told = "tallystick: interrupted; 2 accounts reported before this; go on with the same command and --resume\n"
    assert capsys.readouterr().err == told


def test_the_number_is_asked_for_without_an_echo(cli: Any, system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return NUMBER

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.hidden_prompt_func", answer)
    ran = cli(*["-" if argument == NUMBER else argument for argument in QUERY])
    assert (ran.code, len(asked)) == (0, 1)
    assert len(system.exchange.log.entries) == 1


def test_a_key_is_proved_before_the_operators_have_told_their_keys(system: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (system.folder / "exchange.toml").write_text('origin = "exchange.test/log"\n')
    assert run(["--profile", str(system.folder), "key", "prove", str(system.folder / "signing.key")]) == 0
    assert "endorsement: none" in capsys.readouterr().out


def test_a_fault_of_the_program_is_told_without_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: Path | None) -> Any:
        raise ZeroDivisionError

    assert run(QUERY, Tool(open_exchange=fail)) == 70
    captured = capsys.readouterr()
    assert "ZeroDivisionError" in captured.err
    assert len(captured.err.splitlines()) == 1


def test_interruption_and_a_missing_profile(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Path | None) -> Any:
        raise KeyboardInterrupt

    monkeypatch.delenv("TALLYSTICK_PROFILE", raising=False)
    assert run(QUERY, Tool(open_exchange=interrupted)) == 130
    assert run(QUERY) == 2
    assert "TALLYSTICK_PROFILE" in capsys.readouterr().err


def test_the_profile_can_be_named_before_or_after_the_command(tmp_path: Path) -> None:
    seen: list[Path | None] = []

    def note(profile: Path | None) -> Any:
        seen.append(profile)
        raise ProfileError("enough")

    run(["--profile", str(tmp_path), *QUERY], Tool(open_exchange=note))
    run([*QUERY, "--profile", str(tmp_path)], Tool(open_exchange=note))
    assert seen == [tmp_path, tmp_path]


def test_the_name_alone_shows_what_there_is(cli: Any) -> None:
    ran = cli()
    assert (ran.code, ran.err) == (0, "")
    assert "Commands:" in ran.out


def test_what_fails_after_ctrl_c_is_its_doing(system: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """As when it comes in the middle of an import: Python makes an ImportError of it."""

    def fail(_profile: Path | None) -> Exchange:
        raise ImportError("a part of it is missing")

    before = signal.getsignal(signal.SIGINT)
    interruptions = Interruptions()
    signal.signal(signal.SIGINT, interruptions)
    try:
        assert run(["submissions"], Tool(open_exchange=fail)) == 70
        interruptions.begun()
        assert run(["submissions"], Tool(open_exchange=fail)) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.splitlines()[-1] == "tallystick: interrupted"

"""Runs over a file that end early, by whatever: what is under way is collected and counted, what is said to be saved is on disk,
and another run goes on so that every row has its effect once, and its receipt."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli.conftest import Ran
from tests.client.cli.inputs import accounts_file, applicants_file

from tallystick.client import FileInvalid, Options, Profile
from tallystick.client.cli import runs
from tallystick.client.cli.context import ReceiptFile, Tool
from tallystick.client.cli.program import run
from tallystick.client.cli.runs import Run
from tallystick.crypto import account_reference
from tallystick.v1 import reporting_service_pb2

ACCOUNTS = 3_500
PERSONS = 140
"""So few, because a token takes a while to make."""
BAD = [7, 1_200, 3_400]
REJECTED_HERE = [3, 2_999]
APPLICANTS = 900


@pytest.fixture
def cli(system: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line, with one batch under way at once."""

    def call(*arguments: str | Path) -> Ran:
        tool = Tool(open_exchange=lambda profile: system.open(Options(in_flight=1)), profile=system.folder)
        code = run([str(argument) for argument in arguments], tool)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


def accounts(tmp_path: Path) -> Path:
    """A file in four batches, with rows that the exchange rejects and rows that are rejected here."""
    file = accounts_file(tmp_path / "accounts.csv", ACCOUNTS, BAD, persons=PERSONS)
    lines = file.read_text().split("\n")
    for number in REJECTED_HERE:
        lines[1 + 2 * number] = lines[1 + 2 * number].replace("2025-09-30T00:00:00Z", "yesterday")
    file.write_text("\n".join(lines))
    return file


def applicants(tmp_path: Path) -> Path:
    rows = [f"app-{n},person,2,DE,C01X{n:05d},loan_approval,c-{n}" for n in range(APPLICANTS)]
    rows[450] = "app-450,person,2,DE,C01X00450,curiosity,c-450"
    return applicants_file(tmp_path / "applicants.csv", rows)


def after_batches(system: Any, monkeypatch: pytest.MonkeyPatch, count: int, act: Callable[[], None]) -> None:
    """Does something once so many batches are done."""
    original = Run.batch_done

    def batch_done(self: Run, items: int, output_bytes: int = 0) -> None:
        original(self, items, output_bytes)
        if self.progress.batches == count:
            act()

    monkeypatch.setattr(runs.Run, "batch_done", batch_done)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail() -> None:
    raise RuntimeError("as a crash between two statements would")


def check_reported(tmp_path: Path, ran: Any, system: Any) -> None:
    """Every account counted and reported once, every reject named once and in order, a receipt for every submission."""
    summary = json.loads(ran.out.splitlines()[-1])
    assert (summary["accounts"], summary["rejected"], summary["superseded"]) == (ACCOUNTS, 5, 0)
    assert (summary["accepted"], summary["complete"]) == (ACCOUNTS - 5, True)
    assert len(summary["submissions"]) == len(set(summary["submissions"])) == 4
    assert len(system.submissions) == 4
    with (tmp_path / "rejects.csv").open() as opened:
        rows = [int(row["row"]) for row in csv.DictReader(opened)]
    # Of those that were rejected here the second row is named too: it differs from the first.
    assert rows == [8, 9, 16, 2402, 6000, 6001, 6802]
    entries = {json.loads(line)["receipt"] for line in (tmp_path / "receipts").read_text().splitlines()}
    assert len(entries) >= 4
    assert not list((system.folder / "state" / "runs").iterdir())


def report(cli: Any, tmp_path: Path, *more: str) -> Any:
    file = tmp_path / "accounts.csv"
    return cli("report", file, "--rejects", tmp_path / "rejects.csv", "--keep-receipts", tmp_path / "receipts", "--json", *more)


@pytest.mark.parametrize("batches", [1, 2, 3])
@pytest.mark.parametrize("act", [interrupt, fail])
def test_a_report_that_ended_is_gone_on_with(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int, act: Callable[[], None]
) -> None:
    accounts(tmp_path)
    after_batches(system, monkeypatch, batches, act)
    ended = report(cli, tmp_path)
    if act is interrupt:
        assert ended.code == 130
        summary = json.loads(ended.out.splitlines()[-1])
        assert (summary["complete"], summary["accounts"] < ACCOUNTS) == (False, True)
        assert summary["accounts"] >= batches * 1_000
        assert "--resume" in ended.err
    else:
        assert ended.code == 70
    assert stat.S_IMODE((tmp_path / "receipts").stat().st_mode) == 0o600
    monkeypatch.undo()
    check_reported(tmp_path, report(cli, tmp_path, "--resume"), system)


def test_what_was_done_after_the_progress_was_kept_is_done_again_without_a_second_effect(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill: the batch was answered, its rejects and receipt are written, and nothing says so."""
    accounts(tmp_path)

    kept = Run.batch_done

    def never_kept(self: Run, items: int, output_bytes: int = 0) -> None:
        if self.progress.batches == 1:
            fail()
        kept(self, items, output_bytes)

    monkeypatch.setattr(runs.Run, "batch_done", never_kept)
    assert report(cli, tmp_path).code == 70
    monkeypatch.undo()
    check_reported(tmp_path, report(cli, tmp_path, "--resume"), system)


def test_what_was_sent_before_anything_was_counted_is_sent_again_as_the_same(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill in the middle of the first batch: the exchange has it, and nothing here says so."""
    accounts(tmp_path)
    monkeypatch.setattr(runs.Run, "batch_done", lambda *_: fail())
    ended = report(cli, tmp_path)
    assert (ended.code, "--resume" in ended.err) == (70, True)
    monkeypatch.undo()
    check_reported(tmp_path, report(cli, tmp_path, "--resume"), system)


def test_a_report_that_was_not_answered_is_gone_on_with(cli: Any, system: Any, tmp_path: Path) -> None:
    accounts(tmp_path)
    calls = [0]

    def refuse(method: str, request: Any) -> None:
        calls[0] += method == "SubmitReports"
        if method == "SubmitReports" and calls[0] > 2:
            raise system.refusal("UNAVAILABLE", "DATABASE_UNAVAILABLE", logged=False)

    system.exchange.refuse = refuse
    ended = report(cli, tmp_path)
    assert ended.code == 3
    assert "--resume" in ended.err
    system.exchange.refuse = None
    check_reported(tmp_path, report(cli, tmp_path, "--resume"), system)


@pytest.mark.parametrize("what", ["receipts", "rejects", "progress"])
def test_a_full_disk_ends_a_report_that_is_gone_on_with(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    accounts(tmp_path)
    full = OSError(28, "No space left on device")
    written = [0]
    targets = {"receipts": (ReceiptFile, "keep"), "rejects": (runs.Run, "batch_done"), "progress": (Path, "replace")}
    owner, name = targets[what]
    original = getattr(owner, name)

    def no_room(self: Any, *arguments: Any, **options: Any) -> Any:
        written[0] += 1
        if written[0] > (2_500 if what == "receipts" else 2):
            raise full if what == "progress" else FileInvalid(f"{what}: cannot be written: {full.strerror}")
        return original(self, *arguments, **options)

    monkeypatch.setattr(owner, name, no_room)
    ended = report(cli, tmp_path)
    assert (ended.code, "No space left" in ended.err, "--resume" in ended.err) == (2, True, True)
    monkeypatch.undo()
    check_reported(tmp_path, report(cli, tmp_path, "--resume"), system)


def test_a_run_of_another_file_is_not_gone_on_with(cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = accounts(tmp_path)
    assert (cli("report", file, "--resume").code, "no run" in cli("report", file, "--resume").err) == (2, True)
    after_batches(system, monkeypatch, 1, interrupt)
    assert report(cli, tmp_path).code == 130
    monkeypatch.undo()
    again = report(cli, tmp_path, "--amounts", "major", "--resume")
    assert (again.code, "was with no --amounts: give the same" in again.err) == (2, True)
    # The receipts until then are in another file than those from then on would be, or are not kept at all.
    for other in ([], ["--keep-receipts", tmp_path / "other"]):
        again = cli("report", file, "--rejects", tmp_path / "rejects.csv", *other, "--resume")
        assert (again.code, f"was with --keep-receipts {tmp_path / 'receipts'}: give the same" in again.err) == (2, True)
    before = file.read_text()
    file.write_text(before.replace("acc-17", "acc-x17"))
    changed = report(cli, tmp_path, "--resume")
    assert (changed.code, "is not what it was when the run began that ended early after" in changed.err) == (2, True)
    anew = report(cli, tmp_path)
    assert json.loads(anew.out.splitlines()[-1])["accounts"] == ACCOUNTS


def test_the_same_file_written_again_is_gone_on_with(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = accounts(tmp_path)
    after_batches(system, monkeypatch, 1, interrupt)
    assert report(cli, tmp_path).code == 130
    monkeypatch.undo()
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    check_reported(tmp_path, report(cli, Path(), "--resume"), system)


def test_another_output_is_named(cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = applicants(tmp_path)
    after_batches(system, monkeypatch, 1, interrupt)
    assert cli("screen", file, "--out", tmp_path / "one.csv").code == 130
    monkeypatch.undo()
    other = cli("screen", file, "--out", tmp_path / "two.csv", "--resume")
    assert (other.code, f"was with --out {tmp_path / 'one.csv'}: give the same" in other.err) == (2, True)
    spoken = cli("screen", file, "--out", tmp_path / "one.csv", "--resume", "--language", "zh")
    assert (spoken.code, "--language" in spoken.err) == (2, True)
    assert cli("screen", file, "--out", tmp_path / "one.csv", "--resume").code == 1


def test_a_connection_that_stays_away_leaves_a_summary(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(tmp_path)
    after_batches(system, monkeypatch, 2, system.memory.unreachable)
    ended = report(cli, tmp_path)
    assert (ended.code, "go on with the same command and --resume" in ended.err) == (3, True)
    summary = json.loads(ended.out.splitlines()[-1])
    assert (summary["complete"], summary["accounts"] >= 2_000, summary["accepted"] > 1_900) == (False, True, True)
    monkeypatch.undo()
    system.memory.mend()
    check_reported(tmp_path, report(cli, tmp_path, "--resume"), system)


def test_a_refusal_before_anything_was_done_is_nothing_to_go_on_with(cli: Any, system: Any, tmp_path: Path) -> None:
    accounts(tmp_path)
    system.memory.refuse("ROLE_MISSING")
    refused = report(cli, tmp_path)
    assert (refused.code, "--resume" in refused.err, refused.out) == (4, False, "")


def test_beginning_anew_says_that_there_was_a_run_to_go_on_with(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(tmp_path)
    after_batches(system, monkeypatch, 1, interrupt)
    assert report(cli, tmp_path).code == 130
    monkeypatch.undo()
    anew = report(cli, tmp_path)
    assert "--resume goes on from there" in anew.err
    summary = json.loads(anew.out.splitlines()[-1])
    assert (summary["accounts"], summary["rejected"]) == (ACCOUNTS, 5)


@pytest.mark.parametrize("act", [interrupt, fail])
def test_a_screening_that_ended_is_gone_on_with(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
) -> None:
    file, out = applicants(tmp_path), tmp_path / "decisions.csv"
    after_batches(system, monkeypatch, 2, act)
    ended = cli("screen", file, "--out", out)
    assert ended.code in (130, 70)
    assert "decisions.partial.csv" in ended.err
    assert not out.exists()
    monkeypatch.undo()
    resumed = cli("screen", file, "--out", out, "--resume")
    assert (resumed.code, resumed.out.split(":")[0]) == (1, f"{APPLICANTS} applicants")
    with out.open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["applicant_id"] for row in rows] == [f"app-{n}" for n in range(APPLICANTS)]
    assert [row["error_field"] for row in rows if row["outcome"] == "error"] == ["purpose"]


def test_only_csv_can_be_gone_on_with(cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, out = applicants(tmp_path), tmp_path / "decisions.parquet"
    after_batches(system, monkeypatch, 1, interrupt)
    assert cli("screen", file, "--out", out).code == 130
    monkeypatch.undo()
    refused = cli("screen", file, "--out", out, "--resume")
    assert (refused.code, "only a CSV file" in refused.err) == (2, True)
    assert cli("screen", file, "--out", out).code == 1


def test_a_second_interruption_stops_at_once_and_a_third_tears_nothing_up(
    cli: Any, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(tmp_path)

    def thrice() -> None:
        interrupt()
        try:
            interrupt()
        finally:
            interrupt()

    after_batches(system, monkeypatch, 1, thrice)
    ended = report(cli, tmp_path)
    assert (ended.code, "Traceback" in ended.err) == (130, False)
    monkeypatch.undo()
    check_reported(tmp_path, report(cli, tmp_path, "--resume"), system)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_standard_input_is_a_file_too(cli: Any, tmp_path: Path) -> None:
    file = accounts_file(tmp_path / "accounts.csv", 3)
    kept, opened = os.dup(0), os.open(file, os.O_RDONLY)
    try:
        os.dup2(opened, 0)
        ran = cli("report", "-", "--json")
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(opened)
    assert (ran.code, ran.json[0]["accounts"]) == (0, 3)


@pytest.mark.parametrize("good_every", [2, 5, 2_001, 10_000])
def test_a_file_of_nearly_nothing_but_rejects_is_counted_to_its_end(cli: Any, tmp_path: Path, good_every: int) -> None:
    """More of them stand between two batches than go with one."""
    count = 4_500
    file = accounts_file(tmp_path / "accounts.csv", count, persons=PERSONS)
    header, *rows = file.read_text().split("\n")
    good_ones = set(range(good_every - 1, count, good_every))
    lines = [row if number in good_ones else row.replace("2025-09-30T", "x") for number, row in enumerate(rows[::2])]
    file.write_text("\n".join([header, *lines]))
    ran = cli("report", file, "--rejects", tmp_path / "rejects.csv", "--json")
    good = len(good_ones)
    assert (ran.json[-1]["accounts"], ran.json[-1]["accepted"], ran.json[-1]["rejected"]) == (count, good, count - good)
    with (tmp_path / "rejects.csv").open() as opened:
        named = [int(row["row"]) for row in csv.DictReader(opened)]
    assert named == [number + 2 for number in range(count) if number not in good_ones]


def test_what_was_reported_under_another_spelling_is_taken_back(cli: Any, system: Any, tmp_path: Path) -> None:
    """As an earlier version reported it: by its number exactly as spelled."""
    file = accounts_file(tmp_path / "accounts.csv", 2)
    file.write_text(file.read_text().replace("acc-", "ACC 0"))
    assert cli("report", file, "--withdraw-former", "--keep-receipts", tmp_path / "receipts").code == 0
    assert system.methods().count("WithdrawAccount") == 2
    references = [request.account_reference for request in withdrawals(system)]
    secret = Profile.load(system.folder).account_secret
    assert secret is not None
    assert [each.digest for each in references] == [account_reference(secret, f"ACC 0{n}")[1] for n in range(2)]
    # What is spelled as it is referred to has no other.
    plain = accounts_file(tmp_path / "plain.csv", 2)
    plain.write_text(plain.read_text().replace("acc-", "ACC-"))
    assert cli("report", plain, "--withdraw-former").code == 0
    assert system.methods().count("WithdrawAccount") == 2


def withdrawals(system: Any) -> list[reporting_service_pb2.WithdrawAccountRequest]:
    sent = [message for path, message, _ in system.exchange.calls if path.endswith("WithdrawAccount")]
    return [reporting_service_pb2.WithdrawAccountRequest.FromString(message) for message in sent]

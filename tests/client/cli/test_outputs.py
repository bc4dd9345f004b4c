"""Outputs of the `tallystick` command: files that are not overwritten, lists that are cut, streams that close."""

from __future__ import annotations

import csv
import errno
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.client.cli.inputs import QUERY, accounts_file, applicants_file

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool
from tallystick.client.cli.parameters import moment
from tallystick.client.cli.program import run
from tallystick.client.files.reading import TableReader
from tallystick.client.files.tables import TableWriter


@pytest.mark.parametrize("name", ["applicants.csv", "link.csv", "applicants.partial.csv"])
def test_an_output_that_is_the_input_is_refused_before_anything_is_opened(cli: Any, system: Any, tmp_path: Path, name: str) -> None:
    stem = "applicants.partial.csv" if name == "applicants.partial.csv" else "applicants.csv"
    file = applicants_file(tmp_path / stem, ["app-0,person,2,DE,C01X00000,loan_approval,c-0"])
    (tmp_path / "link.csv").symlink_to(file)
    before = file.read_bytes()
    out = tmp_path / ("applicants.csv" if name == "applicants.partial.csv" else name)
    ran = cli("screen", file, "--out", out)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "same file" in ran.err
    assert file.read_bytes() == before
    assert system.exchange.log.entries == []


def test_receipts_and_rejects_are_files_of_their_own(cli: Any, tmp_path: Path) -> None:
    file = accounts_file(tmp_path / "accounts.csv", 2)
    before = file.read_bytes()
    for arguments in (
        ["--rejects", file],
        ["--keep-receipts", file],
        ["--rejects", tmp_path / "r", "--keep-receipts", tmp_path / "r"],
    ):
        ran = cli("report", file, *arguments)
        assert (ran.code, "same file" in ran.err) == (2, True)
    assert file.read_bytes() == before
    assert not (tmp_path / "r").exists()
    assert cli("report", file, "--rejects", "/dev/null", "--keep-receipts", "/dev/null").code == 0


def test_a_run_that_fails_keeps_the_earlier_output_and_says_where_its_own_rows_are(cli: Any, system: Any, tmp_path: Path) -> None:
    rows = [f"app-{n},person,2,DE,C01X{n:05d},loan_approval,c-{n}" for n in range(1000)]
    file, out = applicants_file(tmp_path / "applicants.csv", rows), tmp_path / "decisions.csv"
    assert cli("screen", file, "--out", out).code == 0
    out.chmod(0o600)
    before, partial = out.read_bytes(), tmp_path / "decisions.partial.csv"
    assert not partial.exists()

    def refuse(method: str, request: Any) -> None:
        # By what it asks: batches under way arrive in any order.
        if method == "BatchQueryCreditHistories" and int(request.inquiries[0].consent_reference.removeprefix("c-")) >= 400:
            raise system.refusal("PERMISSION_DENIED", "PURPOSE_NOT_ALLOWED")

    system.exchange.refuse = refuse
    ran = cli("screen", file, "--out", out)
    system.exchange.refuse = None
    assert (ran.code, len(ran.err.splitlines())) == (4, 1)
    assert str(partial) in ran.err
    assert out.read_bytes() == before
    with partial.open() as opened:
        rows_left = [row["applicant_id"] for row in csv.DictReader(opened)]
    assert rows_left == [f"app-{n}" for n in range(len(rows_left))] != []
    assert f"the {len(rows_left)} rows until then" in ran.err
    assert partial.stat().st_mode & 0o077 == 0
    system.exchange.tamper_receipt = lambda _: None
    assert cli("screen", file, "--out", out).code == 5
    assert out.read_bytes() == before
    assert not partial.exists(), "nothing was written that anybody could want"


def test_a_list_that_is_cut_says_so(cli: Any) -> None:
    for _ in range(3):
        cli(*QUERY)
    cut = cli("audit", "list", "--limit", "2")
    assert cut.out.splitlines()[-1] == "there are more: raise --limit"
    assert "raise --limit" not in cli("audit", "list", "--limit", "100").out
    as_json = cli("audit", "list", "--limit", "2", "--json")
    assert (len(as_json.json), as_json.err) == (2, "there are more: raise --limit\n")
    assert cli("submissions").out == "Submissions: none\n"


@pytest.mark.parametrize("arguments", [["audit", "list", "--json"], ["audit", "list"], ["audit", "show", "0", "--json"]])
def test_a_closed_output_is_no_failure_and_a_full_one_is_named(
    cli: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    class Broken(io.StringIO):
        def __init__(self, error: OSError) -> None:
            super().__init__()
            self.error = error

        def write(self, _: str) -> int:
            raise self.error

    cli(*QUERY)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Broken(BrokenPipeError(errno.EPIPE, "Broken pipe")))
        ran = cli(*arguments)
        assert (ran.code, ran.err) == (141, "")
        patched.setattr("sys.stdout", Broken(OSError(errno.ENOSPC, "No space left on device")))
        ran = cli(*arguments)
        assert (ran.code, ran.err) == (2, "tallystick: standard output: No space left on device\n")


def test_a_narrow_screen_gets_whole_words_and_figures() -> None:
    written = io.StringIO()
    console = Console(file=written, width=60)
    console.print(output.table("Entries", ("at", "token"), [("2026-11-22T01:31:20+00:00", "ab" * 32)]))
    assert "at: 2026-11-22T01:31:20+00:00\n" in written.getvalue()
    assert "ab" * 32 in written.getvalue().replace("\n", "")


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [20, 40, 80, None])
def test_no_value_of_an_entry_is_cut(system: Any, cli: Any, width: int | None, terminal: bool) -> None:
    cli(*QUERY)
    written = io.StringIO()
    results = Console(file=written, width=width, force_terminal=terminal, highlight=False, color_system=None)
    tool = Tool(open_exchange=lambda profile: system.open(), profile=system.folder, results=results)
    assert run(["audit", "show", "0"], tool) == 0
    with system.open() as exchange:
        opened = exchange.audit_show(0)
    shown = "".join(written.getvalue().split())
    for value in (opened.signature.hex(), opened.request_digest.hex(), opened.entry.keyid.hex(), opened.signature_params):
        assert "".join(value.split()) in shown
    assert "VERIFIED" in shown


def test_what_is_saved_has_each_value_in_one_line(cli: Any, system: Any) -> None:
    cli(*QUERY)
    saved = cli("audit", "show", "0")
    with system.open() as exchange:
        opened = exchange.audit_show(0)
    assert f"signature: {opened.signature.hex()}" in saved.out.splitlines()
    assert saved.out.splitlines()[-1].startswith("VERIFIED")
    assert saved.err == ""


@pytest.mark.parametrize("text", ["\u202egnp.exe", "\x9b31m", "\x85", "\u2028", "\U000e0001", "\x1b[2J", "\ufeff", "中文 é 😀"])
def test_json_holds_nothing_that_steers_a_terminal(capsys: pytest.CaptureFixture[str], text: str) -> None:
    output.write_json({"consent": text})
    line = capsys.readouterr().out.removesuffix("\n")
    assert line.isprintable()
    assert json.loads(line) == {"consent": text}
    if text.isprintable():
        assert text in line


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "＝", "'=", "''@"])
def test_no_cell_of_a_written_file_is_a_formula(tmp_path: Path, start: str) -> None:
    text, path = f"{start}HYPERLINK(1)", tmp_path / "out.csv"
    with TableWriter(path, ("name", "count"), ("count",)) as writer:
        writer.write((text, -3))
    with path.open(newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))[1]
    assert cells == [f"'{text.strip()}", "-3"]
    assert [row for _, row in TableReader(path, ("name", "count"), ())] == [[text.strip(), "-3"]]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-01", "2026-10-31T16:00:00+00:00"),
        ("2026-11-01T08:30", "2026-11-01T00:30:00+00:00"),
        ("2026-11-01T08:30:00.25Z", "2026-11-01T08:30:00.250000+00:00"),
        ("2026-11-01T08:30:00-05:00", "2026-11-01T13:30:00+00:00"),
    ],
)
def test_a_period_is_given_in_days_or_instants(monkeypatch: pytest.MonkeyPatch, text: str, meant: str) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert moment(text).isoformat() == meant
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9999-12-31T23:59:59-12:00"])
def test_what_is_no_day_is_refused(cli: Any, text: str) -> None:
    ran = cli("audit", "list", "--from", text)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)

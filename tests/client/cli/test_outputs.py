"""Outputs of the `tallystick` command: files that are not overwritten, lists that are cut, streams that close."""

from __future__ import annotations

import csv
import errno
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.client.cli.inputs import QUERY, accounts_file, applicants_file

from tallystick.client.cli import output


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
    assert system.exchange.log == []


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
    with file.open("ab") as opened:
        opened.write(b"\nwhat,is,this")
    ran = cli("screen", file, "--out", out)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "row 1002 has 3 cells" in ran.err
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
    assert "raise --limit" in cli("audit", "list", "--limit", "2").err
    assert cli("audit", "list", "--limit", "100").err == ""
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

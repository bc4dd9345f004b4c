"""`tallystick analyse`: a page or figures of a bank's own book, without a profile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.client.analysis.books import account, write

from tallystick.client.cli.program import run


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return write(tmp_path / "book.csv", [*account("1", "NN1", balance=500), *account("2", "N12", balance=700)])


def test_it_writes_a_page(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyse", str(book), "--out", str(tmp_path / "page.html"), "--language", "zh"]) == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.startswith('<!DOCTYPE html>\n<html lang="zh-CN">')
    assert capsys.readouterr().err == "2 accounts in 6 rows of the book, as of 2025-09-30; rows left out: none\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["book.csv", "page.html"]


def test_it_prints_figures(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyse", str(book), "--json", "--as-of", "2025-08-31"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["as_of"], found["accounts"], found["reading"]["later"]) == ("2025-08-31", 2, 2)
    assert found["by_month"][-1] == {
        "month": "2025-08-01",
        "share": {"live": 2, "overdue": 1, "over_30_days": 0, "over_90_days": 0},
        "became_bad": 0,
    }


def test_bad_rows_are_told_and_the_page_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "book.csv", [*account("1", "N"), *account("2", "X"), *account("3", "N", currency="??")])
    assert run(["analyse", str(path), "--json"]) == 1
    captured = capsys.readouterr()
    disposition, currency, counted = captured.err.splitlines()
    assert disposition.startswith("row 3: disposition: must be one of the trade's codes")
    assert currency.startswith("row 4: currency: must be the ISO 4217 code")
    assert counted == "1 account in 3 rows of the book, as of 2025-09-30; rows left out: 2 cannot be read"
    reading = json.loads(captured.out)["reading"]
    assert reading["first"] == [
        {"row": 3, "column": "disposition", "fault": "disposition"},
        {"row": 4, "column": "currency", "fault": "currency"},
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give --out FILE, or --json for the figures alone"),
        (["--json", "--out", "page.html"], "--json prints the figures instead of a page"),
        (["--out", "page.csv"], "the page is HTML: give it a name that ends in .html"),
        (["--json", "--as-of", "tomorrow"], "must be a day such as 2025-09-03"),
        (["--out", "page.html", "--language", "de"], "'de' is not one of 'en', 'zh'"),
    ],
)
def test_wrong_usage(book: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert run(["analyse", str(book), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_a_book_in_which_no_account_counts_gives_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for at in range(25) for row in account(f"{at}", "N", currency="??")]
    path = write(tmp_path / "book.csv", rows)
    for options in (["--out", str(tmp_path / "page.html")], ["--json"]):
        assert run(["analyse", str(path), *options]) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert [line.split(":")[0] for line in lines[:20]] == [f"row {row}" for row in range(2, 22)]
        assert lines[20] == "5 more rows cannot be read"
        assert lines[-1] == f"tallystick: {path}: not one account counts, so there is nothing to show"
        assert captured.out == ""
    # Every account was opened after the day.
    young = write(tmp_path / "young.csv", account("1", "N", opened_date="2025-09-02"))
    assert run(["analyse", str(young), "--json", "--as-of", "2025-08-31"]) == 2
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".html"] == []


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04xl/")
    assert run(["analyse", str(tmp_path / "book.csv"), "--out", str(tmp_path / "page.html")]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"tallystick: {tmp_path}/book.csv: is a workbook of Excel (.xlsx): save it as CSV or Parquet\n"
    assert not (tmp_path / "page.html").exists()


def test_the_page_is_never_written_over_the_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "book.html", account("1", "N"))
    assert run(["analyse", str(path), "--out", str(path)]) == 2
    assert "nothing was read or written" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_ended_leaves_no_copy_of_the_book(tmp_path: Path, number: signal.Signals) -> None:
    """A pipe that does not end keeps the book's copy open."""
    place = tmp_path / "temporary"
    place.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tallystick.client.cli", "analyse", "-", "--json"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(place)},
    )
    try:
        assert process.stdin is not None
        # The header alone, so that it waits for rows.
        process.stdin.write(b"account_number,as_of,account_type,status,currency,opened_date,month,disposition\n")
        process.stdin.flush()
        until = time.monotonic() + 60
        while not list(place.glob("tallystick-*/book.duckdb")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(number)
        assert process.stderr is not None
        errors = process.stderr.read()
        assert (process.wait(60), errors) == (130, b"tallystick: interrupted\n")
    finally:
        process.kill()
        process.communicate()
    assert list(place.iterdir()) == []

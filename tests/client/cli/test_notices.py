"""The notices that are due, from a file of the bank's own book."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

HEADER = "account_number,next_due_date,amount_due,currency,overdue_since,reported_overdue,notice_date,cured_date,plan_end_date"
BOOK = f"""{HEADER}
A-1,2026-03-13,120000,CNY,,,,,
A-2,2026-03-10,5000,JPY,,,,,
A-3,,,,2026-03-10,no,,,
A-4,,,,2026-03-01,yes,,,
A-5,,,,2026-03-01,no,2026-03-02,,
A-6,,,,,,,2026-03-10,2026-03-17
A-7,,,,,,,,
"""


def book(folder: Path, text: str = BOOK) -> Path:
    path = folder / "book.csv"
    path.write_text(text, "utf-8")
    return path


def test_the_notices_of_a_day_are_printed(cli: Any, tmp_path: Path) -> None:
    ran = cli("notices", book(tmp_path), "--day", "2026-03-10")
    assert (ran.code, ran.out.splitlines()) == (
        0,
        [
            "A-1 due_soon 2026-03-10 2026-03-13 120000 CNY",
            "A-2 due_today 2026-03-10 2026-03-10 5000 JPY",
            "A-3 overdue 2026-03-10 2026-03-10",
            "A-3 before_record 2026-03-10 2026-03-10",
            "A-6 cured 2026-03-10 2026-03-10",
            "A-6 plan_ends 2026-03-10 2026-03-17",
        ],
    )
    assert "7 rows of the book, 0 that cannot be read; 6 notices: 1 before_record, 1 cured" in ran.err


def test_or_written_to_a_file(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "due.parquet"
    assert cli("notices", book(tmp_path), "--day", "2026-03-10", "--out", out).code == 0
    rows = pyarrow.parquet.read_table(out).to_pylist()
    assert [(row["account_number"], row["kind"], row["amount_due"]) for row in rows][:3] == [
        ("A-1", "due_soon", 120000),
        ("A-2", "due_today", 5000),
        ("A-3", "overdue", None),
    ]
    assert cli("notices", tmp_path / "book.csv", "--day", "2026-03-10", "--out", tmp_path / "book.csv").code == 2


def test_or_as_json(cli: Any, tmp_path: Path) -> None:
    ran = cli("notices", book(tmp_path), "--day", "2026-03-10", "--json")
    first = json.loads(ran.out.splitlines()[0])
    told = [first[name] for name in ("account_number", "kind", "about", "amount_due")]
    assert told == ["A-1", "due_soon", "2026-03-13", 120000]


def test_amounts_of_the_major_unit_by_their_currency(cli: Any, tmp_path: Path) -> None:
    text = f"{HEADER}\nA-1,2026-03-13,1200.50,CNY,,,,,\nA-2,2026-03-13,500,JPY,,,,,\n"
    path = book(tmp_path, text)
    ran = cli("notices", path, "--day", "2026-03-10")
    assert (ran.code, "have decimals" in ran.err) == (2, True)
    ran = cli("notices", path, "--day", "2026-03-10", "--amounts", "major")
    assert [line.split()[-2] for line in ran.out.splitlines()] == ["120050", "500"]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("A-1,2026-02-30,,,,,,,", "next_due_date"),
        ("A-1,,,,20.3.2026,,,,", "overdue_since"),
        ("A-1,,,,,perhaps,,,", "reported_overdue"),
        ("A-1,2026-03-13,100,QQQ,,,,,", "currency"),
        ("A-1,2026-03-13,100,,,,,,", "currency"),
        ("A-1,2026-03-13,much,CNY,,,,,", "amount_due"),
        (",2026-03-13,,,,,,,", "account_number"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_read(cli: Any, tmp_path: Path, row: str, column: str) -> None:
    ran = cli("notices", book(tmp_path, f"{HEADER}\n{row}\nA-2,2026-03-13,,,,,,,\n"), "--day", "2026-03-10")
    assert (ran.code, ran.out) == (1, "A-2 due_soon 2026-03-10 2026-03-13\n")
    assert f"row 2: {column}: " in ran.err
    assert "2 rows of the book, 1 that cannot be read" in ran.err


def test_of_many_rows_that_cannot_be_read_the_first_are_told(cli: Any, tmp_path: Path) -> None:
    ran = cli("notices", book(tmp_path, HEADER + "\nA-1,never,,,,,,," * 12 + "\n"), "--day", "2026-03-10")
    assert (ran.code, ran.err.count("next_due_date: "), ran.err.count("there is more")) == (1, 10, 1)
    assert "12 rows of the book, 12 that cannot be read" in ran.err


def test_a_number_that_a_spreadsheet_has_spoilt_is_none(cli: Any, tmp_path: Path) -> None:
    ran = cli("notices", book(tmp_path, f"{HEADER}\n6.22E+15,2026-03-13,,,,,,,\n"), "--day", "2026-03-10")
    assert (ran.code, "row 2: account_number: " in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [(f"{HEADER}\n", "no row"), ("next_due_date\n2026-03-13\n", "account_number"), ("account_number,due\nA-1,2026-03-13\n", "due")],
)
def test_a_file_that_is_no_book(cli: Any, tmp_path: Path, text: str, told: str) -> None:
    ran = cli("notices", book(tmp_path, text), "--day", "2026-03-10")
    assert (ran.code, told in ran.err, ran.out) == (2, True, "")


def test_a_day_that_is_none(cli: Any, tmp_path: Path) -> None:
    ran = cli("notices", book(tmp_path), "--day", "2026-02-30")
    assert (ran.code, "must be a day such as" in ran.err) == (2, True)


def test_a_plan_that_is_not_reported(cli: Any, tmp_path: Path) -> None:
    text = "account_number,plan_agreed_date,plan_reported\nA-1,2026-02-07,no\nA-2,2026-02-07,yes\nA-3,2026-02-08,\n"
    ran = cli("notices", book(tmp_path, text), "--day", "2026-03-10")
    assert (ran.code, ran.out) == (0, "A-1 plan_not_reported 2026-03-10 2026-02-07\n")

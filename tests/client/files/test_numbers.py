"""What is said of a cell that is no number, no month and no code: what is true of it, and the same in CSV, Parquet and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from tests.client.files.rows import ROW, only, write_csv

from tallystick.client.files.accounts import Reject, read_accounts
from tallystick.client.files.amounts import Amounts
from tallystick.client.frames import from_frame


def told(tmp_path: Path, column: str, cell: str, said: Amounts | None = None) -> tuple[str, str]:
    row = {**ROW, "running_since_date": "2025-09-01", "running_days_past_due": "1", column: cell}
    (account,) = read_accounts(write_csv(tmp_path / "a.csv", [row]), said)
    ((reject),) = [each for each in account.rejects if each.field == column]
    return reject.reason, reject.description


@pytest.mark.parametrize("said", [None, *Amounts])
@pytest.mark.parametrize("column", ["balance", "overdue_amount", "days_past_due", "status", "running_days_past_due"])
@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("¥123", "currency"),
        ("￥ 1,234", "currency"),
        ("$5", "currency"),
        ("CNY 12", "currency"),
        ("12 eur", "currency"),
        ("12元", "currency"),
        ("1.2E+06", "exponent"),
        ("6,2e-3", "exponent"),
        ("12,345", "thousands"),
        ("1.234.567", "thousands"),
        ("12 345", "thousands"),
        ("1'234'567", "thousands"),
        ("12,34,567", "thousands"),
        ("1,234.50", "thousands"),
        ("n/a", "is no number"),
        ("NULL", "is no number"),
        ("-", "is no number"),
        ("unknown", "is no number"),
        ("12 days", "beside the number"),
        ("(12)", "brackets"),
        ("+5", "sign"),
        ("5-", "sign"),
        ("\u22125", "sign"),
        ("５", "other digits"),
        ("5%", "percentage"),
    ],
)
def test_each_kind_of_what_is_no_number_is_named(tmp_path: Path, column: str, cell: str, says: str, said: Amounts | None) -> None:
    reason, description = told(tmp_path, column, cell, said)
    assert reason == "FIELD_MALFORMED"
    assert says in description
    assert cell not in description.split()
    assert "minor" not in description, "only decimals have to do with units"
    assert ("leave the cell empty" in description) == (says == "is no number" and "status" != column != "running_days_past_due")


@pytest.mark.parametrize("said", [None, *Amounts])
@pytest.mark.parametrize("cell", ["9" * 19, "-" + "9" * 30, "9" * 5_000])
def test_a_whole_number_that_is_too_large_is_not_called_something_else(tmp_path: Path, cell: str, said: Amounts | None) -> None:
    reason, description = told(tmp_path, "balance", cell, said)
    assert (reason, "10^15" in description) == ("FIELD_OUT_OF_RANGE", True)
    reason, description = told(tmp_path, "days_past_due", cell.removeprefix("-"))
    assert (reason, "9 digits" in description) == ("FIELD_OUT_OF_RANGE", True)


@pytest.mark.parametrize(
    ("cell", "says"),
    [("1,5", "decimal comma"), ("1.005", "at most 2 decimals"), ("1." + "0" * 40 + "1", "at most 2 decimals")],
)
def test_what_is_wrong_in_major_units(tmp_path: Path, cell: str, says: str) -> None:
    assert says in told(tmp_path, "balance", cell, Amounts.MAJOR)[1]


@pytest.mark.parametrize(("cell", "minor"), [(".5", 50), ("12.", 1200), ("-0.5", -50), ("1." + "0" * 40, 100), ("007", 700)])
def test_numbers_in_major_units(tmp_path: Path, cell: str, minor: int) -> None:
    path = write_csv(tmp_path / "a.csv", [{**ROW, "overdue_amount": cell}])
    (account,) = read_accounts(path, Amounts.MAJOR)
    assert account.report is not None
    assert account.report.account.months[0].overdue_amount == minor


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("month", "2026-13", "must be a month such as 2025-09"),
        ("month", "2026-00", "must be a month such as 2025-09"),
        ("month", "0000-01", "must be a month such as 2025-09"),
        ("days_past_due", "1.5", "must be a whole number, without decimals"),
        ("days_past_due", "-1", "must be a whole number from 0"),
        ("opened_date", "2026-02-30", "must be a day such as 2025-09-03"),
    ],
)
def test_what_is_said_is_about_what_the_column_holds(tmp_path: Path, column: str, cell: str, says: str) -> None:
    assert told(tmp_path, column, cell)[1] == says


@pytest.mark.parametrize(("column", "value"), [("days_past_due", 12.0), ("status", 1.0), ("asset_quality", 2.0), ("role", 2.0)])
def test_a_number_is_read_alike_wherever_it_stands(tmp_path: Path, column: str, value: float) -> None:
    rows = [{**ROW, "disposition": "1", "overdue_amount": "5", column: str(value)}]
    by_csv = only(write_csv(tmp_path / "a.csv", rows)).report
    assert by_csv is not None
    for kind, cell in ((pyarrow.float64(), value), (pyarrow.int64(), int(value)), (pyarrow.string(), str(value))):
        table: dict[str, Any] = {name: [text] for name, text in rows[0].items()} | {column: pyarrow.array([cell], kind)}
        pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
        assert only(tmp_path / "a.parquet").report == by_csv
    for each in (value, int(value), str(value)):
        assert from_frame(pd.DataFrame(rows).assign(**{column: [each]})) == [by_csv]


def test_a_row_of_totals_has_every_empty_column_named(tmp_path: Path) -> None:
    total = dict.fromkeys(ROW, "") | {"account_number": "Total", "balance": "12345"}
    account = only(write_csv(tmp_path / "a.csv", [total]))
    required = {"id_kind", "id_type", "id_country", "id_number", "as_of", "account_type", "status", "currency", "opened_date"}
    named: dict[str, Reject] = {each.field: each for each in account.rejects}
    assert set(named) == required
    assert len(account.rejects) == len(required)
    assert {each.reason for each in named.values()} == {"FIELD_REQUIRED"}

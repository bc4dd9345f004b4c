"""Watch files: what a row means, and what is told of one that cannot be read."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from tests.client.files.rows import write_csv

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.watches import OPTIONAL, REQUIRED, read_watches
from tallystick.credit.enums import Purpose, TriggerType

ROW = {
    "id_kind": "person",
    "id_type": "2",
    "id_country": "DE",
    "id_number": "C01X00T47",
    "account_number": "00017",
    "consent_reference": "clause-7",
}
COLUMNS = (*REQUIRED, *OPTIONAL)


def test_a_row_without_the_optional_columns_watches_for_everything(tmp_path: Path) -> None:
    (row,) = read_watches(write_csv(tmp_path / "watches.csv", [ROW], REQUIRED))
    assert row.watch is not None
    assert row.watch.account_number == "00017", "leading zeros are part of a number"
    watch = row.watch.watch
    assert (watch.purpose, watch.triggers, watch.end_date) == (Purpose.POST_LOAN_MANAGEMENT, {}, None)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_both_kinds_of_file_say_the_same(tmp_path: Path, suffix: str) -> None:
    full = {**ROW, "purpose": "21", "triggers": "overdue_began : 2 ; debt_grew", "end_date": "2027-03-01"}
    path = tmp_path / f"watches.{suffix}"
    if suffix == "csv":
        write_csv(path, [full], COLUMNS)
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{**full, "end_date": dt.date(2027, 3, 1)}]), path)
    (row,) = read_watches(path)
    assert row.watch is not None
    watch = row.watch.watch
    assert watch.triggers == {TriggerType.OVERDUE_BEGAN: 2, TriggerType.DEBT_GREW: 0}
    assert (int(watch.purpose), watch.end_date) == (21, dt.date(2027, 3, 1))


def test_all_that_is_wrong_with_a_row_is_told_at_once(tmp_path: Path) -> None:
    wrong = {**ROW, "consent_reference": "", "triggers": "overdue_began:99;sunshine", "end_date": "soon"}
    _, row = read_watches(write_csv(tmp_path / "watches.csv", [ROW, wrong], COLUMNS))
    assert row.watch is None
    assert {(each.row, each.field) for each in row.rejects} == {(3, "consent_reference"), (3, "triggers"), (3, "end_date")}


def test_a_file_without_a_needed_column_is_no_watch_file(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid, match="account_number"):
        list(read_watches(write_csv(tmp_path / "watches.csv", [{"id_kind": "person"}], ("id_kind", "consent_reference"))))

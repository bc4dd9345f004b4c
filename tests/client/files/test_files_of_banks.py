"""Files as the systems and spreadsheets of banks make them: taken where they can be told, refused with what to do where not."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from tests.client.files.rows import ROW, only, write_csv

from tallystick.client import FileInvalid
from tallystick.client.files.accounts import read_accounts
from tallystick.client.files.amounts import Amounts

# --- Amounts with decimals --------------------------------------------------------------------------------------------------------

AMOUNTS = {"credit_limit": "50000.00", "balance": "2000.00", "overdue_amount": "1200.00"}


@pytest.mark.parametrize("column", ["credit_limit", "balance", "overdue_amount", "paid_amount"])
@pytest.mark.parametrize("amount", ["2000.00", "1234.56", "2000.0", "12.", ".5", "1234,56"])
def test_decimals_in_any_amount_refuse_the_whole_file_and_say_what_to_do(tmp_path: Path, column: str, amount: str) -> None:
    rows = [*({**ROW, "account_number": str(n), "balance": "12345"} for n in range(3_000)), {**ROW, column: amount}]
    with pytest.raises(FileInvalid, match=f"column {column}, row 3002: .*--amounts major") as refused:
        read_accounts(write_csv(tmp_path / "a.csv", rows))
    assert amount not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["2000.00", "1234.56"], pyarrow.decimal128(18, 2)),
        (["2000.00", "1500.00"], pyarrow.decimal128(18, 2)),
        ([2000.0, 1500.0], pyarrow.float64()),
        ([2000.0, None], pyarrow.float32()),
    ],
)
def test_a_parquet_column_that_could_be_either_is_refused_until_somebody_says(tmp_path: Path, values: Any, kind: Any) -> None:
    column = [None if value is None else Decimal(value) if isinstance(value, str) else value for value in values]
    names = [{**ROW, "account_number": str(n)} for n in range(2)]
    table = {name: [row[name] for row in names] for name in ROW} | {"balance": pyarrow.array(column, kind)}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    with pytest.raises(FileInvalid, match="--amounts"):
        read_accounts(tmp_path / "a.parquet")
    found = [account.report for account in read_accounts(tmp_path / "a.parquet", Amounts.MAJOR)]
    expected = [None if value is None else int(Decimal(str(value)) * 100) for value in values]
    assert [report.account.balance for report in found if report] == expected


def test_whole_numbers_of_parquet_are_minor_units_whatever_their_type(tmp_path: Path) -> None:
    for kind in (pyarrow.int64(), pyarrow.decimal128(18, 0), pyarrow.string()):
        value: Any = "12345" if kind == pyarrow.string() else Decimal(12345) if kind == pyarrow.decimal128(18, 0) else 12345
        table = {name: [cell] for name, cell in ROW.items()} | {"balance": pyarrow.array([value], kind)}
        pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
        report = only(tmp_path / "a.parquet").report
        assert report is not None
        assert report.account.balance == 12345


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [
        ("CNY", "2000.00", 200_000),
        ("CNY", "2000", 200_000),
        ("CNY", "1234.5", 123_450),
        ("CNY", "-0.01", -1),
        ("JPY", "2000", 2_000),
        ("JPY", "2000.00", 2_000),
        ("KWD", "1.234", 1_234),
        ("CNY", "9999999999999999.99", 999_999_999_999_999_999),
    ],
)
def test_major_units_become_minor_ones_by_the_currency(tmp_path: Path, currency: str, amount: str, minor: int) -> None:
    path = write_csv(tmp_path / "a.csv", [{**ROW, "currency": currency, "balance": amount, "overdue_amount": amount}])
    ((report,),) = [[account.report for account in read_accounts(path, Amounts.MAJOR)]]
    assert report is not None
    assert (report.account.balance, report.account.months[0].overdue_amount) == (minor, minor)


@pytest.mark.parametrize(
    ("currency", "amount"), [("CNY", "0.001"), ("JPY", "0.5"), ("CNY", "1,234.50"), ("CNY", "1e3"), ("CNY", "(5.00)"), ("XXX", "5")]
)
def test_what_is_no_amount_in_major_units_rejects_its_account_alone(tmp_path: Path, currency: str, amount: str) -> None:
    rows = [{**ROW, "currency": currency, "balance": amount}, {**ROW, "account_number": "2", "balance": "5.00"}]
    first, second = read_accounts(write_csv(tmp_path / "a.csv", rows), Amounts.MAJOR)
    unknown = [(2, "currency")] if currency == "XXX" else []
    assert [(each.row, each.field) for each in first.rejects] == [(2, "balance"), *unknown]
    assert second.report is not None


def test_a_tool_s_zeros_are_whole_once_the_caller_has_said_that_they_are_minor_units(tmp_path: Path) -> None:
    rows = [{**ROW, "balance": "2000.0"}, {**ROW, "account_number": "2", "balance": "12.50"}]
    first, second = read_accounts(write_csv(tmp_path / "a.csv", rows), Amounts.MINOR)
    assert first.report is not None
    assert first.report.account.balance == 2000
    assert [each.field for each in second.rejects] == ["balance"]


# --- Numbers that a spreadsheet has changed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["account_number", "id_number"])
@pytest.mark.parametrize("number", ["6.22204E+15", "6,22204E+15", "6E+15", "1.0e+18", "622200017.0", "622200017.00"])
def test_a_damaged_number_rejects_its_account_and_names_the_damage(tmp_path: Path, column: str, number: str) -> None:
    rows = [{**ROW, column: number}, {**ROW, "account_number": "good"}]
    first, second = read_accounts(write_csv(tmp_path / "a.csv", rows))
    ((reject),) = first.rejects
    assert (reject.field, reject.reason) == (column, "FIELD_MALFORMED")
    assert "text" in reject.description
    assert number not in reject.description
    assert second.report is not None


@pytest.mark.parametrize("number", ['="00017"', "'00017", "00017"])
def test_a_number_that_was_saved_from_a_spreadsheet_is_that_number(tmp_path: Path, number: str) -> None:
    report = only(write_csv(tmp_path / "a.csv", [{**ROW, "account_number": number}])).report
    assert report is not None
    assert report.account_number == "00017"


@pytest.mark.parametrize("number", ["12E5", "6.22204", "E+15", "A1.0", "2E-5"])
def test_numbers_that_only_look_odd_are_taken(tmp_path: Path, number: str) -> None:
    assert only(write_csv(tmp_path / "a.csv", [{**ROW, "account_number": number}])).report is not None


def test_rows_that_have_nothing_but_a_damaged_number_in_common_are_told_of_the_damage(tmp_path: Path) -> None:
    rows = [{**ROW, "account_number": "6.22202E+15", "id_number": number} for number in ("C01X00T47", "C01X00T48")]
    (account,) = read_accounts(write_csv(tmp_path / "a.csv", rows))
    assert [(each.row, each.field) for each in account.rejects] == [(2, "account_number"), (3, "account_number")]
    assert all("spreadsheet" in each.description for each in account.rejects)


def test_damaged_amounts_reject_their_rows_alone(tmp_path: Path) -> None:
    rows = [
        {**ROW, "account_number": str(n), "balance": amount} for n, amount in enumerate(("(12345)", "12,345", "1,234,567", "12345"))
    ]
    found = list(read_accounts(write_csv(tmp_path / "a.csv", rows)))
    assert [[each.field for each in account.rejects] for account in found] == [["balance"], ["balance"], ["balance"], []]


def test_numbers_that_were_rounded_to_fifteen_digits_refuse_the_file(tmp_path: Path) -> None:
    def rows(numbers: Sequence[int]) -> list[dict[str, str]]:
        return [{**ROW, "account_number": str(number)} for number in numbers]

    cards = [6222040000001234567 + 7919 * n for n in range(100)]
    assert len(list(read_accounts(write_csv(tmp_path / "good.csv", rows(cards))))) == 100
    rounded = [number // 10_000 * 10_000 for number in cards]
    with pytest.raises(FileInvalid, match=r"account_number.*15th digit"):
        read_accounts(write_csv(tmp_path / "bad.csv", rows(rounded)))
    # A round number or two are no damage.
    assert len(list(read_accounts(write_csv(tmp_path / "few.csv", rows([*cards, rounded[0], rounded[9]]))))) == 102


# --- Forms of CSV -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_in_every_form_is_told_from_the_file(tmp_path: Path, encoding: str) -> None:
    text = write_csv(tmp_path / "a.csv", [{**ROW, "account_number": "账户-17"}]).read_text("utf-8")
    (tmp_path / "b.csv").write_bytes(text.encode(encoding))
    report = only(tmp_path / "b.csv").report
    assert report is not None
    assert report.account_number == "账户-17"


def test_another_encoding_is_named_by_the_caller(tmp_path: Path) -> None:
    text = write_csv(tmp_path / "a.csv", [{**ROW, "account_number": "账户-17"}]).read_text("utf-8")
    (tmp_path / "b.csv").write_bytes(text.encode("gb18030"))
    with pytest.raises(FileInvalid, match=r"line 2: not UTF-8.*gb18030"):
        read_accounts(tmp_path / "b.csv")
    ((report,),) = [[account.report for account in read_accounts(tmp_path / "b.csv", encoding="gb18030")]]
    assert report is not None
    assert report.account_number == "账户-17"
    with pytest.raises(FileInvalid, match="is no encoding"):
        read_accounts(tmp_path / "b.csv", encoding="klingon")


@pytest.mark.parametrize("line", ["sep=,", '"sep=,"', "SEP=;"])
def test_a_spreadsheet_s_line_about_separators_is_obeyed(tmp_path: Path, line: str) -> None:
    text = write_csv(tmp_path / "a.csv", [ROW]).read_text("utf-8")
    separator = line.strip('"')[-1]
    (tmp_path / "b.csv").write_text(f"{line}\n{text.replace(',', separator)}", "utf-8")
    assert only(tmp_path / "b.csv").rows == (3,)


def test_the_case_of_a_header_says_nothing(tmp_path: Path) -> None:
    text = write_csv(tmp_path / "a.csv", [ROW]).read_text("utf-8")
    header, rest = text.split("\n", 1)
    (tmp_path / "b.csv").write_text(f"{header.upper()}\n{rest}", "utf-8")
    assert only(tmp_path / "b.csv").report is not None


def test_a_header_without_a_row_is_not_taken_for_a_file_that_was_reported(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid, match="no row"):
        read_accounts(write_csv(tmp_path / "a.csv", []))

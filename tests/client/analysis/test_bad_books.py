"""Books with mistakes: a bad row is named and in no figure, a file that cannot be read is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from tests.client.analysis.books import ACCOUNT, account, read, write

from tallystick.client import FileInvalid, analyse
from tallystick.client.analysis import engine, source, tables
from tallystick.client.analysis.faults import Fault
from tallystick.client.analysis.figures import Rate

GOOD = account("good", "N1")


CASES = [
    (Fault.ACCOUNT_NUMBER, {"account_number": ""}),
    (Fault.ACCOUNT_NUMBER, {"account_number": "6.22204E+15"}),
    (Fault.ACCOUNT_NUMBER, {"account_number": "17.0"}),
    (Fault.AS_OF, {"as_of": "2025-09-30"}),
    (Fault.AS_OF, {"as_of": "2125-09-30T00:00:00Z"}),
    (Fault.AS_OF, {"as_of": "2098-09-30T00:00:00Z"}),
    (Fault.ACCOUNT_TYPE, {"account_type": "R9"}),
    (Fault.STATUS, {"status": "77"}),
    (Fault.STATUS, {"status": "777777"}),
    (Fault.STATUS, {"status": "one"}),
    (Fault.CURRENCY, {"currency": "XAU"}),
    (Fault.CURRENCY, {"currency": ""}),
    (Fault.OPENED_DATE, {"opened_date": "2020-02-31"}),
    (Fault.ROLE, {"role": "friend"}),
    (Fault.ASSET_QUALITY, {"asset_quality": "6"}),
    (Fault.BALANCE, {"balance": "12x"}),
    (Fault.BALANCE, {"balance": "-1"}),
    (Fault.BALANCE, {"balance": str(10**15 + 1)}),
    (Fault.RUNNING_DAYS_PAST_DUE, {"running_days_past_due": "40000"}),
    (Fault.RUNNING_DAYS_PAST_DUE, {"running_since_date": "2025-09-01", "running_days_past_due": "32"}),
    (Fault.RUNNING_SINCE_DATE, {"running_since_date": "2025-10-02"}),
    (Fault.RUNNING_AMOUNT, {"running_amount": "9" * 30}),
    (Fault.COLLECTION_STAGE, {"collection_stage": "asked"}),
    (Fault.SPECIAL_TRANSACTIONS, {"special_transactions": "extension"}),
    (Fault.SPECIAL_TRANSACTIONS, {"special_transactions": "[" * 5_000}),
    (Fault.MONTH, {"month": "2025-13"}),
    (Fault.MONTH, {"month": ""}),
    (Fault.MONTH, {"month": "x" * 5_000}),
    (Fault.MONTH_BEFORE_OPENING, {"month": "2019-12"}),
    (Fault.MONTH_AFTER_AS_OF, {"month": "2025-10"}),
    (Fault.DISPOSITION, {"disposition": "X"}),
    (Fault.DISPOSITION, {"disposition": ""}),
    (Fault.NOT_YET_OPEN, {"disposition": "/"}),
    (Fault.DAYS_PAST_DUE, {"disposition": "2", "days_past_due": "12"}),
    (Fault.DAYS_PAST_DUE, {"days_past_due": "some"}),
    (Fault.OVERDUE_AMOUNT, {"disposition": "1", "overdue_amount": "1 234"}),
    (Fault.NOTHING_OVERDUE, {"overdue_amount": "5"}),
    (Fault.PAID_AMOUNT, {"paid_amount": "-5"}),
]


@pytest.mark.parametrize("cases", [CASES[:18], CASES[18:]])
def test_a_bad_row_is_named_and_in_no_figure(tmp_path: Path, cases: list[tuple[Fault, dict[str, str]]]) -> None:
    bad = [
        {**ACCOUNT, "account_number": f"bad-{at}", "month": "2025-09", "disposition": "N", **changed}
        for at, (_, changed) in enumerate(cases)
    ]
    book = read(tmp_path, GOOD, bad)
    assert [(each.row, each.column, each.fault) for each in book.reading.first] == [
        (row, fault.column, fault) for row, (fault, _) in enumerate(cases, 4)
    ]
    assert (book.reading.used, book.reading.faulty) == (2, len(cases))
    assert book.by_month == read(tmp_path, GOOD).by_month


@pytest.mark.parametrize(
    ("column", "bad"), [("month", "2025/09"), ("disposition", "?"), ("days_past_due", "x"), ("overdue_amount", "x")]
)
def test_an_account_whose_rows_are_all_bad_is_in_no_figure(tmp_path: Path, column: str, bad: str) -> None:
    """Not by its balance, class or stage either, and not by the day of its as_of."""
    lost = {**ACCOUNT, "account_number": "lost", "month": "2025-09", "disposition": "N", "balance": "100", "asset_quality": "loss"}
    lost |= {"as_of": "2025-12-31T00:00:00Z", column: bad}
    good, whole = account("good", "N1", balance=7, asset_quality="normal"), tmp_path / "whole"
    whole.mkdir()
    found, alone = read(tmp_path, good, [lost]), read(whole, good)
    assert (found.reading.faulty, found.reading.used) == (1, 2)
    for name in ("accounts", "as_of", "by_month", "amounts", "five_class", "stages", "vintages", "frequency"):
        assert getattr(found, name) == getattr(alone, name), name
    none = read(tmp_path, [lost])
    assert (none.accounts, none.as_of) == (0, None)


@pytest.mark.parametrize(
    "spellings",
    [("ab1", "AB1"), ("622", "６２２"), ("622", "62 2"), ("6-1", "6–1"), ("00017", "'00017"), ("00017", '="00017"')],
)
def test_two_spellings_of_a_number_are_one_account(tmp_path: Path, spellings: tuple[str, str]) -> None:
    rows = account("x", "1N")
    for row, number in zip(rows, spellings, strict=True):
        row["account_number"] = number
    found = read(tmp_path, rows)
    assert (found.accounts, found.reading.faulty) == (1, 0)
    assert found.rolls.rate(1, 0) == Rate(1, 1)


def test_an_overdue_may_run_for_as_many_days_as_have_passed(tmp_path: Path) -> None:
    others: dict[str, Any] = {"running_since_date": "2025-09-01", "running_days_past_due": "31"}
    assert read(tmp_path, account("a", "1", **others)).reading.faulty == 0


def test_what_nobody_sees_is_no_number(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, account("1\u200b7", "N"))
    assert (found.accounts, [(each.fault, each.column) for each in found.reading.first]) == (
        1,
        [(Fault.ACCOUNT_NUMBER, "account_number")],
    )


def test_numbers_that_a_spreadsheet_has_rounded_refuse_the_book(tmp_path: Path) -> None:
    rounded = [row for n in range(8) for row in account(f"62220400000{n:04}0000", "N")]
    with pytest.raises(FileInvalid, match="a spreadsheet has rounded them"):
        read(tmp_path, rounded)
    whole = [row for n in range(8) for row in account(f"62220400000{n:04}{n + 1:04}", "N")]
    assert read(tmp_path, whole, rounded[:7]).accounts == 15


@pytest.mark.parametrize("day", ["2025-06-19", dt.datetime(2025, 6, 19, tzinfo=dt.UTC), 20250619])
def test_a_day_that_is_none_is_refused(tmp_path: Path, day: Any) -> None:
    with pytest.raises(TypeError, match="as_of: must be a date"):
        read(tmp_path, GOOD, as_of=day)


def test_an_account_that_was_opened_after_its_as_of(tmp_path: Path) -> None:
    book = read(tmp_path, GOOD, account("bad", "/", opened_date="2025-12-01"))
    assert [each.fault for each in book.reading.first] == [Fault.OPENED_LATER]


def test_a_month_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    book = read(tmp_path, account("1", "N1"), account("2", "N"), account("1", "4"))
    assert [(each.row, each.fault) for each in book.reading.first] == [(5, Fault.MONTH_TWICE)]
    assert [each.share.over_90_days for each in book.by_month] == [0, 0]
    assert book.reading.faults == ((Fault.MONTH_TWICE, 1),)


def test_rows_that_say_something_else_of_an_account(tmp_path: Path) -> None:
    book = read(tmp_path, account("1", "N1", balance=(5, 5)), account("1", "N", last=2025 * 12, balance=6))
    assert [(each.row, each.column, each.fault) for each in book.reading.first] == [(4, "balance", Fault.DIFFERS)]
    assert book.reading.used == 2


def test_a_row_has_all_of_its_faults_and_the_first_twenty_are_named(tmp_path: Path) -> None:
    bad = [{**ACCOUNT, "account_number": f"b{at}", "month": "2025-9", "disposition": "?"} for at in range(25)]
    book = read(tmp_path, GOOD, bad)
    assert book.reading.faults == ((Fault.MONTH, 25), (Fault.DISPOSITION, 25))
    assert book.reading.faulty == 25
    assert [each.row for each in book.reading.first] == [row for row in range(4, 24) for _ in range(2)]


def test_a_book_without_any_good_row_has_no_figures(tmp_path: Path) -> None:
    book = read(tmp_path, [{**row, "currency": "??"} for row in GOOD])
    assert (book.as_of, book.accounts, book.reading.faulty, book.by_month, book.vintages) == (None, 0, 2, (), ())
    for language in ("en", "zh"):
        assert "<svg" not in book.to_html(language)


@pytest.mark.parametrize("codes", ["N", "#", "C", "/", "B"])
def test_one_row_is_a_book(tmp_path: Path, codes: str) -> None:
    opened: dict[str, Any] = {"opened_date": "2025-09-02"} if codes == "/" else {}
    book = read(tmp_path, account("1", codes, **opened))
    assert (book.accounts, book.reading.used) == (1, 1)
    assert "<h1>" in book.to_html()


def test_an_account_without_months_counts_as_an_account(tmp_path: Path) -> None:
    book = read(tmp_path, GOOD, [{**ACCOUNT, "account_number": "new", "balance": "5"}])
    assert (book.accounts, book.reading.faulty, book.frequency.not_known) == (2, 0, 2)


# --- Numbers of rows ---


def test_empty_lines_and_lines_of_commas_count_as_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", [*GOOD, {**GOOD[0], "account_number": "bad", "month": "2025-13"}])
    lines = path.read_text().splitlines()
    commas = "," * lines[0].count(",")
    path.write_text("\n".join([*lines[:2], "", commas, lines[2], "", lines[3]]) + "\n")
    book = analyse(path)
    assert [each.row for each in book.reading.first] == [7]
    assert book.reading.rows == 3
    path.write_text("\n".join([*lines[:2], commas, *lines[2:]]) + "\n")
    assert [each.row for each in analyse(path).reading.first] == [5]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_encodings_are_those_of_other_files(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "book.csv", [*account("\u8d37\u6b3e-1", "N1"), *account("\u8d37\u6b3e-2", "NX")])
    path.write_bytes(path.read_text("utf-8").encode(encoding))
    book = analyse(path, encoding="gb18030" if encoding == "gb18030" else None)
    assert (book.accounts, [(each.row, each.column) for each in book.reading.first]) == (2, [(5, "disposition")])


def test_what_a_spreadsheet_adds_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", GOOD)
    path.write_text("sep=;\n" + path.read_text().replace(",", ";"))
    assert analyse(path).by_month == read(tmp_path, GOOD).by_month


@pytest.mark.parametrize("name", ["b*k.csv", "b[1].csv", "it's.csv", "b{o}k.csv"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    assert analyse(write(tmp_path / name, GOOD)).name == name


def test_spaces_round_a_cell_say_nothing(tmp_path: Path) -> None:
    padded = [{name: f" {value}  " for name, value in row.items()} for row in account("1", "N1", balance=5, overdue_amount=(0, 7))]
    nothing = {**ACCOUNT, "account_number": "2", "month": " ", "disposition": "  ", "overdue_amount": " "}
    book = read(tmp_path, padded, [nothing])
    assert (book.accounts, book.reading.faulty, book.amounts[0].of_balance) == (2, 0, Rate(7, 5))


# --- Amounts ---


def test_decimals_are_refused_until_it_is_said_what_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", [*account("1", "1", balance="100.50", overdue_amount="2.5"), *account("2", "N", balance=7)])
    with pytest.raises(FileInvalid, match=r"column balance, row 2: the amounts have decimals.*--amounts major"):
        analyse(path)
    assert analyse(path, amounts="major").amounts[0].of_balance.part == 250
    assert analyse(path, amounts="major").amounts[0].of_balance.whole == 10_750
    assert [each.fault for each in analyse(path, amounts="minor").reading.first] == [Fault.BALANCE, Fault.OVERDUE_AMOUNT][:1]


def test_more_decimals_than_the_currency_has_are_a_fault(tmp_path: Path) -> None:
    yen = account("1", "1", currency="JPY", overdue_amount="2.5", balance="3.0")
    book = analyse(write(tmp_path / "book.csv", yen), amounts="major")
    assert [each.fault for each in book.reading.first] == [Fault.OVERDUE_AMOUNT]


# --- Files that cannot be read ---


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04xl/", "workbook of Excel"),
        (b'{"a": 1}', "is JSON"),
        (b"account_number,month\n1,2025-09\n", "columns are missing: as_of"),
        (b"1,2025-09-30,R2,CNY\n", "the first row looks like data"),
        (b"\x00\x01\x02\xff\xfe binary", "columns are missing|UTF|encoding"),
    ],
)
def test_a_file_that_is_no_book_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "book.csv"
    path.write_bytes(content)
    with pytest.raises(FileInvalid, match=told):
        analyse(path)


LINE = GOOD[0]
HEADER = [*LINE]


@pytest.mark.parametrize(
    ("header", "lines", "told"),
    [
        (HEADER, 0, "there is a header and no row"),
        ([*HEADER, "balanse"], 1, "unknown columns: balanse"),
        ([*HEADER, "month"], 1, "a column occurs twice: month"),
        (HEADER[:-1], 1, "columns are missing: disposition"),
    ],
)
def test_a_header_that_is_not_that_of_a_book_is_refused(tmp_path: Path, header: list[str], lines: int, told: str) -> None:
    path = tmp_path / "book.csv"
    path.write_text("\n".join([",".join(header), *[",".join(LINE.get(name, "1") for name in header)] * lines]) + "\n")
    with pytest.raises(FileInvalid, match=told):
        analyse(path)


@pytest.mark.parametrize(("line", "told"), [('1,"2025', "row 4.*quotation mark"), ("1,2,3", "row 4 has 3 cells, the header")])
def test_a_line_that_is_no_row_refuses_the_file_without_showing_it(tmp_path: Path, line: str, told: str) -> None:
    path = write(tmp_path / "book.csv", GOOD)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(FileInvalid, match=told) as raised:
        analyse(path)
    assert "2025" not in str(raised.value).replace(str(path), "")


def test_bytes_of_another_encoding_refuse_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", [*GOOD, *account("\u8d37", "N")])
    path.write_bytes(path.read_text("utf-8").encode("gb18030"))
    with pytest.raises(FileInvalid, match="line 4: not UTF-8; save it as CSV in UTF-8, or give its --encoding"):
        analyse(path)


def test_what_the_engine_does_not_read_is_read_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*GOOD, *account("bad", "X")]
    quick = analyse(write(tmp_path / "book.csv", rows))
    monkeypatch.setattr(source, "_is_plain", lambda *_: False)
    assert analyse(tmp_path / "book.csv") == quick


def test_parquet_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "book.parquet"
    path.write_bytes(b"PAR1 and then nothing PAR1")
    with pytest.raises(FileInvalid, match="cannot be read as Parquet"):
        analyse(path)
    write(path, GOOD)
    with pytest.raises(FileInvalid, match="is not Parquet"):
        analyse(path)
    with pytest.raises(FileInvalid, match="which --encoding says nothing of"):
        analyse(path, encoding="gb18030")


def test_account_numbers_must_be_text_in_parquet(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame([{**row, "account_number": 17} for row in GOOD]).to_parquet(tmp_path / "book.parquet")
    with pytest.raises(FileInvalid, match="column account_number must be text"):
        analyse(tmp_path / "book.parquet")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(FileInvalid, match="cannot be read: No such file"):
            analyse(tmp_path / name)


@pytest.mark.parametrize("kind", ["OutOfMemoryException", "IOException"])
def test_too_little_memory_or_disk_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def run_out(*_: object) -> None:
        raise getattr(engine.engine_module(), kind)("at row secret")

    monkeypatch.setattr(tables, "build", run_out)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = write(tmp_path / "book.csv", GOOD)
    with pytest.raises(FileInvalid, match=r"memory or the disk of .* is not enough") as raised:
        analyse(path)
    assert "secret" not in str(raised.value)
    assert list(tmp_path.iterdir()) == [path]


def test_the_engine_reads_nothing_but_the_book(tmp_path: Path) -> None:
    other = write(tmp_path / "other.csv", GOOD)
    with engine.open_engine(tmp_path / "book.csv") as opened, pytest.raises(engine.engine_module().PermissionException):
        opened.rows(f"SELECT * FROM read_csv('{other}')")
    with engine.open_engine() as opened, pytest.raises(engine.engine_module().Error):
        opened.run("SET enable_external_access = true")

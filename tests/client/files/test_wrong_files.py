"""Files that are something else than they should be: it is said what they are, and what to do."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from tests.client.files.rows import COLUMNS, ROW, only, write_csv

from tallystick.client import FileInvalid
from tallystick.client.files.accounts import read_accounts
from tallystick.client.files.tables import TableWriter

HEADER = ",".join(COLUMNS)


def zipped(name: str) -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
        archive.writestr(name, "x")
    return made.getvalue()


MARKS = [
    (codecs.BOM_UTF8, "utf-8", ["utf-8", "UTF8", "utf-8-sig", None]),
    (codecs.BOM_UTF16_LE, "utf-16-le", ["utf-16", "utf-16-le", None]),
    (codecs.BOM_UTF16_BE, "utf-16-be", ["utf-16", "utf-16-be", None]),
    (codecs.BOM_UTF32_LE, "utf-32-le", ["utf-32", None]),
    ("\ufeff".encode("gb18030"), "gb18030", ["gb18030", "gbk", None]),
]


@pytest.mark.parametrize(("mark", "encoding", "named"), MARKS)
def test_a_byte_order_mark_is_taken_off_or_contradicts(tmp_path: Path, mark: bytes, encoding: str, named: list[str | None]) -> None:
    text = write_csv(tmp_path / "a.csv", [{**ROW, "account_number": "账户-17"}]).read_text("utf-8")
    (tmp_path / "b.csv").write_bytes(mark + text.encode(encoding))
    for each in named:
        ((report,),) = [[account.report for account in read_accounts(tmp_path / "b.csv", encoding=each)]]
        assert report is not None
        assert report.account_number == "账户-17"
    with pytest.raises(FileInvalid, match=r"byte order mark.*--encoding says big5"):
        read_accounts(tmp_path / "b.csv", encoding="big5")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le"])
def test_a_file_that_is_not_in_the_encoding_is_said_to_be_so(tmp_path: Path, encoding: str) -> None:
    path = write_csv(tmp_path / "a.csv", [ROW])
    with pytest.raises(FileInvalid, match=f"is not in {encoding}"):
        read_accounts(path, encoding=encoding)
    path.write_bytes(path.read_text().encode("utf-16-le"))
    with pytest.raises(FileInvalid, match="is not in gb18030"):
        read_accounts(path, encoding="gb18030")


@pytest.mark.parametrize("encoding", [None, "gb18030", "utf-8"])
@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zipped("[Content_Types].xml"), "workbook of Excel"),
        (zipped("accounts.csv"), r"archive \(ZIP\)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"\.xls"),
        (gzip.compress(b"id_kind", mtime=0), "gzip"),
        (b"%PDF-1.7\n", "a PDF"),
        (b'[{"id_kind": "person"}]', "JSON"),
        (b"<table>", "HTML"),
    ],
    # Not by the content: an archive holds the time at which it was made.
    ids=["xlsx", "zip", "xls", "gzip", "pdf", "json", "html"],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, says: str, suffix: str, encoding: str | None) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    if suffix == ".parquet" and encoding:
        says = "--encoding says nothing"
    with pytest.raises(FileInvalid, match=says):
        read_accounts(path, encoding=encoding)


def test_parquet_is_known_by_its_content_and_has_no_encoding(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({name: [cell] for name, cell in ROW.items()}), good := tmp_path / "a.parquet")
    assert only(good).report is not None
    with pytest.raises(FileInvalid, match="--encoding"):
        read_accounts(good, encoding="gb18030")
    (tmp_path / "b.csv").write_bytes(good.read_bytes())
    with pytest.raises(FileInvalid, match="is Parquet: give it a name"):
        read_accounts(tmp_path / "b.csv")
    write_csv(tmp_path / "c.parquet", [ROW])
    with pytest.raises(FileInvalid, match="is not Parquet: if it is CSV"):
        read_accounts(tmp_path / "c.parquet")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (",".join(ROW.values()), "the first row looks like data"),
        (HEADER.replace("id_kind", "kind"), "columns are missing: id_kind; unknown columns: kind"),
        (HEADER + ",balance,Month", "a column occurs twice: balance, month"),
        (f'{HEADER}\n{"x," * 5}"open\n', "row 2: not CSV: a quotation mark opens in this row"),
        (f'sep=,\n{HEADER}\n"open\n', "row 3: not CSV: a quotation mark opens"),
        (f'{HEADER}\n"a"b,c\n', "row 2: not CSV: after a quotation mark"),
        (f"{HEADER}\nx\n", "row 2 has 1 cell, the header"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(FileInvalid, match=says) as refused:
        read_accounts(tmp_path / "a.csv")
    assert ROW["id_number"] not in str(refused.value)


@pytest.mark.parametrize("name", ["d.xlsx", "d.XLS", "d.json", "d.csv.gz", "d.tsv"])
def test_an_output_of_another_format_is_not_begun(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileInvalid, match=r"is not written: name it \.csv"):
        TableWriter(tmp_path / name, ("a",))
    assert not list(tmp_path.iterdir())

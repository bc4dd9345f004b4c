"""Where a book lies and what it is called, and a disk that is full: none of it says anything of the accounts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb
import pandas
import pytest
from tests.client.analysis.books import account, write

from tallystick.client import FileInvalid, analyse
from tallystick.client.analysis import source

GOOD = account("good", "N1")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("folder", ["currency=USD", "disposition=N", "month=2024-01", "dt=2025-09-30", "account_number=1"])
def test_the_name_of_a_folder_is_no_column(tmp_path: Path, folder: str, suffix: str) -> None:
    inside, outside = tmp_path / folder, tmp_path / f"book.{suffix}"
    inside.mkdir()
    plain = write(tmp_path / "plain.csv", [*account("a", "1N"), *account("b", "N3", currency="JPY")])
    if suffix == "csv":
        plain.rename(outside)
    else:
        pandas.read_csv(plain, dtype=str).to_parquet(outside)
    moved = inside / outside.name
    moved.write_bytes(outside.read_bytes())
    assert analyse(moved) == analyse(outside)
    assert analyse(moved).accounts == 2


@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_ends_of_lines_within_a_cell_are_spaces(tmp_path: Path, encoding: str | None) -> None:
    rows = [*account("A\rB", "N"), *account("A\nB", "1"), *account("A\r\nB", "2"), *account("AB", "3")]
    found = analyse(write(tmp_path / "book.csv", rows), encoding=encoding)
    # One account: of its four rows of one month the first counts.
    assert (found.accounts, found.reading.faulty) == (1, 3)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_that_is_not_utf_8(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / os.fsdecode(b"\xd5\xcb\xb2\xbe." + suffix.encode())
    plain = write(tmp_path / "plain.csv", GOOD)
    if suffix == "csv":
        path.write_bytes(plain.read_bytes())
        assert analyse(path).accounts == 1
    else:
        pandas.read_csv(plain, dtype=str).to_parquet(tmp_path / "plain.parquet")
        (tmp_path / "plain.parquet").rename(path)
        with pytest.raises(FileInvalid, match="is not UTF-8, or has"):
            analyse(path)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        duckdb.TransactionException("Could not write file: No space left on device"),
        duckdb.IOException("No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_full_disk_is_told_whatever_met_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(source, "_copied", fail)
    path = write(tmp_path / "book.csv", GOOD)
    with pytest.raises(FileInvalid, match="name another folder in TMPDIR"):
        analyse(path, encoding="cp1252")

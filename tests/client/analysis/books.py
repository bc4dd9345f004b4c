"""Small books, an account a string of codes: "N1#" is three months, a space a month without a row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tallystick.client import BookAnalysis, analyse
from tallystick.client.analysis.columns import READ

LAST = 2025 * 12 + 8
"""September 2025."""
ACCOUNT = {
    "as_of": "2025-09-30T23:59:59+08:00",
    "account_type": "R2",
    "status": "1",
    "currency": "CNY",
    "opened_date": "2020-01-31",
}

Row = dict[str, str]


def month_name(index: int) -> str:
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def account(number: str, codes: str, *, last: int = LAST, **others: Any) -> list[Row]:
    """The rows of an account whose newest code is of the month `last`; a value may be given by month, the oldest first."""
    rows = []
    for place, code in enumerate(codes):
        if code != " ":
            row = {**ACCOUNT, "account_number": number, "month": month_name(last - len(codes) + 1 + place), "disposition": code}
            row |= {name: str(value[place] if isinstance(value, tuple | list) else value) for name, value in others.items()}
            rows.append(row)
    return rows


def write(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """A file with the columns that the rows have."""
    listed = list(rows)
    columns = [name for name in ("id_number", *READ) if any(name in row for row in listed)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(listed)
    return path


def read(folder: Path, *accounts: Iterable[Mapping[str, str]], **others: Any) -> BookAnalysis:
    """What a book of these accounts says."""
    return analyse(write(folder / "book.csv", [row for rows in accounts for row in rows]), **others)

"""Rows of an accounts file, and the file that they make."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tallystick.client.files import accounts
from tallystick.client.files.accounts import AccountRows, read_accounts

COLUMNS = (*accounts.REQUIRED, *accounts.ACCOUNT_OPTIONAL, *accounts.MONTH_COLUMNS)
ROW = {
    "id_kind": "person",
    "id_type": "2",
    "id_country": "DE",
    "id_number": "C01X00T47",
    "account_number": "00017",
    "as_of": "2025-09-30T23:59:59+08:00",
    "account_type": "R2",
    "status": "1",
    "currency": "CNY",
    "opened_date": "2020-01-31",
    "month": "2025-09",
    "disposition": "N",
}


def write_csv(path: Path, rows: Sequence[dict[str, str]], columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def only(path: Path) -> AccountRows:
    (account,) = read_accounts(path)
    return account

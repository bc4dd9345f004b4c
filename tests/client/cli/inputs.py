"""Command lines and files for the tests of `tallystick`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

NUMBER = "C01X00T47"
QUERY = ["query", "--type", "2", "--country", "DE", "--number", NUMBER, "--purpose", "02", "--consent", "c-1"]


ACCOUNT = "person,2,DE,{number},{account},2025-09-30T00:00:00Z,D1,1,{currency},2024-01-01,{month},{disposition}"
ACCOUNT_HEADER = (
    "id_kind,id_type,id_country,id_number,account_number,as_of,account_type,status,currency,opened_date,month,disposition"
)
APPLICANT_HEADER = "applicant_id,id_kind,id_type,id_country,id_number,purpose,consent_reference"


def accounts_file(path: Path, count: int, bad: Sequence[int] = (), currency: str = "CNY", persons: int = 100_000) -> Path:
    """Accounts of two months each, of so many persons in turn."""
    lines = [ACCOUNT_HEADER]
    for n in range(count):
        values = {"number": f"C01X{n % persons:05d}", "account": f"acc-{n}", "currency": "XXX" if n in bad else currency}
        lines += [ACCOUNT.format(**values, month=month, disposition="N") for month in ("2025-09", "2025-08")]
    path.write_text("\n".join(lines))
    return path


def applicants_file(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([APPLICANT_HEADER, *rows]))
    return path

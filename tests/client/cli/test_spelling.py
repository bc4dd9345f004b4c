"""Codes are spelled in one way: what --json tells of an account can be written into a file of accounts, and is the same account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.client.files.rows import COLUMNS, ROW, only, write_csv

from tallystick.client.cli.output import plain
from tallystick.client.files.accounts import read_accounts
from tallystick.credit.codes import ACCOUNT_STATUSES, disposition_code
from tallystick.credit.enums import AccountType, AssetQuality, CollectionStage, Disposition, ObligorRole

QUERY = ["query", "--type", "2", "--country", "DE", "--number", "C01X00T47", "--purpose", "02", "--consent", "c", "--json"]
FULL = {
    **ROW,
    "asset_quality": "special_mention",
    "credit_limit": "500000",
    "balance": "12345",
    "role": "guarantor",
    "liability_amount": "77",
    "running_since_date": "2025-09-03",
    "running_days_past_due": "12",
    "running_amount": "12345",
    "collection_stage": "field",
    "special_transactions": '[{"type": "bank_deferral", "date": "2025-09-03", "amount": 100, "months_changed": 3}]',
    "related_obligors": '[{"role": "co_borrower", "kind": "organisation", "liability_amount": 5}]',
    "annotations": "dispute institution_note",
    "disposition": "1",
    "days_past_due": "12",
    "overdue_amount": "12345",
}


def row_of(account: Mapping[str, Any], month: Mapping[str, Any]) -> dict[str, str]:
    """Cells as JSON has them."""
    running = account["running_overdue"] or {}
    values = {
        **{name: account[name] for name in COLUMNS if name in account},
        **{name: month[name] for name in month},
        "id_kind": account["subject_kind"],
        "running_since_date": running.get("since_date"),
        "running_days_past_due": running.get("days_past_due"),
        "running_amount": running.get("amount"),
        "collection_stage": running.get("collection_stage"),
        "special_transactions": json.dumps(account["special_transactions"]),
        "related_obligors": json.dumps(account["related_obligors"]),
        "annotations": " ".join(account["annotations"]),
    }
    kept = {name: ROW[name] for name in ("id_type", "id_country", "id_number", "account_number")}
    return {**kept, **{name: "" if value is None else str(value) for name, value in values.items()}}


@pytest.mark.parametrize(
    "row", [ROW, FULL, {**ROW, "account_type": "d1", "status": "3", "closed_date": "2025-09-01", "disposition": "c"}]
)
def test_what_json_tells_of_an_account_is_reported_again(cli: Any, tmp_path: Path, row: dict[str, str]) -> None:
    months = [{}, {"month": "2025-08", "disposition": "N", "days_past_due": "", "overdue_amount": ""}]
    first = write_csv(tmp_path / "first.csv", [{**row, **month} for month in months])
    assert cli("report", first).code == 0
    (told,) = cli(*QUERY).json[0]["history"]["accounts"]
    account = told["account"]
    assert account["account_type"] == row["account_type"].upper()
    assert [month["disposition"] for month in account["months"]] == [row["disposition"].upper(), "N"]
    again = write_csv(tmp_path / "again.csv", [row_of(account, month) for month in account["months"]])
    one, other = only(first).report, only(again).report
    assert one is not None
    assert other is not None
    assert (other.account.to_message(), other.identity) == (one.account.to_message(), one.identity)
    reported = cli("report", again, "--json")
    assert (reported.code, reported.json[0]["rejected"]) == (0, 0)


@pytest.mark.parametrize("disposition", [each for each in Disposition if each])
def test_a_disposition_is_taken_by_code_and_name_in_any_case(tmp_path: Path, disposition: Disposition) -> None:
    code = disposition_code(disposition)
    spellings = [
        code,
        code.lower(),
        disposition.name,
        disposition.name.lower(),
        disposition.name.lower().replace("_", " "),
        plain(disposition),
    ]
    rows = [{**ROW, "account_number": str(n), "disposition": each} for n, each in enumerate(spellings)]
    found = list(read_accounts(write_csv(tmp_path / "a.csv", rows)))
    assert {each.report.account.months[0].disposition for each in found if each.report} == {disposition}
    assert all(each.report for each in found)


@pytest.mark.parametrize(
    ("column", "kind"),
    [("account_type", AccountType), ("asset_quality", AssetQuality), ("role", ObligorRole)],
)
def test_a_code_is_taken_as_json_spells_it_and_in_any_case(tmp_path: Path, column: str, kind: Any) -> None:
    for member in kind:
        spelling = plain(member)
        if not member:
            continue
        status = str(next(iter(ACCOUNT_STATUSES[member]))) if kind is AccountType else "1"
        rows = [
            {**ROW, "account_number": str(n), column: each, "status": status} for n, each in enumerate((spelling, spelling.upper()))
        ]
        found = list(read_accounts(write_csv(tmp_path / "a.csv", rows)))
        assert [getattr(each.report.account, column) for each in found if each.report] == [member, member]


@pytest.mark.parametrize("unknown", [AssetQuality.UNSPECIFIED, CollectionStage.UNSPECIFIED, Disposition.UNSPECIFIED])
def test_what_is_not_known_is_null(unknown: Any) -> None:
    assert plain(unknown) is None

"""Files that went wrong once, or must go right, as they were (cases/). Their persons are artificial: region 000000."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.client import FileInvalid
from tallystick.client.files.accounts import read_accounts
from tallystick.client.files.amounts import Amounts
from tallystick.client.identities import canonical

CASES = Path(__file__).parent / "cases"


def read(name: str, said: Amounts | None = None) -> list[tuple[bool, list[tuple[int, str]]]]:
    """Whether each account is fit to be sent, and what is rejected of it."""
    return [
        (account.report is not None, [(each.row, each.field) for each in account.rejects])
        for account in read_accounts(CASES / name, said)
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("yuan.csv", "column credit_limit, row 2: .*--amounts major"),
        ("yuan-dec.parquet", "column credit_limit, row 1: .*--amounts major"),
        ("trailing.csv", "row 7 has 1 cell,"),
        ("quote-open.csv", "row 5: not CSV"),
    ],
)
def test_what_makes_a_whole_file_wrong_is_told_before_anything_is_sent(name: str, told: str) -> None:
    with pytest.raises(FileInvalid, match=told):
        read_accounts(CASES / name)


@pytest.mark.parametrize("name", ["yuan.csv", "yuan-dec.parquet"])
def test_yuan_are_read_as_yuan_once_somebody_says_so(name: str) -> None:
    reports = [account.report for account in read_accounts(CASES / name, Amounts.MAJOR)]
    assert [report.account.balance for report in reports if report][:2] == [200_000, 123_456]


@pytest.mark.parametrize("name", ["two-cards-sep.csv", "two-cards-oct.csv", "sci-account.csv"])
def test_cards_that_a_spreadsheet_made_one_are_not_reported(name: str) -> None:
    for fit, rejects in read(name):
        assert (fit, {field for _, field in rejects}) == (False, {"account_number"})


def test_what_was_right_stays_right() -> None:
    assert all(fit for name in ("sep.csv", "hmt.csv", "na-country.csv") for fit, _ in read(name))
    for account in read_accounts(CASES / "na-country.csv"):
        assert account.report is not None
        assert canonical(account.report.identity).country == "NA"
    assert [field for _, rejects in read("paren.csv") for _, field in rejects][:2] == ["balance", "balance"]

"""Bank A's own book: the accounts that it reports, in the layout of docs/files.md, analysed where they lie."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from examples.banks import account_number
from examples.card_file import CardClient
from examples.commands import Commands
from examples.reported_accounts import account_of
from examples.screen import Screen, must
from tallystick.client import analyse
from tallystick.credit.codes import disposition_code
from tallystick.credit.overdue import is_overdue

BOOK, PAGE = "bank-a-book.csv", "bank-a-analysis.html"
_COLUMNS = ("account_number", "as_of", "account_type", "status", "currency", "opened_date", "credit_limit", "balance")
_MONTHS = ("month", "disposition", "billed_amount", "paid_amount")


def write(path: Path, clients: Sequence[CardClient], months: tuple[date, ...]) -> tuple[int, int]:
    """Writes the book, without identities; returns how many account-months it has, and how many of the newest are late."""
    rows = late = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*_COLUMNS, *_MONTHS))
        for client in clients:
            account = account_of(client, months)
            values = (account.as_of.isoformat(), account.account_type.name, account.status, account.currency)
            state = (account_number(client.number), *values, account.opened_date, account.credit_limit, account.balance)
            for month in account.months:
                code = disposition_code(month.disposition)
                writer.writerow((*state, f"{month.month:%Y-%m}", code, month.billed_amount, month.paid_amount))
                rows += 1
                late += month.month == months[0] and is_overdue(month.disposition)
    return rows, late


def show(folder: Path, commands: Commands, screen: Screen, clients: Sequence[CardClient], months: tuple[date, ...]) -> None:
    """Analyses the book, and says where the page is."""
    rows, late = write(folder / BOOK, clients, months)
    commands.run("tallystick", "analyse", BOOK, "--out", PAGE)
    counted = analyse(folder / BOOK).by_month[-1].share.overdue
    must(counted == late, f"the page counts {counted} late accounts, and the file has {late}")
    must("CARD-" not in (folder / PAGE).read_text("utf-8"), "an account is named on the page")
    screen.proved(f"{rows:,} account-months, {late:,} of the newest overdue as in the file; open {folder.name}/{PAGE} in a browser")

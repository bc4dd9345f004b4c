"""The UCI file "Default of Credit Card Clients": its rows as values (data/SOURCE.md describes the columns)."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CARD_FILE = Path(__file__).parent / "data" / "UCI_Credit_Card.csv.gz"
CLIENTS = 30_000
DEFAULTS = 6_636
"""What the repository states of the file: it is read whole, or not used."""

_STATUSES = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
_BILLS = tuple(f"BILL_AMT{n}" for n in range(1, 7))
_ATTRIBUTES = ("SEX", "EDUCATION", "MARRIAGE", "AGE")
_PAYMENTS = tuple(f"PAY_AMT{n}" for n in range(1, 7))


class CardFileError(Exception):
    """The file is not the one that the demo is about."""


@dataclass(frozen=True, slots=True)
class CardMonth:
    """One month of one client, as the file has it."""

    status: int
    """-2 no consumption, -1 paid in full, 0 revolving, else how many months late."""
    billed: int
    """Whole New Taiwan dollars, as all amounts here; negative for a credit balance."""
    paid: int


@dataclass(frozen=True, slots=True)
class CardClient:
    """One client of the file."""

    number: int
    """1 to 30,000."""
    credit_limit: int
    months: tuple[CardMonth, ...]
    """Newest first: September to April 2005."""
    defaulted: bool
    """Whether the client defaulted in the month after these."""
    attributes: tuple[str, ...] = ()
    """Sex, education, marriage and age, as the file codes them. Nothing is reported or rated by them: what a rating means for
    groups is looked at afterwards."""


def read_card_file(path: Path = CARD_FILE) -> list[CardClient]:
    """All clients, by number. Raises CardFileError unless the file is whole."""
    try:
        with gzip.open(path, "rt", encoding="ascii", newline="") as file:
            clients = [_client(row) for row in csv.DictReader(file)]
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise CardFileError(f"{path.name} cannot be read: {error}") from error
    if [client.number for client in clients] != list(range(1, CLIENTS + 1)):
        raise CardFileError(f"{path.name} does not hold the clients 1 to {CLIENTS} in order")
    defaults = sum(client.defaulted for client in clients)
    if defaults != DEFAULTS:
        raise CardFileError(f"{path.name} counts {defaults} defaults, not {DEFAULTS}")
    return clients


def _client(row: Mapping[str, str]) -> CardClient:
    columns = zip(_STATUSES, _BILLS, _PAYMENTS, strict=True)
    months = tuple(CardMonth(int(row[status]), int(row[bill]), int(row[payment])) for status, bill, payment in columns)
    return CardClient(
        int(row["ID"]),
        int(row["LIMIT_BAL"]),
        months,
        row["default.payment.next.month"] == "1",
        tuple(row[name] for name in _ATTRIBUTES),
    )

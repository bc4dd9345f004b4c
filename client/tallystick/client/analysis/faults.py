"""What can be wrong with a row of a book, so that it is in no figure."""

from __future__ import annotations

from enum import Enum
from typing import Self

_AMOUNT = "must be a whole number from 0 to 10^15, in minor units of the account's currency"


class Fault(Enum):
    """One thing that is wrong with a row: the column, and what must be there."""

    column: str
    """Where it is."""
    description: str
    """What must be there instead."""

    def __new__(cls, value: str, column: str, description: str) -> Self:
        """By its name in JSON."""
        fault = object.__new__(cls)
        fault._value_, fault.column, fault.description = value, column, description
        return fault

    ACCOUNT_NUMBER = (
        "account_number",
        "account_number",
        "is empty, holds characters that nobody sees, or was changed by a spreadsheet or a data frame: export it as text",
    )
    AS_OF = (
        "as_of",
        "as_of",
        "must be an instant with a time zone such as 2025-09-30T23:59:59+08:00, from 1990 on and not in the future",
    )
    ACCOUNT_TYPE = ("account_type", "account_type", "must be one of D1, R1, R2, R3, R4, C1, D2")
    STATUS = ("status", "status", "must be a status code of the account's type")
    CURRENCY = ("currency", "currency", "must be the ISO 4217 code of a currency, such as CNY")
    OPENED_DATE = ("opened_date", "opened_date", "must be a day such as 2025-09-03, from 1900")
    OPENED_LATER = ("opened_later", "opened_date", "must not be after as_of")
    ROLE = ("role", "role", "must be a role by its code or name, or empty for the borrower")
    ASSET_QUALITY = ("asset_quality", "asset_quality", "must be a class from 1 to 5, 9, or its name")
    BALANCE = ("balance", "balance", _AMOUNT)
    RUNNING_SINCE_DATE = ("running_since_date", "running_since_date", "must be a day such as 2025-09-03, and not after as_of")
    RUNNING_DAYS_PAST_DUE = (
        "running_days_past_due",
        "running_days_past_due",
        "must be a whole number of days: 36,525 at the most, and no more than have passed since running_since_date",
    )
    RUNNING_AMOUNT = ("running_amount", "running_amount", _AMOUNT)
    COLLECTION_STAGE = ("collection_stage", "collection_stage", "must be one of none, reminder, field, agency, legal, written_off")
    SPECIAL_TRANSACTIONS = ("special_transactions", "special_transactions", "must be a JSON list of objects with type and date")
    DIFFERS = ("differs", "account_number", "differs from the account's first row, and may do so in the month's columns only")
    MONTH = ("month", "month", "must be a month such as 2025-09")
    MONTH_BEFORE_OPENING = (
        "month_before_opening",
        "month",
        "must not be before the month of opened_date, unless the account was not yet open",
    )
    MONTH_AFTER_AS_OF = ("month_after_as_of", "month", "must not be after the month of as_of, in UTC")
    MONTH_TWICE = ("month_twice", "month", "must not be there twice for one account: the first row counts")
    DISPOSITION = (
        "disposition",
        "disposition",
        "must be one of the trade's codes N * M 1 2 3 4 5 6 7 D Z B C G A # /, or its name",
    )
    NOT_YET_OPEN = ("not_yet_open", "disposition", "must not be / (not yet open) after the month of opened_date")
    DAYS_PAST_DUE = ("days_past_due", "days_past_due", "must be a whole number of days, and such as the disposition allows")
    OVERDUE_AMOUNT = ("overdue_amount", "overdue_amount", _AMOUNT)
    NOTHING_OVERDUE = ("nothing_overdue", "overdue_amount", "must be 0 or empty where the disposition says that nothing is overdue")
    PAID_AMOUNT = ("paid_amount", "paid_amount", _AMOUNT)

    @property
    def bit(self) -> int:
        """In the faults of a row."""
        return 1 << _PLACES[self]


_PLACES = {fault: place for place, fault in enumerate(Fault)}


def when(condition: str, fault: Fault) -> str:
    """SQL: the fault's bit where the condition holds."""
    return f"CASE WHEN {condition} THEN {fault.bit} ELSE 0 END"


def faults_of(bits: int) -> list[Fault]:
    """Those of a row."""
    return [fault for fault in Fault if bits & fault.bit]

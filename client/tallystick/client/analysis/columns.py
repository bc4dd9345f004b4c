"""The columns of a book that are read for its figures. Whom the accounts belong to is not among them."""

from __future__ import annotations

from typing import Final

from tallystick.client.files import accounts

AMOUNTS: Final = ("balance", "running_amount", "overdue_amount", "paid_amount")
"""Amounts that are in a figure."""

OF_ACCOUNT: Final = (
    "as_of",
    "account_type",
    "status",
    "currency",
    "opened_date",
    "role",
    "asset_quality",
    "balance",
    "running_since_date",
    "running_days_past_due",
    "running_amount",
    "collection_stage",
    "special_transactions",
)
"""In which all rows of an account must be equal."""
OF_MONTH: Final = ("month", "disposition", "days_past_due", "overdue_amount", "paid_amount")

READ: Final = ("account_number", *OF_ACCOUNT, *OF_MONTH)

REQUIRED: Final = (*(name for name in accounts.REQUIRED if not name.startswith("id_")), "month", "disposition")
"""Without these there is no figure."""
OPTIONAL: Final = tuple(
    name for name in (*accounts.REQUIRED, *accounts.ACCOUNT_OPTIONAL, *accounts.MONTH_COLUMNS) if name not in REQUIRED
)

"""A log with entries, and its verification."""

from __future__ import annotations

from typing import Any

from tallystick.client import (
    Identity,
    KeptReceipt,
    Purpose,
)

SUBJECT = Identity.passport("DE", "C01X00T47")


def fill(system: Any, count: int) -> list[KeptReceipt]:
    """Makes entries; returns their receipts."""
    with system.open() as exchange:
        return [exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, f"consent-{n}").receipt for n in range(count)]


def verify(system: Any, *arguments: Any, **options: Any) -> Any:
    with system.open() as exchange:
        return exchange.audit_verify(*arguments, **options)

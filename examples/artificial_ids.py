"""Resident IDs that pass every check and that nobody can mistake for a person's.

Region 999999: no province of GB/T 2260 begins with 99. Born from 1850 on: nobody who was is alive. The date exists and the check
digit is right (GB 11643), so the numbers go the whole way that real ones go.
"""

from __future__ import annotations

from datetime import date, timedelta

from tallystick.client import Identity
from tallystick.crypto import resident_id_check_digit

REGION = "999999"
FIRST_BIRTH_DATE = date(1850, 1, 1)
_ORDERS = 1_000
"""Order numbers 000 to 999 tell apart who was born on one day in one region."""


def artificial_id(serial: int) -> str:
    """The resident ID of the artificial person of that number, 0 or more: another for each."""
    days, order = divmod(serial, _ORDERS)
    first17 = f"{REGION}{FIRST_BIRTH_DATE + timedelta(days):%Y%m%d}{order:03d}"
    return first17 + resident_id_check_digit(first17)


def artificial_identity(serial: int) -> Identity:
    """The same as the SDK takes it."""
    return Identity.resident_id(artificial_id(serial))


def spaced(number: str) -> str:
    """The number in its parts, for people to read: region, birth date, order, check digit."""
    return f"{number[:6]} {number[6:14]} {number[14:17]} {number[17:]}"

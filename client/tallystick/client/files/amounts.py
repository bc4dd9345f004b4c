"""Amounts in files: whole numbers of the minor unit, or, where the caller says so, numbers of the major one with decimals.

"2000.00" in yuan and "2000" in fen look alike once a tool has dropped the zeros, and every other member would be told a hundredth
of the debt. So a file that has decimals anywhere in its amounts is read only by a caller that has said what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from tallystick.client.files import numbers
from tallystick.credit.codes import is_currency, minor_units

COLUMNS = ("credit_limit", "balance", "liability_amount", "running_amount", "overdue_amount", "billed_amount", "paid_amount")
"""Columns of amounts, in an accounts file."""

_DECIMALS = re.compile(r"[-+]?([0-9]*\.[0-9]*|[0-9]*,[0-9]{0,2})", re.ASCII)
"""A comma before three digits separates thousands: that is one cell's fault, and says nothing of the others."""
_MAJOR = re.compile(r"(-?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))", re.ASCII)
_COMMA = re.compile(r"-?[0-9]*,[0-9]{1,2}", re.ASCII)
_WHOLE_WITH_POINT = re.compile(r"(-?[0-9]+)\.0*", re.ASCII)


class Amounts(Enum):
    """What the amounts of a file are."""

    MINOR = "minor"
    """Whole numbers of the currency's minor unit: 12345 is 123.45 CNY."""
    MAJOR = "major"
    """Numbers of the currency itself: 123.45 is 123.45 CNY."""


def has_decimals(text: str) -> bool:
    """Whether a cell of amounts is a number with a decimal point or comma, be there only zeros behind it."""
    return _DECIMALS.fullmatch(text) is not None and any(character.isdigit() for character in text)


def reader(said: Amounts | None, currency: str) -> Callable[[str], int]:
    """Reads the cells of amounts of one row into minor units; what it returns raises ValueError with what to do."""
    if said is Amounts.MAJOR:
        return lambda text: _from_major(text, currency)
    if said is Amounts.MINOR:
        return _whole
    return numbers.whole


def _whole(text: str) -> int:
    """A whole number; a tool's ".0" is no decimal once the caller has said that there are none."""
    match = _WHOLE_WITH_POINT.fullmatch(text)
    return numbers.whole(match[1] if match else text)


def _from_major(text: str, currency: str) -> int:
    match = _MAJOR.fullmatch(text)
    if match is None:
        raise ValueError("has a decimal comma: give a point, as in 1234.50") if _COMMA.fullmatch(text) else numbers.form_fault(text)
    if not is_currency(currency):
        raise ValueError("cannot be read before currency is an ISO 4217 code")
    places = minor_units(currency)
    sign, before, behind = match[1], match[2] or "", (match[3] or match[4] or "").rstrip("0")
    if len(behind) > places:
        raise ValueError(f"must have at most {places} decimals, as {currency} has")
    return numbers.whole(sign + before + behind.ljust(places, "0"))

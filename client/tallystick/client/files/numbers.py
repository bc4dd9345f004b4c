"""Numbers in cells: whole ones, and of what is none what exactly is wrong with it, so that its row can be mended."""

from __future__ import annotations

import re
import unicodedata

from tallystick.credit.codes import is_currency

MAX_DIGITS = 18
"""Of a number that is read at all; whether an amount is too large is the exchange's to say, with the same words."""
NOT_WHOLE = "has decimals, and amounts are whole numbers in the minor unit (12345 is 123.45 CNY)"
TOO_LARGE = "must be 0 or more, and 10^15 at the most, in minor units of the account's currency"
_COUNT_DIGITS = 9

_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)
_COUNT = re.compile(r"([0-9]+)(\.0*)?", re.ASCII)
_NUMBER = r"[0-9]+([.,][0-9]*)?|[.,][0-9]+"
_DECIMALS = re.compile(r"-?([0-9]*\.[0-9]*|[0-9]*,[0-9]{0,2}|[0-9]+)", re.ASCII)
"""A comma before three digits separates thousands."""
_EXPONENT = re.compile(rf"[-+]?({_NUMBER})[Ee][-+]?[0-9]+", re.ASCII)
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}([,.'\u2019\u00a0\u2009\u202f ][0-9]{2,3})+([.,][0-9]*)?", re.ASCII)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212\uff0d"


class OutOfRange(ValueError):  # noqa: N818 - it becomes a row of the rejects, not a fault
    """A number that is one, and too large."""


class NoNumber(ValueError):  # noqa: N818 - as above
    """What is no number at all, and may stand for one that is not known."""


def whole(text: str) -> int:
    """An amount in the minor unit: a whole number."""
    if _WHOLE.fullmatch(text) is None:
        raise _wrong(text, NOT_WHOLE)
    if len(text.lstrip("-0")) > MAX_DIGITS:
        raise OutOfRange(TOO_LARGE)
    return int(text)


def count(text: str) -> int:
    """A whole number from 0: days, or a code. 12.0 is 12, as a data frame with a missing value has it."""
    match = _COUNT.fullmatch(text)
    if match is None:
        if text.startswith("-") and _DECIMALS.fullmatch(text):
            raise ValueError("must be a whole number from 0")
        raise _wrong(text, "must be a whole number, without decimals")
    if len(match[1].lstrip("0")) > _COUNT_DIGITS:
        raise OutOfRange(f"must be a whole number of at most {_COUNT_DIGITS} digits")
    return int(match[1])


def without_point(text: str) -> str:
    """A code without the decimals that a data frame gave it: "2.0" is "2"."""
    match = _COUNT.fullmatch(text)
    return match[1] if match else text


def _wrong(text: str, of_decimals: str) -> ValueError:
    """What is wrong with it; of one that has only decimals what the caller says."""
    return ValueError(of_decimals) if any(map(str.isdigit, text)) and _DECIMALS.fullmatch(text) else form_fault(text)


def form_fault(text: str) -> ValueError:
    """What is wrong with the form of a number. The text never holds the cell."""
    if not any(character.isdigit() for character in text):
        return NoNumber("is no number")
    if any(unicodedata.category(character) == "Sc" for character in text) or "元" in text or _names_currency(text):
        return ValueError("has a currency's sign or name in it: give the number alone, column currency says what it is in")
    if _EXPONENT.fullmatch(text):
        return ValueError("has an exponent (E+…), as a spreadsheet shows long numbers: give all of its digits")
    if _GROUPED.fullmatch(text):
        return ValueError("has separators of thousands: give the digits without them")
    return ValueError(_other_fault(text))


def _other_fault(text: str) -> str:
    if text.startswith("(") and text.endswith(")"):
        return "is in brackets: give the number alone, with - before it if it is negative"
    if text.endswith(("-", "+")) or text.startswith("+") or text[0] in _DASHES:
        return "has a sign that is not read: a negative number has - before it, any other none"
    if any(character.isdigit() and not character.isascii() for character in text):
        return "has other digits than 0 to 9: give it in those"
    if "%" in text:
        return "is a percentage, and must be a number"
    return "has something beside the number: give the number alone"


def _names_currency(text: str) -> bool:
    words = re.findall(r"[A-Za-z]+", text)
    return len(words) == 1 and (is_currency(words[0].upper()) or words[0].upper() == "RMB")

"""Numbers that a spreadsheet or a data frame has changed: recognised before two accounts become one, or one person another.

A spreadsheet keeps 15 digits: 6222040000001234567 is shown as 6.22204E+18 and saved so, or saved as 6222040000001230000. A data
frame with a missing value makes 62220017 into 62220017.0. What was there before cannot be known from what is left.
"""

from __future__ import annotations

import re

_EXPONENT = re.compile(r"[-+]?[0-9]([.,][0-9]+)?[Ee]\+[0-9]{1,3}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]+\.0+", re.ASCII)
_FORMULA = re.compile(r'="([^"]*)"')

KEPT_DIGITS = 15
"""Digits that a spreadsheet keeps of a number."""
FEWEST = 8
"""Of so few long numbers nothing is said: they may end in zeros by chance."""


def unwrapped(text: str) -> str:
    """A number without what somebody put round it to save it from a spreadsheet: ="00017" and '00017 are 00017."""
    match = _FORMULA.fullmatch(text)
    text = match[1] if match else text
    return text.removeprefix("'")


def damage(text: str) -> str:
    """What has happened to a number, for a person to read; "" when nothing can be seen."""
    if _EXPONENT.fullmatch(text):
        return "was changed by a spreadsheet, which keeps 15 digits and writes the rest as E+…: export it as text"
    if _DECIMAL.fullmatch(text):
        return "has become a number with decimals (….0), and may have lost leading zeros: export it as text"
    return ""


ROUNDED = (
    "most of the long numbers end in zeros after their 15th digit: a spreadsheet has rounded them, and they are not the numbers of"
    " your accounts or persons any more; export them as text"
)


def are_rounded(long: int, rounded: int) -> bool:
    """Whether numbers of more than 15 digits were rounded, by how many end in zeros: by chance one in ten of 16 digits does, and
    one in ten thousand of 19."""
    return long >= FEWEST and rounded > long / 2


class RoundedNumbers:
    """Watches a column of numbers: whether those with more than 15 digits end in zeros where they should not all do so."""

    def __init__(self) -> None:
        self._long = 0
        self._rounded = 0

    def take(self, text: str) -> None:
        """One number."""
        if len(text) > KEPT_DIGITS and text.isascii() and text.isdigit():
            self._long += 1
            self._rounded += not text[KEPT_DIGITS:].strip("0")

    @property
    def found(self) -> bool:
        """Whether the column was."""
        return are_rounded(self._long, self._rounded)

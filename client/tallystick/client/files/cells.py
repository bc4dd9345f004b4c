"""Cells: from text to the trade's values, naming the column that is wrong."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from typing import Any, TypeVar

from tallystick.client.files.numbers import NoNumber, OutOfRange, without_point
from tallystick.credit.codes import disposition_from_code
from tallystick.credit.enums import Disposition

_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}(-01)?", re.ASCII)
_NO_MONTH = "must be a month such as 2025-09"
_MAX_LIST = 100

V = TypeVar("V")
W = TypeVar("W")
E = TypeVar("E", bound=IntEnum)


class CellInvalid(Exception):  # noqa: N818 - it becomes a row of the rejects, not a fault
    """A cell cannot be read. `reason` is a name of ErrorReason; the text never holds the cell."""

    def __init__(self, column: str, reason: str, description: str) -> None:
        super().__init__(f"{column}: {description}")
        self.column = column
        self.reason = reason
        self.description = description


class Cells:
    """The cells of one row, by column."""

    def __init__(self, positions: dict[str, int], cells: list[str]) -> None:
        self._positions = positions
        self._cells = cells
        self.faults: list[CellInvalid] = []
        """What `take` could not read."""

    def text(self, column: str) -> str:
        """The cell's text; "" if the file has no such column."""
        position = self._positions.get(column)
        return "" if position is None else self._cells[position]

    def read(self, column: str, parse: Callable[[str], V]) -> V:
        """A cell that must be there; raises CellInvalid with what `parse`'s ValueError says."""
        text = self.text(column)
        if not text:
            raise CellInvalid(column, "FIELD_REQUIRED", "must not be empty")
        try:
            return parse(text)
        except OutOfRange as error:
            raise CellInvalid(column, "FIELD_OUT_OF_RANGE", str(error)) from None
        except ValueError as error:
            raise CellInvalid(column, "FIELD_MALFORMED", str(error)) from None

    def take(self, column: str, parse: Callable[[str], V], otherwise: W) -> V | W:
        """A cell that must be there, or `otherwise` and one fault more: who corrects a row wants to know all of them."""
        try:
            return self.read(column, parse)
        except CellInvalid as fault:
            self.faults.append(fault)
            return otherwise

    def take_optional(self, column: str, parse: Callable[[str], V]) -> V | None:
        """The same of a cell that may be empty."""

        def told(text: str) -> V:
            try:
                return parse(text)
            except NoNumber as error:
                raise ValueError(f"{error}; leave the cell empty where it is not known") from None

        return self.take(column, told, None) if self.text(column) else None


@lru_cache(maxsize=4096)
def day(text: str) -> dt.date:
    """A day such as 2025-09-03."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a day such as 2025-09-03") from None


@lru_cache(maxsize=1024)
def month(text: str) -> dt.date:
    """A month such as 2025-09, also written as its first day."""
    if _MONTH.fullmatch(text) is None:
        raise ValueError(_NO_MONTH)
    try:
        return dt.date.fromisoformat(text[:7] + "-01")
    except ValueError:
        raise ValueError(_NO_MONTH) from None


@lru_cache(maxsize=1024)
def instant(text: str) -> dt.datetime:
    """An instant such as 2025-09-30T23:59:59+08:00."""
    try:
        value = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be an instant such as 2025-09-30T23:59:59+08:00") from None
    if value.tzinfo is None:
        raise ValueError("must have a time zone, such as 2025-09-30T23:59:59+08:00 or …Z")
    return value.replace(microsecond=0)


_TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def truth(text: str) -> bool:
    """Yes or no, as people and programs write it."""
    try:
        return _TRUTH[text.lower()]
    except KeyError:
        raise ValueError("must be yes or no") from None


def code(kind: type[E], *, numbers: bool = True) -> Callable[[str], E]:
    """A code of a list by its name, and by its number where the trade has numbers: "doubtful" or "4"."""
    members = {member.name.lower(): member for member in kind if member}
    if numbers:
        members |= {str(int(member)): member for member in kind if member}

    def parse(text: str) -> E:
        try:
            return members[(without_point(text) if numbers else text).lower().replace(" ", "_").replace("-", "_").lstrip("0")]
        except KeyError:
            names = ", ".join(member.name.lower() for member in kind if member)
            raise ValueError(f"must be one of {names}{', or its number' if numbers else ''}") from None

    return parse


def disposition(text: str) -> Disposition:
    """A month's disposition by the trade's code or by its name, in any letter case: "N" or "paid_as_agreed"."""
    try:
        return disposition_from_code(without_point(text).upper())
    except ValueError as error:
        try:
            return _named_disposition(text)
        except ValueError:
            raise error from None


def objects(text: str) -> list[dict[str, Any]]:
    """A JSON list of objects."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError('must be a JSON list of objects, such as [{"type": "extension", "date": "2025-09-03"}]')
    if len(values) > _MAX_LIST:
        raise ValueError(f"must not list more than {_MAX_LIST}")
    return values


_named_disposition = code(Disposition, numbers=False)

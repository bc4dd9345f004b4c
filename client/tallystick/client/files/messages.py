"""Messages as `tallystick watch follow --json` wrote them: one object a line."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

from tallystick.client.exceptions import FileInvalid
from tallystick.credit.codes import is_currency
from tallystick.credit.enums import TriggerType, WatchStateReason
from tallystick.credit.monitoring import Alert, Band, WarningClass, WatchEnded
from tallystick.crypto.references import MAX_ACCOUNT_NUMBER_CHARACTERS

MAX_LINE_BYTES = 65_536
_MAX_ACTION = 300
_MAX_COUNT = 2**32 - 1
_MAX_AMOUNT = 2**63 - 1
_REFERENCE_BYTES = 40

E = TypeVar("E", bound=IntEnum)


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """One message with the class and the action that it was given. Whom it is about is not in it, but by the account."""

    message_id: uuid.UUID
    """A message may be kept twice: remove duplicates by it."""
    date: dt.date
    account_reference: bytes
    account_number: str | None
    """None where the file was written without --accounts, or the account is not among them."""
    content: Alert | WatchEnded
    warning_class: WarningClass | None
    """None where no rule was about it."""
    action: str
    """What the class calls for; "" without one."""


def read_messages(path: Path) -> Iterator[KeptMessage]:
    """The messages of a file, in its order, one at a time; empty lines are none. Raises FileInvalid, which names line and field."""
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"is longer than {MAX_LINE_BYTES} bytes: no message is")
                if line.strip():
                    yield _message(_Fields("", json.loads(line)))
    except UnicodeDecodeError:
        raise FileInvalid(f"{path}: line {number}: is not UTF-8") from None
    except (json.JSONDecodeError, RecursionError):
        told = "is not JSON: give what `tallystick watch follow --json` wrote"
        raise FileInvalid(f"{path}: line {number}: {told}") from None
    except ValueError as error:
        raise FileInvalid(f"{path}: line {number}: {error}") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None


class _Fields:
    """One object; every complaint names the field, and never holds its value. What is not asked for is not looked at."""

    def __init__(self, name: str, values: Any) -> None:
        self._name = name
        if not isinstance(values, dict):
            raise ValueError(f"{name or 'the line'} must be an object: give what `tallystick watch follow --json` wrote")
        self._values = values

    def within(self, name: str) -> _Fields | None:
        value = self._values.get(name)
        return None if value is None else _Fields(self._path(name), value)

    def text(self, name: str, longest: int) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= longest:
            raise ValueError(f"{self._path(name)} must be a text of 1 to {longest} characters")
        return value

    def optional_text(self, name: str, longest: int) -> str | None:
        return None if self._values.get(name) is None else self.text(name, longest)

    def count(self, name: str, most: int = _MAX_COUNT) -> int:
        value = self._values.get(name)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise ValueError(f"{self._path(name)} must be a whole number of 0 to {most}")
        return value

    def read(self, name: str, longest: int, what: str, parse: Any) -> Any:
        try:
            return parse(self.text(name, longest))
        except (ValueError, KeyError):
            raise ValueError(f"{self._path(name)} must be {what}") from None

    def code(self, name: str, kind: type[E]) -> E:
        members = {member.name.lower(): member for member in kind if member}
        member: E = self.read(name, 40, "a name that this version knows; install a newer one", members.__getitem__)
        return member

    def _path(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name


def _message(line: _Fields) -> KeptMessage:
    alert, ended = line.within("alert"), line.within("watch_ended")
    if (alert is None) == (ended is None):
        raise ValueError("must have either alert or watch_ended: give what `tallystick watch follow --json` wrote")
    content: Alert | WatchEnded
    if alert is not None:
        content = _alert(alert)
    else:
        assert ended is not None
        content = WatchEnded(reason=ended.code("reason", WatchStateReason), discarded_count=ended.count("discarded_count"))
    warning_class = None
    if line.optional_text("class", 10) is not None:
        warning_class = line.read("class", 10, f"one of {', '.join(WarningClass)}, or null", WarningClass)
    return KeptMessage(
        message_id=line.read("message_id", 36, "a UUID", uuid.UUID),
        date=line.read("date", 10, "a day such as 2026-10-09", dt.date.fromisoformat),
        account_reference=line.read("account_reference", 2 * _REFERENCE_BYTES, "40 bytes in hexadecimal", _reference),
        account_number=line.optional_text("account_number", MAX_ACCOUNT_NUMBER_CHARACTERS),
        content=content,
        warning_class=warning_class,
        action=line.optional_text("action", _MAX_ACTION) or "",
    )


def _alert(alert: _Fields) -> Alert:
    band = alert.within("band")
    return Alert(
        type=alert.code("type", TriggerType),
        before=alert.count("before"),
        after=alert.count("after"),
        band=_band(band) if band is not None else None,
        repeats=alert.count("repeats"),
    )


def _band(band: _Fields) -> Band:
    currency = band.text("currency", 3)
    if not is_currency(currency):
        raise ValueError("alert.band.currency must be the ISO 4217 alphabetic code of a currency")
    # An amount without an upper bound has null there.
    return Band(currency, band.count("at_least", _MAX_AMOUNT), band.count("below", _MAX_AMOUNT) or None)


def _reference(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != _REFERENCE_BYTES:
        raise ValueError("is of another length")
    return value

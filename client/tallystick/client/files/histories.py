"""Answers as `tallystick --json query` prints them, read back: what a bank kept of a question."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import types
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from tallystick.client.exceptions import FileInvalid
from tallystick.credit.codes import disposition_from_code
from tallystick.credit.enums import AccountType, Disposition
from tallystick.credit.history import CreditHistory
from tallystick.credit.records import HistoryError

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes: an answer of 4 MiB is some 30 MB of JSON."""


def read_history(path: Path) -> CreditHistory:
    """The history in a file: the whole that `query` prints, or its `history` alone. Raises FileInvalid, naming the place."""
    return read_answer(path)[0]


def read_answer(path: Path) -> tuple[CreditHistory, Any]:
    """The same, with what stands beside the history as `rating`; None where nothing does."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ANSWER + 1)
        if len(content) > MAX_ANSWER:
            raise FileInvalid(f"{path}: is larger than {MAX_ANSWER} bytes")
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileInvalid(f"{path}: is not the JSON of one answer: {error}") from None
    except OSError as error:
        raise FileInvalid(f"{path} cannot be read: {error.strerror}") from None
    beside = None
    if isinstance(value, dict) and isinstance(value.get("history"), dict):
        beside, value = value.get("rating"), value["history"]
    try:
        history = _read(CreditHistory, value, "history")
    except _PlaceError as error:
        raise FileInvalid(f"{path}: {error}") from None
    assert isinstance(history, CreditHistory)
    return history, beside


class _PlaceError(ValueError):
    """What is wrong, and where."""


def _read(kind: Any, value: Any, place: str) -> Any:
    """A value of a type, as `output.plain` wrote it."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [each for each in get_args(kind) if each is not type(None)]
        return None if value is None else _read(inner[0], value, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise _PlaceError(f"{place}: must be a list")
        return tuple(_read(get_args(kind)[0], each, f"{place}[{n}]") for n, each in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, place)
    return _read_plain(kind, value, place)


def _read_dataclass(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise _PlaceError(f"{place}: must be an object")
    hints = get_type_hints(kind)
    given = {}
    for each in dataclasses.fields(kind):
        if each.name in value:
            given[each.name] = _read(hints[each.name], value[each.name], f"{place}.{each.name}")
        elif each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            raise _PlaceError(f"{place}.{each.name}: is missing")
    try:
        return kind(**given)
    except HistoryError as error:
        raise _PlaceError(f"{place}.{error}") from None


def _read_plain(kind: Any, value: Any, place: str) -> Any:
    try:
        if issubclass(kind, IntEnum):
            return _read_code(kind, value)
        if kind is dt.datetime:
            return dt.datetime.fromisoformat(value)
        if kind is dt.date:
            return dt.date.fromisoformat(value)
        if kind is bytes:
            return bytes.fromhex(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _PlaceError(f"{place}: is no {kind.__name__.lower()}") from None
    # JSON may hold halves of characters, which nothing can write again.
    if type(value) is not kind or (kind is str and any("\ud800" <= each <= "\udfff" for each in value)):
        raise _PlaceError(f"{place}: must be of the type {kind.__name__}")
    return value


def _read_code(kind: type[IntEnum], value: Any) -> IntEnum:
    if value is None:
        return kind(0)
    if kind is Disposition:
        return disposition_from_code(value) if value else Disposition.UNSPECIFIED
    return kind[value] if kind is AccountType else kind[value.upper()]

"""Readers of the values in a policy's TOML: each takes a value of any type, and gives the typed one or says what it expected."""

import dataclasses
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Annotated, Any, Final, TypeVar, get_origin, get_type_hints

from tallystick.credit.codes import (
    ACCOUNT_STATUSES,
    OVERDUE_DISPOSITIONS,
    disposition_code,
    is_currency,
)
from tallystick.credit.enums import AccountType, Disposition
from tallystick.credit.field_rules import MAX_AMOUNT

Reader = Callable[[Any], Any]
"""Gives the typed value. Raises ValueError, whose text says what was expected."""

_Code = TypeVar("_Code")
_Listed = TypeVar("_Listed", bound=IntEnum)


def keys_of(kind: type[Any]) -> dict[str, tuple[Reader, bool]]:
    """The keys of a rule kind, which are its annotated fields: the reader of each, and whether it is required."""
    required = {item.name: item.default is dataclasses.MISSING for item in dataclasses.fields(kind)}
    return {
        name: (hint.__metadata__[0], required[name])
        for name, hint in get_type_hints(kind, include_extras=True).items()
        if get_origin(hint) is Annotated
    }


def whole_number(low: int, high: int) -> Reader:
    """An integer within bounds."""

    def read(value: Any) -> int:
        # In Python, but not in TOML, true is a number.
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return read


def read_short_text(value: Any) -> str:
    """A short, printable text."""
    if not isinstance(value, str) or not 1 <= len(value) <= 100 or not value.isprintable():
        raise ValueError("expected a text of 1 to 100 printable characters")
    return value


def one_of(choices: Mapping[str, _Code]) -> Reader:
    """One code of a list, by its name there."""

    def read(value: Any) -> _Code:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"expected one of the texts {', '.join(choices)}")
        return choices[value]

    return read


def some_of(choices: Mapping[str, _Code]) -> Reader:
    """A list of distinct codes, at least one."""
    read_one = one_of(choices)

    def read(value: Any) -> tuple[_Code, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError("expected a list of at least one text")
        codes = tuple(read_one(item) for item in value)
        if len(set(codes)) < len(codes):
            raise ValueError("expected each code once")
        return codes

    return read


def names_of(enum: type[_Listed]) -> dict[str, _Listed]:
    """A list's codes by their names in lower case."""
    return {member.name.lower(): member for member in enum if member}


ACCOUNT_TYPES: Final = {account_type.name: account_type for account_type in AccountType if account_type}
DISPOSITIONS: Final = {disposition_code(code): code for code in Disposition if code}
OVERDUE: Final = {disposition_code(code): code for code in OVERDUE_DISPOSITIONS}


def read_amounts(value: Any) -> dict[str, int]:
    """A table from ISO 4217 codes to amounts in minor units."""
    expected = "expected a table from ISO 4217 codes to amounts in minor units, such as {CNY = 10000}"
    if not isinstance(value, dict) or not value:
        raise ValueError(expected)
    read_amount = whole_number(0, MAX_AMOUNT)
    for currency, amount in value.items():
        if not is_currency(currency):
            raise ValueError(expected)
        read_amount(amount)
    return dict(value)


def read_statuses(value: Any) -> dict[AccountType, frozenset[int]]:
    """A table from account types to lists of their status codes."""
    if not isinstance(value, dict) or not value:
        raise ValueError("expected a table from account types to lists of their status codes, such as {D1 = [6, 8]}")
    found = {}
    for name, codes in value.items():
        if name not in ACCOUNT_TYPES:
            raise ValueError(f"expected account types among {', '.join(ACCOUNT_TYPES)}")
        allowed = ACCOUNT_STATUSES[ACCOUNT_TYPES[name]]
        if not isinstance(codes, list) or not codes or not all(type(code) is int and code in allowed for code in codes):
            raise ValueError(f"expected for {name} a list of codes among {', '.join(map(str, allowed))}")
        found[ACCOUNT_TYPES[name]] = frozenset(codes)
    return found

"""What a test says: codes by name or number as files have them, whole numbers, and what is neither named by its parameter."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from tallystick.client.files.cells import code

E = TypeVar("E", bound=IntEnum)


def code_of(kind: type[E], value: object, parameter: str) -> E:
    """A code by its member, number or name. Raises ValueError naming the parameter and the choices."""
    try:
        if isinstance(value, int) and not isinstance(value, bool) and value:
            return kind(value)
        if isinstance(value, str):
            return code(kind)(value)
    except ValueError:
        pass
    choices = ", ".join(member.name for member in kind if member)
    raise ValueError(f"{parameter}: must be a {kind.__name__}, or the name of one: {choices}")


def whole_of(value: object, parameter: str) -> int:
    """A whole number. Raises ValueError naming the parameter."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{parameter}: must be a whole number, and is a {type(value).__name__}")
    return value

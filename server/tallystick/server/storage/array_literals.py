"""Arrays of many short values as PostgreSQL reads them: one literal is parsed in a third of the time that a list of literals takes.

Long values are better left to the driver, as lists: in a literal each byte passes through one more parser.
"""

from __future__ import annotations

from collections.abc import Iterable


def integers(values: Iterable[int]) -> str:
    """For a parameter that is cast to an array of integers."""
    return "{" + ",".join(map(str, values)) + "}"


def booleans(values: Iterable[bool]) -> str:
    """For a parameter that is cast to boolean[]."""
    return "{" + ",".join("t" if value else "f" for value in values) + "}"


def short_bytes(values: Iterable[bytes | None]) -> str:
    """For a parameter that is cast to bytea[]; None is null."""
    # The array's own quoting takes one of the two backslashes.
    return "{" + ",".join("NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values) + "}"

"""Work in steps: what takes long stops between them, so that a server may serve others meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")

Steps = Generator[None, None, Result]
"""Work that stops now and then, and has a result at its end."""


def at_once(steps: Steps[Result]) -> Result:
    """The result, without a stop."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result

"""Prepared statements: what every request asks of the database, parsed and planned once for each connection.

They are PostgreSQL's own PREPARE and EXECUTE, in text: so several are executed in one string, and one round trip. `Connection.run`
prepares what it executes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement of the program, under a name that no other has."""

    name: str
    types: Mapping[str, str]
    """PostgreSQL's type of each parameter."""
    sql: str
    """With %(parameter)s for each, and so %% for a percent sign."""

    def __call__(self, **values: object) -> Execution:
        """The statement with values for all of its parameters."""
        if values.keys() != self.types.keys():
            raise TypeError(f"{self.name} takes {', '.join(self.types)}")
        return Execution(self, [values[parameter] for parameter in self.types])

    @property
    def preparation(self) -> str:
        """What makes it known to a session."""
        numbered = self.sql % {parameter: f"${number}" for number, parameter in enumerate(self.types, start=1)}
        types = f" ({', '.join(self.types.values())})" if self.types else ""
        return f"PREPARE {self.name}{types} AS {numbered}"

    @property
    def execution(self) -> str:
        """What runs it, with %s for each value."""
        # An array of nothing but nulls says no type, so the type is said here too.
        values = f" ({', '.join(f'%s::{type_}' for type_ in self.types.values())})" if self.types else ""
        return f"EXECUTE {self.name}{values}"


@dataclass(frozen=True, slots=True)
class Execution:
    """A statement with the values for its parameters."""

    statement: Statement
    values: Sequence[object]

"""The server's errors, by audience: a Refusal answers a peer, a Problem stops an operator's command.

A Refusal is named by its reason (tallystick.v1.ErrorReason). ConcurrentChangeError stays inside the server: the ledger runs the
transaction again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick.contract.limits import MAX_VIOLATIONS
from tallystick.contract.reasons import BY_NAME, name_of
from tallystick.contract.violations import Violation
from tallystick.v1 import errors_pb2


@dataclass(slots=True)
class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A request is not carried out. Its text reaches the peer: no value of a token, reference or key may be in it."""

    reason: errors_pb2.ErrorReason.ValueType
    message: str
    violations: Sequence[Violation] = ()
    retry_after: float | None = None
    """Seconds after which the same request may be sent again; None if it had better not be."""
    left: int | None = None
    """For a limit: how much of it is left, so that the caller can ask for as much; None where that is not known."""

    @property
    def reason_name(self) -> str:
        """The reason as it is in google.rpc.ErrorInfo: the enum's name without its prefix."""
        return name_of(self.reason)

    @classmethod
    def of_field(cls, reason: errors_pb2.ErrorReason.ValueType, field: str, description: str) -> Refusal:
        """A refusal for one field."""
        name = name_of(reason)
        return cls(reason, f"{field}: {description}", (Violation(field, name, description),))

    def __str__(self) -> str:
        return f"{self.reason_name}: {self.message}"


def refuse_violations(violations: Sequence[Violation]) -> Refusal:
    """A refusal of a whole request for what is wrong with its fields; its reason is the first violation's."""
    first = violations[0]
    reason = BY_NAME[first.reason].value
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return Refusal(reason, f"{first.field}: {first.description}{more}", violations[:MAX_VIOLATIONS])


class Problem(Exception):  # noqa: N818 - something for the operator to correct, not a fault of the program
    """Stops an operator's command. Its text is one line that says what to do. It never holds a key, a password or a token."""


class ConcurrentChangeError(Exception):
    """Another transaction made what this one was about to make. When run again, this one finds it."""

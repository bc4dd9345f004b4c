"""Violations: what is wrong with one field of a message from outside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with one field. It reaches the peer: no value of a token or reference is in it."""

    field: str
    """The field's path in the request message, such as "reports[3].account.months[2].month"."""
    reason: str
    """A name of tallystick.v1.ErrorReason without its prefix, such as "FIELD_REQUIRED"."""
    description: str
    """What is wrong and what to do, for a person to read."""

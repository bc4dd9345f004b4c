"""What an in-memory server's operations are handed, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from tallystick.contract.subjects import Subject
from tallystick.v1.codes_pb2 import Purpose
from tallystick.v1.membership_service_pb2 import ROLE_AUDITOR, ROLE_INQUIRER, ROLE_REPORTER, ROLE_TOKEN_REQUESTER

ALL_PURPOSES = frozenset(purpose for purpose in Purpose.values() if purpose)


@dataclass(slots=True)
class Caller:
    """The one member that an in-memory exchange knows, as its registry would have it. A test may change it."""

    member_id: str
    roles: frozenset[int] = frozenset({ROLE_REPORTER, ROLE_INQUIRER, ROLE_TOKEN_REQUESTER})
    purposes: frozenset[int] = ALL_PURPOSES
    active: bool = True
    revoked: bool = False
    """Whether its signing key is."""

    @property
    def audits(self) -> bool:
        """Whether it is an auditor."""
        return ROLE_AUDITOR in self.roles


@dataclass(frozen=True, slots=True)
class Request:
    """One request that may be carried out."""

    message: Any
    subjects: Sequence[Subject]
    caller: Caller
    now: datetime
    index: int
    """Where its entry will be in the log."""
    prepared: Any = None
    """What the operation's `validate` returned."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request. Both functions raise Refusal."""

    run: Callable[[Request], Message]
    validate: Callable[[Any, datetime], Any] = field(default=lambda _message, _now: None)
    """Checks what the message says by itself; comes after the caller's standing and before its request_id."""
    keeps_answer: bool = False
    """Whether a repeated request_id is answered as it was then; else it is carried out again, which changes nothing."""

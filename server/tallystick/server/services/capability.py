"""A capability: one package of services/, and everything that the server needs of it, in one value.

A field cannot be left out: a capability without periodic steps, or without anything to erase, says so with an empty tuple.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from tallystick.contract.methods import Method
from tallystick.crypto import oprf
from tallystick.server.installation.key_folder import ServerKeys
from tallystick.server.installation.settings import Settings
from tallystick.server.log.erasure import Eraser
from tallystick.server.log.evidence import EvidenceBox
from tallystick.server.requests.operation import Operation
from tallystick.server.storage.reader import Reader
from tallystick.server.storage.upkeep import Step


@dataclass(frozen=True, slots=True)
class Foundation:
    """What capabilities are built on."""

    settings: Settings
    keys: ServerKeys
    url: str
    """The URL of the database."""
    epoch_id: bytes
    """The key epoch whose tokens are valid here; empty at a token authority, where there are none."""
    box: EvidenceBox

    @classmethod
    def of(cls, settings: Settings, keys: ServerKeys, url: str) -> Foundation:
        """The foundation of a server with these settings and keys."""
        exchange = settings.role == "exchange"
        epoch_id = oprf.epoch_id(settings.token_sequence, bytes.fromhex(settings.token_public_key)) if exchange else b""
        return cls(settings, keys, url, epoch_id, EvidenceBox(keys.evidence))


@dataclass(frozen=True, slots=True)
class PublicMethod:
    """A method that is neither signed nor logged."""

    contract: Method[Any, Any]
    answer: Callable[[Reader, Any], Awaitable[Message]]
    """Answers a parsed request; raises Refusal."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What one package of services/ brings to a server."""

    operations: tuple[Operation, ...]
    public_methods: tuple[PublicMethod, ...]
    upkeep: tuple[Step, ...]
    erasers: tuple[Eraser, ...]
    """One for each table of the capability that holds something of a subject; a test compares them with the tables."""

"""An entry as the examination carries it from table to table: its leaf, and what its evidence opened into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tallystick.contract.instants import EPOCH
from tallystick.contract.methods import METHODS, Method
from tallystick.crypto import RequestSignature
from tallystick.v1 import log_pb2


@dataclass(slots=True)
class Examined:
    """One entry whose leaf can be read."""

    index: int
    leaf: log_pb2.AuditEntry
    create_time: datetime
    """By the leaf."""
    member: int
    """The row of the leaf's member; by the column where no member is called so."""
    details: Sequence[log_pb2.DetailLeaf] = ()
    """What the evidence opened into; empty when there is none, or it does not open."""
    dropped: bool = False
    """Whether its evidence is gone because its month's time is over."""
    envelope: log_pb2.Envelope | None = None
    signature: RequestSignature | None = None
    """The request's signature, from the envelope; None when there is none, or it cannot be read."""
    request: bytes | None = None
    """The request as received; None when it was not kept, or erased."""
    message: Any = None
    """The parsed request; None when there is none, or it cannot be read."""
    repeated: bool | None = None
    """Whether it was a retry of what had its effect before; None where that cannot be told."""

    @property
    def carried_out(self) -> bool:
        """Whether it was not refused."""
        return self.leaf.outcome == log_pb2.ENTRY_OUTCOME_OK

    @property
    def contract(self) -> Method[Any, Any] | None:
        """Its method; None for one that this version does not know."""
        return METHODS.get(self.leaf.method)

    @property
    def request_id(self) -> bytes | None:
        """The request_id, where the method has one and the request is there."""
        return None if self.message is None or self.contract is None else self.contract.request_id(self.message)

    @property
    def erased(self) -> bool:
        """Whether a part of it was erased, or was never kept."""
        return any(leaf.WhichOneof("content") == "erased_leaf_hash" for leaf in self.details)


def time_of(leaf: log_pb2.AuditEntry) -> datetime:
    """The time of a leaf. Raises OverflowError for one that no calendar has."""
    return EPOCH + timedelta(seconds=leaf.create_time.seconds, microseconds=leaf.create_time.nanos // 1000)

"""Signed checkpoints of the log (C2SP tlog-checkpoint over signed-note), made from the head row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.crypto import Checkpoint, CompactRange, sign_checkpoint
from tallystick.v1 import audit_service_pb2

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tallystick.server.storage.connection import Connection


async def read_head(connection: Connection) -> CompactRange:
    """The head of the log as last committed: its size and compact range; of size 0 before the first entry."""
    rows = await connection.fetch("SELECT size, compact_range FROM log_head")
    if not rows:
        return CompactRange.from_bytes(0, b"")
    ((size, compact_range),) = rows
    return CompactRange.from_bytes(size, bytes(compact_range))


async def get_checkpoint(
    connection: Connection,
    _request: audit_service_pb2.GetCheckpointRequest,
    *,
    origin: str,
    checkpoint_key: Ed25519PrivateKey,
) -> audit_service_pb2.GetCheckpointResponse:
    """Signs the committed head. Ed25519 is deterministic: every worker gives the same bytes for the same size.

    Reads only what is committed: a checkpoint never promises an entry whose transaction may still fail.
    """
    head = await read_head(connection)
    note = sign_checkpoint(Checkpoint(origin, head.size, head.root()), checkpoint_key)
    return audit_service_pb2.GetCheckpointResponse(checkpoint=note)

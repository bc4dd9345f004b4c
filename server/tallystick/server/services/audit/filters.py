"""The member that several reads of the log are asked by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.credit.audit_requests import Filtered, no_such_member
from tallystick.server.services.membership import registry

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection


async def filtered_member(connection: Connection, message: Filtered) -> int | None:
    """The member whose entries are asked for; None for those of all. Raises Refusal NOT_FOUND."""
    if not message.member_id:
        return None
    row = await registry.find_member(connection, message.member_id)
    if row is None:
        raise no_such_member()
    return row.id

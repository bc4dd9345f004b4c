"""Forgetting servicing events: by age, and with their subject."""

from __future__ import annotations

from psycopg2 import extensions

from tallystick.server.storage.connection import Connection
from tallystick.server.storage.upkeep import delete_in_steps


def purge_events(connection: extensions.connection, *, months: int) -> int:
    """Forgets events that were recorded so many months ago; returns how many."""
    return delete_in_steps(
        connection,
        "DELETE FROM servicing_event WHERE ctid = ANY (ARRAY(SELECT ctid FROM servicing_event"
        " WHERE create_time < clock_timestamp() - %(months)s * interval '1 month' LIMIT %(limit)s))",
        months=months,
    )


async def erase_events(connection: Connection, subject_key: bytes) -> int:
    """Deletes every event of a subject, whose accounts the transaction has locked; returns how many there were."""
    rows = await connection.fetch("DELETE FROM servicing_event WHERE subject = %s RETURNING 1", (subject_key,))
    return len(rows)

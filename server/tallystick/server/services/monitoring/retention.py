"""Forgetting watches and messages: by age, and with their subject; and noting for whom too much waits."""

from __future__ import annotations

from psycopg2 import extensions

from tallystick.server.storage.connection import Connection
from tallystick.server.storage.upkeep import delete_in_steps

KEPT_DAYS = 100
"""How long messages, and watches that ended, are kept: so the two months before the running one are whole."""
CROWDED = 100_000
"""Messages that wait for one member, from which on alerts of one watch and type are merged."""


def purge_messages(connection: extensions.connection) -> int:
    """Forgets messages that were released so long ago, acknowledged or not; returns how many."""
    return delete_in_steps(
        connection,
        "DELETE FROM message WHERE ctid = ANY (ARRAY(SELECT ctid FROM message"
        " WHERE release_time < clock_timestamp() - %(days)s * interval '1 day' LIMIT %(limit)s))",
        days=KEPT_DAYS,
    )


def purge_watches(connection: extensions.connection) -> int:
    """Forgets watches that ended so long ago; returns how many."""
    return delete_in_steps(
        connection,
        "DELETE FROM watch WHERE ctid = ANY (ARRAY(SELECT ctid FROM watch"
        " WHERE end_date < current_date - %(days)s LIMIT %(limit)s))"
        " AND end_date < current_date - %(days)s",
        days=KEPT_DAYS,
    )


def mark_crowded(connection: extensions.connection) -> int:
    """Notes for which members more waits than they should let wait; returns for how many that changed."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"limit": CROWDED})
        return cursor.rowcount


_MARK = """
INSERT INTO message_cursor AS cursor (member, release_time, subject_order, entry_index, ordinal, crowded)
SELECT member.id, 'epoch', '\\x0000000000000000', 0, 0, waiting.crowded
FROM member
LEFT JOIN message_cursor AS known ON known.member = member.id
CROSS JOIN LATERAL (
  SELECT count(*) >= %(limit)s AS crowded FROM (
    SELECT FROM message
    WHERE message.member = member.id AND (known.member IS NULL
      OR (message.release_time, message.subject_order, message.entry_index, message.ordinal)
       > (known.release_time, known.subject_order, known.entry_index, known.ordinal))
    LIMIT %(limit)s
  ) AS message
) AS waiting
WHERE waiting.crowded <> coalesce(known.crowded, false)
ORDER BY member.id
ON CONFLICT (member) DO UPDATE SET crowded = excluded.crowded
"""


async def erase_watches(connection: Connection, subject_key: bytes) -> int:
    """Deletes every watch of a subject, with its token; returns how many there were."""
    rows = await connection.fetch(
        "SELECT 1 FROM watch WHERE subject = %s ORDER BY subject, member, account_reference FOR UPDATE", (subject_key,)
    )
    await connection.execute("DELETE FROM watch WHERE subject = %s", (subject_key,))
    return len(rows)


async def erase_sweep(connection: Connection, subject_key: bytes) -> int:
    """Begins the round of the sweep anew where it stands at a watch of the subject, whose key its place would keep; returns whether
    it did."""
    rows = await connection.fetch(
        "UPDATE sweep SET subject = '', member = 0, account_reference = '' WHERE singleton AND subject = %s RETURNING 1",
        (subject_key,),
    )
    return len(rows)


async def erase_messages(connection: Connection, subject_key: bytes) -> int:
    """Deletes every message about a subject, told or not; returns how many there were."""
    rows = await connection.fetch("DELETE FROM message WHERE subject = %s RETURNING 1", (subject_key,))
    return len(rows)

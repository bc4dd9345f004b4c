"""How many live accounts a member may report of one subject, so that no member alone makes a subject too large to be answered.

Two transactions that add accounts of one subject count each other only once they are committed, so they must not both count first.
Whoever adds accounts holds its member's advisory lock until it commits: shared, as long as each subject is left with FREE accounts
at most, and exclusive otherwise. Who holds it exclusively has seen all that others added. Those who share it may overlap, and leave
a subject with FREE accounts each: below the limit for as many servers as the limit holds FREE, and with more of them, all adding to
one subject at the same moment, that many times FREE.
"""

from __future__ import annotations

from collections.abc import Mapping

from tallystick.server.concurrency import ConcurrentChangeError
from tallystick.server.storage.connection import Connection

MAX_OWN_ACCOUNTS = 50
"""Most live accounts of one subject that one member reports. Withdrawn ones do not count."""
FREE = 10
"""Up to so many, accounts are added without waiting for the member's other transactions."""

Pair = tuple[bytes, int]
"""Subject key, member."""

_LOCK_CLASS = 0x74616C6C  # "tall": the number names the locks, and means nothing else

_CROWDED = """
SELECT asked.subject, asked.member, live.count AS live, live.count + asked.wanted > %s AS crowded
FROM unnest(%s::bytea[], %s::bigint[], %s::int[]) AS asked (subject, member, wanted)
CROSS JOIN LATERAL (
  SELECT count(*) FROM (
    SELECT FROM account
    WHERE (account.subject, account.member) = (asked.subject, asked.member) AND record IS NOT NULL
    LIMIT %s
  ) AS found
) AS live
"""

# Sorted below the calls, so that all take the locks in one order.
_LOCK_MEMBERS = f"""
SELECT member, crowded, CASE WHEN crowded THEN pg_advisory_xact_lock(%s, (member %% 2147483647)::int)
                             ELSE pg_advisory_xact_lock_shared(%s, (member %% 2147483647)::int) END
FROM (SELECT member, bool_or(crowded) AS crowded FROM ({_CROWDED}) AS pair GROUP BY member ORDER BY member) AS sorted
"""  # noqa: S608 - the inserted text is a constant of this module

_ROOM = f"SELECT subject, member, live FROM ({_CROWDED}) AS pair WHERE crowded"  # noqa: S608 - as above


async def room_for_accounts(connection: Connection, wanted: Mapping[Pair, int]) -> dict[Pair, int]:
    """How many more live accounts each pair may get before this transaction ends; a pair that is missing has room for all `wanted`.

    Raises ConcurrentChangeError when a pair filled up while this waited for a lock that is no longer the right one."""
    if not wanted:
        return {}
    pairs = sorted(wanted)
    asked = (FREE, [subject for subject, _ in pairs], [member for _, member in pairs], [wanted[pair] for pair in pairs])
    locked = await connection.fetch(_LOCK_MEMBERS, (_LOCK_CLASS, _LOCK_CLASS, *asked, MAX_OWN_ACCOUNTS))
    exclusive = {member for member, crowded, _ in locked if crowded}
    # A second statement, for what the first one saw was read before it had the locks.
    room = {}
    for subject, member, live in await connection.fetch(_ROOM, (*asked, MAX_OWN_ACCOUNTS)):
        if member not in exclusive:
            raise ConcurrentChangeError
        room[bytes(subject), member] = MAX_OWN_ACCOUNTS - live
    return room

"""How many live accounts a member may report of one subject, so that no member alone makes a subject too large to be answered.

Two transactions that add accounts of one subject see each other's only once they are committed, so both must not count at once.
A transaction that adds accounts holds its member's advisory lock until it commits: shared while each subject is left with FREE
accounts at most, else exclusive. The holder of an exclusive lock sees all that others added. Those who share it may overlap and
leave a subject with FREE accounts each: within the limit still, unless more than MAX_OWN_ACCOUNTS / FREE servers add to one
subject for one member at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from tallystick.contract.limits import MAX_OWN_ACCOUNTS
from tallystick.server.storage.array_literals import booleans, integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement

FREE = 10
"""Up to so many, accounts are added without waiting for the member's other transactions."""

Pair = tuple[bytes, int]
"""Subject key, member."""

_LOCK_CLASS = 0x74616C6C  # "tall": the number names the locks, and means nothing else

_LOCK = Statement(
    "lock_members",
    {"members": "bigint[]", "exclusive": "boolean[]"},
    f"""
SELECT CASE WHEN exclusive THEN pg_advisory_xact_lock({_LOCK_CLASS}, (member %% 2147483647)::int)
                           ELSE pg_advisory_xact_lock_shared({_LOCK_CLASS}, (member %% 2147483647)::int) END
FROM unnest(%(members)s, %(exclusive)s) AS locks (member, exclusive)
""",  # noqa: S608 - the inserted number is a constant of this module
)

_COUNT = Statement(
    "count_accounts",
    {"subjects": "bytea[]", "members": "bigint[]", "wanted": "integer[]", "most": "bigint", "free": "bigint"},
    """
SELECT subject, member, live
FROM unnest(%(subjects)s, %(members)s, %(wanted)s) AS asked (subject, member, wanted)
CROSS JOIN LATERAL (
  SELECT count(*) AS live FROM (
    SELECT FROM account
    WHERE (account.subject, account.member) = (asked.subject, asked.member) AND standing IN (1, 2)
    LIMIT %(most)s
  ) AS found
) AS counted
WHERE live + wanted > %(free)s
""",
)


async def room_for_accounts(connection: Connection, wanted: Mapping[Pair, int]) -> dict[Pair, int]:
    """How many more live accounts a pair may get in this transaction; one that is missing has room for all `wanted` of it."""
    if not wanted:
        return {}
    pairs = sorted(wanted)
    count = _COUNT(
        subjects=short_bytes(subject for subject, _ in pairs),
        members=integers(member for _, member in pairs),
        wanted=integers(wanted[pair] for pair in pairs),
        most=MAX_OWN_ACCOUNTS,
        free=FREE,
    )
    members = sorted({member for _, member in pairs})
    exclusive: set[int] = set()
    while True:
        # The members are sorted: all take the locks in one order. The last statement sees what was committed while this one waited.
        lock = _LOCK(members=integers(members), exclusive=booleans(member in exclusive for member in members))
        crowded = await connection.run("SAVEPOINT unlocked", lock, count)
        found = {member for _, member, _ in crowded}
        if found <= exclusive:
            break
        # This gives the shared locks up: of two transactions that hold one and want it exclusive, neither would ever get it.
        await connection.execute("ROLLBACK TO SAVEPOINT unlocked; RELEASE SAVEPOINT unlocked")
        exclusive |= found
    await connection.execute("RELEASE SAVEPOINT unlocked")
    return {(bytes(subject), member): MAX_OWN_ACCOUNTS - live for subject, member, live in crowded}

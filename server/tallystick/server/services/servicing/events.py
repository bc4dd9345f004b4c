"""Recorded events: rows that are only ever added, under the lock of the account that they are of.

Whoever records holds the rows of its accounts locked until it commits: of two transactions that record for one account the second
sees what the first added, so neither the limit nor an event_id can be passed twice; and no account goes meanwhile. An account that
is withdrawn, and forgotten, leaves its events to their own retention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tallystick.credit.servicing import Recorded
from tallystick.server.storage.array_literals import integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement

AccountKey = tuple[bytes, int, bytes]
"""Subject key, member, account reference."""

_KEYS = {"subjects": "bytea[]", "members": "bigint[]", "references": "bytea[]"}
_ASKED = "unnest(%(subjects)s, %(members)s, %(references)s) AS asked (subject, member, account_reference)"

_LOCK = Statement(
    "lock_accounts_of_events",
    _KEYS,
    f"""
SELECT subject, member, account_reference
FROM account
JOIN {_ASKED} USING (subject, member, account_reference)
WHERE standing > 0
ORDER BY subject, member, account_reference
FOR NO KEY UPDATE OF account
""",  # noqa: S608 - the inserted text is a constant of this module
)

_COUNT = Statement(
    "count_events",
    _KEYS,
    f"""
SELECT asked.*, counted.events
FROM {_ASKED}
CROSS JOIN LATERAL (
  SELECT count(*) AS events FROM servicing_event
  WHERE (servicing_event.subject, servicing_event.member, servicing_event.account_reference)
    = (asked.subject, asked.member, asked.account_reference)
) AS counted
""",  # noqa: S608 - the inserted text is a constant of this module
)

_FIND = Statement(
    "find_events",
    _KEYS | {"ids": "bytea[]"},
    """
SELECT subject, member, account_reference, event_id, event
FROM servicing_event
JOIN unnest(%(subjects)s, %(members)s, %(references)s, %(ids)s) AS asked (subject, member, account_reference, event_id)
  USING (subject, member, account_reference, event_id)
""",
)

_INSERT = Statement(
    "insert_events",
    _KEYS | {"ids": "bytea[]", "events": "bytea[]", "times": "timestamptz[]"},
    """
INSERT INTO servicing_event (subject, member, account_reference, event_id, event, create_time)
SELECT * FROM unnest(%(subjects)s, %(members)s, %(references)s, %(ids)s, %(events)s, %(times)s)
  AS added (subject, member, account_reference, event_id, event, create_time)
ORDER BY subject, member, account_reference, event_id
""",
)


async def lock_accounts(connection: Connection, events: Mapping[AccountKey, set[bytes]]) -> dict[AccountKey, Recorded]:
    """Locks those of the accounts that are there and not withdrawn; returns what is recorded of each. `events` are the ids that are
    asked about."""
    if not events:
        return {}
    found = await connection.run(_LOCK(**_columns(sorted(events))))
    known = {_key(row): Recorded() for row in found}
    if not known:
        return {}
    keys = sorted(known)
    for *key, count in await connection.run(_COUNT(**_columns(keys))):
        known[_key(key)].count = count
    pairs = [(key, event_id) for key in keys if known[key].count for event_id in sorted(events[key])]
    if pairs:
        asked = _columns([key for key, _ in pairs])
        for *key, event_id, event in await connection.run(_FIND(ids=short_bytes(each for _, each in pairs), **asked)):
            known[_key(key)].events[bytes(event_id)] = bytes(event)
    return known


async def add_events(connection: Connection, added: Mapping[tuple[AccountKey, bytes], tuple[bytes, datetime]]) -> None:
    """Adds events: the content of each, and when it was recorded, by account and event_id."""
    if not added:
        return
    rows = sorted(added)
    await connection.run(
        _INSERT(
            ids=short_bytes(event_id for _, event_id in rows),
            events=short_bytes(added[row][0] for row in rows),
            times=[added[row][1] for row in rows],
            **_columns([key for key, _ in rows]),
        )
    )


def _key(row: Sequence[Any]) -> AccountKey:
    subject, member, reference = row
    return bytes(subject), member, bytes(reference)


def _columns(keys: Sequence[AccountKey]) -> dict[str, object]:
    return {
        "subjects": short_bytes(key[0] for key in keys),
        "members": integers(key[1] for key in keys),
        "references": short_bytes(key[2] for key in keys),
    }

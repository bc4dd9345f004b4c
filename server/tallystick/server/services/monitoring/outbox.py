"""The outbox: messages that are to be told, written together with the entry that they come of.

Their rows need the entry's index and time, so they are inserted under the lock of the log's head: what is released by some time is
complete once no entry can be earlier, and no cursor passes a row that commits later. Crash before the commit: neither entry nor
message exists.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tallystick.server.requests.operation import Place, Sequel, Work
from tallystick.server.services.monitoring.positions import ReleaseWindows
from tallystick.server.storage.array_literals import integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Execution, Statement
from tallystick.server.telemetry.metrics import MESSAGES

WATCH_ENDED = 0
"""The type of a message that says that its watch ended; that of an alert is its trigger's."""

WatchKey = tuple[bytes, int, bytes]
"""Subject key, member, account reference: also the key of the account that is the ground of the watch."""

KEYS = {"subjects": "bytea[]", "members": "bigint[]", "references": "bytea[]"}

_ROWS = {
    "release_time": "timestamptz",
    "members": "bigint[]",
    "orders": "bytea[]",
    "indices": "bigint[]",
    "ordinals": "integer[]",
    "message_ids": "bytea[]",
    "subjects": "bytea[]",
    "references": "bytea[]",
    "types": "smallint[]",
    "befores": "integer[]",
    "afters": "integer[]",
    "bands": "bytea[]",
}
_ADDED = """unnest(%(members)s, %(orders)s, %(indices)s, %(ordinals)s, %(message_ids)s, %(subjects)s, %(references)s, %(types)s,
    %(befores)s, %(afters)s, %(bands)s)
  AS added (member, subject_order, entry_index, ordinal, message_id, subject, account_reference, type, before, after, band)"""
_COLUMNS = """member, release_time, subject_order, entry_index, ordinal, message_id, subject, account_reference, type, before,
  after, band, repeats"""

_INSERT = Statement(
    "insert_messages",
    _ROWS,
    f"""
INSERT INTO message ({_COLUMNS})
SELECT member, %(release_time)s, subject_order, entry_index, ordinal, message_id, subject, account_reference, type, before, after,
       band, 0
FROM {_ADDED}
""",  # noqa: S608 - the inserted texts are constants of this module
)

UNACKNOWLEDGED = """(cursor.member IS NULL OR (message.release_time, message.subject_order, message.entry_index, message.ordinal)
    > (cursor.release_time, cursor.subject_order, cursor.entry_index, cursor.ordinal))"""
"""Of a message with its member's cursor: whether it lies behind what is acknowledged."""

# An alert that waits gives way to the new one, which stands for it: so a member that does not pull has at most one of each watch
# and type more, however long it waits. It is another message, at another place: who has the old one is told of the new one too.
_MERGE = Statement(
    "merge_messages",
    _ROWS,
    f"""
WITH added AS MATERIALIZED (
  SELECT * FROM {_ADDED}
), waiting AS (
  SELECT message.ctid AS place, message.release_time, message.before, message.repeats, added.entry_index, added.ordinal
  FROM added
  CROSS JOIN LATERAL (
    SELECT message.ctid, message.* FROM message LEFT JOIN message_cursor AS cursor USING (member)
    WHERE (message.subject, message.member, message.account_reference) = (added.subject, added.member, added.account_reference)
      AND message.type = added.type AND {UNACKNOWLEDGED}
  ) AS message
), gone AS (
  DELETE FROM message WHERE ctid = ANY (ARRAY(SELECT place FROM waiting))
), summed AS (
  SELECT entry_index, ordinal, (array_agg(before ORDER BY release_time))[1] AS before, sum(repeats + 1)::integer AS repeats
  FROM waiting GROUP BY entry_index, ordinal
)
INSERT INTO message ({_COLUMNS})
SELECT member, %(release_time)s, subject_order, entry_index, ordinal, message_id, subject, account_reference, type,
       coalesce(summed.before, added.before), after, band, coalesce(summed.repeats, 0)
FROM added LEFT JOIN summed USING (entry_index, ordinal)
""",  # noqa: S608 - the inserted texts are constants of this module
)

_DISCARD = Statement(
    "discard_messages",
    KEYS | {"time": "timestamptz"},
    f"""
DELETE FROM message WHERE ctid = ANY (ARRAY(
  SELECT waiting.place FROM unnest(%(subjects)s, %(members)s, %(references)s) AS ended (subject, member, account_reference)
  CROSS JOIN LATERAL (
    SELECT message.ctid AS place FROM message LEFT JOIN message_cursor AS cursor USING (member)
    WHERE (message.subject, message.member, message.account_reference) = (ended.subject, ended.member, ended.account_reference)
      AND {UNACKNOWLEDGED}
  ) AS waiting
))
RETURNING subject, member, account_reference, release_time <= %(time)s AND type > 0
""",  # noqa: S608 - the inserted texts are constants of this module
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message but for its place."""

    key: WatchKey
    type: int
    before: int
    after: int
    band: bytes = b""
    """The serialised AmountBand; empty where there is none."""
    crowded: bool = False
    """Whether too much waits for the member: the alert then takes the place of those of its watch and type that wait."""


def key_columns(keys: Sequence[WatchKey]) -> dict[str, object]:
    """Keys of watches, or of accounts, as statements take them."""
    return {
        "subjects": short_bytes(key[0] for key in keys),
        "members": integers(key[1] for key in keys),
        "references": short_bytes(key[2] for key in keys),
    }


async def discard(connection: Connection, keys: Sequence[WatchKey], clock: datetime) -> Counter[WatchKey]:
    """Deletes what ended watches had to tell and nobody has acknowledged; returns how many alerts of each were released already.

    What was not released yet is not counted: its number would tell what the windows are there to hide."""
    counts: Counter[WatchKey] = Counter()
    if keys:
        for subject, member, reference, released in await connection.run(_DISCARD(time=clock, **key_columns(keys))):
            counts[bytes(subject), member, bytes(reference)] += released
    return counts


class Outgoing(Sequel):
    """The messages of one run of an operation, by the work that they come of."""

    def __init__(self, windows: ReleaseWindows) -> None:
        self._windows = windows
        self._drafts: dict[Work, list[Draft]] = {}

    def add(self, work: Work, drafts: Iterable[Draft]) -> None:
        """Messages of one work. It is the work's sequel from now on."""
        self._drafts.setdefault(work, []).extend(drafts)
        work.sequel = self

    async def statements(self, connection: Connection, indices: Mapping[Work, int], place: Place) -> Sequence[Execution]:
        return self.insertions(self._drafts, indices, place)

    def insertions(self, drafts: Mapping[Work, Sequence[Draft]], indices: Mapping[Work, int], place: Place) -> list[Execution]:
        """The statements that write the messages of works whose entries have these indices."""
        rows = [
            (indices[work], ordinal, draft)
            for work, of_work in drafts.items()
            if work in indices
            for ordinal, draft in enumerate(of_work)
        ]
        release_time = self._windows.release_time(place.time)
        order = self._windows.orders(release_time)
        statements = []
        for statement, crowded in ((_INSERT, False), (_MERGE, True)):
            if chosen := [row for row in rows if row[2].crowded == crowded]:
                MESSAGES.inc(len(chosen))
                statements.append(
                    statement(
                        release_time=release_time,
                        orders=short_bytes(order.of(draft.key[0]) for _, _, draft in chosen),
                        indices=integers(index for index, _, _ in chosen),
                        ordinals=integers(ordinal for _, ordinal, _ in chosen),
                        message_ids=short_bytes(os.urandom(16) for _ in chosen),
                        types=integers(draft.type for _, _, draft in chosen),
                        befores=integers(draft.before for _, _, draft in chosen),
                        afters=integers(draft.after for _, _, draft in chosen),
                        bands=short_bytes(draft.band for _, _, draft in chosen),
                        **key_columns([draft.key for _, _, draft in chosen]),
                    )
                )
        return statements

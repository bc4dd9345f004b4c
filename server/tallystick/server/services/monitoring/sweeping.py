"""The sweep: what no single report brings about, looked for step by step among all watches.

Each step is a signed operation of the exchange's own member, and so an entry of the log. It goes on where the one before it ended,
and is repeated as a whole if it fails: the place and the baselines commit with the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallystick.contract.methods import SWEEP_WATCHES
from tallystick.credit.monitoring import Baseline, Triggers, check_sweep, worse
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.services.monitoring.observing import draft_of
from tallystick.server.services.monitoring.outbox import KEYS, Draft, Outgoing, WatchKey, key_columns
from tallystick.server.services.monitoring.positions import ReleaseWindows
from tallystick.server.services.monitoring.subject_states import chunks, read_states
from tallystick.server.services.rating.installed import Cards, InstalledCards
from tallystick.server.storage.array_literals import short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import monitoring_service_pb2 as pb

DEFAULT_SWEPT = 1000

_LOCK = Statement("lock_sweep", {}, "SELECT subject, member, account_reference FROM sweep WHERE singleton FOR UPDATE")

_NEXT = Statement(
    "next_watches",
    {"subject": "bytea", "member": "bigint", "reference": "bytea", "today": "date", "count": "bigint"},
    """
SELECT subject, member, account_reference, triggers, baseline, end_reason = 0 AND end_date >= %(today)s,
       coalesce(cursor.crowded, false)
FROM (
  SELECT * FROM watch
  WHERE (subject, watch.member, account_reference) > (%(subject)s, %(member)s, %(reference)s)
  ORDER BY subject, watch.member, account_reference LIMIT %(count)s
) AS watch
LEFT JOIN message_cursor AS cursor USING (member)
ORDER BY subject, member, account_reference
""",
)

_NOTE = Statement(
    "note_baselines",
    KEYS | {"baselines": "bytea[]"},
    """
UPDATE watch SET baseline = known.baseline
FROM unnest(%(subjects)s, %(members)s, %(references)s, %(baselines)s) AS known (subject, member, account_reference, baseline)
WHERE (watch.subject, watch.member, watch.account_reference) = (known.subject, known.member, known.account_reference)
""",
)

_MOVE = Statement(
    "move_sweep",
    {"subject": "bytea", "member": "bigint", "reference": "bytea"},
    "UPDATE sweep SET subject = %(subject)s, member = %(member)s, account_reference = %(reference)s WHERE singleton",
)


@dataclass(frozen=True, slots=True)
class _Swept:
    """A watch that has not ended, as a step of the sweep finds it."""

    key: WatchKey
    triggers: Triggers
    baseline: bytes
    crowded: bool


class SweepWatches(Operation):
    """One step of the sweep for each request."""

    contract = SWEEP_WATCHES
    cost = 4 * 1024 * 1024

    def __init__(self, windows: ReleaseWindows, cards: InstalledCards) -> None:
        self._windows = windows
        self._cards = cards

    def validate(self, message: Any, now: datetime) -> None:
        check_sweep(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        outgoing = Outgoing(self._windows)
        cards = await self._cards.in_force(connection, clock.date())
        for work in works:
            ((subject, member, reference),) = await connection.run(_LOCK())
            after = bytes(subject), member, bytes(reference)
            count = work.message.max_watches or DEFAULT_SWEPT
            last, watches, looked_at = await _next(connection, after, count, clock)
            drafts = await _sweep(connection, watches, cards, clock)
            outgoing.add(work, drafts)
            complete = looked_at < count
            subject, member, reference = (b"", 0, b"") if complete else last
            await connection.run(_MOVE(subject=subject, member=member, reference=reference))
            work.answer = pb.SweepWatchesResponse(
                watch_count=len(watches), message_count=len(drafts), round_complete=complete
            ).SerializeToString()
            work.keep_answer = True


async def _next(connection: Connection, after: WatchKey, count: int, clock: datetime) -> tuple[WatchKey, list[_Swept], int]:
    """The key of the last watch that was looked at, those that have not ended, and how many were looked at."""
    subject, member, reference = after
    rows = await connection.run(_NEXT(subject=subject, member=member, reference=reference, today=clock.date(), count=count))
    last, watches = after, []
    for subject, member, reference, triggers, baseline, lasting, crowded in rows:
        last = bytes(subject), member, bytes(reference)
        if lasting:
            watches.append(_Swept(last, Triggers.from_bytes(bytes(triggers)), bytes(baseline), crowded))
    return last, watches, len(rows)


async def _sweep(connection: Connection, watches: Sequence[_Swept], cards: Cards, clock: datetime) -> list[Draft]:
    """What there is to tell; the baselines that changed are written."""
    by_subject: dict[bytes, list[_Swept]] = {}
    for watch in watches:
        by_subject.setdefault(watch.key[0], []).append(watch)
    drafts: list[Draft] = []
    changed: dict[WatchKey, bytes] = {}
    for chunk in chunks(sorted(by_subject)):
        states = await read_states(connection, chunk, cards, clock)
        for subject in chunk:
            for watch in by_subject[subject]:
                facts = states[subject].facts_for(watch.key[1], clock)
                told, baseline = worse(Baseline.from_bytes(watch.baseline), facts, watch.triggers, clock.date())
                drafts += [draft_of(watch.key, fact, crowded=watch.crowded) for fact in told]
                if (content := baseline.to_bytes()) != watch.baseline:
                    changed[watch.key] = content
    if changed:
        keys = sorted(changed)
        await connection.run(_NOTE(baselines=short_bytes(changed[key] for key in keys), **key_columns(keys)))
    return drafts

"""What a changed account means for watches: it ends its member's own, and has something to tell to those of others.

Both inside the transaction that changes the account. Watches that are put while it runs are found under the lock of the head: each
entry is told to every watch whose own entry comes before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from tallystick.credit.enums import WatchStateReason
from tallystick.credit.monitoring import Fact, Triggers, account_facts
from tallystick.server.requests.operation import Place, Work
from tallystick.server.services.monitoring.outbox import KEYS, WATCH_ENDED, Draft, Outgoing, WatchKey, discard, key_columns
from tallystick.server.services.monitoring.positions import ReleaseWindows
from tallystick.server.services.reporting.account_changes import Observer, Transition
from tallystick.server.storage.array_literals import short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Execution, Statement

_END = Statement(
    "end_watches_of_accounts",
    KEYS | {"today": "date", "reasons": "smallint[]"},
    """
UPDATE watch SET end_reason = ended.reason, end_date = %(today)s
FROM unnest(%(subjects)s, %(members)s, %(references)s, %(reasons)s) AS ended (subject, member, account_reference, reason)
WHERE (watch.subject, watch.member, watch.account_reference) = (ended.subject, ended.member, ended.account_reference)
  AND end_reason = 0 AND end_date >= %(today)s
RETURNING watch.subject, watch.member, watch.account_reference, watch.end_reason
""",
)

# The index behind the last entry that put watches is of the same snapshot as the watches: by it a watch that is put meanwhile
# shows.
_WATCHES = Statement(
    "watches_of_subjects",
    {"subjects": "bytea[]", "today": "date"},
    """
SELECT head.watch_index, found.*
FROM (SELECT watch_index FROM log_head WHERE singleton) AS head
LEFT JOIN (
  SELECT watch.*, coalesce(cursor.crowded, false)
  FROM unnest(%(subjects)s) AS asked (subject)
  CROSS JOIN LATERAL (
    SELECT subject, member, account_reference, triggers FROM watch
    WHERE watch.subject = asked.subject AND end_reason = 0 AND end_date >= %(today)s
  ) AS watch
  LEFT JOIN message_cursor AS cursor USING (member)
) AS found ON true
""",
)


@dataclass(frozen=True, slots=True)
class _Watcher:
    """A watch that has not ended."""

    key: WatchKey
    triggers: Triggers
    crowded: bool


class WatchObserver(Observer):
    """Ends watches with their accounts, and drafts what others are to be told."""

    def __init__(self, windows: ReleaseWindows) -> None:
        self._windows = windows

    async def observe(self, connection: Connection, transitions: Sequence[Transition], clock: datetime) -> None:
        ended = await _end(connection, transitions, clock)
        outgoing = _Alerts(self._windows, transitions, clock.date(), ended)
        await outgoing.read(connection)


class _Alerts(Outgoing):
    """What changes of accounts have to tell."""

    def __init__(
        self, windows: ReleaseWindows, transitions: Sequence[Transition], today: date, ended: Mapping[Work, Sequence[Draft]]
    ) -> None:
        super().__init__(windows)
        # Of an account that is gone nothing is told: what was known of it may have been wrong.
        self._transitions = [each for each in transitions if each.after.content is not None]
        self._today = today
        self._ended = ended
        self._watch_index = 0
        self._alerts: dict[Work, list[Draft]] = {}
        for transition in transitions:
            transition.work.sequel = self

    async def read(self, connection: Connection) -> None:
        """Finds who watches, and what there is to tell."""
        subjects = sorted({transition.key[0] for transition in self._transitions})
        rows = await connection.run(_WATCHES(subjects=short_bytes(subjects), today=self._today))
        self._watch_index = rows[0][0]
        watchers: dict[bytes, list[_Watcher]] = {}
        for _, subject, member, reference, triggers, crowded in rows:
            if subject is not None:
                watcher = _Watcher((bytes(subject), member, bytes(reference)), Triggers.from_bytes(bytes(triggers)), crowded)
                watchers.setdefault(bytes(subject), []).append(watcher)
        self._alerts = {}
        for transition in self._transitions:
            others = [each for each in watchers.get(transition.key[0], ()) if each.key[1] != transition.key[1]]
            if others:
                facts = account_facts(transition.before.record, transition.after.record, self._today)
                self._alerts.setdefault(transition.work, []).extend(_drafts(others, facts))

    async def statements(self, connection: Connection, indices: Mapping[Work, int], place: Place) -> Sequence[Execution]:
        if place.watch_index != self._watch_index:
            # Somebody put watches since: their entry comes before those of this transaction, so they are to be told of them.
            await self.read(connection)
        works = dict.fromkeys([*self._alerts, *self._ended])
        drafts = {work: [*self._ended.get(work, ()), *self._alerts.get(work, ())] for work in works}
        return self.insertions(drafts, indices, place)


def _drafts(watchers: Sequence[_Watcher], facts: Sequence[Fact]) -> list[Draft]:
    return [
        draft_of(watcher.key, fact, crowded=watcher.crowded)
        for watcher in watchers
        for fact in facts
        if watcher.triggers.wants(fact)
    ]


def draft_of(key: WatchKey, fact: Fact, *, crowded: bool) -> Draft:
    """The message that tells a watch of a fact."""
    band = b"" if fact.band is None else fact.band.to_message().SerializeToString(deterministic=True)
    return Draft(key, int(fact.type), fact.before, fact.after, band, crowded)


async def _end(connection: Connection, transitions: Sequence[Transition], clock: datetime) -> dict[Work, list[Draft]]:
    """Ends the watches whose accounts live no more; returns what their members are told, by the work that ended each."""
    last = {transition.key: transition for transition in transitions}
    over = sorted(key for key, transition in last.items() if not transition.after.living)
    if not over:
        return {}
    reasons = [_reason(last[key]) for key in over]
    rows = await connection.run(_END(today=clock.date(), reasons=reasons, **key_columns(over)))
    ended = {(bytes(subject), member, bytes(reference)): reason for subject, member, reference, reason in rows}
    discarded = await discard(connection, sorted(ended), clock)
    drafts: dict[Work, list[Draft]] = {}
    for key, reason in sorted(ended.items()):
        drafts.setdefault(last[key].work, []).append(Draft(key, WATCH_ENDED, reason, discarded[key]))
    return drafts


def _reason(transition: Transition) -> int:
    withdrawn = transition.after.content is None
    return int(WatchStateReason.ACCOUNT_WITHDRAWN if withdrawn else WatchStateReason.ACCOUNT_NOT_LIVING)

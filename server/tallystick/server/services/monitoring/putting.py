"""Putting and ending watches: each on the ground of an account of the member's own, judged in the transaction that puts it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tallystick.contract.methods import END_WATCHES, PUT_WATCHES
from tallystick.contract.steps import Steps
from tallystick.contract.violations import Violation
from tallystick.credit.enums import WatchStateReason
from tallystick.credit.living import REPORT_AGE
from tallystick.credit.monitoring import Triggers, check_ending, checked_watches, judge_watch, last_day, seed
from tallystick.server.errors import ConcurrentChangeError
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.services.monitoring.outbox import KEYS, WatchKey, discard, key_columns
from tallystick.server.services.monitoring.sealed_tokens import TokenBox
from tallystick.server.services.monitoring.subject_states import chunks, read_states
from tallystick.server.services.rating.installed import Cards, InstalledCards
from tallystick.server.storage.array_literals import integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import errors_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

# Locked as by who changes them: an account that lives now lives until this commits.
_LOCK = Statement(
    "lock_grounds_of_watches",
    KEYS | {"since": "timestamptz"},
    """
SELECT subject, member, account_reference
FROM account
JOIN unnest(%(subjects)s, %(members)s, %(references)s) AS asked (subject, member, account_reference)
  USING (subject, member, account_reference)
WHERE standing > 0 AND live AND update_time > %(since)s
ORDER BY subject, member, account_reference
FOR NO KEY UPDATE OF account
""",
)

_FIND = Statement(
    "find_watches",
    KEYS,
    """
SELECT subject, member, account_reference, watch_id, end_reason, end_date
FROM watch
JOIN unnest(%(subjects)s, %(members)s, %(references)s) AS asked (subject, member, account_reference)
  USING (subject, member, account_reference)
ORDER BY subject, member, account_reference
FOR UPDATE OF watch
""",
)

_PUT = Statement(
    "put_watches",
    KEYS
    | {
        "watch_ids": "bytea[]",
        "purposes": "smallint[]",
        "consents": "text[]",
        "triggers": "bytea[]",
        "end_dates": "date[]",
        "tokens": "bytea[]",
        "baselines": "bytea[]",
    },
    """
INSERT INTO watch (subject, member, account_reference, watch_id, purpose, consent_reference, triggers, end_date, end_reason,
                   sealed_token, baseline)
SELECT subject, member, account_reference, watch_id, purpose, consent_reference, triggers, end_date, 0, sealed_token, baseline
FROM unnest(%(subjects)s, %(members)s, %(references)s, %(watch_ids)s, %(purposes)s, %(consents)s, %(triggers)s, %(end_dates)s,
            %(tokens)s, %(baselines)s)
  AS row (subject, member, account_reference, watch_id, purpose, consent_reference, triggers, end_date, sealed_token, baseline)
ORDER BY subject, member, account_reference
ON CONFLICT (subject, member, account_reference) DO UPDATE
SET purpose = excluded.purpose, consent_reference = excluded.consent_reference, triggers = excluded.triggers,
    end_date = excluded.end_date, end_reason = 0, sealed_token = excluded.sealed_token,
    baseline = CASE WHEN excluded.baseline = '' THEN watch.baseline ELSE excluded.baseline END
WHERE watch.watch_id = excluded.watch_id
RETURNING 1
""",
)

_OWN = Statement(
    "own_watches",
    {"members": "bigint[]", "watch_ids": "bytea[]"},
    """
SELECT watch.member, watch.watch_id, subject, account_reference
FROM unnest(%(members)s, %(watch_ids)s) AS asked (member, watch_id)
CROSS JOIN LATERAL (
  SELECT * FROM watch WHERE watch.member = asked.member AND watch.watch_id = asked.watch_id LIMIT 1
) AS watch
""",
)

_END = Statement(
    "end_watches",
    KEYS | {"today": "date", "reason": "smallint"},
    """
UPDATE watch SET end_reason = %(reason)s, end_date = %(today)s
WHERE ctid = ANY (ARRAY(
  SELECT watch.ctid FROM watch
  JOIN unnest(%(subjects)s, %(members)s, %(references)s) AS asked (subject, member, account_reference)
    USING (subject, member, account_reference)
  WHERE end_reason = 0 AND end_date >= %(today)s
  ORDER BY subject, member, account_reference
  FOR UPDATE OF watch
))
RETURNING subject, member, account_reference
""",
)


@dataclass(frozen=True, slots=True)
class _Put:
    """A watch that is accepted."""

    watch_id: bytes
    watch: pb.Watch
    fresh: bool
    """Whether it begins now, and is not merely renewed."""


class PutWatches(Operation):
    """A batch of watches, each accepted or rejected by itself."""

    contract = PUT_WATCHES
    locks = "accounts"
    item_cost = 512

    def __init__(self, epoch_id: bytes, box: TokenBox, cards: InstalledCards) -> None:
        self._epoch_id = epoch_id
        self._box = box
        self._cards = cards

    def validate(self, message: Any, now: datetime) -> list[list[Violation]]:
        """What is wrong with each watch by itself."""
        return list(checked_watches(message, now, epoch_id=self._epoch_id))

    def validate_in_steps(self, message: Any, now: datetime) -> Steps[object]:
        found = []
        for violations in checked_watches(message, now, epoch_id=self._epoch_id):
            found.append(violations)
            yield
        return found

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        asked = sorted({key for work in works for key, wrong in zip(_keys(work), work.request.prepared, strict=True) if not wrong})
        living = await _lock_living(connection, asked, clock)
        known = await _find(connection, sorted(living))
        accepted: dict[WatchKey, _Put] = {}
        for work in works:
            verdicts = [
                self._verdict(place, work, key, living, known, accepted, clock.date()) for place, key in enumerate(_keys(work))
            ]
            work.answer = pb.PutWatchesResponse(verdicts=verdicts).SerializeToString()
            work.keep_answer = True
            work.puts_watches = any(verdict.accepted for verdict in verdicts)
        await self._write(connection, accepted, clock)

    def _verdict(
        self,
        place: int,
        work: Work,
        key: WatchKey,
        living: set[WatchKey],
        known: Mapping[WatchKey, tuple[bytes, int, date]],
        accepted: dict[WatchKey, _Put],
        today: date,
    ) -> pb.WatchVerdict:
        """The verdict on one watch; one that is accepted is noted, in the place of an earlier one of the same account."""
        watch = work.message.watches[place]
        violations = work.request.prepared[place] or judge_watch(
            place, watch, living=key in living, allowed_purposes=work.caller.purposes
        )
        if violations:
            return pb.WatchVerdict(
                violations=[
                    errors_pb2.FieldViolation(field=each.field, reason=each.reason, description=each.description)
                    for each in violations
                ]
            )
        before = accepted.get(key)
        if before is not None:
            watch_id, fresh = before.watch_id, before.fresh
        elif key in known:
            watch_id, end_reason, end_date = known[key]
            fresh = end_reason != 0 or end_date < today
        else:
            watch_id, fresh = os.urandom(16), True
        accepted[key] = _Put(watch_id, watch, fresh)
        return pb.WatchVerdict(accepted=True, watch_id=watch_id)

    async def _write(self, connection: Connection, accepted: Mapping[WatchKey, _Put], clock: datetime) -> None:
        if not accepted:
            return
        keys = sorted(accepted)
        chosen = [accepted[key] for key in keys]
        cards = await self._cards.in_force(connection, clock.date())
        baselines = await _baselines(connection, [key for key in keys if accepted[key].fresh], cards, clock)
        rows = await connection.run(
            _PUT(
                watch_ids=short_bytes(put.watch_id for put in chosen),
                purposes=integers(put.watch.purpose for put in chosen),
                consents=[put.watch.consent_reference for put in chosen],
                triggers=short_bytes(Triggers.read(put.watch.triggers).to_bytes() for put in chosen),
                end_dates=[last_day(put.watch.end_date, clock.date()) for put in chosen],
                tokens=short_bytes(
                    self._box.seal(put.watch.subject, watch_id=put.watch_id, subject_key=key[0])
                    for key, put in zip(keys, chosen, strict=True)
                ),
                baselines=short_bytes(baselines.get(key, b"") for key in keys),
                **key_columns(keys),
            )
        )
        if len(rows) < len(keys):
            # The account was forgotten and reported anew meanwhile, so its row was no lock.
            raise ConcurrentChangeError


class EndWatches(Operation):
    """Ends watches of the caller's own, with what they had to tell."""

    contract = END_WATCHES
    # It locks none, but must not be in one transaction with what locks accounts before watches.
    locks = "accounts"
    item_cost = 64

    def validate(self, message: Any, now: datetime) -> None:
        check_ending(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        pairs = [(work.caller.member, watch_id) for work in works for watch_id in work.message.watch_ids]
        asked = _OWN(members=integers(member for member, _ in pairs), watch_ids=short_bytes(watch_id for _, watch_id in pairs))
        found = {
            (member, bytes(watch_id)): (bytes(subject), member, bytes(reference))
            for member, watch_id, subject, reference in await connection.run(asked)
        }
        end = _END(today=clock.date(), reason=int(WatchStateReason.BY_MEMBER), **key_columns(sorted(set(found.values()))))
        rows = await connection.run(end) if found else []
        ended = {(bytes(subject), member, bytes(reference)) for subject, member, reference in rows}
        await discard(connection, sorted(ended), clock)
        for work in works:
            own = {found.get((work.caller.member, watch_id)) for watch_id in work.message.watch_ids}
            # Of two requests of one transaction that end the same watch the first one does.
            count = len(ended & own)
            ended -= own
            work.answer = pb.EndWatchesResponse(ended_count=count).SerializeToString()
            work.keep_answer = True


def _keys(work: Work) -> list[WatchKey]:
    return [
        (subject_key, work.caller.member, watch.account_reference.secret_id + watch.account_reference.digest)
        for watch, subject_key in zip(work.message.watches, work.request.subject_keys, strict=True)
    ]


async def _lock_living(connection: Connection, keys: Sequence[WatchKey], clock: datetime) -> set[WatchKey]:
    """Those of the accounts that are a ground for a watch; they stay so until the transaction ends."""
    if not keys:
        return set()
    rows = await connection.run(_LOCK(since=clock - REPORT_AGE, **key_columns(keys)))
    return {(bytes(subject), member, bytes(reference)) for subject, member, reference in rows}


async def _find(connection: Connection, keys: Sequence[WatchKey]) -> dict[WatchKey, tuple[bytes, int, date]]:
    """The id, the reason and the day of the end of those watches that are there."""
    if not keys:
        return {}
    rows = await connection.run(_FIND(**key_columns(keys)))
    return {(bytes(s), m, bytes(r)): (bytes(watch_id), reason, end_date) for s, m, r, watch_id, reason, end_date in rows}


async def _baselines(connection: Connection, keys: Sequence[WatchKey], cards: Cards, clock: datetime) -> dict[WatchKey, bytes]:
    """What is known as watches begin: from here on a sweep tells of what has become worse."""
    baselines = {}
    for chunk in chunks(sorted({key[0] for key in keys})):
        states = await read_states(connection, chunk, cards, clock)
        for key in keys:
            if key[0] in states:
                baselines[key] = seed(states[key[0]].facts_for(key[1], clock), clock.date()).to_bytes()
    return baselines

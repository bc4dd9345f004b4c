"""Quotas: how much a member may send in a minute and in a day, counted over all workers and servers of a database.

A worker counts by itself, and about once a second adds what it counted to the common meter and reads what all have together. So no
call waits for the meter, and a member can pass a quota by what it sends within a second, no more. A crash loses that second.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from tallystick.contract.quota_texts import format_quota
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Request
from tallystick.server.storage.connection import Connection
from tallystick.server.telemetry.metrics import OVER_QUOTA
from tallystick.v1 import errors_pb2, storage_pb2
from tallystick.v1 import membership_service_pb2 as pb

events = structlog.get_logger()

SECONDS = {pb.QUOTA_PERIOD_MINUTE: 60, pb.QUOTA_PERIOD_DAY: 86_400}
TOLD_EVERY = 60.0
"""Seconds between two events that say that a member is over its quota."""

_ADD = """
INSERT INTO member_usage (member_id, period, start, method, purpose, calls, subjects, bytes, kept_bytes)
SELECT * FROM unnest(%s::text[], %s::smallint[], %s::bigint[], %s::text[], %s::smallint[],
                     %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
  AS used (member_id, period, start, method, purpose, calls, subjects, bytes, kept_bytes)
ORDER BY period, start, member_id, method, purpose
ON CONFLICT (period, start, member_id, method, purpose) DO UPDATE
SET calls = member_usage.calls + excluded.calls, subjects = member_usage.subjects + excluded.subjects,
    bytes = member_usage.bytes + excluded.bytes, kept_bytes = member_usage.kept_bytes + excluded.kept_bytes
"""

# The primary key begins with the period: this reads what runs now, a few rows for each member.
_USED = """
SELECT member_id, period, start, method, purpose, calls, subjects, bytes, kept_bytes
FROM member_usage
WHERE (period, start) = (1, %s) OR (period, start) = (2, %s)
"""

_USED_BY = """
SELECT period, method, purpose, calls, subjects, bytes, kept_bytes
FROM member_usage
WHERE (period, start, member_id) = (1, %s, %s) OR (period, start, member_id) = (2, %s, %s)
"""

_QUOTAS = "SELECT member_id, quotas FROM member WHERE quotas <> ''"


Counts = tuple[int, int, int, int]
"""Calls, subjects, bytes and kept bytes: in the order of QuotaUnit, from 1."""
Scope = tuple[str, str, int]
"""A member_id, a method's name, and a purpose (0 for what is no query)."""
Kind = tuple[str, int, int, int]
"""Method, purpose, unit and period."""
_NOTHING: Counts = (0, 0, 0, 0)


class _Member:
    """The quotas of one member, and what is used of each in the period that runs."""

    def __init__(self, quotas: Sequence[pb.Quota]) -> None:
        self.quotas = quotas
        self.used = [0] * len(quotas)
        self._by_method: dict[str, tuple[tuple[int, int, int, int], ...]] = {}

    def concerned(self, method: str) -> tuple[tuple[int, int, int, int], ...]:
        """Of each quota that limits a method: its place, purpose, unit and limit. Messages are slow to ask for each call."""
        found = self._by_method.get(method)
        if found is None:
            found = self._by_method[method] = tuple(
                (place, quota.purpose, quota.unit - 1, quota.limit)
                for place, quota in enumerate(self.quotas)
                if quota.limit and quota.method in ("", method)
            )
        return found

    def count(self, method: str, counts: Sequence[tuple[int, Counts]], period: int | None = None) -> None:
        """Adds what was sent, by purpose, to the quotas that it concerns; with `period` to those alone."""
        for place, purpose, unit, _ in self.concerned(method):
            if period is None or self.quotas[place].period == period:
                self.used[place] += _amount(counts, purpose, unit)

    def begin(self, period: int) -> None:
        """Begins a period anew."""
        for place, quota in enumerate(self.quotas):
            if quota.period == period:
                self.used[place] = 0


class Quotas:
    """The quotas of all members, and what is left of them as this worker knows it."""

    def __init__(self, defaults: Sequence[pb.Quota], clock: Callable[[], float] = time.time) -> None:
        self._defaults = {_kind(quota): quota for quota in defaults}
        self._clock = clock
        self._members: dict[str, _Member] = {}
        self._unsettled: dict[Scope, Counts] = {}
        self._ends: dict[int, float] = dict.fromkeys(map(int, SECONDS), 0.0)
        self._next_end = 0.0
        self._told: dict[str, float] = {}

    def charge(self, request: Request) -> None:
        """Counts a request; raises Refusal QUOTA_EXCEEDED, with the time to wait, and counts nothing, if that would be too much."""
        now = self._clock()
        if now >= self._next_end:
            self._begin(now)
        member = self._members.get(request.member_id)
        if member is None:
            member = self._members[request.member_id] = _Member(list(self._defaults.values()))
        method, counts = request.operation.contract.name, _counts(request)
        for place, purpose, unit, limit in member.concerned(method):
            asked = _amount(counts, purpose, unit)
            if asked and member.used[place] + asked > limit:
                raise self._refusal(request.member_id, member.quotas[place], now)
        member.count(method, counts)
        for purpose, each in counts:
            scope = request.member_id, method, purpose
            self._unsettled[scope] = _sum(self._unsettled.get(scope, _NOTHING), each)

    async def settle(self, connection: Connection) -> None:
        """Adds what was counted since the last time to the meter, and reads what all counted, and who has which quotas."""
        now = self._clock()
        slots = {int(period): _start(period, now) for period in SECONDS}
        taken, self._unsettled = self._unsettled, {}
        try:
            if taken:
                await connection.execute(_ADD, _columns(taken, slots))
            rows = await connection.fetch(_USED, [slots[int(pb.QUOTA_PERIOD_MINUTE)], slots[int(pb.QUOTA_PERIOD_DAY)]])
            limits = await connection.fetch(_QUOTAS)
        except BaseException:
            # Counted twice is better than not at all.
            for scope, counts in taken.items():
                self._unsettled[scope] = _sum(self._unsettled.get(scope, _NOTHING), counts)
            raise
        members = {member_id: _Member(self._with_defaults(bytes(stored))) for member_id, stored in limits}
        for member_id, period, _, method, purpose, calls, subjects, size, kept in rows:
            _of(members, member_id, self._defaults).count(method, [(purpose, (calls, subjects, size, kept))], period)
        for (member_id, method, purpose), unsettled in self._unsettled.items():
            _of(members, member_id, self._defaults).count(method, [(purpose, unsettled)])
        self._members = members
        # What was read is of the periods of when it was asked for.
        self._ends = {period: float(start + _seconds(period)) for period, start in slots.items()}
        self._next_end = min(self._ends.values())

    def _begin(self, now: float) -> None:
        """Begins the periods anew that are over."""
        for period, end in self._ends.items():
            if now >= end:
                self._ends[period] = float(_start(period, now) + _seconds(period))
                for member in self._members.values():
                    member.begin(period)
        self._next_end = min(self._ends.values())

    def _with_defaults(self, stored: bytes) -> Sequence[pb.Quota]:
        return _effective(self._defaults, storage_pb2.MemberQuotas.FromString(stored).quotas)

    def _refusal(self, member_id: str, quota: pb.Quota, now: float) -> Refusal:
        OVER_QUOTA.inc()
        if now - self._told.get(member_id, 0.0) >= TOLD_EVERY:
            self._told[member_id] = now
            events.warning("quota_exceeded", member_id=member_id, quota=format_quota(quota))
        left = SECONDS[quota.period] - now % SECONDS[quota.period]
        text = f"the member's quota {format_quota(quota)} is used up; it begins anew in {left:.0f} s"
        return Refusal(errors_pb2.ERROR_REASON_QUOTA_EXCEEDED, text, retry_after=left)


async def quota_standings(
    connection: Connection, member: pb.Member, defaults: Sequence[pb.Quota], clock: datetime
) -> list[pb.QuotaStanding]:
    """What a member has used of each quota that it is held to, by the common meter."""
    now = clock.timestamp()
    slots = {int(period): _start(period, now) for period in SECONDS}
    minute, day = (slots[int(period)] for period in SECONDS)
    rows = await connection.fetch(_USED_BY, (minute, member.member_id, day, member.member_id))
    standings = []
    for quota in _effective({_kind(quota): quota for quota in defaults}, member.quotas):
        standing = pb.QuotaStanding(quota=quota)
        for period, method, purpose, calls, subjects, size, kept in rows:
            if period == quota.period and quota.method in ("", method):
                standing.used += _amount([(purpose, (calls, subjects, size, kept))], quota.purpose, quota.unit - 1)
        standing.end_time.seconds = slots[quota.period] + SECONDS[quota.period]
        standings.append(standing)
    return standings


def _effective(defaults: Mapping[Kind, pb.Quota], own: Iterable[pb.Quota]) -> list[pb.Quota]:
    """What a member is held to: its own quotas, and the defaults that none of those takes the place of."""
    return list((dict(defaults) | {_kind(quota): quota for quota in own}).values())


def _kind(quota: pb.Quota) -> Kind:
    """What of two quotas makes one take the other's place."""
    return quota.method, quota.purpose, quota.unit, quota.period


def _start(period: int, now: float) -> int:
    return int(now) // _seconds(period) * _seconds(period)


def _seconds(period: int) -> int:
    return SECONDS[pb.QuotaPeriod.ValueType(period)]


def _of(members: dict[str, _Member], member_id: str, defaults: Mapping[Kind, pb.Quota]) -> _Member:
    return members.get(member_id) or members.setdefault(member_id, _Member(list(defaults.values())))


def _counts(request: Request) -> list[tuple[int, Counts]]:
    """What a request is, by purpose; the call and its bytes stand under the first one."""
    size = len(request.call.message)
    kept = size if request.operation.keeps_request and request.traceable else 0
    if len(request.subjects) < 2:  # what most are
        purpose, subjects = (request.subjects[0].searchable()[0], 1) if request.subjects else (0, request.items)
        return [(purpose, (1, subjects, size, kept))]
    # As it can be stored: a request that will be refused may state any number, and must not stop the meter.
    found = Counter(subject.searchable()[0] for subject in request.subjects)
    (first, subjects), *others = found.items()
    return [(first, (1, subjects, size, kept)), *((purpose, (0, count, 0, 0)) for purpose, count in others)]


def _amount(counts: Sequence[tuple[int, Counts]], purpose: int, unit: int) -> int:
    """Of what was sent as much as a quota for a purpose (0 is all) counts."""
    return sum(each[unit] for stated, each in counts if purpose in (0, stated))


def _sum(one: Counts, other: Counts) -> Counts:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]


def _columns(taken: Mapping[Scope, Counts], slots: Mapping[int, int]) -> list[list[object]]:
    rows = [
        (member_id, period, start, method, purpose, *counts)
        for period, start in slots.items()
        for (member_id, method, purpose), counts in taken.items()
    ]
    return [list(column) for column in zip(*rows, strict=True)]

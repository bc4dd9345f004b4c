"""Quotas: how much a member may send in a minute and in a day, counted over all workers and servers of a database.

A worker counts by itself, and about once a second adds what it counted to the common meter and reads what all have together. So no
call waits for the meter, and a member can pass a quota by what it sends within a second, no more. A crash loses that second.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

import structlog

from tallystick.server.errors import Refusal
from tallystick.server.installation.quota_texts import format_quota
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

_QUOTAS = "SELECT member_id, quotas FROM member WHERE quotas <> ''"


@dataclass(slots=True)
class Usage:
    """What was sent."""

    calls: int = 0
    subjects: int = 0
    size: int = 0
    kept: int = 0

    def add(self, other: Usage) -> None:
        """Adds what another counted."""
        self.calls += other.calls
        self.subjects += other.subjects
        self.size += other.size
        self.kept += other.kept

    def of(self, unit: int) -> int:
        """The count that a quota of this unit limits."""
        return int(astuple(self)[unit - 1])


Scope = tuple[str, str, int]
"""A member_id, a method's name ("" is all), and a purpose (0 is all, and what is no query)."""
Slot = tuple[int, int]
"""A period, and when it began."""


class Quotas:
    """The quotas of all members, and what is left of them as this worker knows it."""

    def __init__(self, defaults: Sequence[pb.Quota], clock: Callable[[], float] = time.time) -> None:
        self._defaults = {_kind(quota): quota for quota in defaults}
        self._clock = clock
        self._limits: dict[str, Sequence[pb.Quota]] = {}
        """Of members that have some of their own."""
        self._used: dict[Slot, defaultdict[Scope, Usage]] = {}
        self._unsettled: dict[Slot, defaultdict[Scope, Usage]] = {}
        self._told: dict[str, float] = {}

    def charge(self, request: Request) -> None:
        """Counts a request; raises Refusal QUOTA_EXCEEDED, with the time to wait, and counts nothing, if that would be too much."""
        now = self._clock()
        member_id, method = request.member_id, request.operation.contract.name
        used = _usage(request)
        for quota in self._limits.get(member_id) or self._defaults.values():
            if not quota.limit or quota.method not in ("", method):
                continue
            asked = sum(each.of(quota.unit) for purpose, each in used.items() if quota.purpose in (0, purpose))
            had = self._used_in(_slot(quota.period, now))[member_id, quota.method, quota.purpose]
            if asked and had.of(quota.unit) + asked > quota.limit:
                raise self._refusal(member_id, quota, now)
        for period in SECONDS:
            slot = _slot(period, now)
            for purpose, each in used.items():
                _count(self._used_in(slot), (member_id, method, purpose), each)
                self._unsettled.setdefault(slot, defaultdict(Usage))[member_id, method, purpose].add(each)

    async def settle(self, connection: Connection) -> None:
        """Adds what was counted since the last time to the meter, and reads what all counted, and who has which quotas."""
        taken, self._unsettled = self._unsettled, {}
        try:
            if taken:
                await connection.execute(_ADD, _columns(taken))
            now = self._clock()
            slots = [_slot(period, now) for period in SECONDS]
            rows = await connection.fetch(_USED, [start for _, start in slots])
            limits = await connection.fetch(_QUOTAS)
        except BaseException:
            # Counted twice is better than not at all.
            for slot, scopes in taken.items():
                for scope, usage in scopes.items():
                    self._unsettled.setdefault(slot, defaultdict(Usage))[scope].add(usage)
            raise
        self._limits = {member_id: self._with_defaults(bytes(stored)) for member_id, stored in limits}
        read: dict[Slot, defaultdict[Scope, Usage]] = {slot: defaultdict(Usage) for slot in slots}
        for member_id, period, start, method, purpose, *counts in rows:
            _count(read[period, start], (member_id, method, purpose), Usage(*counts))
        for slot, scopes in self._unsettled.items():
            for scope, usage in scopes.items():
                _count(read.setdefault(slot, defaultdict(Usage)), scope, usage)
        self._used = read

    def _used_in(self, slot: Slot) -> defaultdict[Scope, Usage]:
        return self._used.setdefault(slot, defaultdict(Usage))

    def _with_defaults(self, stored: bytes) -> Sequence[pb.Quota]:
        own = storage_pb2.MemberQuotas.FromString(stored).quotas
        return list((self._defaults | {_kind(quota): quota for quota in own}).values())

    def _refusal(self, member_id: str, quota: pb.Quota, now: float) -> Refusal:
        OVER_QUOTA.inc()
        if now - self._told.get(member_id, 0.0) >= TOLD_EVERY:
            self._told[member_id] = now
            events.warning("quota_exceeded", member_id=member_id, quota=format_quota(quota))
        left = SECONDS[quota.period] - now % SECONDS[quota.period]
        text = f"the member's quota {format_quota(quota)} is used up; it begins anew in {left:.0f} s"
        return Refusal(errors_pb2.ERROR_REASON_QUOTA_EXCEEDED, text, retry_after=left)


def _kind(quota: pb.Quota) -> tuple[str, int, int, int]:
    """What of two quotas makes one take the other's place."""
    return quota.method, quota.purpose, quota.unit, quota.period


def _slot(period: int, now: float) -> Slot:
    return period, int(now) // SECONDS[pb.QuotaPeriod.ValueType(period)] * SECONDS[pb.QuotaPeriod.ValueType(period)]


def _usage(request: Request) -> Mapping[int, Usage]:
    """What a request is, by purpose; the call and its bytes stand under the first one."""
    size = len(request.call.message)
    first = Usage(1, 0, size, size if request.operation.keeps_request and request.traceable else 0)
    # As it can be stored: a request that will be refused may state any number, and must not stop the meter.
    subjects = Counter(subject.searchable()[0] for subject in request.subjects)
    if not subjects:
        first.subjects = request.items
        return {0: first}
    used = {purpose: Usage(subjects=count) for purpose, count in subjects.items()}
    next(iter(used.values())).add(first)
    return used


def _scopes(scope: Scope) -> Iterator[Scope]:
    """Every scope that a quota can have and that holds this one."""
    member_id, method, purpose = scope
    for of_method in {"", method}:
        for of_purpose in {0, purpose}:
            yield member_id, of_method, of_purpose


def _count(used: defaultdict[Scope, Usage], scope: Scope, usage: Usage) -> None:
    for wider in _scopes(scope):
        used[wider].add(usage)


def _columns(taken: Mapping[Slot, Mapping[Scope, Usage]]) -> list[list[object]]:
    rows = [
        (member_id, period, start, method, purpose, *astuple(usage))
        for (period, start), scopes in taken.items()
        for (member_id, method, purpose), usage in scopes.items()
    ]
    return [list(column) for column in zip(*rows, strict=True)]

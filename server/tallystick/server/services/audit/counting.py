"""Counts of entries and of the subjects that they are about, in groups (AuditService/CountAuditEntries).

They are made from the entries' columns and from the search rows of a period. A count runs inside the ledger's transaction, so what
it may cost is bounded: by the period, by the groups, and by the time that the database may take.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg2 import errors

from tallystick.contract.methods import COUNT_AUDIT_ENTRIES
from tallystick.contract.request_fields import instant
from tallystick.contract.violations import Violation
from tallystick.credit.audit_requests import check_filters
from tallystick.server.errors import Refusal, refuse_violations
from tallystick.server.log.entries import index_at
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.server.services.audit.filters import filtered_member
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import errors_pb2

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

MAX_PERIOD = timedelta(days=366)
MAX_GROUPS = 1000
DEFAULT_GROUPS = 100
STATEMENT_MILLISECONDS = 3000
"""How long the database may count: the other requests of this server process wait meanwhile."""

# A name of the IANA database alone: PostgreSQL would take rules for one, such as "XYZ+8".
_TIME_ZONE = re.compile(r"UTC|Etc/GMT[+-](?:1[0-4]|[0-9])|[A-Z][A-Za-z]{1,31}(?:/[A-Za-z_-]{1,31}){1,2}", re.ASCII)

_COLUMNS = {
    pb.COUNT_DIMENSION_MEMBER: ("entry.member", "member_id"),
    pb.COUNT_DIMENSION_HOUR: ("extract(hour FROM entry.local_time)::int", "hour"),
    pb.COUNT_DIMENSION_DAY: ("to_char(entry.local_time, 'YYYYMMDD')::int", "day"),
    pb.COUNT_DIMENSION_METHOD: ("entry.method", "method"),
    pb.COUNT_DIMENSION_OUTCOME: ("entry.outcome", "outcome"),
    pb.COUNT_DIMENSION_PURPOSE: ("coalesce(named.purpose, 0)", "purpose"),
    pb.COUNT_DIMENSION_CONSENT: ("named.consent_reference", "consent_reference"),
}
"""What each dimension is in the statement, and the field of a group that says it."""

_COUNT = """
WITH entry AS (
  SELECT index, member, method, outcome, create_time AT TIME ZONE %(zone)s AS local_time FROM audit_entry
  WHERE index >= %(first)s AND index < %(before)s
    AND (%(member)s::bigint IS NULL OR member = %(member)s::bigint) AND (%(outcome)s = 0 OR outcome = %(outcome)s)
), named AS (
  SELECT entry_index, subject, purpose, consent_reference FROM audit_subject
  WHERE create_time >= %(start)s AND create_time < %(end)s
    AND (%(member)s::bigint IS NULL OR member = %(member)s::bigint) AND (%(purpose)s = 0 OR purpose = %(purpose)s)
    AND (%(consent)s = '' OR consent_reference = %(consent)s) AND (NOT %(consented)s OR consent_reference <> '')
), counted AS (
  SELECT {selected} count(DISTINCT entry.index) AS requests, count(DISTINCT named.subject) AS subjects
  FROM entry LEFT JOIN named ON named.entry_index = entry.index
  WHERE (NOT %(naming)s OR named.entry_index IS NOT NULL)
    AND (%(hours)s::int[] = '{{}}' OR extract(hour FROM entry.local_time)::int = ANY(%(hours)s::int[]))
  GROUP BY ({grouped})
  HAVING count(DISTINCT entry.index) > 0 AND count(DISTINCT named.subject) >= %(min_subjects)s
)
SELECT counted.*, count(*) OVER () FROM counted ORDER BY {order} LIMIT %(limit)s
"""


class CountAuditEntries(Operation):
    """Counts entries in groups, largest first. Role: auditor."""

    contract = COUNT_AUDIT_ENTRIES
    cost = FULL_BATCH

    def validate(self, message: pb.CountAuditEntriesRequest, now: datetime) -> None:
        violations = [*_check_groups(message), *check_filters(message)]
        missing = [field for field in ("start_time", "end_time") if not message.HasField(field)]
        violations += [Violation(field, "FIELD_REQUIRED", "say over which period to count") for field in missing]
        if not violations and instant(message.end_time) - instant(message.start_time) > MAX_PERIOD:
            text = f"must be at most {MAX_PERIOD.days} days after start_time"
            violations.append(Violation("end_time", "FIELD_OUT_OF_RANGE", text))
        if violations:
            raise refuse_violations(violations)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            try:
                work.answer = (await _count(connection, work.message)).SerializeToString()
            except Refusal as refusal:
                work.refusal = refusal


def _check_groups(message: pb.CountAuditEntriesRequest) -> list[Violation]:
    violations = []
    if any(each not in _COLUMNS for each in message.dimensions):
        violations.append(Violation("dimensions", "CODE_UNKNOWN", "must each be a CountDimension"))
    elif len(set(message.dimensions)) != len(message.dimensions):
        violations.append(Violation("dimensions", "FIELDS_INCONSISTENT", "holds one twice; give each once"))
    if any(hour > 23 for hour in message.hours):
        violations.append(Violation("hours", "FIELD_OUT_OF_RANGE", "must each be 0 to 23"))
    elif len(set(message.hours)) != len(message.hours):
        violations.append(Violation("hours", "FIELDS_INCONSISTENT", "holds one twice; give each once"))
    if message.time_zone and not _TIME_ZONE.fullmatch(message.time_zone):
        violations.append(Violation("time_zone", "FIELD_MALFORMED", 'must be a name of the IANA database, such as "Asia/Taipei"'))
    if message.max_groups > MAX_GROUPS:
        text = f"must be at most {MAX_GROUPS}; 0 is {DEFAULT_GROUPS}"
        violations.append(Violation("max_groups", "FIELD_OUT_OF_RANGE", text))
    return violations


async def _count(connection: Connection, message: pb.CountAuditEntriesRequest) -> pb.CountAuditEntriesResponse:
    start, end = instant(message.start_time), instant(message.end_time)
    consented = pb.COUNT_DIMENSION_CONSENT in message.dimensions
    parameters = {
        "zone": message.time_zone or "UTC",
        "first": await index_at(connection, start),
        "before": await index_at(connection, end),
        "start": start,
        "end": end,
        "member": await filtered_member(connection, message),
        "outcome": message.outcome,
        "purpose": message.purpose,
        "consent": message.consent_reference,
        "consented": consented,
        "naming": consented or bool(message.purpose or message.consent_reference),
        "hours": list(message.hours),
        "min_subjects": message.min_subjects,
        "limit": message.max_groups or DEFAULT_GROUPS,
    }
    rows = await _within_time(connection, statement(message), parameters)
    dimensions = list(message.dimensions)
    names = await _member_ids(connection, rows, dimensions)
    answer = pb.CountAuditEntriesResponse(group_count=rows[0][-1] if rows else 0)
    for *values, requests, subjects, _ in rows:
        group: Any = answer.counts.add(request_count=requests, subject_count=subjects)
        for dimension, value in zip(dimensions, values, strict=True):
            setattr(group, _COLUMNS[dimension][1], names.get(value, "") if dimension == pb.COUNT_DIMENSION_MEMBER else value)
    return answer


def statement(message: pb.CountAuditEntriesRequest) -> str:
    """The statement for a request's dimensions; its values are parameters."""
    columns = [_COLUMNS[each][0] for each in message.dimensions]
    selected = "".join(f"{column} AS d{place}, " for place, column in enumerate(columns))
    first = ("subjects DESC", "requests DESC") if message.min_subjects else ("requests DESC", "subjects DESC")
    order = ", ".join([*first, *(f"d{place}" for place in range(len(columns)))])
    return _COUNT.format(selected=selected, grouped=", ".join(columns), order=order)


async def _within_time(connection: Connection, sql: str, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
    """Runs the statement inside a savepoint, which takes back the shorter timeout and any failure: other requests of the
    transaction are none the worse for either."""
    await connection.execute(f"SAVEPOINT counting; SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
    try:
        # Asked by itself: the statement looks at the zone only for hours and days, and an unknown one is refused always.
        await connection.fetch("SELECT clock_timestamp() AT TIME ZONE %(zone)s", parameters)
        return await connection.fetch(sql, parameters)
    except errors.QueryCanceled:
        text = f"counting takes longer than {STATEMENT_MILLISECONDS / 1000:g} seconds: give a shorter period"
        raise Refusal(errors_pb2.ERROR_REASON_ANSWER_TOO_LARGE, text) from None
    except errors.InvalidParameterValue:
        reason = errors_pb2.ERROR_REASON_CODE_UNKNOWN
        raise Refusal.of_field(reason, "time_zone", "is no time zone that this server's database knows") from None
    finally:
        if not connection.closed:
            await connection.execute("ROLLBACK TO SAVEPOINT counting")


async def _member_ids(connection: Connection, rows: Sequence[tuple[Any, ...]], dimensions: Sequence[int]) -> dict[int, str]:
    if pb.COUNT_DIMENSION_MEMBER not in dimensions:
        return {}
    place = dimensions.index(pb.COUNT_DIMENSION_MEMBER)
    return dict(await connection.fetch("SELECT id, member_id FROM member WHERE id = ANY(%s)", ([row[place] for row in rows],)))

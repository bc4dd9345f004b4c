"""Counts in groups: each dimension and filter against a count by hand, and what bounds them."""

from __future__ import annotations

import secrets
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.contract.subjects import Subject
from tallystick.crypto import blind
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Caller
from tallystick.server.services.audit import counting
from tallystick.server.services.audit.counting import CountAuditEntries
from tallystick.server.storage.connection import Connection
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import errors_pb2

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

QUERY = "/tallystick.v1.InquiryService/QueryCreditHistory"
LISTING = "/tallystick.v1.MembershipService/ListMembers"
START = datetime(2026, 1, 30, 12, tzinfo=UTC)
EPOCH = (1).to_bytes(4, "big") + b"e" * 16
MEMBER, HOUR, DAY, METHOD, OUTCOME, PURPOSE, CONSENT = range(1, 8)
FIELDS = ("", "member_id", "hour", "day", "method", "outcome", "purpose", "consent_reference")
PEOPLE = [blind(secrets.token_bytes(8)).element for _ in range(5)]

Row = tuple[str, datetime, str, int, list[tuple[int, int, str]]]
"""Member, time, method, outcome; person, purpose, consent of each subject."""


def stamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def question(dimensions: Any = (), start: datetime = START, end: datetime = START + timedelta(days=30), **filters: Any) -> Any:
    return pb.CountAuditEntriesRequest(dimensions=dimensions, start_time=stamp(start), end_time=stamp(end), **filters)


async def count(log: WrittenLog, connection: Connection, caller: Caller, message: Any) -> pb.CountAuditEntriesResponse:
    (work,) = await log.run(connection, CountAuditEntries(), (caller, message))
    if work.refusal:
        raise work.refusal
    return pb.CountAuditEntriesResponse.FromString(work.answer or b"")


@pytest.fixture
def rows(written_log: WrittenLog, bank: Caller) -> list[Row]:
    """60 entries, 5 hours apart: queries about one or several people, and lists about nobody."""
    other = written_log.add_member("bank-b", 2)
    made: list[Row] = []
    for number in range(60):
        caller, time = (bank, other)[number % 3 == 0], START + timedelta(hours=5 * number)
        named = [(place % 5, (2, 3)[place % 2], f"C-{place % 7}") for place in range(number, number + (1, 4)[number % 10 == 0])]
        method, named = (LISTING, []) if number % 6 == 5 else (QUERY, named)
        subjects = [Subject(EPOCH, PEOPLE[person], purpose, consent) for person, purpose, consent in named]
        refused = number % 4 == 3
        written_log.append(caller, method, subjects=subjects, time=time, refused=refused, with_evidence=False)
        made.append((caller.member_id, time, method, 1 + refused, named))
    return made


def by_hand(rows: list[Row], message: Any) -> list[tuple[Any, ...]]:
    """What the groups must be, largest first."""
    requests: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    people: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    naming = bool(message.purpose or message.consent_reference or CONSENT in message.dimensions)
    for index, (member_id, time, method, outcome, named) in enumerate(rows):
        local = time.astimezone(ZoneInfo(message.time_zone or "UTC"))
        if not message.start_time.ToDatetime(UTC) <= time < message.end_time.ToDatetime(UTC):
            continue
        if message.member_id not in ("", member_id) or message.outcome not in (0, outcome):
            continue
        if message.hours and local.hour not in message.hours:
            continue
        kept: list[tuple[int | None, int, str]] = [
            each for each in named if message.purpose in (0, each[1]) and message.consent_reference in ("", each[2])
        ]
        if not kept and not naming:
            kept = [(None, 0, "")]
        for person, purpose, consent in kept:
            what = ("", member_id, local.hour, int(f"{local:%Y%m%d}"), method, outcome, purpose, consent)
            group = tuple(what[dimension] for dimension in message.dimensions)
            requests[group].add(index)
            people[group] |= {person} if person is not None else set()
    found = [(*group, len(requests[group]), len(people[group])) for group in requests]
    found = [each for each in found if each[-1] >= message.min_subjects]
    first, second = (-1, -2) if message.min_subjects else (-2, -1)
    return sorted(found, key=lambda each: (-each[first], -each[second]))


def told(message: Any, answer: pb.CountAuditEntriesResponse) -> list[tuple[Any, ...]]:
    return [
        (*(getattr(each, FIELDS[dimension]) for dimension in message.dimensions), each.request_count, each.subject_count)
        for each in answer.counts
    ]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dimensions=st.lists(st.integers(1, 7), unique=True),
    hours=st.none() | st.lists(st.integers(0, 23), unique=True, min_size=1),
    zone=st.sampled_from(["", "UTC", "Asia/Taipei", "America/St_Johns", "Etc/GMT+5"]),
    member_id=st.sampled_from(["", "bank-a", "bank-b"]),
    outcome=st.sampled_from([0, 1, 2]),
    purpose=st.sampled_from([0, 2, 3]),
    consent=st.sampled_from(["", "C-1", "none such"]),
    first=st.integers(0, 20),
    length=st.integers(0, 20),
    min_subjects=st.sampled_from([0, 1, 2, 5]),
)
async def test_groups_are_those_of_a_count_by_hand(
    written_log: WrittenLog,
    rows: list[Row],
    connection: Connection,
    auditor: Caller,
    dimensions: list[int],
    hours: list[int] | None,
    zone: str,
    member_id: str,
    outcome: int,
    purpose: int,
    consent: str,
    first: int,
    length: int,
    min_subjects: int,
) -> None:
    start = START + timedelta(hours=13 * first)
    message = question(
        dimensions,
        start,
        start + timedelta(days=length),
        hours=hours or (),
        time_zone=zone,
        member_id=member_id,
        outcome=outcome,
        purpose=purpose,
        consent_reference=consent,
        min_subjects=min_subjects,
        max_groups=1000,
    )
    answer = await count(written_log, connection, auditor, message)
    wanted = by_hand(rows, message)
    assert answer.group_count == len(wanted)
    assert [each[-2:] for each in told(message, answer)] == [each[-2:] for each in wanted]
    assert sorted(told(message, answer)) == sorted(wanted)


async def test_a_cut_is_told(written_log: WrittenLog, rows: list[Row], connection: Connection, auditor: Caller) -> None:
    message = question([DAY, HOUR], max_groups=3)
    answer = await count(written_log, connection, auditor, message)
    assert (len(answer.counts), answer.group_count) == (3, 60)
    assert len((await count(written_log, connection, auditor, question([DAY, HOUR]))).counts) == 60


async def test_an_erased_subject_is_not_counted_and_its_requests_are(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    subjects = [Subject(EPOCH, person, 2, "C") for person in PEOPLE[:3]]
    written_log.append(bank, QUERY, subjects=subjects, time=START)
    written_log.execute("DELETE FROM audit_subject WHERE ordinal = 2")
    (group,) = (await count(written_log, connection, auditor, question())).counts
    assert (group.request_count, group.subject_count) == (1, 2)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"dimensions": [8]}, "dimensions", "CODE_UNKNOWN"),
        ({"dimensions": [0]}, "dimensions", "CODE_UNKNOWN"),
        ({"dimensions": [1, 1]}, "dimensions", "FIELDS_INCONSISTENT"),
        ({"hours": [24]}, "hours", "FIELD_OUT_OF_RANGE"),
        ({"hours": [3, 3]}, "hours", "FIELDS_INCONSISTENT"),
        ({"time_zone": "XYZ+8"}, "time_zone", "FIELD_MALFORMED"),
        ({"time_zone": "../../etc"}, "time_zone", "FIELD_MALFORMED"),
        ({"time_zone": "Asia/Taipei'"}, "time_zone", "FIELD_MALFORMED"),
        ({"max_groups": 1001}, "max_groups", "FIELD_OUT_OF_RANGE"),
        ({"end": START + timedelta(days=367)}, "end_time", "FIELD_OUT_OF_RANGE"),
        ({"end": START - timedelta(days=1)}, "end_time", "FIELDS_INCONSISTENT"),
        ({"member_id": "No Such"}, "member_id", "FIELD_MALFORMED"),
        ({"purpose": 77}, "purpose", "CODE_UNKNOWN"),
        ({"outcome": 9}, "outcome", "CODE_UNKNOWN"),
        ({"consent_reference": "c" * 65}, "consent_reference", "FIELD_MALFORMED"),
    ],
)
def test_malformed_questions_are_refused_by_field(change: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        CountAuditEntries().validate(question(**change), START)
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [(field, reason)]


@pytest.mark.parametrize("field", ["start_time", "end_time"])
def test_a_period_is_required(field: str) -> None:
    message = question()
    message.ClearField(field)
    with pytest.raises(Refusal) as refused:
        CountAuditEntries().validate(message, START)
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [(field, "FIELD_REQUIRED")]


async def test_a_refused_count_harms_no_other_request_of_its_transaction(
    written_log: WrittenLog, rows: list[Row], connection: Connection, auditor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, unknown, nobody = question([MEMBER]), question(time_zone="Asia/Nowhere"), question(member_id="nobody")
    works = await written_log.run(connection, CountAuditEntries(), *((auditor, each) for each in (unknown, nobody, good)))
    reasons = [work.refusal and work.refusal.reason for work in works]
    assert reasons == [errors_pb2.ERROR_REASON_CODE_UNKNOWN, errors_pb2.ERROR_REASON_NOT_FOUND, None]
    assert len(pb.CountAuditEntriesResponse.FromString(works[2].answer or b"").counts) == 2

    with monkeypatch.context() as patch:
        patch.setattr(counting, "STATEMENT_MILLISECONDS", 50)
        patch.setattr(counting, "_COUNT", "SELECT pg_sleep(20), 1, 1, 1 /* {selected} {grouped} {order} */")
        (late,) = await written_log.run(connection, CountAuditEntries(), (auditor, good))
    assert late.refusal
    assert late.refusal.reason == errors_pb2.ERROR_REASON_ANSWER_TOO_LARGE
    assert "shorter period" in late.refusal.message
    await connection.execute("BEGIN")
    await counting._within_time(connection, "SELECT 1", {"zone": "UTC"})
    assert await connection.fetch("SHOW statement_timeout") == [("15s",)]
    await connection.execute("COMMIT")


async def test_a_period_is_found_by_index(written_log: WrittenLog, connection: Connection) -> None:
    """A day of a long log reads neither table from end to end."""
    written_log.execute(
        "INSERT INTO audit_entry SELECT n, '', '', %s + n * interval '1 minute', 1, %s, 1 FROM generate_series(0, 99999) AS n",
        (START, QUERY),
    )
    written_log.execute(
        "INSERT INTO audit_subject SELECT sha256(n::text::bytea), n, 1, 1, 2, 'c', %s + n * interval '1 minute', true"
        " FROM generate_series(0, 99999) AS n",
        (START,),
    )
    written_log.execute("UPDATE log_head SET size = 100000")
    written_log.execute("ANALYZE audit_entry, audit_subject")
    message = question([MEMBER, HOUR, PURPOSE])
    parameters = {
        **{"zone": "UTC", "first": 50_000, "before": 51_440, "member": None, "outcome": 0, "purpose": 0, "consent": ""},
        **{"start": START + timedelta(minutes=50_000), "end": START + timedelta(minutes=51_440), "consented": False},
        **{"naming": False, "hours": [], "min_subjects": 0, "limit": 100},
    }
    lines = [row[0] for row in await connection.fetch(f"EXPLAIN {counting.statement(message)}", parameters)]
    assert not [line for line in lines if "Seq Scan" in line]
    assert any("audit_subject_create_time_idx" in line for line in lines)


def test_every_dimension_of_the_contract_is_counted_by() -> None:
    assert sorted(counting._COLUMNS) == [each for each in pb.CountDimension.values() if each]
    fields = {field for _, field in counting._COLUMNS.values()}
    assert fields <= set(pb.AuditEntryCount.DESCRIPTOR.fields_by_name)

"""Maintenance: what is forgotten, what is kept, and that a crash at any point only delays."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import structlog
from psycopg2 import extensions

from tallystick.server.installation.key_folder import EvidenceKeys, KeyFolder
from tallystick.server.ledger.retention import purge_nonces, purge_requests
from tallystick.server.log.retention import rotate_evidence
from tallystick.server.process.upkeep import Upkeep
from tallystick.server.services.reporting.account_changes import purge_withdrawn
from tallystick.server.services.servicing.retention import purge_events
from tallystick.server.storage import partitions
from tallystick.server.storage import upkeep as upkeep_steps
from tallystick.server.storage.upkeep import Step, prepare, try_lock

DAYS = {"request_days": 7, "submission_days": 100}
KEPT_MONTHS = 3


@pytest.fixture
def connection(fresh_database: str) -> Iterator[extensions.connection]:
    connection = psycopg2.connect(fresh_database)
    prepare(connection)
    yield connection
    connection.close()


@pytest.fixture
def keys(tmp_path: Path) -> EvidenceKeys:
    return KeyFolder(tmp_path / "keys").create().evidence


def run(connection: extensions.connection, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def add_nonces(connection: extensions.connection, *minutes_ago: int, copies: int = 1) -> None:
    for minutes in minutes_ago:
        run(
            connection,
            "INSERT INTO nonce SELECT floor(extract(epoch FROM now()) / 60)::int - %s, 'key', int8send(n)"
            " FROM generate_series(1, %s) AS n",
            minutes,
            copies,
        )


def nonce_ages(connection: extensions.connection) -> list[int]:
    rows = run(connection, "SELECT DISTINCT floor(extract(epoch FROM now()) / 60)::int - minute FROM nonce ORDER BY 1")
    return [age for (age,) in rows]


def horizon_age(connection: extensions.connection) -> int:
    ((age,),) = run(connection, "SELECT floor(extract(epoch FROM now()) / 60)::int - minute FROM replay_horizon")
    return int(age)


def test_old_nonces_go_and_the_horizon_rises_with_them(connection: extensions.connection) -> None:
    add_nonces(connection, 0, 2, 12, 15, copies=3)
    assert purge_nonces(connection) == 6
    assert set(nonce_ages(connection)) <= {0, 1, 2, 3}
    assert horizon_age(connection) in (12, 13)


def test_the_horizon_never_falls(connection: extensions.connection) -> None:
    add_nonces(connection, 12)
    purge_nonces(connection)
    before = horizon_age(connection)
    add_nonces(connection, 40)
    assert purge_nonces(connection) == 1
    assert horizon_age(connection) in (before, before + 1)


def test_without_old_nonces_nothing_rises(connection: extensions.connection) -> None:
    add_nonces(connection, 0, 1)
    assert purge_nonces(connection) == 0
    assert run(connection, "SELECT minute FROM replay_horizon") == [(0,)]


def test_a_clock_ahead_of_the_nonces_locks_nobody_out(connection: extensions.connection) -> None:
    """However late it is by the clock: the horizon follows what was purged."""
    add_nonces(connection, 60 * 24 * 365)
    purge_nonces(connection)
    assert horizon_age(connection) >= 60 * 24 * 365


def test_a_crash_after_the_horizon_rose_is_caught_up(connection: extensions.connection) -> None:
    add_nonces(connection, 0, 15)
    run(connection, "UPDATE replay_horizon SET minute = (SELECT min(minute) FROM nonce)")
    assert purge_nonces(connection) == 1
    assert len(nonce_ages(connection)) == 1


def test_a_purge_goes_in_bounded_steps(connection: extensions.connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_steps, "ROWS_PER_STATEMENT", 10)
    add_nonces(connection, 30, copies=35)
    add_nonces(connection, 0)
    assert purge_nonces(connection) == 35
    assert len(nonce_ages(connection)) == 1


def test_requests_go_after_their_time(connection: extensions.connection) -> None:
    for number, (days, accepted) in enumerate([(1, None), (6, None), (8, None), (8, 0), (99, 5), (101, 5)]):
        run(
            connection,
            "INSERT INTO request (member, request_id, method, digest, entry_index, create_time, accepted_count)"
            " VALUES (1, %s, 'm', 'd', %s, now() - %s * interval '1 day', %s)",
            bytes([number]),
            number,
            days,
            accepted,
        )
    assert purge_requests(connection, **DAYS) == 2
    assert run(connection, "SELECT entry_index FROM request ORDER BY 1") == [(0,), (1,), (3,), (4,)]


def add_evidence(connection: extensions.connection, month: date, entries: Sequence[int]) -> None:
    end = partitions.month_of(month, 1)
    name = f"evidence_{month:%Y_%m}"
    run(connection, f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF evidence FOR VALUES FROM ('{month}') TO ('{end}')")
    for entry in entries:
        run(connection, "INSERT INTO evidence VALUES (%s, %s, 'sealed')", month, entry)


def test_evidence_ends_with_its_key(connection: extensions.connection, keys: EvidenceKeys) -> None:
    now = partitions.running_month(connection)
    months = [partitions.month_of(now, -offset) for offset in range(6)]
    for number, month in enumerate(months):
        keys.key(month)
        add_evidence(connection, month, [number])
    assert rotate_evidence(connection, keys, kept_months=KEPT_MONTHS) == [months[5], months[4]]
    assert keys.months() == sorted(months[:4])
    assert run(connection, "SELECT entry_index FROM evidence ORDER BY 1") == [(0,), (1,), (2,), (3,)]
    assert months[4] not in partitions.evidence_months(connection)
    assert rotate_evidence(connection, keys, kept_months=KEPT_MONTHS) == []


def test_a_crash_between_key_and_rows_is_caught_up(connection: extensions.connection, keys: EvidenceKeys) -> None:
    old = partitions.month_of(partitions.running_month(connection), -12)
    add_evidence(connection, old, [1])  # its key is destroyed already
    assert rotate_evidence(connection, keys, kept_months=KEPT_MONTHS) == [old]
    add_evidence(connection, old, [1])
    run(connection, f"ALTER TABLE evidence DETACH PARTITION evidence_{old:%Y_%m}")  # detached, and not dropped yet
    assert rotate_evidence(connection, keys, kept_months=KEPT_MONTHS) == [old]
    assert old not in partitions.evidence_months(connection)


def test_partitions_are_made_ahead(connection: extensions.connection, keys: EvidenceKeys) -> None:
    now = partitions.running_month(connection)
    ahead = [partitions.month_of(now, offset) for offset in range(partitions.MONTHS_AHEAD + 1)]
    assert partitions.evidence_months(connection) == ahead
    run(connection, f"DROP TABLE evidence_{ahead[-1]:%Y_%m}")
    assert partitions.evidence_months(connection) == ahead[:-1]
    rotate_evidence(connection, keys, kept_months=KEPT_MONTHS)
    assert partitions.evidence_months(connection) == ahead
    for month in ahead:
        run(connection, "INSERT INTO evidence VALUES (%s, 1, 'sealed')", month)


def test_writers_go_on_while_partitions_come_and_go(
    connection: extensions.connection, fresh_database: str, keys: EvidenceKeys
) -> None:
    """A transaction that has written evidence is open all the while; lock_timeout would end what waits for it."""
    now = partitions.running_month(connection)
    run(connection, f"DROP TABLE evidence_{partitions.month_of(now, 2):%Y_%m}")
    writer = psycopg2.connect(fresh_database)
    try:
        run(writer, "INSERT INTO evidence VALUES (%s, 1, 'sealed')", now)
        assert partitions.create_evidence_partitions(connection) == [partitions.month_of(now, 2)]
        writer.commit()
    finally:
        writer.close()


def test_a_drop_that_waited_too_long_is_finished_later(
    connection: extensions.connection, fresh_database: str, keys: EvidenceKeys
) -> None:
    old = partitions.month_of(partitions.running_month(connection), -12)
    add_evidence(connection, old, [1])
    reader = psycopg2.connect(fresh_database)
    try:
        run(reader, "SELECT count(*) FROM evidence")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            rotate_evidence(connection, keys, kept_months=KEPT_MONTHS)
        reader.commit()
    finally:
        reader.close()
    assert rotate_evidence(connection, keys, kept_months=KEPT_MONTHS) == [old]
    assert old not in partitions.evidence_months(connection)


@pytest.mark.parametrize(
    ("day", "offset", "expected"),
    [
        (date(2026, 11, 22), 0, date(2026, 11, 1)),
        (date(2026, 11, 1), 2, date(2027, 1, 1)),
        (date(2026, 1, 31), -1, date(2025, 12, 1)),
        (date(2026, 3, 5), -60, date(2021, 3, 1)),
    ],
)
def test_months(day: date, offset: int, expected: date) -> None:
    assert partitions.month_of(day, offset) == expected


def test_one_session_does_the_upkeep(connection: extensions.connection, fresh_database: str) -> None:
    other = psycopg2.connect(fresh_database)
    prepare(other)
    assert try_lock(connection)
    assert not try_lock(other)
    connection.close()
    assert eventually(lambda: try_lock(other))
    other.close()


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_upkeep_goes_on_when_a_step_fails(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.server.process.upkeep.TICK_SECONDS", 0.01)
    ran: list[str] = []

    def fail(_: extensions.connection) -> None:
        ran.append("failing")
        raise ValueError("no use")

    def succeed(connection: extensions.connection) -> int:
        ran.append("other")
        return len(run(connection, "SELECT 1"))

    upkeep = Upkeep(fresh_database, [Step("failing", 0.02, fail), Step("other", 0.02, succeed)])
    upkeep.start()
    assert eventually(lambda: ran.count("failing") >= 2 and ran.count("other") >= 2)
    upkeep.stop()
    assert not any(thread.name == "upkeep" for thread in threading.enumerate())


def test_upkeep_says_what_failed_without_the_values_of_a_row(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.server.process.upkeep.TICK_SECONDS", 0.01)

    def ask_nobody(_: extensions.connection) -> None:
        psycopg2.connect("postgresql://u@/name?host=/nowhere")

    def ask_wrong(connection: extensions.connection) -> None:
        run(connection, "SELECT 'a secret'::integer")

    with structlog.testing.capture_logs() as events:
        upkeep = Upkeep(fresh_database, [Step("nobody", 60.0, ask_nobody), Step("wrong", 60.0, ask_wrong)])
        upkeep.start()
        assert eventually(lambda: len(events) == 2)
        upkeep.stop()
    details = {event["step"]: event["detail"] for event in events}
    assert details == {"nobody": "OperationalError without a code: no connection", "wrong": "22P02"}


def test_upkeep_comes_back_after_the_database(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.server.process.upkeep.TICK_SECONDS", 0.01)
    monkeypatch.setattr("tallystick.server.process.upkeep.RECONNECT_SECONDS", 0.05)
    backends: set[int] = set()

    def note(connection: extensions.connection) -> None:
        backends.add(connection.info.backend_pid)

    upkeep = Upkeep(fresh_database, [Step("note", 0.0, note), Step("ask", 0.0, lambda c: run(c, "SELECT 1"))])
    upkeep.start()
    try:
        assert eventually(lambda: len(backends) == 1)
        killer = psycopg2.connect(fresh_database)
        run(killer, "SELECT pg_terminate_backend(%s)", next(iter(backends)))
        killer.close()
        assert eventually(lambda: len(backends) == 2)
    finally:
        upkeep.stop()


def test_withdrawn_accounts_are_forgotten_by_age_and_live_ones_are_not(connection: extensions.connection) -> None:
    insert = "INSERT INTO account VALUES (%s, 1, %s, %s, '', now() - %s * interval '1 day', %s, false)"
    for number, (record, age, standing) in enumerate([(None, 100, 0), (None, 98, 0), ("r", 500, 1), ("r", 500, 2)]):
        run(connection, insert, b"s", bytes([number]), record and record.encode(), age, standing)
    assert purge_withdrawn(connection, days=99) == 1
    assert run(connection, "SELECT standing FROM account ORDER BY account_reference") == [(0,), (1,), (2,)]


def test_servicing_events_are_forgotten_months_after_they_were_recorded(connection: extensions.connection) -> None:
    insert = "INSERT INTO servicing_event VALUES ('s', 1, 'r', %s, '', now() - %s::interval)"
    for number, age in enumerate(["0", "59 months 25 days", "60 months 1 hour", "200 months"]):
        run(connection, insert, bytes([number]), age)
    assert purge_events(connection, months=60) == 2
    assert purge_events(connection, months=60) == 0
    assert run(connection, "SELECT encode(event_id, 'hex') FROM servicing_event ORDER BY event_id") == [("00",), ("01",)]

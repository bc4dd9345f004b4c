"""The migrations and storage/tables.py are the same schema, and every revision can be left again."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import psycopg2
import pytest
from sqlalchemy import create_engine, make_url

from tallystick.credit.living import is_living
from tallystick.credit.versions import Versions, runs_of
from tallystick.server.storage import migration
from tallystick.server.storage.partitions import MONTHS_AHEAD, evidence_months
from tallystick.server.storage.tables import metadata
from tallystick.v1 import reporting_service_pb2 as pb
from tallystick.v1.account_pb2 import Account, RunningOverdue
from tallystick.v1.storage_pb2 import AccountVersions, MonthVersion

CATALOGUE = {
    "columns": """
        SELECT c.relname, a.attname, rank() OVER (PARTITION BY c.oid ORDER BY a.attnum),
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname <> 'alembic_version'
        ORDER BY 1, 3""",
    "constraints": """
        SELECT c.relname, n.conname, n.contype, pg_get_constraintdef(n.oid)
        FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
        WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND c.relname <> 'alembic_version'
        ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' AND tablename !~ '^evidence_[0-9]'
        ORDER BY 1, 2""",
    "partitioning": """
        SELECT partrelid::regclass::text, pg_get_partkeydef(partrelid) FROM pg_partitioned_table ORDER BY 1""",
}


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def test_up_down_up(empty_database: str) -> None:
    assert migration.current(empty_database) is None
    assert not migration.is_at_head(empty_database)
    migration.upgrade(empty_database)
    assert migration.is_at_head(empty_database)
    migration.downgrade(empty_database)
    assert migration.current(empty_database) is None
    left = _rows(empty_database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert left == [("alembic_version",)]
    migration.upgrade(empty_database)
    assert migration.current(empty_database) == migration.head()


def test_superseded_reports_of_earlier_submissions_are_counted(empty_database: str) -> None:
    outcomes = [pb.REPORT_OUTCOME_ACCEPTED, pb.REPORT_OUTCOME_SUPERSEDED, pb.REPORT_OUTCOME_REJECTED, pb.REPORT_OUTCOME_SUPERSEDED]
    answer = pb.SubmitReportsResponse(verdicts=[pb.ReportVerdict(outcome=outcome) for outcome in outcomes])
    migration.upgrade(empty_database, "0004")
    connection = psycopg2.connect(empty_database)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO member (member_id, display_name, roles, purposes, state, daily_evaluations, create_time, quotas)"
            " VALUES ('bank-a', 'A', '{1}', '{}', 1, 0, now(), '') RETURNING id"
        )
        ((member,),) = cursor.fetchall()
        for number, (message, accepted) in enumerate([(answer.SerializeToString(), 3), (None, None)]):
            cursor.execute(
                "INSERT INTO request (member, request_id, method, digest, entry_index, create_time, answer, accepted_count,"
                " rejected_count) VALUES (%s, %s, 'm', '', %s, now(), %s, %s, 1)",
                (member, bytes([number]) * 16, number, message, accepted),
            )
    connection.close()
    migration.upgrade(empty_database)
    assert _rows(empty_database, "SELECT superseded_count FROM request ORDER BY entry_index") == [(2,), (None,)]


def test_accounts_with_runs_of_months_are_written_by_month_again(empty_database: str) -> None:
    state = (1_750_000_000, 1_750_000_007_000_000)
    stamps = [state, state, (1_740_000_000, 1_740_000_001_000_000), state]
    kept = [Versions(state, None, 20250601, runs_of(stamps)), Versions(withdrawn_as_of=7, newest_month=20250601)]
    by_month = [
        AccountVersions(
            state_as_of=state[0],
            state_arrival=state[1],
            newest_month=20250601,
            months=[MonthVersion(as_of=as_of, arrival=arrival) for as_of, arrival in stamps],
        ),
        AccountVersions(withdrawn_as_of=7, newest_month=20250601),
    ]
    migration.upgrade(empty_database)
    connection = psycopg2.connect(empty_database)
    with connection, connection.cursor() as cursor:
        for number in range(2500):
            versions = kept[number == 1700].to_bytes()
            cursor.execute(
                "INSERT INTO account VALUES (%s, 1, '', NULL, %s, now(), 1, false)", (number.to_bytes(4, "big"), versions)
            )
    connection.close()
    migration.downgrade(empty_database, "0005")
    rows = [bytes(versions) for (versions,) in _rows(empty_database, "SELECT versions FROM account ORDER BY subject")]
    assert rows == [by_month[number == 1700].SerializeToString(deterministic=True) for number in range(2500)]
    # And as they are then, they are read after the next upgrade.
    migration.upgrade(empty_database)
    assert [Versions.from_bytes(row) for row in rows] == [kept[number == 1700] for number in range(2500)]


def test_accounts_that_are_stored_are_judged_by_whether_they_live(empty_database: str) -> None:
    normal: dict[str, Any] = {"account_type": 1, "status": 1}
    closed: dict[str, Any] = {"account_type": 1, "status": 3, "closed_date": 20250630}
    running = RunningOverdue(since_date=20250601, days_past_due=30)
    records: list[tuple[Account | None, bool]] = [
        (Account(**normal), True),
        (Account(**normal, closed_date=20250630), False),
        (Account(**(normal | {"status": 5})), False),
        (Account(**(normal | {"account_type": 2, "status": 5})), True),
        (Account(**closed), False),
        (Account(**closed, balance=-1), False),
        (Account(**closed, balance=1), True),
        (Account(**closed, running_overdue=running), True),
        (None, False),
    ] * 300
    migration.upgrade(empty_database)
    migration.downgrade(empty_database, "0006")
    connection = psycopg2.connect(empty_database)
    with connection, connection.cursor() as cursor:
        for number, (record, _) in enumerate(records):
            content = None if record is None else record.SerializeToString()
            cursor.execute("INSERT INTO account VALUES (%s, 1, '', %s, '', now(), 1)", (number.to_bytes(4, "big"), content))
    connection.close()
    migration.upgrade(empty_database)
    assert [live for (live,) in _rows(empty_database, "SELECT live FROM account ORDER BY subject")] == [live for _, live in records]
    # As the rule is now, or this one would have to be written anew.
    assert all(live == (record is not None and is_living(record)) for record, live in records)


def test_alembic_sees_no_drift(fresh_database: str) -> None:
    assert migration.differences(fresh_database) == []


def test_drift_is_seen(fresh_database: str) -> None:
    connection = psycopg2.connect(fresh_database)
    with connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE member DROP COLUMN display_name")
    connection.close()
    assert [difference[0] for difference in migration.differences(fresh_database)] == ["add_column"]


@pytest.mark.parametrize("part", CATALOGUE)
def test_catalogue_is_the_same(part: str, empty_database: str, database: str) -> None:
    """Alembic compares neither index predicates nor partitioning nor checks; PostgreSQL's catalogue knows them all."""
    engine = create_engine(make_url(empty_database).set(drivername="postgresql+psycopg2"))
    metadata.create_all(engine)
    engine.dispose()
    wanted = _rows(empty_database, CATALOGUE[part])
    assert wanted
    assert _rows(database, CATALOGUE[part]) == wanted


def test_an_empty_log_is_there(database: str) -> None:
    head = _rows(database, "SELECT size, compact_range, extract(epoch FROM last_time)::bigint FROM log_head")
    assert [(size, bytes(hashes), seconds) for size, hashes, seconds in head] == [(0, b"", 0)]
    assert _rows(database, "SELECT minute FROM replay_horizon") == [(0,)]


@pytest.mark.parametrize("table", ["log_head", "replay_horizon", "sweep"])
def test_singletons_stay_single(table: str, database: str) -> None:
    connection = psycopg2.connect(database)
    try:
        columns = {"log_head": "1, '', now(), 0, 0, now()", "replay_horizon": "1", "sweep": "'', 0, ''"}[table]
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.CheckViolation):
            cursor.execute(f"INSERT INTO {table} VALUES (false, {columns})")
    finally:
        connection.close()


def test_partitions_are_there_after_upgrade(database: str) -> None:
    connection = psycopg2.connect(database)
    try:
        assert len(evidence_months(connection)) == MONTHS_AHEAD + 1
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO evidence VALUES (date_trunc('month', now())::date, 1, 'x')")
    finally:
        connection.close()


@pytest.mark.parametrize("act", [migration.upgrade, migration.downgrade])
def test_unknown_revision(act: Callable[[str, str], None], empty_database: str) -> None:
    with pytest.raises(migration.MigrationProblem, match="0999"):
        act(empty_database, "0999")
    assert migration.current(empty_database) is None


def test_several_migrate_at_once(empty_database: str) -> None:
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(migration.upgrade, [empty_database] * 3))
    assert migration.is_at_head(empty_database)
    assert migration.differences(empty_database) == []

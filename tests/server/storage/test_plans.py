"""The prepared statements find their rows by index, whatever the planner knows of tables that grow: one that reads a table whole
for every transaction is found out only when it is large. Each has one plan for all values, so none needs any here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

import tallystick.server
from tallystick.server.storage.connection import SESSION_SETTINGS
from tallystick.server.storage.statements import Statement

ROWS = 20_000
SMALL = {"member", "member_key", "log_head", "replay_horizon", "message_cursor", "sweep", "scorecard"}
"""Tables that may be read whole: they hold one row, or one for each member, or a hundred at the most."""

_FILL = f"""
INSERT INTO member (member_id, display_name, roles, purposes, state, daily_evaluations, create_time)
VALUES ('bank-a', 'Bank A', '{{1}}', '{{2}}', 1, 0, now());
INSERT INTO request (member, request_id, method, digest, entry_index, create_time)
SELECT 1, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'm', '', n, now() FROM generate_series(1, {ROWS}) AS n;
INSERT INTO account (subject, member, account_reference, record, versions, standing, live, update_time)
SELECT sha256(n::text::bytea), 1, sha256(n::text::bytea), '', '', 1, true, now() FROM generate_series(1, {ROWS}) AS n;
INSERT INTO servicing_event (subject, member, account_reference, event_id, event, create_time)
SELECT sha256(n::text::bytea), 1, sha256(n::text::bytea), '', '', now() FROM generate_series(1, {ROWS}) AS n;
INSERT INTO watch (subject, member, account_reference, watch_id, purpose, consent_reference, triggers, end_date, end_reason,
                   sealed_token, baseline)
SELECT sha256(n::text::bytea), 1, sha256(n::text::bytea), sha256(n::text::bytea), 1, 'c', '', '2027-01-01', 0, '', ''
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO message (member, release_time, subject_order, entry_index, ordinal, message_id, subject, account_reference, type,
                     before, after, band, repeats)
SELECT 1, now(), sha256(n::text::bytea), n, 0, '', sha256(n::text::bytea), sha256(n::text::bytea), 1, 0, 1, '', 0
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO audit_entry (index, leaf, leaf_hash, create_time, member, method, outcome)
SELECT n, '', '', now(), 1, 'm', 1 FROM generate_series(1, {ROWS}) AS n;
INSERT INTO audit_subject (subject, entry_index, ordinal, member, purpose, consent_reference, create_time, footprint)
SELECT sha256(n::text::bytea), n, 1, 1, 2, 'c', now(), true FROM generate_series(1, {ROWS}) AS n;
INSERT INTO nonce SELECT n, 'key', 'nonce' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO token_meter SELECT n, '2026-01-15', 1 FROM generate_series(1, {ROWS}) AS n;
INSERT INTO member_usage (member_id, period, start, method, purpose, calls, subjects, bytes, kept_bytes)
SELECT 'bank-a', 1, n * 60, 'm', 0, 1, 1, 1, 1 FROM generate_series(1, {ROWS}) AS n;
"""


def _statements() -> Iterator[Statement]:
    for module in pkgutil.walk_packages(tallystick.server.__path__, "tallystick.server."):
        if not module.name.endswith("__main__"):
            yield from (each for each in vars(importlib.import_module(module.name)).values() if isinstance(each, Statement))


STATEMENTS = sorted(set(_statements()), key=lambda statement: statement.name)


def test_no_two_statements_share_a_name() -> None:
    names = [statement.name for statement in STATEMENTS]
    assert len(set(names)) == len(names)
    # What the hot path consists of: were they not found, the next test would look at nothing.
    assert {"admit", "known_of_subjects", "lock_head", "append_entries", "lock_accounts"} <= set(names)


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_no_large_table_is_read_from_end_to_end(plans: Any, statement: Statement, analysed: bool) -> None:
    if analysed:
        plans.execute("ANALYZE")
    assert _scanned_whole(plans, statement) <= SMALL


def test_a_plan_that_reads_a_large_table_is_seen(plans: Any) -> None:
    careless = Statement("careless", {"method": "text"}, "SELECT * FROM request WHERE method = %(method)s")
    assert _scanned_whole(plans, careless) == {"request"}


def _scanned_whole(plans: Any, statement: Statement) -> set[str]:
    plans.execute(statement.preparation)
    plans.execute("EXPLAIN (COSTS OFF) " + statement.execution, [None] * len(statement.types))
    lines = [line for (line,) in plans.fetchall()]
    plans.execute(f"DEALLOCATE {statement.name}")
    return {line.split("Seq Scan on ")[1].split()[0] for line in lines if "Seq Scan on" in line}


@pytest.fixture(scope="module")
def filled(database: str) -> Any:
    connection = psycopg2.connect(database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE request SET (autovacuum_enabled = off)")
        cursor.execute(_FILL)
        cursor.execute("SET plan_cache_mode = %s", (SESSION_SETTINGS["plan_cache_mode"],))
    yield connection
    connection.close()


@pytest.fixture
def plans(filled: Any) -> Any:
    with filled.cursor() as cursor:
        yield cursor

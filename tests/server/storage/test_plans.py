"""The statements of the hot path find their rows by index, whatever the planner knows of tables that grow: one that is read
whole for every transaction is found out only when it is large."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from tallystick.server.ledger import admission
from tallystick.server.log import append
from tallystick.server.services.inquiries import queries as inquiries
from tallystick.server.services.reporting import account_changes

ROWS = 20_000
SMALL = {"member", "member_key", "log_head", "replay_horizon"}
"""Tables that may be read whole: they hold one row, or one for each member."""
NOW = datetime(2026, 1, 15, tzinfo=UTC)

_FILL = f"""
INSERT INTO member (member_id, display_name, roles, purposes, state, daily_evaluations, create_time)
VALUES ('bank-a', 'Bank A', '{{1}}', '{{2}}', 1, 0, now());
INSERT INTO request (member, request_id, method, digest, entry_index, create_time)
SELECT 1, decode(lpad(to_hex(n), 32, '0'), 'hex'), 'm', '', n, now() FROM generate_series(1, {ROWS}) AS n;
INSERT INTO account (subject, member, account_reference, record, versions, standing, update_time)
SELECT sha256(n::text::bytea), 1, sha256(n::text::bytea), '', '', 1, now() FROM generate_series(1, {ROWS}) AS n;
INSERT INTO audit_subject (subject, entry_index, ordinal, member, purpose, consent_reference, create_time, footprint)
SELECT sha256(n::text::bytea), n, 1, 1, 2, 'c', now(), true FROM generate_series(1, {ROWS}) AS n;
INSERT INTO nonce SELECT n, 'key', 'nonce' FROM generate_series(1, {ROWS}) AS n;
"""


def _admission(count: int) -> tuple[str, tuple[Any, ...]]:
    many = [b"k" * 32] * count, [b"n%d" % n for n in range(count)], [1] * count, [2] * count, [True] * count, [b"r" * 16] * count
    return admission._ADMIT, (60, 10, list(range(count)), *many)


def _accounts(count: int) -> tuple[str, tuple[Any, ...]]:
    return inquiries._ACCOUNTS, ([b"%032d" % n for n in range(count)], 501, 1 << 22, 1 << 25)


def _footprints(count: int) -> tuple[str, tuple[Any, ...]]:
    asked = [b"%032d" % n for n in range(count)], [1] * count
    return inquiries._FOOTPRINTS, (*asked, NOW, NOW, NOW, 100, 100, 100, NOW, 301)


def _shares(count: int) -> tuple[str, tuple[Any, ...]]:
    asked = [b"%032d" % n for n in range(count)], [1] * count
    return inquiries._SHARES, (*asked, NOW, NOW, NOW, 100, 100, 100, NOW, 1000, 20)


def _lock_head(_count: int) -> tuple[str, tuple[Any, ...]]:
    return append._LOCK_HEAD, ()


def _lock_accounts(count: int) -> tuple[str, tuple[Any, ...]]:
    keys = [b"%032d" % n for n in range(count)]
    return account_changes._LOCK, (keys, [1] * count, keys)


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("count", [1, 64])
@pytest.mark.parametrize("statement", [_admission, _accounts, _footprints, _shares, _lock_head, _lock_accounts])
def test_no_large_table_is_read_from_end_to_end(plans: Any, statement: Any, count: int, analysed: bool) -> None:
    if analysed:
        plans.execute("ANALYZE")
    sql, parameters = statement(count)
    plans.execute("EXPLAIN (COSTS OFF) " + sql, parameters)
    lines = [line for (line,) in plans.fetchall()]
    scanned = {line.split("Seq Scan on ")[1].split()[0] for line in lines if "Seq Scan on" in line}
    assert scanned <= SMALL


@pytest.fixture(scope="module")
def filled(database: str) -> Any:
    connection = psycopg2.connect(database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE request SET (autovacuum_enabled = off)")
        cursor.execute(_FILL)
    yield connection
    connection.close()


@pytest.fixture
def plans(filled: Any) -> Any:
    with filled.cursor() as cursor:
        yield cursor

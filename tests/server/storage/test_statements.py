"""A connection prepares what it executes, and never takes for prepared what the session does not have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors

from tallystick.server.storage.connection import SESSION_SETTINGS, Connection
from tallystick.server.storage.statements import Statement

DOUBLE = Statement("double", {"number": "integer"}, "SELECT %(number)s * 2")
QUOTIENT = Statement("quotient", {"number": "integer", "by": "integer"}, "SELECT %(number)s / %(by)s")
CONSTANT = Statement("constant", {}, "SELECT 7 %% 4")
NULLS = Statement("nulls", {"values": "bytea[]"}, "SELECT count(*), count(value) FROM unnest(%(values)s) AS row (value)")
LISTED = Statement("listed", {}, "SELECT value FROM changing")


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    opened = await Connection.open(database)
    yield opened
    opened.close()


async def _held(connection: Connection) -> dict[str, int]:
    """The statements that the session has, and how often each got a plan of its own for one set of values."""
    return dict(await connection.fetch("SELECT name, custom_plans FROM pg_prepared_statements"))


async def test_a_statement_is_prepared_once_and_keeps_one_plan(connection: Connection) -> None:
    for number in range(10):
        assert await connection.run(DOUBLE(number=number)) == [(2 * number,)]
    assert await _held(connection) == {"double": 0}
    await connection.run(DOUBLE(number=1), CONSTANT())
    assert set(await _held(connection)) == {"double", "constant"}


async def test_steps_are_one_string_and_the_last_one_gives_the_rows(connection: Connection) -> None:
    assert await connection.run("BEGIN", DOUBLE(number=4), CONSTANT()) == [(3,)]
    assert connection.in_transaction
    assert await connection.run(DOUBLE(number=5), "COMMIT") == []
    assert not connection.in_transaction


async def test_what_is_prepared_in_a_transaction_outlives_its_rollback(connection: Connection) -> None:
    await connection.run("BEGIN", DOUBLE(number=1))
    await connection.execute("ROLLBACK")
    assert await _held(connection) == {"double": 0}
    assert await connection.run(DOUBLE(number=2)) == [(4,)]


async def test_what_goes_along_is_not_kept_with_a_statement(connection: Connection) -> None:
    """PostgreSQL copies a prepared statement's text at each execution: that must not be the text of a whole transaction."""
    await connection.run("BEGIN", f"SELECT '{'x' * 100_000}'", DOUBLE(number=1), CONSTANT(), "COMMIT")
    texts = await connection.fetch("SELECT statement FROM pg_prepared_statements ORDER BY name")
    assert texts == [(CONSTANT.preparation,), (DOUBLE.preparation,)]


@pytest.mark.parametrize(
    "before",
    [
        ("BEGIN", "SELECT 1/0", QUOTIENT(number=4, by=2)),
        ("BEGIN", QUOTIENT(number=1, by=0)),
        (QUOTIENT(number=1, by=0), DOUBLE(number=1)),
        ("BEGIN", "SELECT nonsense", DOUBLE(number=1), QUOTIENT(number=4, by=2)),
        ("this is no statement", DOUBLE(number=1), QUOTIENT(number=4, by=2)),
        ("BEGIN", DOUBLE(number=1), "COMMIT", "BEGIN", QUOTIENT(number=1, by=0)),
    ],
)
async def test_what_was_prepared_outlives_a_failure(connection: Connection, before: tuple[Any, ...]) -> None:
    await connection.run(CONSTANT())
    with pytest.raises(psycopg2.Error):
        await connection.run(*before)
    await connection.execute("ROLLBACK")
    assert await connection.run("BEGIN", CONSTANT(), DOUBLE(number=4), QUOTIENT(number=4, by=2)) == [(2,)]
    await connection.execute("ROLLBACK")
    assert set(await _held(connection)) == {"constant", "double", "quotient"}


async def test_a_statement_that_cannot_be_prepared_is_no_hindrance_to_others(connection: Connection) -> None:
    for _ in range(2):
        with pytest.raises(errors.UndefinedTable):
            await connection.run("BEGIN", DOUBLE(number=1), Statement("missing", {}, "SELECT 1 FROM nowhere")())
    assert await connection.run(DOUBLE(number=1)) == [(2,)]
    assert set(await _held(connection)) == {"double"}


async def test_a_transaction_that_has_failed_prepares_nothing(connection: Connection) -> None:
    with pytest.raises(errors.DivisionByZero):
        await connection.run("BEGIN", "SELECT 1/0")
    for _ in range(2):
        with pytest.raises(errors.InFailedSqlTransaction):
            await connection.run(DOUBLE(number=1))
    await connection.execute("ROLLBACK")
    assert await connection.run(DOUBLE(number=3)) == [(6,)]


async def test_a_failure_of_known_statements_forgets_none(connection: Connection) -> None:
    assert await connection.run(QUOTIENT(number=4, by=2)) == [(2,)]
    with pytest.raises(errors.DivisionByZero):
        await connection.run("BEGIN", QUOTIENT(number=4, by=0))
    await connection.execute("ROLLBACK")
    await connection.run(QUOTIENT(number=4, by=2))
    ((calls,),) = await connection.fetch("SELECT generic_plans FROM pg_prepared_statements WHERE name = 'quotient'")
    assert calls == 3


async def test_a_statement_that_somebody_gave_up_is_prepared_anew(connection: Connection) -> None:
    await connection.run(DOUBLE(number=1))
    await connection.execute("DEALLOCATE ALL")
    with pytest.raises(errors.InvalidSqlStatementName):
        await connection.run(DOUBLE(number=1))
    assert await connection.run(DOUBLE(number=1)) == [(2,)]


async def test_a_statement_whose_columns_change_is_prepared_anew(connection: Connection) -> None:
    await connection.execute("CREATE TABLE IF NOT EXISTS changing (value integer)")
    await connection.run(LISTED())
    await connection.execute("ALTER TABLE changing ALTER value TYPE text")
    with pytest.raises(errors.FeatureNotSupported):
        await connection.run(LISTED())
    assert await connection.run(LISTED()) == []
    await connection.execute("DROP TABLE changing")


async def test_another_connection_prepares_its_own(connection: Connection, database: str) -> None:
    await connection.run(DOUBLE(number=1))
    other = await Connection.open(database)
    assert await _held(other) == {}
    assert await other.run(DOUBLE(number=1)) == [(2,)]
    other.close()


@pytest.mark.parametrize("values", [[], [None], [None, b"\x00'%s\\"], "{}"])
async def test_arrays_keep_their_type_without_a_value_that_has_one(connection: Connection, values: Any) -> None:
    present = [value for value in values if value is not None] if isinstance(values, list) else []
    assert await connection.run(NULLS(values=values)) == [(len(values) if isinstance(values, list) else 0, len(present))]


async def test_what_runs_meanwhile_may_fail(connection: Connection) -> None:
    def fail() -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await connection.run(DOUBLE(number=1), meanwhile=fail)
    assert connection.closed


def test_values_must_be_those_of_the_statement() -> None:
    for values in ({}, {"number": 1}, {"number": 1, "by": 2, "more": 3}):
        with pytest.raises(TypeError, match="quotient takes number, by"):
            QUOTIENT(**values)


def test_the_session_keeps_to_generic_plans() -> None:
    assert SESSION_SETTINGS["plan_cache_mode"] == "force_generic_plan"

"""Two workers under load from four members: every answer right, every request in the log exactly once."""

from __future__ import annotations

import asyncio

import pytest
from tests.load import clients, system
from tests.load.conftest import Load


@pytest.mark.parametrize(("queries", "batches"), [(1_000, 20), pytest.param(10_000, 200, marks=pytest.mark.slow)])
def test_every_answer_is_right_and_every_request_in_the_log_once(load: Load, queries: int, batches: int) -> None:
    database = load.database()
    before = database.count("QueryCreditHistory"), database.count("SubmitReports")
    ((deadlocks,),) = database.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    told = asyncio.run(clients.run_all(load.profiles, queries, batches))
    hashes = database.check_log()
    database.check_told(told, hashes)
    assert sum(len(each.queries) for each in told) == queries
    assert database.count("QueryCreditHistory") - before[0] == queries
    assert database.count("SubmitReports") - before[1] == batches
    assert database.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(deadlocks,)]
    database.close()
    # Every row of it all is what the log gives, whatever order the two workers worked in.
    assert system.examine(load.exchange.folder) == []

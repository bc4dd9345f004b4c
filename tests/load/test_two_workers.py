"""Two workers under load from four members: every answer right, every request in the log exactly once."""

from __future__ import annotations

import asyncio

from tests.load import clients, system
from tests.load.conftest import Load

QUERIES = 10_000
BATCHES = 200


def test_ten_thousand_queries_and_two_hundred_batches(load: Load) -> None:
    database = load.database()
    before = database.count("QueryCreditHistory"), database.count("SubmitReports")
    ((deadlocks,),) = database.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    told = asyncio.run(clients.run_all(load.profiles, QUERIES, BATCHES))
    hashes = database.check_log()
    database.check_told(told, hashes)
    assert sum(len(each.queries) for each in told) == QUERIES
    assert database.count("QueryCreditHistory") - before[0] == QUERIES
    assert database.count("SubmitReports") - before[1] == BATCHES
    assert database.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(deadlocks,)]
    database.close()
    # Every row of it all is what the log gives, whatever order the two workers worked in.
    assert system.examine(load.exchange.folder) == []

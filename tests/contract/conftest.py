"""The whole system for the contract tests: PostgreSQL, a token authority, an exchange, and members that talk to them by gRPC.

new_database          session   makes a database of one's own for the time of a with block
authority, exchange   session   the two servers, with a worker process each
second_worker         session   the address of another worker process of the exchange, on a port of its own
second_worker_caller  session   bank-a there
system                 session   both servers and everybody who is admitted
sdk                   session   the SDK's Exchange of a member, by member_id
own_system            module    servers of one module alone, for what must not be left to others
own_sdk               function  the SDK's Exchange of a member there
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg2
import pytest
from sqlalchemy import make_url
from tests.conftest import new_database_at, new_role
from tests.contract.database_view import DatabaseView
from tests.contract.installation import Installation
from tests.contract.raw_caller import RawCaller
from tests.contract.system import Running, System

from tallystick.client import Exchange
from tallystick.server.storage.privileges import grant_serving

NewDatabase = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def new_database(postgresql: str, _template: str) -> NewDatabase:
    """Makes a database at the newest revision."""

    return lambda: new_database_at(postgresql, _template)


@contextmanager
def running(installation: Installation) -> Iterator[Running]:
    """A server with one worker, which serves as a role that does not own the tables, finishes in order at the end, and leaves a log
    that is whole."""
    stored = DatabaseView(installation.database)
    with new_role(installation.database) as serving:
        _grant(installation.database, serving)
        worker = installation.start(serving)
        try:
            yield Running(installation, worker, stored)
        finally:
            code = worker.stop()
            assert code == 0, worker.log.read_text()[-2000:]
            stored.check_log()
            stored.close()


def _grant(owner: str, serving: str) -> None:
    connection = psycopg2.connect(owner)
    connection.autocommit = True
    grant_serving(connection, str(make_url(serving).username))
    connection.close()


@pytest.fixture(scope="session")
def authority(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The token authority."""
    with new_database() as url:
        folder = tmp_path_factory.mktemp("authority") / "server"
        with running(Installation(folder, "token-authority", url)) as server:
            yield server


@pytest.fixture(scope="session")
def exchange(new_database: NewDatabase, authority: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The exchange, which takes that authority's tokens."""
    with new_database() as url:
        folder = tmp_path_factory.mktemp("exchange") / "server"
        with running(Installation(folder, "exchange", url, authority.installation.token_key)) as server:
            yield server


@pytest.fixture(scope="session")
def second_worker(exchange: Running) -> Iterator[str]:
    """The address of a second worker of the exchange: it shares with the first one the database, and nothing else."""
    worker = exchange.installation.start()
    yield worker.address
    assert worker.stop() == 0


@pytest.fixture(scope="session")
def system(authority: Running, exchange: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Both servers and all members."""
    everybody = System(authority, exchange, tmp_path_factory.mktemp("profiles"))
    yield everybody
    everybody.close()


@pytest.fixture(scope="session")
def second_worker_caller(system: System, second_worker: str) -> Iterator[RawCaller]:
    """bank-a, at the second worker."""
    caller = system["bank-a"].exchange.at(second_worker)
    yield caller
    caller.close()


@pytest.fixture(scope="session")
def sdk(system: System) -> Iterator[Callable[[str], Exchange]]:
    """The SDK as a member uses it: made from the member's profile folder, once."""
    made: dict[str, Exchange] = {}

    def of(member_id: str) -> Exchange:
        if member_id not in made:
            made[member_id] = Exchange.from_profile(system[member_id].folder)
        return made[member_id]

    yield of
    for exchange in made.values():
        exchange.close()


@pytest.fixture(scope="module")
def own_system(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Servers of a module's own: what is smuggled in leaves entries for good."""
    folder = tmp_path_factory.mktemp("own")
    with new_database() as first, new_database() as second:
        authority = Installation(folder / "authority", "token-authority", first)
        with (
            running(authority) as tokens,
            running(Installation(folder / "exchange", "exchange", second, authority.token_key)) as exchange,
        ):
            (folder / "profiles").mkdir()
            everybody = System(tokens, exchange, folder / "profiles")
            yield everybody
            everybody.close()


@pytest.fixture
def own_sdk(own_system: System) -> Callable[[str], Exchange]:
    """The SDK of a member there."""
    return lambda member_id: Exchange.from_profile(own_system[member_id].folder)

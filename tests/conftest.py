"""PostgreSQL for the tests: one embedded server a session, or TALLYSTICK_TEST_DATABASE's, and databases cloned in it.

postgresql       session   URL of a database from which others may be created
database         module    URL of a database at the newest revision, shared by the tests of a module
fresh_database   function  the same for one test alone
empty_database   function  URL of a database without a schema
two_roles        function  the same, and a role that owns it and another that will serve
"""

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
import structlog
from hypothesis import HealthCheck, settings
from psycopg2 import sql
from sqlalchemy import make_url

from tallystick.server.installation.embedded import SETTINGS, embedded_postgresql
from tallystick.server.storage import migration

TEST_DATABASE_VARIABLE = "TALLYSTICK_TEST_DATABASE"
THROWN_AWAY = {"shared_buffers": "64MB", "fsync": "off", "full_page_writes": "off"}
"""Settings of an embedded PostgreSQL whose data need not survive a power cut."""
LONGEST_FIRST = (
    "contract/test_tampering.py",
    "contract/test_edge_of_the_machine.py",
    "load/test_two_workers.py",
    "contract/test_squatting.py",
    "contract/test_quotas.py",
    "server/cli/test_program.py",
    "client/cli/test_runs.py",
    "contract/test_surroundings.py",
    "server/cli/test_signing.py",
    "server/process/test_reports.py",
    "server/test_turns.py",
    "server/installation/test_embedded.py",
    "server/installation/test_embedded_paths.py",
    "contract/test_roundtrip.py",
)
"""Files that take ten seconds or more. Several processes share the files out in order: a long one at the end would keep one of them
at work when all others have ended."""

# Both count the time on the wall, in which a busy machine does anything but the test.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, and each file's tests stay in their order."""
    folder = Path(__file__).parent
    ranks = {folder / name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the collector of garbage need not go through it again and again, which costs more than
    many a test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """Settings of the shell that runs the tests must not reach the servers under test."""
    for name in list(os.environ):
        if name.startswith("TALLYSTICK_") and name != TEST_DATABASE_VARIABLE:
            del os.environ[name]


@pytest.fixture(autouse=True)
def _own_event_log() -> Iterator[None]:
    """A command under test sends the event log to a standard error that is gone after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A running PostgreSQL. The embedded one's data is thrown away at the end, so it need not survive a power cut."""
    given = os.environ.get(TEST_DATABASE_VARIABLE)
    if given:
        yield given
        return
    # Not below pytest's own folder: a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="tallystick-"))
    try:
        with embedded_postgresql(folder / "data", {**SETTINGS, **THROWN_AWAY}) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template(postgresql: str) -> Iterator[str]:
    with new_database_at(postgresql) as url:
        migration.upgrade(url)
        yield url


@pytest.fixture(scope="module")
def database(postgresql: str, _template: str) -> Iterator[str]:
    """A database at the newest revision for the tests of one module."""
    with new_database_at(postgresql, _template) as url:
        yield url


@pytest.fixture(scope="module")
def other_database(postgresql: str, _template: str) -> Iterator[str]:
    """Another one, for tests of two servers."""
    with new_database_at(postgresql, _template) as url:
        yield url


@pytest.fixture
def fresh_database(postgresql: str, _template: str) -> Iterator[str]:
    """A database at the newest revision for one test."""
    with new_database_at(postgresql, _template) as url:
        yield url


@pytest.fixture
def empty_database(postgresql: str) -> Iterator[str]:
    """A database without a schema for one test."""
    with new_database_at(postgresql) as url:
        yield url


@dataclass(frozen=True)
class TwoRoles:
    """One database, and the ways into it."""

    owner: str
    """As the role that owns the database, which is no superuser."""
    serving: str
    """As the role that is to serve, which has nothing yet."""


@pytest.fixture
def two_roles(empty_database: str) -> Iterator[TwoRoles]:
    """A database without a schema for one test, whose owner is a role of its own, and another role that may connect."""
    with new_role(empty_database) as owner, new_role(empty_database) as serving:
        database, role = (sql.Identifier(str(name)) for name in (make_url(owner).database, make_url(owner).username))
        _execute(empty_database, sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
        try:
            yield TwoRoles(owner, serving)
        finally:
            _execute(empty_database, sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))


@contextmanager
def new_role(url: str) -> Iterator[str]:
    """Makes a role without any rights for the time of the block; yields the way into the same database as that role."""
    name, password = f"tallystick_test_{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    role = sql.Identifier(name)
    _execute(url, sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
    try:
        yield make_url(url).set(username=name, password=password).render_as_string(hide_password=False)
    finally:
        _execute(url, sql.SQL("DROP OWNED BY {}").format(role))
        _execute(url, sql.SQL("DROP ROLE {}").format(role))


@contextmanager
def new_database_at(server: str, template: str | None = None) -> Iterator[str]:
    """Makes a database for the time of the block, like another one or without a schema; yields its URL."""
    name = f"tallystick_test_{uuid.uuid4().hex[:12]}"
    source = make_url(template).database if template else "template0"
    assert source is not None
    # Copied by files, which takes a sixth of the time that a copy through the write-ahead log takes.
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    statement = create.format(sql.Identifier(name), sql.Identifier(source))
    _execute(server, statement)
    try:
        # "postgresql://USER@/NAME?host=…" as libpq takes it.
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()

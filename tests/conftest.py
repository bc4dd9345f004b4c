"""PostgreSQL for the tests: one embedded server a session, or TALLYSTICK_TEST_DATABASE's, and databases cloned in it.

postgresql       session   URL of a database from which others may be created
database         module    URL of a database at the newest revision, shared by the tests of a module
fresh_database   function  the same for one test alone
empty_database   function  URL of a database without a schema
two_roles        function  the same, and a role that owns it and another that will serve
"""

import os
import random
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
import structlog
from psycopg2 import sql
from sqlalchemy import make_url

from tallystick.server.installation.embedded import SETTINGS, embedded_postgresql
from tallystick.server.storage import migration

TEST_DATABASE_VARIABLE = "TALLYSTICK_TEST_DATABASE"


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
        with embedded_postgresql(folder / "data", {**SETTINGS, "shared_buffers": "64MB", "fsync": "off"}) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template(postgresql: str) -> Iterator[str]:
    with _new_database(postgresql) as url:
        migration.upgrade(url)
        yield url


@pytest.fixture(scope="module")
def database(postgresql: str, _template: str) -> Iterator[str]:
    """A database at the newest revision for the tests of one module."""
    with _new_database(postgresql, _template) as url:
        yield url


@pytest.fixture(scope="module")
def other_database(postgresql: str, _template: str) -> Iterator[str]:
    """Another one, for tests of two servers."""
    with _new_database(postgresql, _template) as url:
        yield url


@pytest.fixture
def fresh_database(postgresql: str, _template: str) -> Iterator[str]:
    """A database at the newest revision for one test."""
    with _new_database(postgresql, _template) as url:
        yield url


@pytest.fixture
def empty_database(postgresql: str) -> Iterator[str]:
    """A database without a schema for one test."""
    with _new_database(postgresql) as url:
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
def _new_database(server: str, template: str | None = None) -> Iterator[str]:
    name = f"tallystick_test_{uuid.uuid4().hex[:12]}"
    source = make_url(template).database if template else "template0"
    assert source is not None
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source))
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


def free_port() -> int:
    """A port that nobody listens on now, below those that the system gives to outgoing connections: between looking and listening
    no other test is given it by chance."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

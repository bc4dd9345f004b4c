"""The schema's revisions: bringing a database to one, and saying at which it is. Alembic runs those of migrations/."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from alembic import autogenerate, command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg2 import errors
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from tallystick.server.errors import Problem
from tallystick.server.storage.partitions import create_evidence_partitions
from tallystick.server.storage.tables import metadata


class MigrationProblem(Problem):
    """There is no such revision, or the role may not do what it takes."""


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the schema to `revision` in one transaction, then makes the partitions that are needed from now on.

    Safe to run again and by several at once. Raises MigrationProblem, or sqlalchemy's errors when the database fails.
    """
    _run(url, lambda config: command.upgrade(config, revision))
    if current(url) is not None:
        _create_partitions(url)


def downgrade(url: str, revision: str = "base") -> None:
    """Brings the schema back to `revision`; "base" drops every table with all data."""
    _run(url, lambda config: command.downgrade(config, revision))


def current(url: str) -> str | None:
    """The revision at which the database is; None for an empty one."""
    with _connect(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The newest revision that this program has."""
    revision = ScriptDirectory(str(_scripts())).get_current_head()
    if revision is None:
        raise MigrationProblem("this installation has no migrations: install it again")
    return revision


def is_at_head(url: str) -> bool:
    """Whether the database is at the revision that this program is written for."""
    return current(url) == head()


def differences(url: str) -> list[Any]:
    """What Alembic sees to differ between the database and the tables of this program; partitions aside."""
    with _connect(url) as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": _is_not_partition}
        context = MigrationContext.configure(connection, opts=options)
        return list(autogenerate.compare_metadata(context, metadata))


def _is_not_partition(name: str | None, kind: str, _parents: Any) -> bool:
    return not (kind == "table" and name is not None and name.startswith("evidence_"))


def _scripts() -> Path:
    """The folder of the migrations: beside this package in a wheel, at the root of a checkout."""
    here = Path(__file__).resolve()
    for folder in (here.parents[2] / "migrations", here.parents[4] / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise MigrationProblem("this installation has no migrations: install it again")


def _run(url: str, action: Callable[[Config], None]) -> None:
    with _connect(url) as connection:
        config = Config()
        config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            action(config)
        except CommandError as error:
            raise MigrationProblem(f"{error}: see the files in {_scripts() / 'versions'} for what there is") from None


def _create_partitions(url: str) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        create_evidence_partitions(connection)
    finally:
        connection.close()


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=NullPool)
    with engine.connect() as connection:
        try:
            yield connection
        except ProgrammingError as error:
            if not isinstance(error.orig, errors.InsufficientPrivilege):
                raise
            role = make_url(url).username or "this role"
            raise MigrationProblem(
                f"the schema is not {role}'s to {'read' if error.statement and 'SELECT' in error.statement else 'change'}:"
                " run tallystickd migrate --database postgresql://…, as the role that owns it"
            ) from None

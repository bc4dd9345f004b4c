"""Two roles in the database: one owns the schema and migrates, the other serves, with what the first one gives it."""

from __future__ import annotations

from psycopg2 import extensions

from tallystick.server.installation.database import DatabaseProblem, connect
from tallystick.server.storage.privileges import compare_rights, grant_serving, role_of

_DATABASE = "SELECT oid, datname, pg_postmaster_start_time() FROM pg_database WHERE datname = current_database()"
"""Tells databases apart, whatever way they are reached by."""


def check_one_database(owner: str, url: str) -> None:
    """Returns when both URLs lead to one database; raises DatabaseProblem."""
    with connect(owner) as owning, connect(url) as serving:
        if _which(owning) != _which(serving):
            raise DatabaseProblem("--database is another database than the setting: give the same one, with its owner's role")


def grant_to_server(owner: str, url: str) -> str | None:
    """Gives the role of `url` what serving takes, as the role of `owner`; returns its name, or None when it is the same role.

    Raises DatabaseProblem when it still lacks something after that.
    """
    with connect(owner) as owning, connect(url) as serving:
        role = role_of(serving)
        if role == role_of(owning):
            return None
        if not compare_rights(owning).owner:
            raise DatabaseProblem(f"{role_of(owning)} does not own the tables: let --database connect as the role that does")
        grant_serving(owning, role)
        lacking = compare_rights(serving).lacking
    if lacking:
        raise DatabaseProblem(f"{role} still may not {', '.join(lacking)}: let --database connect as the owner of the tables")
    return role


def _which(connection: extensions.connection) -> tuple[object, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_DATABASE)
        row = cursor.fetchone()
    if row is None:
        raise DatabaseProblem("the database does not know its own name: restore it from a backup")
    return tuple(row)

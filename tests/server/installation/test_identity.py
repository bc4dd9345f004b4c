"""A server with other keys, another origin or another token epoch than its database's is told so, before it does harm."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tallystick.crypto import oprf
from tallystick.server.administration import bootstrap
from tallystick.server.installation.database import DatabaseProblem
from tallystick.server.installation.identity import IdentityProblem, check_identity, record_identity
from tallystick.server.installation.key_folder import KeyFolder, ServerKeys
from tallystick.server.installation.settings import Settings

TOKEN_KEY = oprf.public_key(oprf.generate_private_key()).hex()
FILES = ("store.key", "receipt.key", "checkpoint.key")


def settings_of(folder: Path, url: str, **changes: Any) -> Settings:
    values = {
        "role": "exchange",
        "origin": "exchange.example/log",
        "database": url,
        "key_folder": folder / "keys",
        "tls_certificate": folder / "server.crt",
        "tls_key": folder / "server.key",
        "tls_client_ca": folder / "ca.crt",
        "token_public_key": TOKEN_KEY,
    }
    return Settings.check({**values, **changes})


@pytest.fixture
def keys(tmp_path: Path) -> ServerKeys:
    return KeyFolder(tmp_path / "keys").create()


@pytest.fixture
def settings(tmp_path: Path, fresh_database: str, keys: ServerKeys) -> Settings:
    """An exchange with its database, in which its identity and its operator are."""
    settings = settings_of(tmp_path, fresh_database)
    record_identity(fresh_database, settings, keys)
    assert asyncio.run(bootstrap(settings, keys, fresh_database))
    return settings


def refusal(settings: Settings, keys: ServerKeys) -> str:
    with pytest.raises(IdentityProblem) as caught:
        check_identity(settings.database, settings, keys)
    text = str(caught.value)
    assert "\n" not in text
    assert "migrate" not in text
    return text


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_the_same_server_is_recognised(settings: Settings) -> None:
    check_identity(settings.database, settings, KeyFolder(settings.key_folder).load())


@pytest.mark.parametrize("name", FILES)
def test_one_other_key(settings: Settings, tmp_path: Path, name: str) -> None:
    KeyFolder(tmp_path / "others").create()
    shutil.copy(tmp_path / "others" / name, settings.key_folder / name)
    text = refusal(settings, KeyFolder(settings.key_folder).load())
    assert f"another {name}," in text
    assert not any(other in text for other in FILES if other != name)
    assert str(settings.key_folder) in text


def test_another_server_s_key_folder(settings: Settings, tmp_path: Path) -> None:
    text = refusal(settings, KeyFolder(tmp_path / "others").create())
    assert all(name in text for name in FILES)


def test_another_origin(settings: Settings, keys: ServerKeys) -> None:
    text = refusal(settings.model_copy(update={"origin": "other.example/log"}), keys)
    assert "another origin," in text
    assert "'exchange.example/log', not 'other.example/log'" in text


@pytest.mark.parametrize(
    "change", [{"token_sequence": 2}, {"token_public_key": oprf.public_key(oprf.generate_private_key()).hex()}]
)
def test_another_token_epoch(settings: Settings, keys: ServerKeys, change: dict[str, object]) -> None:
    assert "another token_public_key or token_sequence," in refusal(settings.model_copy(update=change), keys)


def test_another_token_key_at_the_authority(tmp_path: Path, fresh_database: str) -> None:
    settings = settings_of(tmp_path, fresh_database, role="token-authority", token_public_key="")
    record_identity(fresh_database, settings, KeyFolder(settings.key_folder).create(token_sequence=1))
    (settings.key_folder / "token.key").unlink()
    assert "another token.key," in refusal(settings, KeyFolder(settings.key_folder).create(token_sequence=1))


def test_what_is_recorded_stays(settings: Settings, keys: ServerKeys, tmp_path: Path) -> None:
    before = rows(settings.database, "SELECT * FROM server_identity")
    with pytest.raises(IdentityProblem):
        record_identity(settings.database, settings, KeyFolder(tmp_path / "others").create())
    record_identity(settings.database, settings, keys)
    assert rows(settings.database, "SELECT * FROM server_identity") == before


def test_a_log_without_an_identity_gets_none(settings: Settings, keys: ServerKeys) -> None:
    rows(settings.database, "DELETE FROM server_identity")
    for act in (record_identity, check_identity):
        with pytest.raises(DatabaseProblem, match="restore the database"):
            act(settings.database, settings, keys)
    assert rows(settings.database, "SELECT * FROM server_identity") == []


def test_a_new_database_belongs_to_nobody_yet(tmp_path: Path, fresh_database: str, keys: ServerKeys) -> None:
    with pytest.raises(DatabaseProblem, match="tallystickd migrate"):
        check_identity(fresh_database, settings_of(tmp_path, fresh_database), keys)


def test_no_secret_is_recorded(settings: Settings, keys: ServerKeys) -> None:
    ((_, *values),) = rows(settings.database, "SELECT * FROM server_identity")
    stored = b"".join(value.encode() if isinstance(value, str) else bytes(value) for value in values)
    store_key = bytes.fromhex((settings.key_folder / "store.key").read_text())
    secrets = (store_key, keys.subject_secret, keys.request_secret, keys.receipt_key.private_bytes_raw())
    assert not any(secret in stored for secret in secrets)

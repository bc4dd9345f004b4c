"""`tallystickd init`: what it makes, what it leaves alone, and what it refuses."""

import json
from pathlib import Path

import pytest
from tests.server.cli.running import TOKEN_KEY, Run, entries

from tallystick.server.installation.settings import Settings
from tallystick.server.storage import migration


@pytest.fixture
def fresh_database(empty_database: str) -> str:
    """One without a schema: here it is `init` that makes it."""
    return empty_database


def test_init_makes_a_whole_server(server: Path, fresh_database: str) -> None:
    settings = Settings.load(server)
    for path in (settings.tls_certificate, settings.tls_key, settings.tls_client_ca, settings.key_folder / "token.key"):
        assert path.is_file()
    assert server.stat().st_mode & 0o077 == 0
    assert migration.is_at_head(fresh_database)
    assert entries(fresh_database) == ["CreateMember", "AddMemberKey"]


def test_init_does_not_touch_what_exists(server: Path, tallystickd: Run) -> None:
    before = {path: path.read_bytes() for path in server.parent.rglob("*") if path.is_file()}
    code, _, errors = tallystickd("init", server.parent, "--role", "token-authority", "--origin", "x/y")
    assert code == 1
    assert "exists already" in errors
    assert {path: path.read_bytes() for path in server.parent.rglob("*") if path.is_file()} == before


def test_an_interrupted_init_is_finished_by_the_next(server: Path, tallystickd: Run, fresh_database: str) -> None:
    kept = {path: path.read_bytes() for path in (server.parent / "keys").glob("*.key") if path.name != "tls-server.key"}
    server.unlink()
    (server.parent / "tls/server.crt").unlink()
    code, _, errors = tallystickd(
        *("init", server.parent, "--role", "token-authority", "--origin", "authority.example/log"),
        *("--database", fresh_database),
    )
    assert (code, errors) == (0, "")
    assert {path: path.read_bytes() for path in kept} == kept
    assert tallystickd("doctor", "--config", server)[0] in (0, 1)
    assert entries(fresh_database)[:2] == ["CreateMember", "AddMemberKey"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--origin", "a b", "--token-public-key", TOKEN_KEY], "origin: "),
        (["--origin", "a/b", "--token-public-key", TOKEN_KEY, "--listen", "nowhere"], "listen: "),
        (["--origin", "a/b"], "needs --token-public-key"),
        (["--origin", "a/b", "--token-public-key", "00" * 32], "--token-public-key is not a public key"),
        (["--origin", "a/b", "--token-public-key", "zz"], "--token-public-key is not a public key"),
    ],
)
def test_init_judges_before_it_makes(tallystickd: Run, tmp_path: Path, options: list[str], said: str) -> None:
    code, _, errors = tallystickd("init", tmp_path / "new", "--role", "exchange", *options)
    assert code == 1
    assert said in errors
    assert not (tmp_path / "new").exists()


def test_an_exchange_takes_its_authority_s_key(server: Path, tallystickd: Run, tmp_path: Path) -> None:
    code, output, _ = tallystickd("--config", server, "public", "--json")
    assert code == 0
    known = json.loads(output)
    assert known["origin"] == "authority.example/log"
    code, output, _ = tallystickd(
        *("init", tmp_path / "exchange", "--role", "exchange", "--origin", "exchange.example/log", "--no-migrate"),
        *("--token-public-key", known["token_public_key"], "--token-sequence", known["token_sequence"]),
    )
    assert code == 0
    settings = Settings.load(tmp_path / "exchange" / "tallystickd.toml")
    assert (settings.token_public_key, settings.token_sequence) == (known["token_public_key"], 1)
    assert not (settings.key_folder / "token.key").exists()
    (step,) = [line for line in output.splitlines() if line.startswith("next: ")]
    assert step.endswith("migrate, and when that is done serve")

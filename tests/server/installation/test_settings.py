"""Settings: the file, the environment over it, and one line for everything that is wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.server.installation.settings import ConfigurationProblem, Settings, mask_password, split_address

VALID = {
    "role": "exchange",
    "origin": "exchange.example/log",
    "database": "postgresql://tallystick:hunter2@db.example/tallystick",
    "key_folder": "keys",
    "tls_certificate": "tls/server.crt",
    "tls_key": "keys/tls-server.key",
    "tls_client_ca": "tls/ca.crt",
    # The generator of ristretto255.
    "token_public_key": "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
}


def write(folder: Path, **changes: object) -> Path:
    values = {name: value for name, value in {**VALID, **changes}.items() if value is not None}
    lines = [f"{name} = {value}\n" if isinstance(value, int) else f'{name} = "{value}"\n' for name, value in values.items()]
    file = folder / "tallystickd.toml"
    file.write_text("".join(lines))
    return file


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = Settings.load(write(tmp_path, database="embedded:database"))
    assert settings.key_folder == tmp_path / "keys"
    assert settings.tls_key == tmp_path / "keys/tls-server.key"
    assert settings.embedded_folder == tmp_path / "database"
    assert settings.file == tmp_path / "tallystickd.toml"


def test_absolute_paths_stay(tmp_path: Path) -> None:
    settings = Settings.load(write(tmp_path, key_folder="/etc/tallystick/keys", database="embedded:/srv/data"))
    assert settings.key_folder == Path("/etc/tallystick/keys")
    assert settings.embedded_folder == Path("/srv/data")


def test_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_WORKERS", "7")
    monkeypatch.setenv("TALLYSTICK_LISTEN", "")
    settings = Settings.load(write(tmp_path, workers=2, queue_size=9))
    assert (settings.workers, settings.queue_size, settings.listen) == (7, 9, "127.0.0.1:7443")
    shown = settings.shown()
    assert shown["workers"] == (7, "environment TALLYSTICK_WORKERS")
    assert shown["queue_size"] == (9, str(tmp_path / "tallystickd.toml"))
    assert shown["listen"] == ("127.0.0.1:7443", "default")


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_CONFIG", str(write(tmp_path)))
    assert Settings.load().origin == "exchange.example/log"


def test_a_file_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert Settings.load().key_folder == tmp_path / "keys"


def test_settings_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in VALID.items():
        monkeypatch.setenv(f"TALLYSTICK_{name.upper()}", value)
    settings = Settings.load()
    assert settings.file is None
    assert settings.key_folder == tmp_path / "keys"


@pytest.mark.parametrize(
    ("changes", "key", "advice"),
    [
        ({"origin": None}, "origin", "TALLYSTICK_ORIGIN"),
        ({"origin": "two words"}, "origin", "visible ASCII"),
        ({"origin": "a+b"}, "origin", "visible ASCII"),
        ({"role": "bank"}, "role", "exchange"),
        ({"listen": "7443"}, "listen", "HOST:PORT"),
        ({"listen": "localhost:70000"}, "listen", "HOST:PORT"),
        ({"database": "mysql://x"}, "database", "postgresql://"),
        ({"database": "embedded:"}, "database", "embedded:FOLDER"),
        ({"token_public_key": "AB" * 32}, "token_public_key", "64 lower-case"),
        ({"token_public_key": "ab" * 32}, "token_public_key", "is not the token key"),
        ({"token_public_key": None}, "token_public_key", "exchange needs"),
        ({"operator": "Operator"}, "operator", "3 to 32"),
        ({"token_sequence": 0}, "token_sequence", "a whole number from 1 to 4294967295"),
        ({"workers": 0}, "workers", "a whole number from 1 to 256"),
        ({"workers": "two"}, "workers", "a whole number from 1 to 256"),
        ({"linger_ms": "soon"}, "linger_ms", "a number from 0 to 100"),
        ({"key_folder": 7}, "key_folder", "text in quotation marks"),
        ({"origin": 7}, "origin", "text in quotation marks"),
        ({"metrics_listen": "9090"}, "metrics_listen", "HOST:PORT"),
        ({"log_level": "loud"}, "log_level", "'debug', 'info', 'warning' or 'error'"),
        ({"workres": 2}, "workres", "not a setting"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_key(tmp_path: Path, changes: dict[str, object], key: str, advice: str) -> None:
    file = write(tmp_path, **changes)
    with pytest.raises(ConfigurationProblem) as caught:
        Settings.load(file)
    text = str(caught.value)
    assert text.startswith(f"{file}: {key}: ")
    assert advice in text
    assert "\n" not in text
    assert "hunter2" not in text


@pytest.mark.parametrize("content", [b"role = ", b"\xff\xfe", b"x" * (1 << 21)])
def test_a_file_that_is_not_ours(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(ConfigurationProblem, match="other: "):
        Settings.load(file)


def test_several_wrong_settings_are_counted_once_each(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblem) as caught:
        Settings.load(write(tmp_path, metrics_listen="9090", workers=0))
    assert str(caught.value).endswith("(and 1 more)")


def test_no_file_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationProblem) as caught:
        Settings.load()
    assert str(caught.value) == "there is no ./tallystickd.toml: give --config, or set TALLYSTICK_CONFIG"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblem, match="tallystickd init"):
        Settings.load(tmp_path / "none.toml")


def test_a_token_authority_needs_no_public_key(tmp_path: Path) -> None:
    assert Settings.load(write(tmp_path, role="token-authority", token_public_key=None)).token_public_key == ""


def test_passwords_are_masked(tmp_path: Path) -> None:
    settings = Settings.load(write(tmp_path))
    value, _ = settings.shown()["database"]
    assert value == "postgresql://tallystick:***@db.example/tallystick"
    masked = mask_password("postgresql://u@h/d?password=p1&sslpassword=p2&host=/run")
    assert masked == "postgresql://u@h/d?password=***&sslpassword=***&host=/run"
    assert mask_password("embedded:/a:b@c") == "embedded:/a:b@c"


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8), st.booleans())
def test_no_password_survives_masking(password: str, in_query: bool) -> None:
    mark = "~" + password + "~"
    url = f"postgresql://u@h/d?password={mark}" if in_query else f"postgresql://u:{mark}@h/d"
    assert mark not in mask_password(url)


@pytest.mark.parametrize(
    ("address", "host", "port"), [("127.0.0.1:1", "127.0.0.1", 1), ("[::1]:7443", "::1", 7443), ("a.b:0", "a.b", 0)]
)
def test_addresses(address: str, host: str, port: int) -> None:
    assert split_address(address) == (host, port)

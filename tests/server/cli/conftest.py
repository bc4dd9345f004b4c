"""A new server for the tests of the command `tallystickd`, and the command itself."""

from pathlib import Path

import pytest
from tests.server.cli.running import Run

from tallystick.server.cli.program import run


@pytest.fixture
def tallystickd(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process; returns exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        return code, output, errors

    return call


@pytest.fixture
def server(tallystickd: Run, tmp_path: Path, fresh_database: str) -> Path:
    """The configuration file of a new token authority."""
    code, _, errors = tallystickd(
        *("init", tmp_path / "server", "--role", "token-authority", "--origin", "authority.example/log"),
        *("--listen", "127.0.0.1:1", "--database", fresh_database),
    )
    assert (code, errors) == (0, "")
    return tmp_path / "server" / "tallystickd.toml"

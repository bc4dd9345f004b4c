"""The unit for systemd: that systemd takes it, and that it gives the server the time and the folder that it needs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tallystick.server.cli.program import tallystickd
from tallystick.server.installation.settings import Settings
from tallystick.server.process.supervisor import KILL_MARGIN_SECONDS
from tallystick.server.process.upkeep import JOIN_SECONDS

UNIT = Path(__file__).parents[2] / "deploy/tallystickd.service"


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_it_stops_after_everything_had_its_time() -> None:
    grace = Settings.model_fields["grace_seconds"].default
    (seconds,) = values("TimeoutStopSec")
    assert float(seconds) > grace + KILL_MARGIN_SECONDS + JOIN_SECONDS


def test_it_serves_and_writes_keys_and_nothing_else() -> None:
    (command,) = values("ExecStart")
    assert command.split()[1:] == ["serve"]
    assert "serve" in tallystickd.commands
    assert values("ExecStartPre") == []
    config = next(value.partition("=")[2] for value in values("Environment") if value.startswith("TALLYSTICK_CONFIG="))
    assert values("ReadWritePaths") == [str(Path(config).parent / "keys")]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_it(tmp_path: Path) -> None:
    """With a program that is there: systemd-analyze asks for it too."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(values("ExecStart")[0].split()[0], "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")

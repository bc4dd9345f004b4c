"""The container image is built from what the wheel is made of: a folder that either list leaves out is missing in the image."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
SOURCES = sorted({Path(path).parts[0] for path in [*WHEEL["packages"], *WHEEL["force-include"]]})


@pytest.mark.parametrize("source", [*SOURCES, "pyproject.toml", "constraints.txt", "README.md", "LICENSE"])
def test_every_source_of_the_wheel_is_copied_and_let_through(source: str) -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--)(.+)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]}
    let_through = {
        line[1:] for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert source in copied
    assert source in let_through


def test_the_constraints_name_versions_and_nothing_of_this_machine() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line), line
        assert not line.startswith("tallystick")

"""The `tallystick` command over the in-memory exchange, and files for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tallystick.client.cli.context import Tool
from tallystick.client.cli.program import run


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def cli(system: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line."""

    def call(*arguments: str | Path) -> Ran:
        tool = Tool(open_exchange=lambda profile: system.open(), profile=system.folder)
        code = run([str(argument) for argument in arguments], tool)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call

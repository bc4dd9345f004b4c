"""--json: one object a line, of every command that has it."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.server.cli.running import Run, json_lines

from tallystick.server.cli.program import tallystickd as program
from tallystick.server.cli.session import print_json

LISTS = {"member list": 2, "key list": 2, "doctor": 5}
"""At least as many lines each, of a server with two members and their keys."""
OBJECTS = ("config", "public")
TRIED_ELSEWHERE = ("subject erase", "rating list", "rating drift")
"""They take an exchange, and the first reads standard input."""


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        elif any(parameter.name == "as_json" for parameter in command.params):
            yield f"{before}{name}"


def test_every_command_that_has_it_is_tried() -> None:
    assert sorted(commands(program)) == sorted([*LISTS, *OBJECTS, *TRIED_ELSEWHERE])


@pytest.fixture
def inhabited(server: Path, tallystickd: Run, tmp_path: Path) -> Path:
    """A server with a second member."""
    create = ("member", "create", "bank-a", "--name", "Bank A", "--roles", "auditor", "--dev-profile", tmp_path / "profile")
    assert tallystickd(*create, "--config", server)[0] == 0
    return server


@pytest.mark.parametrize("command", [*LISTS, *OBJECTS])
def test_one_object_a_line(inhabited: Path, tallystickd: Run, command: str) -> None:
    _, output, errors = tallystickd(*command.split(), "--json", "--config", inhabited)
    found = json_lines(output)
    assert errors == ""
    if command in OBJECTS:
        assert len(found) == 1
    else:
        assert len(found) >= LISTS[command]
        assert len({tuple(each) for each in found}) == 1, "each object of a list has the same keys"


def test_a_list_of_nothing_is_no_line(server: Path, tallystickd: Run) -> None:
    assert tallystickd("member", "create", "bank-a", "--name", "A", "--roles", "auditor", "--config", server)[0] == 0
    assert tallystickd("key", "list", "bank-a", "--json", "--config", server) == (0, "", "")


def test_what_a_terminal_obeys_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "Bänk\x1b[31m\u2028\u202e\n銀行"}
    print_json(value)
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert output[:-1].isprintable()
    assert "銀行" in output
    assert json.loads(output) == value

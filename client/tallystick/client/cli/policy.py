"""Commands about screening policies: look at one, check one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.groups import Commands
from tallystick.client.exceptions import FileInvalid
from tallystick.credit.screening import PolicyError, ScreeningPolicy

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group(cls=Commands)
def policy() -> None:
    """Shows and checks screening policies."""


@policy.command()
@click.argument("file", type=_FILE, required=False)
@command
def show(tool: Tool, file: Path | None) -> None:
    """Shows the policy of FILE, or the built-in one, as TOML: a beginning for your own."""
    loaded = load_policy(file)
    if tool.as_json:
        for rule in loaded.rules:
            output.write_json({name: getattr(rule, name) for name in ("name", "kind", "decision")})
        return
    if file is None:
        source = resources.files("tallystick.credit").joinpath("default_policy.toml").read_text("utf-8")
    else:
        source = file.read_text("utf-8")
    click.echo(source, nl=not source.endswith("\n"))


@policy.command()
@click.argument("file", type=_FILE)
@command
def check(tool: Tool, file: Path) -> None:
    """Checks that FILE is a policy; names the key that is wrong."""
    loaded = load_policy(file)
    if tool.as_json:
        output.write_json({"name": loaded.name, "rules": len(loaded.rules)})
    else:
        tool.results.print(f"{loaded.name}: {len(loaded.rules)} rules, all well formed", highlight=False, markup=False)


def load_policy(file: Path | None) -> ScreeningPolicy:
    """The policy of a file, or the built-in one. Raises FileInvalid, which names the file and the key."""
    if file is None:
        return ScreeningPolicy.default()
    try:
        return ScreeningPolicy.from_toml(file)
    except PolicyError as error:
        raise FileInvalid(f"{file}: {error}") from None

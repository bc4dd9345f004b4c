"""`tallystickd config`, `public` and `doctor`: what a server is set to, shows, and lacks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from tallystick.server.cli.doctor import examine
from tallystick.server.cli.profile import public_values
from tallystick.server.cli.session import CONFIG_PATH, json_option, print_json, takes_settings
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings


@click.command("config")
@takes_settings
@json_option
def config_command(settings: Settings, *, as_json: bool) -> None:
    """Shows every setting, with passwords masked, and where its value comes from."""
    shown = settings.shown()
    if as_json:
        print_json({name: {"value": value, "source": source} for name, (value, source) in shown.items()})
        return
    for name, (value, source) in shown.items():
        click.echo(f"{name} = {json.dumps(value, ensure_ascii=False)}  # {source}")


@click.command()
@takes_settings
@json_option
def public(settings: Settings, *, as_json: bool) -> None:
    """Shows what others must know of this server: its origin and public keys."""
    values = public_values(settings, KeyFolder(settings.key_folder).load())
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        click.echo(f"{name} = {json.dumps(value)}")


@click.command("doctor")
@click.option("--config", type=CONFIG_PATH, help="The configuration file.")
@click.option("--log", "whole_log", is_flag=True, help="Also hold every row of the database against the whole log.")
@json_option
@click.pass_context
def doctor(context: click.Context, *, config: Path | None, whole_log: bool, as_json: bool) -> int:
    """Checks configuration, keys, certificates, database and log; exits with 1 if it finds a problem. A warning is none.

    With --log every entry is hashed and opened, and every row that follows from the entries is made again and compared: what was
    changed behind the server's back is named. It reads the whole database, and says on standard error how far it is.
    """
    findings = examine(config or context.find_root().params.get("config"), whole_log=whole_log, progress=_say_progress)
    if as_json:
        for finding in findings:
            print_json(asdict(finding))
    else:
        for finding in findings:
            said = "warning" if finding.warning else "ok" if finding.ok else "problem"
            click.echo(f"{said:7}  {finding.check}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1


def _say_progress(done: int, size: int) -> None:
    click.echo(f"{done} of {size} entries", err=True)

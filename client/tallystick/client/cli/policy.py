"""Commands about policies, of screening and of early warning: look at one, check one."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.groups import Commands
from tallystick.client.exceptions import FileInvalid
from tallystick.client.exchange import Exchange
from tallystick.credit.enums import Section
from tallystick.credit.history import CreditHistory
from tallystick.credit.monitoring import WarningPolicy
from tallystick.credit.policy_reading import load
from tallystick.credit.rating import ScorecardError
from tallystick.credit.screening import PolicyError, Screening, ScreeningPolicy

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_WARNING_KEYS = frozenset({"triggers", "warning", "action", "at_least"})


@click.group(cls=Commands)
def policy() -> None:
    """Shows and checks policies: of screening, and of early warning."""


@policy.command()
@click.argument("file", type=_FILE, required=False)
@click.option("--warning", is_flag=True, help="The built-in policy of early warning, instead of that of screening.")
@command
def show(tool: Tool, file: Path | None, warning: bool) -> None:
    """Shows the policy of FILE, or the built-in one, as TOML: a beginning for your own."""
    if file is not None and warning:
        raise click.UsageError("give either FILE or --warning: what kind of policy a file holds is read from it")
    if file is not None:
        loaded, source = _load(file), file.read_text("utf-8")
    elif warning:
        package, name = "tallystick.credit.monitoring", "default_warning_policy.toml"
        loaded, source = WarningPolicy.default(), resources.files(package).joinpath(name).read_text("utf-8")
    else:
        source = resources.files("tallystick.credit").joinpath("default_policy.toml").read_text("utf-8")
        loaded = ScreeningPolicy.default()
    if tool.as_json:
        for rule in _summaries(loaded):
            output.write_json(rule)
        return
    click.echo(source, nl=not source.endswith("\n"))


@policy.command()
@click.argument("file", type=_FILE)
@command
def check(tool: Tool, file: Path) -> None:
    """Checks that FILE is a policy, of screening or of early warning; names the key that is wrong."""
    loaded = _load(file)
    warning = isinstance(loaded, WarningPolicy)
    if tool.as_json:
        output.write_json({"name": loaded.name, "rules": len(loaded.rules), "kind": "warning" if warning else "screening"})
    else:
        rules = "warning rules" if warning else "rules"
        tool.results.print(f"{loaded.name}: {len(loaded.rules)} {rules}, all well formed", highlight=False, markup=False)


def _summaries(loaded: ScreeningPolicy | WarningPolicy) -> list[dict[str, Any]]:
    """What each rule is for, in short."""
    if isinstance(loaded, ScreeningPolicy):
        return [{name: getattr(rule, name) for name in ("name", "kind", "decision")} for rule in loaded.rules]
    return [
        {
            "name": rule.name,
            "triggers": [type_.name.lower() for type_ in rule.triggers],
            "warning": rule.warning,
            "action": rule.action,
        }
        for rule in loaded.rules
    ]


def _load(file: Path) -> ScreeningPolicy | WarningPolicy:
    """The policy of a file, of the kind that its first rule has the keys of. Raises FileInvalid."""
    try:
        rules = load(file).get("rules")
    except PolicyError as error:
        raise FileInvalid(f"{file}: {error}") from None
    first = rules[0] if isinstance(rules, list) and rules else None
    if isinstance(first, dict) and "kind" not in first and not _WARNING_KEYS.isdisjoint(first):
        return load_warning_policy(file)
    return load_policy(file)


def load_policy(file: Path | None) -> ScreeningPolicy:
    """The policy of a file, or the built-in one. Raises FileInvalid, which names the file and the key."""
    if file is None:
        return ScreeningPolicy.default()
    try:
        return ScreeningPolicy.from_toml(file)
    except PolicyError as error:
        raise FileInvalid(f"{file}: {error}") from None


def check_by_scorecards(policy: ScreeningPolicy, exchange: Exchange, timeout: float | None = None) -> None:
    """Raises FileInvalid where a rule of the policy cannot judge by a scorecard that is in force: before anybody is asked about."""
    if Section.RATING not in policy.sections:
        return
    now, cards = dt.datetime.now(dt.UTC), []
    for listed in exchange.scorecards(timeout=timeout):
        # Of one that only a newer version can read nothing is known here: its ratings say how many grades there are.
        with suppress(ScorecardError):
            if listed.in_force_at(now):
                cards.append(listed.card)
    try:
        policy.check_scorecards(cards)
    except PolicyError as error:
        raise FileInvalid(f"the policy {policy.name}: {error}") from None


def screened_by(policy: ScreeningPolicy, history: CreditHistory) -> Screening:
    """What a policy says of a history. Raises FileInvalid where a rule of it cannot judge such an answer."""
    try:
        return policy.evaluate(history)
    except PolicyError as error:
        raise FileInvalid(f"the policy {policy.name}: {error}") from None


def load_warning_policy(file: Path | None) -> WarningPolicy:
    """The same of a policy of early warning."""
    if file is None:
        return WarningPolicy.default()
    try:
        return WarningPolicy.from_toml(file)
    except PolicyError as error:
        raise FileInvalid(f"{file}: {error}") from None

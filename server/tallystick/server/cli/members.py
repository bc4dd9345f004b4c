"""`tallystickd member`: admits members and changes what they may do."""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path
from typing import Any

import click

from tallystick.contract.quota_texts import PURPOSES, format_quota, parse_quota
from tallystick.server.cli.groups import Commands
from tallystick.server.cli.keys import register_profile_key
from tallystick.server.cli.profile import DevelopmentProfile
from tallystick.server.cli.session import Session, json_option, new_request_id, open_session, print_json, takes_settings
from tallystick.server.cli.vocabulary import GRANTED, ROLES, STATES, spell, words
from tallystick.server.errors import Problem
from tallystick.server.installation.settings import Settings
from tallystick.server.services.membership.members import validate_member
from tallystick.v1 import membership_service_pb2 as pb

MAX_EVALUATIONS = 2**63 - 1

_roles = words(GRANTED)
_purposes = words(PURPOSES)
_evaluations = click.IntRange(0, MAX_EVALUATIONS)


def _read_quotas(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> list[pb.Quota] | None:
    """None when none is given; the word "none" is an empty list."""
    if not texts:
        return None
    if "none" in texts:
        if len(texts) > 1:
            raise click.BadParameter('"none" stands alone')
        return []
    try:
        return [parse_quota(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_quota_option = click.option(
    "--quota",
    "quotas",
    multiple=True,
    callback=_read_quotas,
    help='Such as calls=6000/minute or QueryCreditHistory/loan-approval:subjects=20000/day; repeatable. "none" is the defaults.',
)


@click.group("member", cls=Commands)
def member_commands() -> None:
    """Admits members and changes what they may do. Every change is signed by the operator's key and logged."""


@member_commands.command("create")
@takes_settings
@click.argument("member_id")
@click.option("--name", required=True, help="Its name for people to read.")
@click.option("--roles", callback=_roles, required=True, help=f"Separated by commas, of: {', '.join(GRANTED)}.")
@click.option("--purposes", callback=_purposes, default="none", help='For which it may query: such as loan-approval, or "all".')
@click.option("--daily-evaluations", type=_evaluations, default=0, show_default=True, help="0 is no limit.")
@_quota_option
@click.option("--dev-profile", type=click.Path(path_type=Path), help="Make a client's profile in this folder, keys and all.")
@click.option("--address", help="The server's address for that profile.  [default: where it listens]")
def create(
    settings: Settings,
    member_id: str,
    *,
    name: str,
    roles: list[int],
    purposes: list[int],
    daily_evaluations: int,
    quotas: list[pb.Quota] | None,
    dev_profile: Path | None,
    address: str | None,
) -> None:
    """Admits MEMBER_ID. With --dev-profile its keys are made here too, and registered."""
    _refuse_idle_limit(settings, daily_evaluations)
    member = pb.Member(member_id=member_id, display_name=name, daily_evaluations=daily_evaluations, quotas=quotas or ())
    _set(member, roles=roles, purposes=purposes, state=pb.MEMBER_STATE_ACTIVE)
    if violations := validate_member(member):
        # Before a profile is written, for a member that will not be one.
        raise Problem("; ".join(f"{each.field}: {each.description}" for each in violations))
    with open_session(settings) as session:
        # The profile first: what is wrong with the folder shows before anything is logged. Crash after it, or after the
        # admission: the same command again finds the profile there, and "key add --dev-profile" registers its key.
        profile = DevelopmentProfile.open(dev_profile, member_id) if dev_profile is not None else None
        if profile is not None:
            click.echo(f"wrote {profile.add_server(settings, session.keys, address)}")
        request = pb.CreateMemberRequest(request_id=new_request_id(), member=member)
        session.administer("CreateMember", request, pb.CreateMemberResponse)
        click.echo(f"admitted {member_id}")
        _tell_what_is_without_effect(settings, member)
        if profile is not None:
            register_profile_key(session, profile)


@member_commands.command("system")
@takes_settings
def system(settings: Settings) -> None:
    """Admits the exchange's own member, which sweeps the watches.

    A server does it by itself where operator.key of its key folder is an operator's. Where operators sign with keys of their own,
    one of them runs this once."""
    from tallystick.server.administration import in_process, register_system

    if settings.role != "exchange":
        raise Problem("a token authority has no watches, and so no member of its own")

    async def register(session: Session) -> None:
        async with in_process(session.settings, session.keys, session.url) as service:
            await register_system(session.settings, session.keys, service)

    with open_session(settings) as session:
        asyncio.run(register(session))
    click.echo(f"admitted {settings.system_member}, with its key")


@member_commands.command("update")
@takes_settings
@click.argument("member_id")
@click.option("--name", help="Its name for people to read.")
@click.option("--roles", callback=_roles, help="All its roles from now on.")
@click.option("--purposes", callback=_purposes, help="All its purposes from now on.")
@click.option("--daily-evaluations", type=_evaluations, help="0 is no limit.")
@_quota_option
def update(
    settings: Settings,
    member_id: str,
    *,
    name: str | None,
    roles: list[int] | None,
    purposes: list[int] | None,
    daily_evaluations: int | None,
    quotas: list[pb.Quota] | None,
) -> None:
    """Changes what is given of MEMBER_ID, and leaves the rest."""
    _refuse_idle_limit(settings, daily_evaluations)
    with open_session(settings) as session:
        member = session.member(member_id)
        member.display_name = member.display_name if name is None else name
        member.daily_evaluations = member.daily_evaluations if daily_evaluations is None else daily_evaluations
        if quotas is not None:
            del member.quotas[:]
            member.quotas.extend(quotas)
        _set(
            member,
            roles=list(member.roles) if roles is None else roles,
            purposes=list(member.purposes) if purposes is None else purposes,
            state=member.state,
        )
        _update(session, member)
    click.echo(f"updated {member_id}")
    _tell_what_is_without_effect(settings, member)


@member_commands.command("suspend")
@takes_settings
@click.argument("member_id")
def suspend(settings: Settings, member_id: str) -> None:
    """Refuses MEMBER_ID everything until it is made active again."""
    _change_state(settings, member_id, pb.MEMBER_STATE_SUSPENDED)
    click.echo(f"suspended {member_id}")


@member_commands.command("activate")
@takes_settings
@click.argument("member_id")
def activate(settings: Settings, member_id: str) -> None:
    """Lets a suspended MEMBER_ID take part again."""
    _change_state(settings, member_id, pb.MEMBER_STATE_ACTIVE)
    click.echo(f"activated {member_id}")


@member_commands.command("list")
@takes_settings
@json_option
def list_members(settings: Settings, *, as_json: bool) -> None:
    """Lists the members."""
    with open_session(settings) as session:
        members = [_shown(member) for member in session.members()]
    if as_json:
        for member in members:
            print_json(member)
        return
    for member in members:
        keys = "1 good key" if member["keys"] == 1 else f"{member['keys']} good keys"
        quota = f", {member['daily_evaluations']} evaluations a day" if member["daily_evaluations"] else ""
        click.echo(f"{member['member_id']}  {member['state']}  {member['display_name']}")
        click.echo(f"    roles: {', '.join(member['roles']) or 'none'}; {keys}{quota}")
        if member["purposes"]:
            click.echo(f"    purposes: {', '.join(member['purposes'])}")
        if member["quotas"]:
            click.echo(f"    quotas: {', '.join(member['quotas'])}")


def _change_state(settings: Settings, member_id: str, state: int) -> None:
    with open_session(settings) as session:
        member = session.member(member_id)
        member.state = pb.MemberState.ValueType(state)
        _update(session, member)


def _update(session: Session, member: pb.Member) -> None:
    request = pb.UpdateMemberRequest(request_id=new_request_id(), member=member)
    session.administer("UpdateMember", request, pb.UpdateMemberResponse)


def _set(member: pb.Member, *, roles: list[int], purposes: list[int], state: int) -> None:
    del member.roles[:], member.purposes[:]
    member.roles.extend(pb.Role.ValueType(role) for role in roles)
    member.purposes.extend(purposes)  # type: ignore[arg-type] # numbers of the enum, by vocabulary
    member.state = pb.MemberState.ValueType(state)


def _refuse_idle_limit(settings: Settings, daily_evaluations: int | None) -> None:
    """An exchange evaluates nothing: a limit that holds nobody must not look like one."""
    if settings.role == "exchange" and daily_evaluations:
        raise Problem("--daily-evaluations limits nothing at an exchange: give it at the token authority, or --quota here")


def _tell_what_is_without_effect(settings: Settings, member: pb.Member) -> None:
    """Notes on standard error: what the member was given and cannot use, here or at all."""
    if settings.role == "exchange":
        elsewhere, where = {pb.ROLE_TOKEN_REQUESTER}, "the token authority"
    else:
        elsewhere, where = {pb.ROLE_REPORTER, pb.ROLE_INQUIRER}, "the exchange"
    if settings.role != "exchange" and member.purposes:
        _note(f"purposes have no effect here: give them to {member.member_id} at the exchange")
    idle = spell(ROLES, [role for role in member.roles if role in elsewhere])
    if idle:
        _note(f"{' and '.join(idle)} has no effect here: give it to {member.member_id} at {where}")
    if settings.role == "exchange" and pb.ROLE_INQUIRER in member.roles and not member.purposes:
        _note(f"{member.member_id} can query nothing without purposes: tallystickd member update {member.member_id} --purposes …")


def _note(text: str) -> None:
    click.echo(f"tallystickd: note: {text}", err=True)


def _shown(member: pb.Member) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "display_name": member.display_name,
        "state": spell(STATES, [member.state])[0],
        "roles": spell(ROLES, member.roles),
        "purposes": spell(PURPOSES, member.purposes),
        "daily_evaluations": member.daily_evaluations,
        "quotas": [format_quota(quota) for quota in member.quotas],
        "create_time": member.create_time.ToDatetime(UTC).isoformat(),
        "keys": sum(not key.HasField("revoke_time") for key in member.keys),
    }

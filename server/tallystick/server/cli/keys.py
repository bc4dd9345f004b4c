"""`tallystickd key`: registers and revokes the members' signing keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import click
from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.crypto import key_statement, keyid
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.server.cli.groups import Commands
from tallystick.server.cli.profile import DevelopmentProfile
from tallystick.server.cli.session import (
    Session,
    ask_passphrase,
    json_option,
    new_request_id,
    open_session,
    print_json,
    takes_settings,
)
from tallystick.server.installation.key_folder import read_operator_key
from tallystick.server.installation.settings import Settings
from tallystick.v1 import membership_service_pb2 as pb


def hexadecimal(size: int) -> Callable[[click.Context, click.Parameter, str | None], bytes | None]:
    """The callback of an option or argument that takes `size` bytes. An error does not repeat what was given."""

    def parse(_context: click.Context, _parameter: click.Parameter, text: str | None) -> bytes | None:
        if not text:
            return None
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if len(data) != size:
            raise click.BadParameter(f"give {2 * size} hexadecimal characters")
        return data

    return parse


@click.group("key", cls=Commands)
def key_commands() -> None:
    """Registers and revokes signing keys. Every change is signed by the operator's key and logged."""


@key_commands.command("add")
@takes_settings
@click.argument("member_id")
@click.option("--public-key", callback=hexadecimal(32), help="The Ed25519 public key.")
@click.option("--possession-signature", callback=hexadecimal(64), help="By the new key, over the key statement.")
@click.option("--endorsement", callback=hexadecimal(64), help="By an older key of the member, over the same.")
@click.option("--key", "private_key", type=click.Path(path_type=Path), help="Your own new key, in PEM: it signs for itself.")
@click.option("--dev-profile", type=click.Path(path_type=Path), help="Take the key of this profile folder instead.")
@click.option("--address", help="The server's address for that profile.  [default: where it listens]")
def add(
    settings: Settings,
    member_id: str,
    *,
    public_key: bytes | None,
    possession_signature: bytes | None,
    endorsement: bytes | None,
    private_key: Path | None,
    dev_profile: Path | None,
    address: str | None,
) -> None:
    """Registers a key of MEMBER_ID.

    The key statement is of docs/protocol.md, "Key registration"; a member signs it with tallystick. An operator's own key can be
    given as it is, with --key: both signatures are made here, an endorsement of your own next one by the key that you sign with.
    """
    with open_session(settings) as session:
        if dev_profile is not None:
            profile = DevelopmentProfile.open(dev_profile, member_id)
            click.echo(f"wrote {profile.add_server(settings, session.keys, address)}")
            register_profile_key(session, profile)
            return
        if private_key is not None:
            own = read_operator_key(private_key, ask_passphrase)
            statement = key_statement(settings.origin, member_id, raw_public_key(own))
            endorsed = session.keys.operator_key.sign(statement) if member_id == settings.operator else endorsement
            _add(session, member_id, raw_public_key(own), own.sign(statement), endorsed or b"")
            return
        if public_key is None or possession_signature is None:
            raise click.UsageError("give --public-key and --possession-signature, or --key, or --dev-profile")
        _add(session, member_id, public_key, possession_signature, endorsement or b"")


@key_commands.command("revoke")
@takes_settings
@click.argument("member_id")
@click.argument("key_id", callback=hexadecimal(32))
def revoke(settings: Settings, member_id: str, key_id: bytes) -> None:
    """Revokes the key KEY_ID (its keyid) of MEMBER_ID at once and for good."""
    with open_session(settings) as session:
        request = pb.RevokeMemberKeyRequest(request_id=new_request_id(), member_id=member_id, keyid=key_id)
        session.administer("RevokeMemberKey", request, pb.RevokeMemberKeyResponse)
    click.echo(f"revoked {key_id.hex()} of {member_id}")


@key_commands.command("list")
@takes_settings
@click.argument("member_id", required=False)
@json_option
def list_keys(settings: Settings, member_id: str | None, *, as_json: bool) -> None:
    """Lists the keys of MEMBER_ID, or of everybody."""
    with open_session(settings) as session:
        members = [session.member(member_id)] if member_id else list(session.members())
    keys = [
        {
            "member_id": member.member_id,
            "keyid": key.keyid.hex(),
            "public_key": key.public_key.hex(),
            "create_time": _instant(key.create_time),
            "revoke_time": _instant(key.revoke_time) if key.HasField("revoke_time") else None,
        }
        for member in members
        for key in member.keys
    ]
    if as_json:
        for key in keys:
            print_json(key)
        return
    for key in keys:
        state = f"revoked {key['revoke_time']}" if key["revoke_time"] else "good"
        click.echo(f"{key['member_id']}  {key['keyid']}  since {key['create_time']}  {state}")


def register_profile_key(session: Session, profile: DevelopmentProfile) -> None:
    """Registers the key of a profile made here: it signs for itself."""
    statement = key_statement(session.settings.origin, profile.member_id, profile.public_key)
    _add(session, profile.member_id, profile.public_key, profile.signing_key.sign(statement), b"")


def _add(session: Session, member_id: str, public_key: bytes, possession: bytes, endorsement: bytes) -> None:
    request = pb.AddMemberKeyRequest(
        request_id=new_request_id(),
        member_id=member_id,
        public_key=public_key,
        possession_signature=possession,
        endorsement_signature=endorsement,
    )
    session.administer("AddMemberKey", request, pb.AddMemberKeyResponse)
    click.echo(f"registered key {keyid(public_key).hex()} of {member_id}")


def _instant(timestamp: Timestamp) -> str:
    return timestamp.ToDatetime(UTC).isoformat(timespec="seconds")

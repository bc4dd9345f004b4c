"""Commands about the member's own signing keys: make the next one, prove it, register it."""

from __future__ import annotations

import os
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.groups import Commands
from tallystick.client.exceptions import FileInvalid
from tallystick.client.flows.member_keys import MemberKeys
from tallystick.client.profile.profile import read_registrant, read_signing_key
from tallystick.client.profile.servers import Counterpart, Server
from tallystick.crypto.ed25519 import raw_public_key

_authority_option = click.option("--authority", is_flag=True, help="For the token authority, not the exchange.")


@click.group(cls=Commands)
def key() -> None:
    """Makes your next signing key, proves that you have it, and registers it."""


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@command
def new(tool: Tool, file: Path) -> None:
    """Makes a signing key in FILE, which only its owner may read. FILE must not exist."""
    made = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except FileExistsError:
        raise FileInvalid(f"{file}: there is such a file, and it is not overwritten") from None
    public_key = raw_public_key(made)
    if tool.as_json:
        output.write_json({"public_key": public_key})
    else:
        tool.results.print(f"public key {public_key.hex()}", highlight=False, soft_wrap=True)


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_authority_option
@command
def prove(tool: Tool, file: Path, authority: bool) -> None:
    """Signs the key statement for the key in FILE: what an operator needs to register it. Nothing is sent.

    Of the profile it needs member.toml and the server's origin, nothing else.
    """
    server = _server(authority)
    signer, origin = read_registrant(tool.profile, server)
    # No server is asked, so that its keys need not be known yet.
    member_keys = MemberKeys(signer, {server: Counterpart(origin, b"", b"")})
    registration = member_keys.registration(read_signing_key(file), server)
    if tool.as_json:
        output.write_json(registration)
    else:
        lines = {
            "origin": registration.origin,
            "member": registration.member_id,
            "public key": registration.public_key.hex(),
            "possession signature": registration.possession_signature.hex(),
            "endorsement": registration.endorsement_signature.hex() or "none: it is the first key",
        }
        for name, value in lines.items():
            tool.results.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_authority_option
@command
def register(tool: Tool, file: Path, authority: bool) -> None:
    """Registers the key in FILE as your next one, under the key in use. Then name it as signing_key in member.toml."""
    with tool.exchange() as exchange:
        registered = exchange.register_key(read_signing_key(file), server=_server(authority))
    if tool.as_json:
        output.write_json(registered)
    else:
        text = f"registered {registered.keyid.hex()} (entry {registered.receipt.index})"
        tool.results.print(text, highlight=False, soft_wrap=True)


def _server(authority: bool) -> Server:
    return Server.TOKEN_AUTHORITY if authority else Server.EXCHANGE

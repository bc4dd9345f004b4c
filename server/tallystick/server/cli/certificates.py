"""`tallystickd certificate`: certificates by the development authority that `init` made."""

from __future__ import annotations

from pathlib import Path

import click

from tallystick.server.cli.initialise import AUTHORITY_KEY
from tallystick.server.cli.session import takes_settings
from tallystick.server.errors import Problem
from tallystick.server.installation.certificates import CertificateAuthority
from tallystick.server.installation.settings import Settings


@click.group("certificate")
def certificate_commands() -> None:
    """Issues certificates by the development authority that init made."""


@certificate_commands.command("client")
@takes_settings
@click.argument("member_id")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="The folder to write them to.")
def client(settings: Settings, member_id: str, *, folder: Path) -> None:
    """Writes MEMBER_ID.crt and MEMBER_ID.key, a client certificate that names the member."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / f"{member_id}.crt", folder / f"{member_id}.key"
    _authority(settings).issue_client(member_id).write(certificate, key)
    click.echo(f"wrote {certificate} and {key}")


@certificate_commands.command("server")
@takes_settings
@click.option("--name", "names", multiple=True, help="A DNS name or address; repeatable.")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="The folder to write them to.")
def server(settings: Settings, *, names: tuple[str, ...], folder: Path) -> None:
    """Writes server.crt and server.key, a new certificate of the server: put them in place of the old, and restart."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "server.crt", folder / "server.key"
    _authority(settings).issue_server(names).write(certificate, key)
    click.echo(f"wrote {certificate} and {key}; put them where tls_certificate and tls_key point, and restart")


def _authority(settings: Settings) -> CertificateAuthority:
    key = settings.key_folder / AUTHORITY_KEY
    if not key.exists():
        raise Problem(f"{key} does not exist: this server has no development authority; ask the one you use")
    return CertificateAuthority.load(settings.tls_client_ca, key)

"""`tallystickd certificate`: certificates by the development authority that `init` made."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from tallystick.server.cli.groups import Commands
from tallystick.server.cli.initialise import AUTHORITY_KEY
from tallystick.server.cli.session import open_session, takes_settings
from tallystick.server.errors import Problem
from tallystick.server.installation.certificates import CERTIFICATE_VALIDITY, CertificateAuthority
from tallystick.server.installation.key_folder import write_new_file
from tallystick.server.installation.settings import Settings
from tallystick.server.installation.signing_requests import read_signing_request


@click.group("certificate", cls=Commands)
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


@certificate_commands.command("sign")
@takes_settings
@click.argument("member_id")
@click.option("--csr", type=click.Path(path_type=Path), required=True, help="The member's signing request, in PEM.")
@click.option("--out", "certificate", type=click.Path(path_type=Path), required=True, help="The file to write, a new one.")
@click.option("--days", type=click.IntRange(1, CERTIFICATE_VALIDITY.days), default=CERTIFICATE_VALIDITY.days, show_default=True)
def sign(settings: Settings, member_id: str, *, csr: Path, certificate: Path, days: int) -> None:
    """Signs the request that MEMBER_ID sent: a client certificate for a key that never left it.

    Of the request its public key alone is taken. It must be signed by that key and name MEMBER_ID, who must be a member of this
    server, in one URI (docs/profile.md).
    """
    authority = _authority(settings)
    key = read_signing_request(csr, member_id)
    with open_session(settings) as session:
        session.member(member_id)
    signed = authority.sign_client(member_id, key, timedelta(days=days))
    try:
        written = write_new_file(certificate, signed.public_bytes(Encoding.PEM).decode("ascii"), mode=0o644)
    except OSError as error:
        raise Problem(f"{certificate}: {error.strerror}; give --out a file in a folder that can be written") from None
    if not written:
        raise Problem(f"{certificate} exists already: move it away, or give another --out")
    click.echo(f"wrote {certificate}, for {member_id}, valid until {signed.not_valid_after_utc:%Y-%m-%d}: send it to the member")


def _authority(settings: Settings) -> CertificateAuthority:
    key = settings.key_folder / AUTHORITY_KEY
    if not key.exists():
        raise Problem(
            f"{key} does not exist: this server has no certificate authority of its own; have the one sign whose certificate"
            f" is in {settings.tls_client_ca}"
        )
    return CertificateAuthority.load(settings.tls_client_ca, key)

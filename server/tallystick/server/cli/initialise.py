"""`tallystickd init`: everything a new server needs, in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tallystick.crypto import CryptoError, check_element
from tallystick.server.cli.serving import bring_to_head
from tallystick.server.errors import Problem
from tallystick.server.installation.certificates import CertificateAuthority
from tallystick.server.installation.key_folder import KeyFolder, write_new_file
from tallystick.server.installation.settings import DEFAULT_FILE, Settings, split_address

AUTHORITY_CERTIFICATE = "tls/ca.crt"
AUTHORITY_KEY = "tls-ca.key"
SERVER_CERTIFICATE = "tls/server.crt"
SERVER_KEY = "tls-server.key"
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - recognised here, not bound to


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--role", type=click.Choice(["exchange", "token-authority"]), required=True, help="What the server is.")
@click.option("--origin", required=True, help='The log\'s name for good, such as "exchange.example/log".')
@click.option("--listen", default="127.0.0.1:7443", show_default=True, help="Where to listen: HOST:PORT.")
@click.option(
    "--database",
    default="embedded:database",
    show_default=True,
    help="A postgresql:// URL, or embedded:FOLDER, a PostgreSQL for trying things out.",
)
@click.option("--name", "names", multiple=True, help="A DNS name or address for the server's certificate; repeatable.")
@click.option("--operator", default="operator", show_default=True, help="The operator's own member_id.")
@click.option("--token-public-key", default="", help="For an exchange: the token authority's key (64 hex characters).")
@click.option(
    "--token-sequence",
    type=click.IntRange(1, 2**32 - 1),
    default=1,
    show_default=True,
    help="Which in the sequence of the token authority's keys that is.",
)
@click.option("--no-migrate", is_flag=True, help="Leave the database alone; run tallystickd migrate later.")
def init(
    folder: Path,
    *,
    role: str,
    origin: str,
    listen: str,
    database: str,
    names: tuple[str, ...],
    operator: str,
    token_public_key: str,
    token_sequence: int,
    no_migrate: bool,
) -> None:
    """Makes a new server in FOLDER: keys, a development certificate authority, configuration, and the database's schema.

    What exists is never overwritten: after an interruption, run the same command again.
    """
    folder = folder.absolute()
    file = folder / DEFAULT_FILE
    if file.exists():
        raise Problem(f"{file} exists already: this server is made; change it there, or choose another folder")
    values = {
        "role": role,
        "origin": origin,
        "listen": listen,
        "database": database,
        "key_folder": "keys",
        "tls_certificate": SERVER_CERTIFICATE,
        "tls_key": f"keys/{SERVER_KEY}",
        "tls_client_ca": AUTHORITY_CERTIFICATE,
        "token_public_key": token_public_key,
        "token_sequence": token_sequence,
        "operator": operator,
    }
    # Judged before anything is made.
    if role == "exchange":
        _check_token_key(token_public_key)
    Settings.check(values)
    _make(folder, values, names)
    click.echo(f"made {file}, {folder / 'keys'} (secret: back it up, closed) and {folder / 'tls'}")
    settings = Settings.load(file)
    if not no_migrate:
        bring_to_head(settings)
    _tell_what_others_need(settings)
    then = "migrate, and when that is done" if no_migrate else ""
    click.echo(" ".join(f"next: tallystickd --config {file} {then} serve".split()))


def _make(folder: Path, values: dict[str, Any], names: tuple[str, ...]) -> None:
    """Keys, then certificates, then the configuration, whose presence says that all before it is complete."""
    try:
        (folder / "tls").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"{folder}: {error.strerror}; choose a folder that can be written") from None
    keys = folder / "keys"
    KeyFolder(keys).create(token_sequence=values["token_sequence"] if values["role"] == "token-authority" else None)
    if not (folder / AUTHORITY_CERTIFICATE).exists():
        (keys / AUTHORITY_KEY).unlink(missing_ok=True)
        authority = CertificateAuthority.create(f"Tallystick development CA of {values['origin']}")
        authority.issued().write(folder / AUTHORITY_CERTIFICATE, keys / AUTHORITY_KEY)
    if not (folder / SERVER_CERTIFICATE).exists():
        (keys / SERVER_KEY).unlink(missing_ok=True)
        authority = CertificateAuthority.load(folder / AUTHORITY_CERTIFICATE, keys / AUTHORITY_KEY)
        host, _ = split_address(values["listen"])
        wanted = [*names, *([] if host in WILDCARDS else [host])]
        authority.issue_server(wanted).write(folder / SERVER_CERTIFICATE, keys / SERVER_KEY)
    # The database's URL may hold a password.
    write_new_file(folder / DEFAULT_FILE, _toml(values))


def _toml(values: dict[str, Any]) -> str:
    # A JSON string without characters beyond the basic plane's escapes is a TOML string.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items() if value != ""]
    return "# A Tallystick server; see docs/operations.md. Paths are relative to this file.\n" + "".join(lines)


def _check_token_key(text: str) -> None:
    if not text:
        raise Problem("an exchange needs --token-public-key: copy it from tallystickd public at the token authority")
    try:
        check_element(bytes.fromhex(text))
    except (ValueError, CryptoError):
        raise Problem("--token-public-key is not a public key: copy it from tallystickd public there") from None


def _tell_what_others_need(settings: Settings) -> None:
    token_key = KeyFolder(settings.key_folder).load().token_key
    if token_key is not None:
        click.echo(
            "an exchange is made for this authority with: "
            f"--token-public-key {token_key.public_key.hex()} --token-sequence {token_key.sequence}"
        )

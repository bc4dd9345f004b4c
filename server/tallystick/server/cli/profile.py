"""A client's profile folder, made by the operator for a trial: in production a member makes its own keys.

The same folder serves for an exchange and its token authority: whichever comes second finds the member's key and secret there.
"""

from __future__ import annotations

import json
import secrets
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.crypto.ed25519 import raw_public_key
from tallystick.server.cli.initialise import AUTHORITY_KEY, WILDCARDS
from tallystick.server.errors import Problem
from tallystick.server.installation.certificates import CertificateAuthority
from tallystick.server.installation.key_folder import FOLDER_MODE, ServerKeys, signing_key_pem, write_new_file
from tallystick.server.installation.settings import Settings

MEMBER_FILE = "member.toml"
SIGNING_KEY = "signing.key"
ACCOUNT_SECRET = "account.secret"  # noqa: S105 - the name of a file


class ProfileProblem(Problem):
    """A profile folder belongs to another member, or is damaged."""


@dataclass(frozen=True, slots=True)
class DevelopmentProfile:
    """A profile folder with the member's signing key in it."""

    folder: Path
    member_id: str
    signing_key: Ed25519PrivateKey = field(repr=False)

    @property
    def public_key(self) -> bytes:
        """The signing key's public half, 32 bytes."""
        return raw_public_key(self.signing_key)

    @classmethod
    def open(cls, folder: Path, member_id: str) -> DevelopmentProfile:
        """Makes the member's part of the folder, or finds it there; raises ProfileProblem when it is another member's."""
        try:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise ProfileProblem(f"{folder}: {error.strerror}; choose a folder that can be written") from None
        write_new_file(folder / SIGNING_KEY, signing_key_pem(Ed25519PrivateKey.generate()))
        write_new_file(folder / ACCOUNT_SECRET, secrets.token_bytes(32).hex() + "\n")
        lines = {"member_id": member_id, "signing_key": SIGNING_KEY, "account_secret": ACCOUNT_SECRET}
        write_new_file(folder / MEMBER_FILE, _toml(lines), mode=0o644)
        return cls(folder, member_id, _read_member(folder, member_id))

    def add_server(self, settings: Settings, keys: ServerKeys, address: str | None) -> Path:
        """Writes what a client needs to reach this server, with a new client certificate unless it has one."""
        certificate, key = (self.folder / f"{settings.role}-client.{ending}" for ending in ("crt", "key"))
        if not certificate.exists():
            authority = CertificateAuthority.load(settings.tls_client_ca, settings.key_folder / AUTHORITY_KEY)
            key.unlink(missing_ok=True)
            authority.issue_client(self.member_id).write(certificate, key)
        ca = self.folder / f"{settings.role}-ca.crt"
        write_new_file(ca, settings.tls_client_ca.read_text(encoding="ascii"), mode=0o644)
        values: dict[str, str | int] = {
            "address": address or _reachable(settings),
            **{"ca": ca.name, "certificate": certificate.name, "key": key.name},
            **public_values(settings, keys),
        }
        file = self.folder / f"{settings.role}.toml"
        if not write_new_file(file, _toml(values), mode=0o644) and tomllib.loads(file.read_text()) != values:
            raise ProfileProblem(f"{file} is for another server, or an earlier one of this name: move {self.folder} away")
        return file


def public_values(settings: Settings, keys: ServerKeys) -> dict[str, str | int]:
    """What a client must know of a server beforehand, to check what it says."""
    values: dict[str, str | int] = {
        "origin": settings.origin,
        "receipt_key": _public_hex(keys.receipt_key),
        "checkpoint_key": _public_hex(keys.checkpoint_key),
    }
    if keys.token_key is not None:
        values |= {"token_public_key": keys.token_key.public_key.hex(), "token_sequence": keys.token_key.sequence}
    return values


def _public_hex(key: Ed25519PrivateKey) -> str:
    return raw_public_key(key).hex()


def _reachable(settings: Settings) -> str:
    host, port = settings.listen_address
    if port == 0:
        raise ProfileProblem("listen has port 0, so that clients cannot know it beforehand: give --address")
    return f"localhost:{port}" if host in WILDCARDS else settings.listen


def _read_member(folder: Path, member_id: str) -> Ed25519PrivateKey:
    try:
        values = tomllib.loads((folder / MEMBER_FILE).read_text(encoding="utf-8"))
        found, path = values["member_id"], folder / values["signing_key"]
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise ProfileProblem(f"{folder} holds no readable profile: move it away") from None
    if found != member_id:
        raise ProfileProblem(f"{folder} is the profile of {found}: choose another folder for {member_id}")
    if not isinstance(key, Ed25519PrivateKey):
        raise ProfileProblem(f"{path} is not an Ed25519 key: move {folder} away")
    return key


def _toml(values: dict[str, str | int] | dict[str, str]) -> str:
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())

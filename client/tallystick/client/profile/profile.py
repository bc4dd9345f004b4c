"""A member's profile: the folder that says who the member is, whom it talks to, and which keys it has pinned."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tallystick.client.exceptions import ProfileError
from tallystick.client.profile.servers import Address, Counterpart, Server, Signer
from tallystick.contract.wire import MEMBER_URI
from tallystick.crypto import CryptoError, check_element, epoch_id

PROFILE_VARIABLE = "TALLYSTICK_PROFILE"
FILES = {Server.EXCHANGE: "exchange.toml", Server.TOKEN_AUTHORITY: "token-authority.toml"}

_MEMBER_KEYS = ("member_id", "signing_key", "account_secret")
_SERVER_KEYS = ("address", "origin", "ca", "certificate", "key", "receipt_key", "checkpoint_key")
_TOKEN_KEYS = ("token_public_key", "token_sequence")
_MAX_FILE_BYTES = 1 << 20

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class PinnedTokenKey:
    """The token authority's key as this member has pinned it."""

    sequence: int
    public_key: bytes
    epoch_id: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server: where it is, and which keys it is known by."""

    address: Address
    counterpart: Counterpart


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile folder, read and checked."""

    folder: Path
    signer: Signer
    exchange: Endpoint
    authority: Endpoint | None = None
    """None for a member that needs no tokens, such as an auditor that looks at the log alone."""
    token_key: PinnedTokenKey | None = None
    account_secret: bytes | None = field(default=None, repr=False)
    """None for a member that reports no accounts."""

    @property
    def state_folder(self) -> Path:
        """Where the SDK keeps what it has learnt: the token cache, the newest epoch and checkpoint seen."""
        return self.folder / "state"

    @classmethod
    def load(cls, folder: Path | str | None = None) -> Profile:
        """Reads a profile; without a folder, the one that TALLYSTICK_PROFILE names.

        Raises ProfileError, which names the file and the key that is wrong.
        """
        base = _folder(folder)
        member = _Table(base, "member.toml")
        member.expect(*_MEMBER_KEYS)
        exchange = _Table(base, FILES[Server.EXCHANGE])
        exchange.expect(*_SERVER_KEYS)
        signer = _signer(member)
        secret = member.parsed("account_secret", _secret, secret=True) if member.has("account_secret") else None
        authority, token_key = None, None
        if (base / FILES[Server.TOKEN_AUTHORITY]).exists():
            table = _Table(base, FILES[Server.TOKEN_AUTHORITY])
            table.expect(*_SERVER_KEYS, *_TOKEN_KEYS)
            authority, token_key = _endpoint(table, signer.member_id), _token_key(table)
        return cls(base, signer, _endpoint(exchange, signer.member_id), authority, token_key, secret)


def read_registrant(folder: Path | str | None, server: Server) -> tuple[Signer, str]:
    """Who registers a key, and the origin of the log that it is registered in: all that a key statement needs of a profile whose
    other parts the operators have yet to send. Raises ProfileError."""
    base = _folder(folder)
    return _signer(_Table(base, "member.toml")), _Table(base, FILES[server]).text("origin")


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """A signing key from a file of its own. Raises ProfileError."""
    data = _read(path)
    try:
        _require_private(path)
        return _ed25519(data)
    except ValueError as error:
        raise ProfileError(f"{path}: {error}") from None


def _folder(folder: Path | str | None) -> Path:
    named = folder or os.environ.get(PROFILE_VARIABLE)
    if not named:
        raise ProfileError(f"no profile: give its folder, or set {PROFILE_VARIABLE}")
    base = Path(named)
    if not base.is_dir():
        raise ProfileError(f"{base} is no folder; a profile is a folder with member.toml and exchange.toml")
    if not (base / "member.toml").exists() and (inside := sorted(base.glob("*/member.toml"))):
        raise ProfileError(f"{base} is no profile, and has some in it: give one of them, such as {inside[0].parent}")
    return base


class _Table:
    """One TOML file of a profile; every complaint names it and the key."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.path = folder / name
        try:
            self._values: dict[str, Any] = tomllib.loads(_read(self.path).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
            raise ProfileError(f"{self.path}: not TOML in UTF-8: {error}") from None

    def expect(self, *known: str) -> None:
        """Raises ProfileError for a key that has no meaning here: it is a misspelled one, or stands in the wrong file."""
        for key in self._values:
            if key not in known:
                raise self.complaint(key, f"is no key of this file; its keys are {', '.join(known)}")

    def has(self, key: str) -> bool:
        return key in self._values

    def complaint(self, key: str, text: str) -> ProfileError:
        return ProfileError(f"{self.path}: {key}: {text}")

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str) or not value:
            raise self.complaint(key, "missing, or not a text in quotes")
        return value

    def number(self, key: str) -> int:
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**32:
            raise self.complaint(key, "missing, or not a whole number from 1")
        return value

    def key_bytes(self, key: str) -> bytes:
        return _hex32(self.text(key), lambda text: self.complaint(key, text))

    def parsed(self, key: str, parse: Callable[[bytes], V], *, secret: bool = False) -> V:
        """The file that `key` names, read and parsed; `parse` raises ValueError with what is wrong."""
        path = self.folder / self.text(key)
        try:
            data = _read(path)
            if secret:
                _require_private(path)
            return parse(data)
        except ValueError as error:
            raise self.complaint(key, f"{path.name}: {error}") from None
        except ProfileError as error:
            raise self.complaint(key, str(error)) from None


def _signer(member: _Table) -> Signer:
    return Signer(member.text("member_id"), member.parsed("signing_key", _ed25519, secret=True))


def _endpoint(table: _Table, member_id: str) -> Endpoint:
    target = table.text("address")
    host, colon, port = target.rpartition(":")
    if not host or not colon or not port.isdecimal() or not 0 < int(port) < 65536 or "/" in host or " " in target:
        raise table.complaint("address", "must be host:port, such as exchange.example:7443")
    address = Address(
        target,
        authority=table.parsed("ca", _certificates),
        certificate=table.parsed("certificate", _certificates),
        key=table.parsed("key", _private_key, secret=True),
    )
    _check_certificate(table, address, member_id)
    counterpart = Counterpart(table.text("origin"), table.key_bytes("receipt_key"), table.key_bytes("checkpoint_key"))
    return Endpoint(address, counterpart)


def _check_certificate(table: _Table, address: Address, member_id: str) -> None:
    """Finds here what a server would answer with a handshake that breaks off, or with CERTIFICATE_MISMATCH."""
    certificate = x509.load_pem_x509_certificates(address.certificate)[0]
    if certificate.public_key() != load_pem_private_key(address.key, password=None).public_key():
        raise table.complaint("certificate", "is not the certificate of the private key that key names")
    now = datetime.now(UTC)
    if now >= certificate.not_valid_after_utc:
        ended = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise table.complaint(
            "certificate", f"expired on {ended}: ask the operator for a new one (or this machine's clock is wrong)"
        )
    if now < certificate.not_valid_before_utc:
        begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise table.complaint(
            "certificate", f"is valid from {begins} on, and this machine's clock says {now:%Y-%m-%d %H:%M} UTC: set it"
        )
    named = _members_named(certificate)
    if named != [member_id]:
        whom = " and ".join(named) or "no member"
        raise table.complaint("certificate", f"names {whom}, and member.toml {member_id}; it needs one URI {MEMBER_URI}{member_id}")


def _members_named(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [uri.removeprefix(MEMBER_URI) for uri in uris if uri.startswith(MEMBER_URI)]


def _token_key(table: _Table) -> PinnedTokenKey:
    sequence, public_key = table.number("token_sequence"), table.key_bytes("token_public_key")
    try:
        check_element(public_key)
        return PinnedTokenKey(sequence, public_key, epoch_id(sequence, public_key))
    except CryptoError:
        raise table.complaint("token_public_key", "is no element of ristretto255; copy it again from the authority") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ProfileError(f"{path} is missing") from None
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise ProfileError(f"{path} is larger than 1 MiB; it cannot be what it should be")
    return data


def _require_private(path: Path) -> None:
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ValueError(f"others may read this secret; run: chmod 600 {path}")


def _ed25519(data: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        raise ValueError("not an unencrypted private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


def _private_key(data: bytes) -> bytes:
    try:
        load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        raise ValueError("not an unencrypted private key in PEM") from None
    return data


def _certificates(data: bytes) -> bytes:
    try:
        x509.load_pem_x509_certificates(data)
    except ValueError:
        raise ValueError("not certificates in PEM") from None
    return data


def _secret(data: bytes) -> bytes:
    return _hex32(data.decode("ascii", "replace").strip(), ValueError)


def _hex32(text: str, complaint: Callable[[str], Exception]) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        raise complaint("must be 64 hexadecimal characters") from None
    if len(value) != 32 or len(text) != 64:
        raise complaint("must be 64 hexadecimal characters")
    return value

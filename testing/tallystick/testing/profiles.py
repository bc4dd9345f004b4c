"""The member's profile for an in-memory exchange: a value, or a folder for code that reads one."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tallystick.client import AsyncExchange, Exchange, Options, PinnedTokenKey, Profile
from tallystick.client.profile.profile import Endpoint
from tallystick.client.profile.servers import Address, Counterpart, Signer
from tallystick.contract.wire import MEMBER_URI
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.testing.log import Log
from tallystick.testing.tokens import TokenKey

ADDRESS = "in-memory.invalid:1"
"""Where nothing listens, and no name leads to."""
ACCOUNT_SECRET = b"\x5a" * 32


def in_memory_profile(signer: Signer, exchange: Log, authority: Log, token_key: TokenKey) -> Profile:
    """A profile without a folder."""

    def endpoint(log: Log) -> Endpoint:
        keys = raw_public_key(log.receipt_key), raw_public_key(log.checkpoint_key)
        return Endpoint(Address(ADDRESS, b"", b"", b""), Counterpart(log.origin, *keys))

    return Profile(
        folder=Path("in-memory"),
        signer=signer,
        exchange=endpoint(exchange),
        authority=endpoint(authority),
        token_key=PinnedTokenKey(token_key.sequence, token_key.public_key, token_key.epoch_id),
        account_secret=ACCOUNT_SECRET,
    )


def write_profile(folder: Path, signer: Signer, exchange: Log, authority: Log, token_key: TokenKey) -> None:
    """Writes a profile folder as docs/profile.md says it is."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, tls_key = _certificate(signer.member_id)
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(folder / "signing.key", pem, secret=True)
    _write(folder / "account.secret", ACCOUNT_SECRET.hex().encode() + b"\n", secret=True)
    member = {"member_id": signer.member_id, "signing_key": "signing.key", "account_secret": "account.secret"}
    _write(folder / "member.toml", _toml(member))
    for name, log in (("exchange", exchange), ("token-authority", authority)):
        _write(folder / f"{name}-ca.crt", certificate)
        _write(folder / f"{name}-client.crt", certificate)
        _write(folder / f"{name}-client.key", tls_key, secret=True)
        values: dict[str, str | int] = {
            "address": ADDRESS,
            "origin": log.origin,
            "ca": f"{name}-ca.crt",
            "certificate": f"{name}-client.crt",
            "key": f"{name}-client.key",
            "receipt_key": raw_public_key(log.receipt_key).hex(),
            "checkpoint_key": raw_public_key(log.checkpoint_key).hex(),
        }
        if log is authority:
            values |= {"token_public_key": token_key.public_key.hex(), "token_sequence": token_key.sequence}
        _write(folder / f"{name}.toml", _toml(values))


@contextmanager
def served(receipt_key: bytes, sync: dict[str, Any], asynchronous: dict[str, Any]) -> Iterator[None]:
    """Inside, whoever makes an exchange of a profile with this receipt key gets the transports, the clock and the sleep given."""
    make, make_async = Exchange.__init__, AsyncExchange.__init__

    def blocking(self: Exchange, profile: Profile, options: Options | None = None, **given: Any) -> None:
        make(self, profile, options, **(sync | given if _is_of(profile, receipt_key) else given))

    def awaited(self: AsyncExchange, profile: Profile, options: Options | None = None, **given: Any) -> None:
        make_async(self, profile, options, **(asynchronous | given if _is_of(profile, receipt_key) else given))

    with patch.object(Exchange, "__init__", blocking), patch.object(AsyncExchange, "__init__", awaited):
        yield


def _is_of(profile: Profile, receipt_key: bytes) -> bool:
    return profile.exchange.counterpart.receipt_key == receipt_key


def _write(path: Path, data: bytes, *, secret: bool = False) -> None:
    path.write_bytes(data)
    path.chmod(0o600 if secret else 0o644)


def _toml(values: dict[str, str] | dict[str, str | int]) -> bytes:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()).encode()


def _certificate(member_id: str) -> tuple[bytes, bytes]:
    """A certificate that names the member, by the machine's clock: the SDK reads it before it connects."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "in memory")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"{MEMBER_URI}{member_id}")]), False)
        .sign(key, None)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem

"""A member's profile folder and the doubles of both servers that it names."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.client.fake_refusal import FakeRefusal
from tests.client.fake_servers import MEMBER, START, FakeServer, raw

from tallystick.client import AsyncExchange, Exchange, Options, Profile, Server
from tallystick.client.protocol.calls import Metadata, RawAnswer, RawFailure
from tallystick.crypto import public_key


class AsyncTransportOver:
    """The same double for asyncio."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        return self._server.unary(path, message, metadata, seconds)

    async def stream(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> AsyncIterator[RawAnswer | RawFailure]:
        for raw_answer in self._server.stream(path, message, metadata, seconds):
            yield raw_answer

    async def close(self) -> None:
        self._server.close()


@dataclass
class System:
    """A member with its profile folder, and both servers."""

    folder: Path
    exchange: FakeServer
    authority: FakeServer
    waits: list[float] = field(default_factory=list)
    refusal: type[FakeRefusal] = FakeRefusal

    def open(self, options: Options | None = None) -> Exchange:
        """A new Exchange over the doubles, whose waits are noted and not waited for."""
        return Exchange(
            Profile.load(self.folder),
            options,
            transports={Server.EXCHANGE: self.exchange, Server.TOKEN_AUTHORITY: self.authority},
            clock=lambda: float(START),
            sleep=self.waits.append,
        )

    def open_async(self, options: Options | None = None) -> AsyncExchange:
        """The same for asyncio."""

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        return AsyncExchange(
            Profile.load(self.folder),
            options,
            transports={
                Server.EXCHANGE: AsyncTransportOver(self.exchange),
                Server.TOKEN_AUTHORITY: AsyncTransportOver(self.authority),
            },
            clock=lambda: float(START),
            sleep=sleep,
        )

    def methods(self) -> list[str]:
        """The methods called at the exchange, in order."""
        return [name for name, _, _ in self.exchange.calls]


def write_profile(folder: Path, key: Ed25519PrivateKey, exchange: FakeServer, authority: FakeServer) -> None:
    """Writes a profile folder as docs and API say it is."""
    folder.mkdir(exist_ok=True)
    certificate, tls_key = _certificate()
    _write(folder / "signing.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), secret=True)
    _write(folder / "account.secret", b"5a" * 32 + b"\n", secret=True)
    member = f'member_id = "{MEMBER}"\nsigning_key = "signing.key"\naccount_secret = "account.secret"\n'
    _write(folder / "member.toml", member.encode())
    for name, server in (("exchange", exchange), ("token-authority", authority)):
        _write(folder / f"{name}-ca.crt", certificate)
        _write(folder / f"{name}-client.crt", certificate)
        _write(folder / f"{name}-client.key", tls_key, secret=True)
        lines = [
            'address = "localhost:1"',
            f'origin = "{server.origin}"',
            f'ca = "{name}-ca.crt"',
            f'certificate = "{name}-client.crt"',
            f'key = "{name}-client.key"',
            f'receipt_key = "{raw(server.receipt_key).hex()}"',
            f'checkpoint_key = "{raw(server.checkpoint_key).hex()}"',
        ]
        if server is authority:
            lines += [f'token_public_key = "{public_key(server.token_key).hex()}"', f"token_sequence = {server.sequence}"]
        _write(folder / f"{name}.toml", "\n".join(lines).encode())


def _write(path: Path, data: bytes, *, secret: bool = False) -> None:
    path.write_bytes(data)
    path.chmod(0o600 if secret else 0o644)


def _certificate() -> tuple[bytes, bytes]:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:tallystick:member:{MEMBER}")]), False)
        .sign(key, None)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


def new_system(folder: Path) -> System:
    """A fresh member, with its profile in `folder`, at two fresh servers."""
    key = Ed25519PrivateKey.generate()
    exchange = FakeServer(Server.EXCHANGE, key)
    authority = FakeServer(Server.TOKEN_AUTHORITY, key)
    write_profile(folder, key, exchange, authority)
    return System(folder, exchange, authority)

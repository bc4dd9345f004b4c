"""Servers as an operator sets them up: a folder with keys and certificates, a database, and worker processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.ports import free_port
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.server.administration import bootstrap
from tallystick.server.installation.certificates import CertificateAuthority
from tallystick.server.installation.identity import record_identity
from tallystick.server.installation.key_folder import KeyFolder, ServerKeys, TokenPrivateKey, signing_key_pem, write_new_file
from tallystick.server.installation.settings import Settings

STOP_SECONDS = 120


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The key's public half, 32 bytes."""
    return key.public_key().public_bytes_raw()


@dataclass(frozen=True)
class TlsIdentity:
    """What a TLS client shows and whom it trusts, in PEM."""

    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)


class Worker:
    """One worker process, serving once it is made. What it writes to standard error is kept in a file."""

    def __init__(self, config: Path, port: int, database: str, log: Path, settings: Mapping[str, str]) -> None:
        self.address = f"localhost:{port}"
        self.log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")}
        ready, write_end = os.pipe()
        with log.open("ab") as errors, os.fdopen(ready, "rb") as ready_pipe:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tallystick.server.process.worker", "--config", str(config), "--ready-fd", str(write_end)],
                env={**inherited, "TALLYSTICK_LISTEN": f"127.0.0.1:{port}", "TALLYSTICK_DATABASE": database, **settings},
                pass_fds=[write_end],
                stdin=subprocess.PIPE,
                stderr=errors,
            )
            os.close(write_end)
            line = ready_pipe.readline()
        assert line == b"\n", f"the worker does not serve: {line!r}; {log.read_text()[-2000:]}"

    def stop(self) -> int:
        """Asks it to stop as an operator does, and returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()
            assert self.process.stdin is not None
            self.process.stdin.close()


class Installation:
    """One server of either role: its folder, its keys, the authority that issues its members' certificates, its database."""

    def __init__(self, folder: Path, role: str, database: str, token_key: TokenPrivateKey | None = None) -> None:
        """Sets everything up, the operator's own admission included. `token_key` is whose tokens an exchange accepts."""
        self.folder = folder
        self.database = database
        folder.mkdir(mode=0o700)
        self.keys: ServerKeys = KeyFolder(folder / "keys").create(token_sequence=1 if role == "token-authority" else None)
        self.authority = CertificateAuthority.create(f"{role} test CA")
        self.authority.issued().write(folder / "ca.crt", folder / "ca.key")
        self.authority.issue_server(["localhost"]).write(folder / "server.crt", folder / "server.key")
        self._config = folder / "tallystickd.toml"
        values: dict[str, str | int] = {
            "role": role,
            "origin": f"{role}.test/log",
            "database": database,
            "key_folder": "keys",
            "tls_certificate": "server.crt",
            "tls_key": "server.key",
            "tls_client_ca": "ca.crt",
            # What is reported is told at once: tests do not wait for the end of an hour.
            "alert_release_minutes": 0,
        }
        if token_key is not None:
            values |= {"token_public_key": token_key.public_key.hex(), "token_sequence": token_key.sequence}
        self._config.write_text(_toml(values))
        self.settings = Settings.load(self._config)
        record_identity(database, self.settings, self.keys)
        assert asyncio.run(bootstrap(self.settings, self.keys, database))

    @property
    def origin(self) -> str:
        """The log's origin."""
        return self.settings.origin

    @property
    def token_key(self) -> TokenPrivateKey:
        """The token authority's key."""
        assert self.keys.token_key is not None
        return self.keys.token_key

    def start(self, database: str | None = None, **settings: str) -> Worker:
        """A further worker process on a port of its own, over the same database unless another way to it is given; `settings` are
        variables of its environment."""
        port = free_port()
        return Worker(self._config, port, database or self.database, self.folder / f"worker-{port}.log", settings)

    def issue(self, member_id: str) -> TlsIdentity:
        """A client certificate that names the member."""
        issued = self.authority.issue_client(member_id)
        return TlsIdentity((self.folder / "ca.crt").read_bytes(), issued.certificate.encode(), issued.key.encode())


def write_profile(
    folder: Path,
    member_id: str,
    signing_key: Ed25519PrivateKey,
    servers: Mapping[str, tuple[Installation, str]],
) -> None:
    """A member's profile folder; `servers` holds, under the names "exchange" and "token-authority", each server and its address."""
    folder.mkdir(mode=0o700)
    write_new_file(folder / "signing.key", signing_key_pem(signing_key))
    write_new_file(folder / "account.secret", secrets.token_hex(32) + "\n")
    member = {"member_id": member_id, "signing_key": "signing.key", "account_secret": "account.secret"}
    (folder / "member.toml").write_text(_toml(member))
    for name, (server, address) in servers.items():
        tls = server.issue(member_id)
        (folder / f"{name}-ca.crt").write_bytes(tls.authority)
        (folder / f"{name}-client.crt").write_bytes(tls.certificate)
        write_new_file(folder / f"{name}-client.key", tls.key.decode())
        values: dict[str, str | int] = {
            "address": address,
            "origin": server.origin,
            "ca": f"{name}-ca.crt",
            "certificate": f"{name}-client.crt",
            "key": f"{name}-client.key",
            "receipt_key": public_bytes(server.keys.receipt_key).hex(),
            "checkpoint_key": public_bytes(server.keys.checkpoint_key).hex(),
        }
        if server.keys.token_key is not None:
            values |= {"token_public_key": server.token_key.public_key.hex(), "token_sequence": server.token_key.sequence}
        (folder / f"{name}.toml").write_text(_toml(values))


def _toml(values: Mapping[str, str | int]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())

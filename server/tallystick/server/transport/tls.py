"""TLS: the server's credentials, and which member a client certificate names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import grpc

from tallystick.contract.wire import MEMBER_URI


def server_credentials(certificate: Path, key: Path, client_ca: Path) -> grpc.ServerCredentials:
    """Credentials that demand a client certificate of `client_ca`."""
    return grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=client_ca.read_bytes(),
        require_client_auth=True,
    )


def member_of_certificate(auth_context: Mapping[str, Iterable[bytes]]) -> str:
    """The member_id that the peer's certificate names; "" when it names none, or several."""
    members = [
        uri.decode("utf-8", "replace").removeprefix(MEMBER_URI)
        for uri in auth_context.get("peer_uri", ())
        if uri.startswith(MEMBER_URI.encode())
    ]
    return members[0] if len(members) == 1 else ""

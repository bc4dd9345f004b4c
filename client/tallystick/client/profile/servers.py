"""Who takes part, as this member knows it: the two servers, how each is reached and recognised, and the member's own key."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.crypto import keyid
from tallystick.crypto.ed25519 import raw_public_key

if TYPE_CHECKING:
    import grpc


class Server(Enum):
    """Whom a call goes to. The two may be run by different organisations."""

    EXCHANGE = "exchange"
    TOKEN_AUTHORITY = "token authority"  # noqa: S105 - the name of a server


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and the PEM bytes of mutual TLS."""

    target: str
    """host:port; the server's certificate must name the host."""
    authority: bytes
    """Certificates of the authorities that may have signed the server's."""
    certificate: bytes
    """The member's client certificate, which names it."""
    key: bytes = field(repr=False)

    def credentials(self) -> grpc.ChannelCredentials:
        """TLS with the member's client certificate, for a gRPC channel."""
        import grpc  # late: see the docstring of grpc_transport

        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A server as this member has pinned it."""

    origin: str
    """Its log's origin: the audience of requests, and the name on receipts and checkpoints."""
    receipt_key: bytes
    checkpoint_key: bytes


class Signer:
    """The member's signing key."""

    __slots__ = ("key", "keyid", "member_id")

    def __init__(self, member_id: str, key: Ed25519PrivateKey) -> None:
        self.member_id = member_id
        self.key = key
        self.keyid = keyid(raw_public_key(key))

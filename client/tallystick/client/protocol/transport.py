"""Transports: what carries a call's bytes. The implementation is grpc_transport's; tests bring their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tallystick.client.protocol.calls import Metadata, RawAnswer, RawFailure

if TYPE_CHECKING:
    import grpc


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


class Transport(Protocol):
    """Carries calls to one server; blocking, from any thread. Failures are returned, never raised."""

    def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        """Sends one message and waits at most `seconds` for its answer."""
        ...

    def stream(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> Iterator[RawAnswer | RawFailure]:
        """Sends one message; yields what comes, and last a failure if there is one."""
        ...

    def close(self) -> None:
        """Closes the connection; calls in flight fail."""
        ...


class AsyncTransport(Protocol):
    """As Transport, for one event loop."""

    async def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        """Sends one message and waits at most `seconds` for its answer."""
        ...

    def stream(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> AsyncIterator[RawAnswer | RawFailure]:
        """Sends one message; yields what comes, and last a failure if there is one."""
        ...

    async def close(self) -> None:
        """Closes the connection; calls in flight fail."""
        ...

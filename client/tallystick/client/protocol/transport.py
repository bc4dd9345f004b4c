"""Transports: what carries a call's bytes. The implementation is grpc_transport's; tests bring their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Protocol

from tallystick.client.protocol.calls import Metadata, RawAnswer, RawFailure

if TYPE_CHECKING:
    pass


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

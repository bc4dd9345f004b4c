"""The in-memory servers for asyncio: the same, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tallystick.client.protocol.calls import Metadata, RawAnswer, RawFailure
from tallystick.testing.servers import InMemoryServer


class AsyncTransportOver:
    """Carries calls to an in-memory server as an AsyncTransport."""

    def __init__(self, server: InMemoryServer) -> None:
        self._server = server

    async def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        """One call."""
        return self._server.unary(path, message, metadata, seconds)

    async def stream(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> AsyncIterator[RawAnswer | RawFailure]:
        """One stream."""
        for raw_answer in self._server.stream(path, message, metadata, seconds):
            yield raw_answer

    async def close(self) -> None:
        """Closes the connection."""
        self._server.close()

"""The transport over gRPC, blocking and asynchronous, with mutual TLS.

Imported when the first connection is made: before that the command can quiet gRPC's own log, which reads its setting at import.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio

from tallystick.client.exceptions import is_distrust
from tallystick.client.profile.servers import Address
from tallystick.client.protocol.calls import Metadata, RawAnswer, RawFailure
from tallystick.client.protocol.surroundings import about_clock, about_proxy
from tallystick.contract.limits import TRANSPORT_MAX_MESSAGE
from tallystick.contract.wire import STATUS_KEY

_METADATA_LIMIT = 64 * 1024
"""Receipts stay under gRPC's default of 8 KiB; a refusal with 32 violations may not."""

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", TRANSPORT_MAX_MESSAGE),
    ("grpc.max_send_message_length", TRANSPORT_MAX_MESSAGE),
    ("grpc.max_metadata_size", _METADATA_LIMIT),
    ("grpc.absolute_max_metadata_size", _METADATA_LIMIT),
    # A nonce is good once: only this package may send a request again, under a new signature.
    ("grpc.enable_retries", 0),
    # A server that restarts is found again by the next attempt, not a second after it.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)

_NOISE = re.compile(
    r"^UNKNOWN: |ipv[46]:\S+: |Failed to connect to remote host: |Custom verification check failed with error: UNAUTHENTICATED: "
    r"|(?:Tls|Ssl) handshake failed \([A-Z_]+\): |error:[0-9a-f]+:SSL routines:OPENSSL_internal:"
)
"""As in "UNKNOWN: ipv4:127.0.0.1:7443: Failed to connect to remote host: Connection refused"."""


class GrpcTransport:
    """Blocking gRPC. Bodies stay raw bytes: receipts are over the bytes as received."""

    def __init__(self, address: Address) -> None:
        self._target = address.target
        self._channel = grpc.secure_channel(address.target, address.credentials(), options=_OPTIONS)

    def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        """See Transport."""
        method = self._channel.unary_unary(path, request_serializer=_same, response_deserializer=_same)
        try:
            body, call = method.with_call(message, timeout=seconds, metadata=tuple(metadata))
        except grpc.RpcError as error:
            return _failure(error, self._target, _causes(error, self._target))
        return RawAnswer(body, tuple(call.trailing_metadata() or ()))

    def stream(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> Iterator[RawAnswer | RawFailure]:
        """See Transport."""
        method = self._channel.unary_stream(path, request_serializer=_same, response_deserializer=_same)
        call = method(message, timeout=seconds, metadata=tuple(metadata))
        try:
            for body in call:
                yield RawAnswer(body)
        except grpc.RpcError as error:
            yield _failure(error, self._target, _causes(error, self._target))
        finally:
            call.cancel()

    def close(self) -> None:
        """See Transport."""
        self._channel.close()


class AsyncGrpcTransport:
    """gRPC on asyncio. Bodies stay raw bytes: receipts are over the bytes as received."""

    def __init__(self, address: Address) -> None:
        self._target = address.target
        self._channel = grpc.aio.secure_channel(address.target, address.credentials(), options=_OPTIONS)

    async def unary(self, path: str, message: bytes, metadata: Metadata, seconds: float) -> RawAnswer | RawFailure:
        """See AsyncTransport."""
        method = self._channel.unary_unary(path, request_serializer=_same, response_deserializer=_same)
        call = method(message, timeout=seconds, metadata=tuple(metadata))
        try:
            body = await call
            return RawAnswer(body, tuple(await call.trailing_metadata() or ()))
        except grpc.aio.AioRpcError as error:
            return _failure(error, self._target, await asyncio.to_thread(_causes, error, self._target))

    async def stream(
        self,
        path: str,
        message: bytes,
        metadata: Metadata,
        seconds: float,
    ) -> AsyncIterator[RawAnswer | RawFailure]:
        """See AsyncTransport."""
        method = self._channel.unary_stream(path, request_serializer=_same, response_deserializer=_same)
        call = method(message, timeout=seconds, metadata=tuple(metadata))
        try:
            async for body in call:
                yield RawAnswer(body)
        except grpc.aio.AioRpcError as error:
            yield _failure(error, self._target, await asyncio.to_thread(_causes, error, self._target))
        finally:
            call.cancel()

    async def close(self) -> None:
        """See AsyncTransport."""
        await self._channel.close()


def _same(data: bytes) -> bytes:
    return data


def _failure(error: grpc.RpcError, target: str, surroundings: str) -> RawFailure:
    trailing: Any = error.trailing_metadata()  # the stubs do not know that each item is a pair
    return RawFailure(error.code().name, f"{target}: {_reason(error.details() or '')}", tuple(trailing or ()), surroundings)


def _causes(error: grpc.RpcError, target: str) -> str:
    """What of this machine may be why a call failed. A status of the exchange's own needs no such explanation."""
    trailing: Any = error.trailing_metadata()
    if any(key == STATUS_KEY for key, _ in trailing or ()):
        return ""
    proxy = about_proxy(target)
    return about_clock(target) if not proxy and is_distrust(error.details() or "") else proxy


def _reason(details: str) -> str:
    """What gRPC says went wrong, without its account of how it came to know."""
    if details.startswith(("DNS resolution failed", "errors resolving")):
        return "the host's name cannot be resolved"
    return _NOISE.sub("", details.rpartition("last error: ")[2]).removesuffix(": OK") or "no reason given"

"""A lean gRPC client: it sends frames that were made beforehand, and looks at no more of an answer than its frames and its status.

It is for measuring on the cores that the server runs on as well: no message is parsed, no header is kept. The server is told to
keep no header table, so that each answer's trailers can be read alone; the field that says success is the same bytes over and over,
and is decoded once. Messages are small: what the server's window does not take waits, whole.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import hpack
from benchmarks.traffic.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIRST_WINDOW,
    GOAWAY,
    HEADER_BYTES,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    WINDOW_UPDATE,
    header_block,
    message,
)
from benchmarks.traffic.requests import Signed

from tallystick.client.profile.servers import Address

MAX_MESSAGE = 16_000
"""One DATA frame."""
REPLENISH = 1 << 24
"""Bytes received after which the server's window is opened again."""

_STATUS = b"grpc-status"

Prepared = tuple[bytes, bytes]
"""The payloads of a call's two frames."""


class CallFailed(Exception):  # noqa: N818 - what it says
    """An answer that is no success: its gRPC status."""

    def __init__(self, status: str) -> None:
        super().__init__(f"the server answered with status {status}")
        self.status = status


def tls(address: Address) -> ssl.SSLContext:
    """TLS with the member's certificate, for HTTP/2."""
    context = ssl.create_default_context(cadata=address.authority.decode())
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder) / "certificate", Path(folder) / "key"
        certificate.write_bytes(address.certificate)
        key.write_bytes(address.key)
        context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    return context


def prepare(path: str, port: int, signed: Iterable[Signed], *, timeout: str = "60S") -> list[Prepared]:
    """Frames' payloads of requests; `timeout` is as gRPC writes it. Raises ValueError for a message that is too long."""
    fixed = header_block(path, port, ("grpc-timeout", timeout))
    prepared = []
    for body, metadata in signed:
        if len(body) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(body)} bytes is too long for one frame")
        block = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(name, value) for name, value in metadata])
        prepared.append((fixed + block, message(len(body), body)))
    return prepared


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Connection(asyncio.Protocol):
    """One connection; any number of calls at once."""

    _success = b""
    """The field of trailers that says success, as this server writes it; the other fields are another call's each time."""

    def __init__(self) -> None:
        self._held = b""
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._waiting: deque[tuple[int, Prepared]] = deque()
        self._next = 1
        self._window = FIRST_WINDOW
        self._received = 0
        self._told = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext) -> Connection:
        """Connects, and waits for the server's settings."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, host, port, ssl=context, server_hostname=host)
        await connection._told
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the preface: no header table, and windows that never close."""
        # uvloop's are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        settings = b"".join(
            name.to_bytes(2, "big") + value.to_bytes(4, "big")
            for name, value in ((HEADER_TABLE_SIZE, 0), (INITIAL_WINDOW_SIZE, WINDOW))
        )
        more = frame(WINDOW_UPDATE, 0, 0, (WINDOW - FIRST_WINDOW).to_bytes(4, "big"))
        self._transport.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + more)

    @property
    def open_calls(self) -> int:
        """How many wait for their answers."""
        return len(self._calls)

    def call(self, prepared: Prepared) -> asyncio.Future[None]:
        """Sends a request; the result comes with the answer. CallFailed when that is no success."""
        if self._transport.is_closing():
            raise ConnectionError("ended by the server")
        stream, self._next = self._next, self._next + 2
        answer = self._calls[stream] = asyncio.get_running_loop().create_future()
        if self._waiting or len(prepared[1]) > self._window:
            self._waiting.append((stream, prepared))
        else:
            self._send(stream, prepared)
        return answer

    def _send(self, stream: int, prepared: Prepared) -> None:
        block, body = prepared
        self._window -= len(body)
        self._transport.write(frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body))

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails what waits."""
        for call in (self._told, *self._calls.values()):
            if not call.done():
                call.set_exception(ConnectionError("ended by the server"))
        self._calls.clear()

    def data_received(self, data: bytes) -> None:
        """Looks at whole frames."""
        held = self._held + data if self._held else data
        at, end = 0, len(held)
        while end - at >= HEADER_BYTES:
            length = int.from_bytes(held[at : at + 3], "big")
            following = at + HEADER_BYTES + length
            if following > end:
                break
            kind = held[at + 3]
            if kind == DATA:
                self._count(length)
            else:
                stream = int.from_bytes(held[at + 5 : at + 9], "big") & WINDOW
                self._take(kind, held[at + 4], stream, held[at + HEADER_BYTES : following])
            at = following
        self._held = held[at:]

    def _count(self, length: int) -> None:
        self._received += length
        if self._received >= REPLENISH:
            self._transport.write(frame(WINDOW_UPDATE, 0, 0, self._received.to_bytes(4, "big")))
            self._received = 0

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS and flags & END_STREAM:
            self._answered(stream, None if Connection._success and Connection._success in payload else _status(payload))
            return
        if kind == RST_STREAM:
            self._answered(stream, f"reset {int.from_bytes(payload, 'big')}")
        elif kind == SETTINGS and not flags & ACK:
            self._transport.write(frame(SETTINGS, ACK, 0, b""))
            if not self._told.done():
                self._told.set_result(None)
        elif kind == PING and not flags & ACK:
            self._transport.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and not stream:
            self._window += int.from_bytes(payload, "big")
            while self._waiting and len(self._waiting[0][1][1]) <= self._window:
                self._send(*self._waiting.popleft())
        elif kind == GOAWAY:
            self._transport.close()

    def _answered(self, stream: int, status: str | None) -> None:
        call = self._calls.pop(stream, None)
        if call is None or call.done():
            return
        if status is None:
            call.set_result(None)
        else:
            call.set_exception(CallFailed(status))


def _status(block: bytes) -> str | None:
    """The gRPC status in trailers; None for success."""
    headers = {bytes(name): bytes(value) for name, value in hpack.Decoder().decode(block, raw=True)}
    status = headers.get(b"grpc-status", b"missing")
    if status != b"0":
        return status.decode("ascii", "replace")
    start = block.find(_STATUS)
    if start >= 0:
        # The name, the length of the value, and the value.
        Connection._success = block[start : start + len(_STATUS) + 2]
    return None

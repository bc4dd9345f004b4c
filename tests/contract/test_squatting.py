"""Calls that take a place and send nothing: a client certificate without any registered key must not stop the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.requests import QUERY
from tests.contract.system import System

from tallystick.server.transport.arrival import ARRIVAL_SECONDS, MAX_CALLS, MAX_STREAMS

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
    assert ready.wait(20)
    yield codes
    thread.join(4 * ARRIVAL_SECONDS)


def test_headers_alone_stop_nobody_and_come_to_an_end(system: System) -> None:
    honest = system["bank-a"].exchange
    quiet = _slowest(system)
    with squatting(system, 2 * MAX_CALLS) as codes:
        assert _slowest(system) < max(5 * quiet, 1.0)
        assert honest.send("AuditService/GetCheckpoint", b"", ()).ok
    ended = {code.name for code in codes}
    assert ended <= {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}, ended
    assert len(codes) == 2 * MAX_CALLS
    assert "RESOURCE_EXHAUSTED" in ended
    # And the squatter itself is served again.
    assert system["lender-c"].exchange.call(QUERY, requests.query(system.mint.stranger())).ok


def _slowest(system: System) -> float:
    """Seconds that the slowest of some queries took."""
    taken = []
    for _ in range(20):
        began = time.monotonic()
        assert system["bank-a"].exchange.call(QUERY, requests.query(system.mint.stranger())).ok
        taken.append(time.monotonic() - began)
    return max(taken)


def test_the_bounds_leave_places_for_others() -> None:
    assert MAX_STREAMS * CONNECTIONS >= 2 * MAX_CALLS


def test_a_call_that_ends_without_a_message_is_refused(system: System) -> None:
    caller = system["lender-c"].exchange
    credentials = grpc.ssl_channel_credentials(caller.tls.authority, caller.tls.key, caller.tls.certificate)
    with grpc.secure_channel(system.exchange.worker.address, credentials) as channel:
        for method in METHODS[:3]:
            call: Any = channel.stream_stream(method)(iter(()), timeout=5)
            with pytest.raises(grpc.RpcError) as refused:
                list(call)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, method

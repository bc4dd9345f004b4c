"""The honest member: one query after the other at every worker, health checks beside them, and how they fare."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import psutil
from benchmarks import traffic
from grpc_health.v1 import health_pb2

from tallystick.client import Profile
from tallystick.crypto import sign_request

HEALTH = "/grpc.health.v1.Health/Check"
TIMEOUT = 5.0
HEALTH_EVERY = 0.25
NEWCOMER_EVERY = 1.0
PAUSE = 0.001
"""Between two queries: the honest member is no load test."""


@dataclass(slots=True)
class Fared:
    """What became of the honest calls of one stretch."""

    seconds: list[float] = field(default_factory=list)
    """Of each query; one that was not answered counts with its whole timeout."""
    answered: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How many of all calls were answered, health checks and those on new connections included."""
        return self.answered / max(self.answered + len(self.failures), 1)

    def percentile(self, share: float) -> float:
        """Seconds that `share` of the queries did not exceed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Member:
    """One admitted member, with a connection to each worker. No call is tried again: what fails counts."""

    def __init__(self, profile: Profile, epoch_id: bytes, port: int) -> None:
        assert profile.exchange is not None
        self._target = f"localhost:{port}"
        self._endpoint = profile.exchange
        self._key = profile.signer.key
        self._epoch_id = epoch_id
        self._tokens = traffic.random_tokens(200)
        self._channels: list[grpc.aio.Channel] = []

    async def connect(self, workers: Sequence[psutil.Process]) -> None:
        """Opens connections until each worker has one: the kernel chooses which worker gets a connection."""
        missing = {worker.pid: worker for worker in workers}
        while missing:
            before = {pid: _connections(worker) for pid, worker in missing.items()}
            channel = self._channel()
            await channel.channel_ready()
            found = [pid for pid, worker in missing.items() if _connections(worker) > before[pid]]
            if found:
                self._channels.append(channel)
                del missing[found[0]]
            else:
                await channel.close()

    async def close(self) -> None:
        """Closes the connections."""
        for channel in self._channels:
            await channel.close()

    async def live(self, seconds: float) -> Fared:
        """Asks for some seconds, and tells how it went."""
        fared, until = Fared(), time.monotonic() + seconds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._query(fared, until))
            tasks.create_task(self._check_health(fared, until))
            tasks.create_task(self._come_anew(fared, until))
        return fared

    async def _query(self, fared: Fared, until: float) -> None:
        count = 0
        while time.monotonic() < until:
            channel, token = self._channels[count % len(self._channels)], self._tokens[count % len(self._tokens)]
            count += 1
            message = traffic.query(token, self._epoch_id)
            audience = self._endpoint.counterpart.origin
            signed = sign_request(self._key, path=traffic.QUERY, message=message, audience=audience, created=int(time.time()))
            began = time.perf_counter()
            answered = await _answered(channel, traffic.QUERY, message, fared, metadata=signed.metadata)
            fared.seconds.append(time.perf_counter() - began if answered else TIMEOUT)
            await asyncio.sleep(PAUSE)

    async def _check_health(self, fared: Fared, until: float) -> None:
        message = health_pb2.HealthCheckRequest().SerializeToString()
        count = 0
        while time.monotonic() < until:
            await _answered(self._channels[count % len(self._channels)], HEALTH, message, fared)
            count += 1
            await asyncio.sleep(HEALTH_EVERY)

    async def _come_anew(self, fared: Fared, until: float) -> None:
        """Whether somebody who comes anew finds a place."""
        message = health_pb2.HealthCheckRequest().SerializeToString()
        while time.monotonic() < until:
            channel = self._channel()
            await _answered(channel, HEALTH, message, fared, wait_for_ready=True)
            await channel.close()
            await asyncio.sleep(NEWCOMER_EVERY)

    def _channel(self) -> grpc.aio.Channel:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        return grpc.aio.secure_channel(self._target, self._endpoint.address.credentials(), options=options)


async def _answered(channel: grpc.aio.Channel, path: str, message: bytes, fared: Fared, **options: Any) -> bool:
    call: Any = channel.unary_unary(path)
    try:
        await call(message, timeout=TIMEOUT, **options)
    except grpc.aio.AioRpcError as error:
        fared.failures.append(f"{path.rsplit('/', 1)[1]}: {error.code().name} {error.details()}")
        return False
    fared.answered += 1
    return True


def _connections(worker: psutil.Process) -> int:
    with suppress(psutil.Error):
        return sum(1 for each in worker.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED)
    return 0

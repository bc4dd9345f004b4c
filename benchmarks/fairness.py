"""Fairness: what one member at full load makes of another member's queries.

python -m benchmarks.fairness [--rounds N] [--seconds N]

The greedy member runs in a process of its own, at the lowest priority: in earnest it has its own processors. For each kind of load
the honest one asks one query after the other, before and meanwhile; printed are the medians, and how many times the quiet they are.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import click
import grpc
import uvloop
from benchmarks import parties, traffic
from rich.console import Console
from rich.table import Table

from tallystick.client import Profile
from tallystick.client.profile.profile import Endpoint
from tallystick.crypto import oprf
from tallystick.v1 import audit_service_pb2

SUBJECTS = 2000
MONTHS = 24
WORKERS = 2
EXPORT = "/tallystick.v1.AuditService/ExportAuditEntries"
ROLES = {
    "honest": "inquirer",
    "greedy": "reporter,inquirer",
    "roleless": "reporter",
    "suspended": "inquirer",
    "auditor": "auditor",
}
BAR = 3.0
"""Times the quiet median that nobody's may reach."""


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of load: what is sent over and over, and how much of it at once."""

    name: str
    member: str
    path: str
    message: Callable[[Sequence[bytes], bytes], bytes]
    connections: int
    calls_each: int
    authority: bool = False


def _query(tokens: Sequence[bytes], epoch_id: bytes) -> bytes:
    return traffic.query(secrets.choice(tokens), epoch_id)


def _batch(tokens: Sequence[bytes], epoch_id: bytes) -> bytes:
    return traffic.batch_query(tokens[:200], epoch_id)


def _reports(tokens: Sequence[bytes], epoch_id: bytes) -> bytes:
    begin = secrets.randbelow(len(tokens) - 1000)
    return traffic.report([(token, 1) for token in tokens[begin : begin + 1000]], epoch_id, MONTHS)


def _export(_tokens: Sequence[bytes], _epoch_id: bytes) -> bytes:
    return audit_service_pb2.ExportAuditEntriesRequest().SerializeToString()


def _evaluation(tokens: Sequence[bytes], epoch_id: bytes) -> bytes:
    return traffic.evaluation(tokens[:1000], epoch_id)


LOADS = (
    Load("queries", "greedy", traffic.QUERY, _query, 16, 32),
    Load("refused queries", "roleless", traffic.QUERY, _query, 16, 32),
    Load("queries of a suspended member", "suspended", traffic.QUERY, _query, 16, 32),
    Load("batches of 200 queries", "greedy", traffic.BATCH_QUERY, _batch, 8, 4),
    Load("batches of 1,000 reports", "greedy", traffic.REPORT, _reports, 8, 2),
    Load("exports of the log", "auditor", EXPORT, _export, 8, 4),
    Load("batches of 1,000 evaluations", "greedy", traffic.EVALUATE, _evaluation, 8, 4, authority=True),
)


def _endpoint(profile: Profile, *, authority: bool) -> Endpoint:
    endpoint = profile.authority if authority else profile.exchange
    assert endpoint is not None
    return endpoint


def _channel(endpoint: Endpoint) -> grpc.aio.Channel:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 8 << 20)]
    return grpc.aio.secure_channel(endpoint.address.target, endpoint.address.credentials(), options=options)


def _unary(channel: grpc.aio.Channel, path: str) -> Callable[..., Awaitable[bytes]]:
    call: Callable[..., Awaitable[bytes]] = channel.unary_unary(path)
    return call


def _pages(channel: grpc.aio.Channel, path: str) -> Callable[..., AsyncIterator[bytes]]:
    call: Any = channel.unary_stream(path)
    return cast("Callable[..., AsyncIterator[bytes]]", call)


def flood(folder: Path, load: Load, tokens: Sequence[bytes], epoch_id: bytes) -> None:
    """Sends as fast as it is answered, until it is killed."""
    os.nice(19)
    uvloop.run(_flood(Profile.load(folder), load, tokens, epoch_id))


async def _flood(profile: Profile, load: Load, tokens: Sequence[bytes], epoch_id: bytes) -> None:
    endpoint = _endpoint(profile, authority=load.authority)

    async def caller(channel: grpc.aio.Channel) -> None:
        while True:
            ((message, metadata),) = traffic.sign(profile, endpoint, load.path, [load.message(tokens, epoch_id)])
            try:
                if load.path == EXPORT:
                    async for _ in _pages(channel, load.path)(message, metadata=tuple(metadata), timeout=60):
                        pass
                else:
                    await _unary(channel, load.path)(message, metadata=tuple(metadata), timeout=60)
            except grpc.aio.AioRpcError:
                continue

    channels = [_channel(endpoint) for _ in range(load.connections)]
    await asyncio.gather(*(caller(channel) for channel in channels for _ in range(load.calls_each)))


@dataclass(slots=True)
class Figure:
    """Medians of rounds, in seconds."""

    quiet: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    """99th percentiles under load."""

    @property
    def ratio(self) -> float:
        """Of the loaded median to the quiet one of the same round, the median of the rounds."""
        return statistics.median(loaded / quiet for quiet, loaded in zip(self.quiet, self.loaded, strict=True))


class Bench:
    """The exchange, the authority and their members."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        authority, exchange = folder / "authority", folder / "exchange"
        stack.enter_context(parties.server(authority, "token-authority", workers=WORKERS))
        public = json.loads(parties.daemon("--config", str(authority / "tallystickd.toml"), "public", "--json"))
        key, sequence = public["token_public_key"], public["token_sequence"]
        options = ("--token-public-key", key, "--token-sequence", str(sequence))
        stack.enter_context(parties.server(exchange, "exchange", *options, workers=WORKERS))
        for member_id, role in ROLES.items():
            parties.member(exchange, member_id, role, folder / member_id)
        for member_id in ("honest", "greedy"):
            parties.member(authority, member_id, "token-requester", folder / member_id)
        parties.daemon("--config", str(exchange / "tallystickd.toml"), "member", "suspend", "suspended")
        self.profile = Profile.load(folder / "honest")
        self.epoch_id = oprf.epoch_id(sequence, bytes.fromhex(key))
        self.tokens = traffic.random_tokens(SUBJECTS)
        greedy = Profile.load(folder / "greedy")
        accounts = [(token, 1) for token in self.tokens]
        work = [traffic.report(accounts[i : i + 1000], self.epoch_id, MONTHS) for i in range(0, SUBJECTS, 1000)]
        uvloop.run(traffic.send_signed(greedy, _endpoint(greedy, authority=False), traffic.REPORT, 1, work))

    def ask(self, load: Load, seconds: float) -> list[float]:
        """The honest member's latencies, ascending; one call after the other."""
        return sorted(uvloop.run(self._ask(load, seconds)))

    async def _ask(self, load: Load, seconds: float) -> list[float]:
        endpoint = _endpoint(self.profile, authority=load.authority)
        path = traffic.EVALUATE if load.authority else traffic.QUERY
        latencies: list[float] = []
        # Each worker has its own line: connections find both.
        channels = [_channel(endpoint) for _ in range(4)]
        try:
            await asyncio.gather(*(channel.channel_ready() for channel in channels))
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                token = secrets.choice(self.tokens)
                message = traffic.evaluation([token], self.epoch_id) if load.authority else traffic.query(token, self.epoch_id)
                ((_, metadata),) = traffic.sign(self.profile, endpoint, path, [message])
                began = time.perf_counter()
                channel = channels[len(latencies) % len(channels)]
                await _unary(channel, path)(message, metadata=tuple(metadata), timeout=60)
                latencies.append(time.perf_counter() - began)
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))
        return latencies

    def measure(self, load: Load, seconds: float, figure: Figure) -> None:
        """The honest member alone, and beside the load."""
        figure.quiet.append(statistics.median(self.ask(load, seconds)))
        # gRPC runs here already, and does not live through a fork.
        spawned = multiprocessing.get_context("spawn")
        process = spawned.Process(target=flood, args=(self.folder / load.member, load, self.tokens, self.epoch_id))
        process.start()
        try:
            time.sleep(2.0)
            latencies = self.ask(load, seconds)
        finally:
            process.kill()
            process.join()
        figure.loaded.append(statistics.median(latencies))
        figure.worst.append(latencies[int(len(latencies) * 0.99)])
        time.sleep(1.0)


def show(console: Console, figures: dict[str, Figure]) -> None:
    """Prints all medians."""
    table = Table(title="One member's queries beside another's load")
    for column in ("load", "quiet", "loaded", "times", "99 %"):
        table.add_column(column, justify="left" if column == "load" else "right")
    for name, figure in figures.items():
        quiet, loaded, worst = (statistics.median(each) * 1e3 for each in (figure.quiet, figure.loaded, figure.worst))
        table.add_row(name, f"{quiet:.1f} ms", f"{loaded:.1f} ms", f"{figure.ratio:.1f}", f"{worst:.1f} ms")
    console.print(table)


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often everything is measured.")
@click.option("--seconds", default=5.0, show_default=True, help="How long each measurement takes.")
@click.option("--only", default="", help="Loads whose name holds this.")
def main(rounds: int, seconds: float, only: str) -> None:
    """Measures what one member at full load takes from another; ends with 1 when a bar is missed."""
    console = Console() if sys.stdout.isatty() else Console(width=150)
    multiprocessing.set_start_method("spawn")
    with tempfile.TemporaryDirectory(prefix="tallystick-fairness-") as name, ExitStack() as stack:
        bench = Bench(stack, Path(name))
        figures: dict[str, Figure] = {}
        for _ in range(rounds):
            for load in LOADS:
                if only in load.name:
                    bench.measure(load, seconds, figures.setdefault(load.name, Figure()))
        show(console, figures)
    sys.exit(any(figure.ratio > BAR for figure in figures.values()))


if __name__ == "__main__":
    main()

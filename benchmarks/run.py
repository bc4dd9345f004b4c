"""The benchmark: the exchange and the token authority, and the peer beside them.

python -m benchmarks.run [--rounds N] [--quick]
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import uvloop
from benchmarks import parties, traffic
from benchmarks.peers import orm as peer_data
from benchmarks.ratios import QUERIES
from rich.console import Console
from rich.table import Table

from tallystick.client import Profile
from tallystick.crypto import oprf

SUBJECTS = 4000
ACCOUNTS_EACH = 2
MONTHS = 24
WORKERS = 2
CALLERS = (1, 16, 64)
CALLS = {1: 600, 16: 3000, 64: 6000}
PEER_SHARE = 2
"""The peer gets this many times fewer calls, so that its rounds take about as long."""
BATCH = 200
REPORTS = 1000
ELEMENTS = 1000


@dataclass(slots=True)
class Figure:
    """One line of the table: a median over rounds."""

    name: str
    unit: str
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)

    def add(self, measured: traffic.Measured, units: int, server: float, database: float) -> None:
        """Takes one round's result."""
        self.rates.append(units / measured.seconds)
        self.p50.append(measured.percentile(0.5))
        self.p99.append(measured.percentile(0.99))
        self.server.append(server)
        self.database.append(database)
        self.generator.append(measured.generator / units)

    def row(self) -> tuple[str, ...]:
        """The medians, as the table shows them."""
        median = statistics.median
        return (
            self.name,
            f"{median(self.rates):,.0f} {self.unit}/s",
            f"{median(self.p50) * 1e3:.1f} ms",
            f"{median(self.p99) * 1e3:.1f} ms",
            f"{median(self.server) * 1e6:,.0f} µs",
            f"{median(self.database) * 1e6:,.0f} µs",
            f"{median(self.generator) * 1e6:,.0f} µs",
            f"{min(self.rates):,.0f} – {max(self.rates):,.0f}",
        )


class Bench:
    """The parties, their data, and the figures so far."""

    def __init__(self, stack: ExitStack, folder: Path, scale: float) -> None:
        self.scale = scale
        self.figures: dict[str, Figure] = {}
        authority_folder, exchange_folder = folder / "authority", folder / "exchange"
        self.authority = stack.enter_context(parties.server(authority_folder, "token-authority", workers=WORKERS))
        public = json.loads(parties.daemon("--config", str(authority_folder / "tallystickd.toml"), "public", "--json"))
        key, sequence = public["token_public_key"], public["token_sequence"]
        options = ("--token-public-key", key, "--token-sequence", str(sequence))
        self.exchange = stack.enter_context(parties.server(exchange_folder, "exchange", *options, workers=WORKERS))
        profile = folder / "bank-a"
        parties.member(exchange_folder, "bank-a", "reporter,inquirer", profile)
        parties.member(authority_folder, "bank-a", "token-requester", profile)
        self.profile = Profile.load(profile)
        self.epoch_id = oprf.epoch_id(sequence, bytes.fromhex(key))
        self.peer, peer_url = stack.enter_context(parties.peer(folder / "peer", WORKERS))
        self.tokens = traffic.random_tokens(SUBJECTS)
        peer_data.fill(peer_url, self.tokens, ACCOUNTS_EACH, MONTHS)

    def measure(
        self, name: str, unit: str, running: parties.Running, units: int, run: Callable[[], Coroutine[Any, Any, traffic.Measured]]
    ) -> None:
        """Runs one stretch of traffic and keeps its figures."""
        before = running.processor_seconds()
        measured = uvloop.run(run())
        server, database = parties.seconds_each(before, running.processor_seconds(), units)
        self.figures.setdefault(name, Figure(name, unit)).add(measured, units, server, database)

    def send(self, path: str, callers: int, work: list[bytes]) -> Callable[[], Coroutine[Any, Any, traffic.Measured]]:
        """Traffic to the exchange, or for tokens to the authority."""
        endpoint = self.profile.authority if path == traffic.EVALUATE else self.profile.exchange
        assert endpoint is not None
        return lambda: traffic.send_signed(self.profile, endpoint, path, callers, work)

    def reports(self) -> None:
        """Reports every subject's accounts: new ones in the first round, the same again later."""
        accounts = [(token, number) for token in self.tokens for number in range(ACCOUNTS_EACH)]
        work = [traffic.report(accounts[i : i + REPORTS], self.epoch_id, MONTHS) for i in range(0, len(accounts), REPORTS)]
        name = "reported records, new" if "reported records, new" not in self.figures else "reported records, repeated"
        self.measure(name, "records", self.exchange, len(accounts), self.send(traffic.REPORT, 4, work))

    def queries(self, callers: int) -> None:
        """Single queries, at the exchange and at the peer."""
        calls = int(CALLS[callers] * self.scale)
        work = [traffic.query(self.tokens[i % SUBJECTS], self.epoch_id) for i in range(calls)]
        address = self.profile.exchange.address
        signed = traffic.sign(self.profile, self.profile.exchange, traffic.QUERY, work)
        self.measure(
            f"exchange, {callers} callers",
            "queries",
            self.exchange,
            calls,
            lambda: traffic.send_lean(address, traffic.QUERY, callers, signed),
        )
        calls //= PEER_SHARE
        plain = [traffic.plain_query(self.tokens[i % SUBJECTS]) for i in range(calls)]
        port = self.peer.port
        self.measure(f"peer, {callers} callers", "queries", self.peer, calls, lambda: traffic.send_plain(port, callers, plain))

    def batches(self) -> None:
        """Batched queries."""
        subjects = int(16_000 * self.scale) // BATCH * BATCH
        chosen = [self.tokens[i % SUBJECTS] for i in range(subjects)]
        work = [traffic.batch_query(chosen[i : i + BATCH], self.epoch_id) for i in range(0, subjects, BATCH)]
        self.measure(
            "exchange, batches of 200, 8 callers", "subjects", self.exchange, subjects, self.send(traffic.BATCH_QUERY, 8, work)
        )

    def evaluations(self) -> None:
        """Tokens evaluated, with their proofs."""
        batches = max(4, int(24 * self.scale))
        work = [traffic.evaluation(self.tokens[:ELEMENTS], self.epoch_id) for _ in range(batches)]
        self.measure(
            "tokens, batches of 1,000, 4 callers",
            "tokens",
            self.authority,
            batches * ELEMENTS,
            self.send(traffic.EVALUATE, 4, work),
        )


def show(console: Console, figures: dict[str, Figure]) -> bool:
    """Prints the table and the ratios that are owed; whether each holds its floor."""
    whole = True
    table = Table(title="median of all rounds")
    for heading in ("what", "rate", "p50", "p99", "server CPU", "PostgreSQL CPU", "generator CPU", "slowest – fastest round"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for figure in figures.values():
        table.add_row(*figure.row())
    console.print(table)
    for callers in CALLERS:
        ours, peer = figures[f"exchange, {callers} callers"], figures[f"peer, {callers} callers"]
        ratios = [a / b for a, b in zip(ours.rates, peer.rates, strict=True)]
        cost = statistics.median(
            (p + q) / (a + b) for a, b, p, q in zip(ours.server, ours.database, peer.server, peer.database, strict=True)
        )
        owed = QUERIES[callers]
        whole = owed.holds_floor(statistics.median(ratios)) and whole
        console.print(
            f"{callers} callers (owed {owed.owed}): {statistics.median(ratios):.1f} times the peer's queries "
            f"(rounds {min(ratios):.1f} – {max(ratios):.1f}), for 1/{cost:.1f} of its processor time a query"
        )
    return whole


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often everything is measured.")
@click.option("--quick", is_flag=True, help="A tenth of the calls, to see that it runs.")
def main(rounds: int, *, quick: bool) -> None:
    """Measures the exchange, the token authority and the peer."""
    console = Console() if sys.stdout.isatty() else Console(width=150)
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name, ExitStack() as stack:
        console.print("starting the exchange, the token authority and the peer …")
        bench = Bench(stack, Path(name), 0.1 if quick else 1.0)
        bench.reports()
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds} …")
            for callers in CALLERS:
                bench.queries(callers)
            bench.batches()
            bench.reports()
            bench.evaluations()
        whole = show(console, bench.figures)
    # The floors are those of a quick run: a full one is read, not gated.
    sys.exit(0 if whole or not quick else 1)


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    main()

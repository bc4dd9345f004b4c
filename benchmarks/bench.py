"""The bench: the exchange, the token authority and their peers, side by side, and what each round of them found."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop
from benchmarks import parties, ratios, traffic
from benchmarks.figures import Figure
from benchmarks.peers import hashing, libsodium
from benchmarks.peers import orm as peer_data
from benchmarks.peers.postgresql import PostgreSQL

from tallystick.client import Profile
from tallystick.crypto import oprf
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.server.installation.embedded import SETTINGS, embedded_postgresql

SUBJECTS = 4000
ACCOUNTS_EACH = 2
MONTHS = 24
WORKERS = 2
CALLERS = (1, 16, 64)
CALLS = {1: 600, 16: 3000, 64: 6000}
PEER_SHARE = 2
"""A peer that is slower gets this many times fewer calls, so that its rounds take about as long."""
BATCH = 200
REPORTS = 1000
ELEMENTS = 1000
LOOK_UP_SECONDS = 5
PRIMITIVES = 20_000

BATCHES = "exchange, batches of 200, 8 callers"
NEW, REPEATED = "reported records, new", "reported records, repeated"
TOKENS = "tokens, batches of 1,000, 4 callers"
ECHO = "bare grpc.aio echo, 64 callers"
GRPCIO = "synchronous grpcio and ORM, 64 callers"
PGBENCH = "pgbench look-ups, prepared, 1 client"
COPY = "COPY of the account table"
MULTIPLICATIONS = "libsodium, ristretto255 multiplications"
VERIFICATIONS = "libsodium, Ed25519 verifications"
HASHES = "hashlib, SHA-256 of 65 bytes"

Traffic = Callable[[], Coroutine[Any, Any, traffic.Measured]]


def exchange_queries(callers: int) -> str:
    """The name of the figure of the exchange's single queries."""
    return f"exchange, {_callers(callers)}"


def fastapi_queries(callers: int) -> str:
    """The name of the figure beside it."""
    return f"FastAPI and ORM, {_callers(callers)}"


def _callers(count: int) -> str:
    return f"{count} caller" if count == 1 else f"{count} callers"


class Bench:
    """The parties, their data, and the figures so far."""

    def __init__(self, stack: ExitStack, folder: Path, scale: float) -> None:
        self.scale = scale
        self.figures: dict[str, Figure] = {}
        self._odd = False
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
        self.tokens = traffic.random_tokens(SUBJECTS)
        self._report()
        self._start_peers(stack, folder, exchange_folder)

    def _start_peers(self, stack: ExitStack, folder: Path, exchange_folder: Path) -> None:
        """Starts the peers, with the data that the exchange has by now."""
        orm_database = folder / "orm/database"
        # Two services with a pool of 40 in each process; all else is set as the exchange's.
        settings = {**SETTINGS, "max_connections": str(2 * 40 * WORKERS + 20)}
        url = stack.enter_context(embedded_postgresql(orm_database, settings)).replace("postgresql://", "postgresql+psycopg2://")
        peer_data.fill(url, self.tokens, ACCOUNTS_EACH, MONTHS)
        self.fastapi = stack.enter_context(parties.fastapi_orm(url, orm_database, WORKERS))
        member_key = raw_public_key(self.profile.signer.key)
        self.grpcio = stack.enter_context(parties.grpcio_orm(url, orm_database, member_key, exchange_folder, WORKERS))
        answer_bytes = uvloop.run(self._answer_bytes())
        self.echo = stack.enter_context(parties.echo(folder, answer_bytes, exchange_folder, WORKERS))
        alone = stack.enter_context(embedded_postgresql(folder / "postgresql/database"))
        with embedded_postgresql(exchange_folder / "database") as exchange_url:
            self.postgresql = PostgreSQL(alone, exchange_url, folder)
        stack.callback(self.postgresql.close)

    async def _answer_bytes(self) -> int:
        """How long the exchange's answer to a query is."""
        exchange = self.profile.exchange
        (request,) = traffic.sign(self.profile, exchange, traffic.QUERY, [traffic.query(self.tokens[0], self.epoch_id)])
        return len(await traffic.ask(exchange.address, traffic.QUERY, request))

    def round(self) -> None:
        """Measures everything once. Who went first goes last in the next round."""
        for callers in CALLERS:
            self._take_turns(*self._queries(callers))
        self._take_turns(self._batches, self._look_ups)
        self._take_turns(self._report, self._copy)
        self._take_turns(self._evaluations, self._primitives)
        self._odd = not self._odd

    def _take_turns(self, *turns: Callable[[], None]) -> None:
        for turn in reversed(turns) if self._odd else turns:
            turn()

    def _figure(self, name: str, unit: str) -> Figure:
        return self.figures.setdefault(name, Figure(name, unit))

    def _measure(self, name: str, unit: str, running: parties.Running, units: int, run: Traffic) -> None:
        """Runs one stretch of traffic and keeps its figures."""
        before = running.processor_seconds()
        measured = uvloop.run(run())
        server, database = parties.seconds_each(before, running.processor_seconds(), units)
        self._figure(name, unit).add(measured, units, server, None if running.postmaster is None else database)

    def _queries(self, callers: int) -> list[Callable[[], None]]:
        """Single queries: the exchange's turn, and its peers'."""
        calls = int(CALLS[callers] * self.scale)
        turns = [
            lambda: self._signed_queries(exchange_queries(callers), self.exchange, callers, calls),
            lambda: self._plain_queries(callers, calls // PEER_SHARE),
        ]
        if callers == max(CALLERS):
            turns.append(lambda: self._signed_queries(GRPCIO, self.grpcio, callers, calls // PEER_SHARE))
            turns.append(lambda: self._signed_queries(ECHO, self.echo, callers, calls))
        return turns

    def _signed_queries(self, name: str, running: parties.Running, callers: int, calls: int) -> None:
        """Queries to who takes the exchange's requests. They are signed now: a signature is good for a minute."""
        work = [traffic.query(self.tokens[i % SUBJECTS], self.epoch_id) for i in range(calls)]
        signed = traffic.sign(self.profile, self.profile.exchange, traffic.QUERY, work)
        host = self.profile.exchange.address.target.rpartition(":")[0]
        address = replace(self.profile.exchange.address, target=f"{host}:{running.port}")
        self._measure(name, "queries", running, calls, lambda: traffic.send_lean(address, traffic.QUERY, callers, signed))

    def _plain_queries(self, callers: int, calls: int) -> None:
        work = [traffic.plain_query(self.tokens[i % SUBJECTS]) for i in range(calls)]
        port = self.fastapi.port
        name = fastapi_queries(callers)
        self._measure(name, "queries", self.fastapi, calls, lambda: traffic.send_plain(port, callers, work))

    def _send(self, path: str, callers: int, work: list[bytes]) -> Traffic:
        """Bulky messages to the exchange, or for tokens to the authority."""
        endpoint = self.profile.authority if path == traffic.EVALUATE else self.profile.exchange
        assert endpoint is not None
        return lambda: traffic.send_signed(self.profile, endpoint, path, callers, work)

    def _report(self) -> None:
        """Reports every subject's accounts: new ones the first time, the same again later."""
        accounts = [(token, number) for token in self.tokens for number in range(ACCOUNTS_EACH)]
        work = [traffic.report(accounts[i : i + REPORTS], self.epoch_id, MONTHS) for i in range(0, len(accounts), REPORTS)]
        name = REPEATED if NEW in self.figures else NEW
        self._measure(name, "records", self.exchange, len(accounts), self._send(traffic.REPORT, 4, work))

    def _copy(self) -> None:
        self._figure(COPY, "rows").rates.append(self.postgresql.copy())

    def _batches(self) -> None:
        # Several batches for each caller, even in a quick run: the first ones are slower.
        subjects = max(6400, int(16_000 * self.scale)) // BATCH * BATCH
        chosen = [self.tokens[i % SUBJECTS] for i in range(subjects)]
        work = [traffic.batch_query(chosen[i : i + BATCH], self.epoch_id) for i in range(0, subjects, BATCH)]
        self._measure(BATCHES, "subjects", self.exchange, subjects, self._send(traffic.BATCH_QUERY, 8, work))

    def _look_ups(self) -> None:
        seconds = max(1, int(LOOK_UP_SECONDS * self.scale))
        self._figure(PGBENCH, "look-ups").rates.append(self.postgresql.look_ups(seconds))

    def _evaluations(self) -> None:
        """Tokens evaluated, with their proofs."""
        batches = max(4, int(24 * self.scale))
        work = [traffic.evaluation(self.tokens[:ELEMENTS], self.epoch_id) for _ in range(batches)]
        self._measure(TOKENS, "tokens", self.authority, batches * ELEMENTS, self._send(traffic.EVALUATE, 4, work))

    def _primitives(self) -> None:
        """What the cryptography costs alone, in this process and one thread."""
        count = int(PRIMITIVES * self.scale)
        measured = (
            (MULTIPLICATIONS, "multiplications", libsodium.multiplications(count)),
            (VERIFICATIONS, "verifications", libsodium.verifications(count)),
            (HASHES, "hashes", hashing.hashes(count * 10)),
        )
        for name, unit, rate in measured:
            figure = self._figure(name, unit)
            figure.rates.append(rate)
            figure.server.append(1 / rate)


def ratios_of(figures: dict[str, Figure]) -> dict[str, ratios.Ratio]:
    """The ratios that a run of this bench gives."""
    found = {}
    for callers in reversed(CALLERS):
        ours, theirs = figures[exchange_queries(callers)], figures[fastapi_queries(callers)]
        found[ratios.to_fastapi(callers)] = ratios.by_round(ours.rates, theirs.rates)
    ours = figures[exchange_queries(max(CALLERS))]
    found[ratios.TO_GRPCIO] = ratios.by_round(ours.rates, figures[GRPCIO].rates)
    found[ratios.TO_ECHO] = ratios.by_round(figures[ECHO].cost(), ours.cost())
    found[ratios.TO_PGBENCH] = ratios.by_round(figures[BATCHES].rates, figures[PGBENCH].rates)
    # The authority's database is left out: what is held against a multiplication is the token's arithmetic and what serves it.
    found[ratios.TO_LIBSODIUM] = ratios.by_round(figures[MULTIPLICATIONS].server, figures[TOKENS].server)
    return found

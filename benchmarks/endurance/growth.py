"""Growth: what a single query takes with 30,000 accounts and with a hundred times as many, in turns.

Both exchanges run all the time, each with an embedded PostgreSQL of its own; a round asks one, then the other, many times in short
turns, so that what the machine does beside falls on both. The subjects that are asked for are as many in both, so that what queries
write grows alike: 14,000, whose rows lie evenly in the table, each on a page of its own where it is large. Each was asked for once
before: what PostgreSQL or the system can hold of these pages is held.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from benchmarks import parties, ratios, traffic
from benchmarks.endurance.filling import Sizes, fill
from benchmarks.endurance.found import Found
from benchmarks.endurance.place import ACCOUNTS_EACH, Place, exchange
from rich.console import Console

SMALL = 30_000
LARGE = 3_000_000
QUICK_LARGE = 300_000
REPORTED = 1000
"""Subjects whose accounts are reported, and then copied."""
KNOWN = SMALL // ACCOUNTS_EACH - REPORTED
"""Subjects with tokens, which can be asked for: all others of the small exchange."""
CALLS = {1: 1000, 16: 4000}
ROUNDS = 5
WARMING = 5000
TURNS = 10
"""Of each exchange in a round."""

GROWTH = {callers: ratios.OWED[ratios.growth(callers)] for callers in CALLS}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one stretch of queries took, and what one of them cost."""

    latencies: Sequence[float]
    server: float
    database: float


@dataclass(slots=True)
class Costs:
    """Seconds a query took and cost, of each round."""

    p50: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)

    def add(self, turns: Sequence[Turn]) -> None:
        """Takes one round's turns together."""
        self.p50.append(statistics.median(latency for turn in turns for latency in turn.latencies))
        self.server.append(statistics.mean(turn.server for turn in turns))
        self.database.append(statistics.mean(turn.database for turn in turns))


@dataclass(slots=True)
class Side:
    """One of the two exchanges."""

    name: str
    place: Place
    tokens: Sequence[bytes]
    sizes: Sizes
    costs: dict[int, Costs] = field(default_factory=lambda: {callers: Costs() for callers in CALLS})

    def ask(self, callers: int, count: int, source: random.Random) -> Turn:
        """Sends so many queries of subjects drawn at random."""
        return self._send(callers, source.choices(self.tokens, k=count))

    def warm(self) -> None:
        """Asks for each subject once."""
        for begin in range(0, len(self.tokens), WARMING):
            self._send(16, self.tokens[begin : begin + WARMING])

    def _send(self, callers: int, tokens: Sequence[bytes]) -> Turn:
        (profile,) = self.place.profiles
        work = [traffic.query(token, self.place.epoch_id) for token in tokens]
        signed = traffic.sign(profile, profile.exchange, traffic.QUERY, work)
        before = self.place.running.processor_seconds()
        measured = uvloop.run(traffic.send_lean(profile.exchange.address, traffic.QUERY, callers, signed))
        server, database = parties.seconds_each(before, self.place.running.processor_seconds(), len(work))
        return Turn(measured.latencies, server, database)


def _side(stack: ExitStack, folder: Path, tokens: Sequence[bytes], accounts: int, console: Console) -> Side:
    public_key, reported, known = tokens[0], tokens[1 : REPORTED + 1], tokens[REPORTED + 1 :]
    place = stack.enter_context(exchange(folder / str(accounts), 1, public_key))
    place.report(reported)
    return Side(f"{accounts:,} accounts", place, known, fill(place, known, accounts, console))


def measure(folder: Path, console: Console, *, quick: bool, accounts: int | None = None) -> Found:
    """Fills both, and asks them in turns."""
    large = accounts or (QUICK_LARGE if quick else LARGE)
    share = 0.25 if quick else 1.0
    source = random.Random(1)
    tokens = traffic.random_tokens(1 + REPORTED + KNOWN)
    with ExitStack() as stack:
        sides = [_side(stack, folder, tokens, count, console) for count in (SMALL, large)]
        for side in sides:
            side.warm()
        for number in range(ROUNDS):
            for callers, calls in CALLS.items():
                _round(sides, callers, int(calls * share) // TURNS, source)
            console.print(f"round {number + 1} of {ROUNDS}")
    return _found(*sides)


def _round(sides: Sequence[Side], callers: int, calls: int, source: random.Random) -> None:
    turns: list[list[Turn]] = [[] for _ in sides]
    for turn in range(TURNS):
        # Who went first goes second in the next.
        order = list(enumerate(sides))
        for at, side in order if turn % 2 else reversed(order):
            turns[at].append(side.ask(callers, calls, source))
    for side, mine in zip(sides, turns, strict=True):
        side.costs[callers].add(mine)


def _found(small: Side, large: Side) -> Found:
    found = Found(f"single queries, {small.name} and {large.name}")
    for side in (small, large):
        found.figure(f"heap bytes an account, {side.name}", [side.sizes.heap])
        found.figure(f"bytes of indices an account, {side.name}", [side.sizes.indices])
        for callers, costs in side.costs.items():
            what = f"{side.name}, callers: {callers}"
            found.figure(f"p50, ms, {what}", [each * 1e3 for each in costs.p50])
            found.figure(f"processor time of the server, µs a query, {what}", [each * 1e6 for each in costs.server])
            found.figure(f"processor time of PostgreSQL, µs a query, {what}", [each * 1e6 for each in costs.database])
    for callers, owed in GROWTH.items():
        ours, theirs = large.costs[callers].p50, small.costs[callers].p50
        found.ratio(owed, [many / few for many, few in zip(ours, theirs, strict=True)])
    return found

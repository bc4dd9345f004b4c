"""Goodput: what an exchange answers in time when it is asked for twice what it can do, and how even its answers are below that.

The peak is what callers get who each wait for their answer: 64 of them or, if these get more, 512. It is measured before and after
each overload, so that what the machine does beside falls on both. Eight members ask: one client certificate may have only so many
calls open. What the server refuses (QUEUE_FULL) and what finds no place within its limits has failed, and so has a success that
comes too late.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop
from benchmarks import ratios, traffic
from benchmarks.endurance.found import Found
from benchmarks.endurance.place import Place, exchange
from benchmarks.traffic.closed import connections
from benchmarks.traffic.lean import Connection, Prepared, prepare
from benchmarks.traffic.opened import Fared, send_at_rate
from rich.console import Console

MEMBERS = 8
CALLERS = (64, 512)
SUBJECTS = 4000
ROUNDS = 3
OVERLOAD = 2.0
DEADLINE = 2.0
"""Seconds from when a request is due, and what gRPC tells the server."""
UNDER = 0.7
"""The part of the peak at which latencies are measured."""
LINE = 4
PLACES = 64
"""A member's connections, and open calls of each: together no more than it may have at one worker, wherever they land."""
FIRST_GUESS = 3000
"""Calls a second for which requests are made before the first peak is known."""

GOODPUT = ratios.OWED[ratios.GOODPUT]
EVENNESS = ratios.OWED[ratios.EVENNESS]


@dataclass(frozen=True, slots=True)
class Stretch:
    """An open loop's stretch, and what it cost: processor seconds."""

    fared: Fared
    server: float
    """Of server and PostgreSQL."""
    busy: float
    """Of the whole machine."""


class Crowd:
    """Members who query subjects at random."""

    def __init__(self, place: Place, tokens: Sequence[bytes]) -> None:
        self._place = place
        self._tokens = tokens
        self._source = random.Random(1)

    def requests(self, count: int, *, timeout: str = "60S") -> list[list[Prepared]]:
        """At least `count` requests, ready to be sent: a list for each member."""
        each = -(-count // MEMBERS)
        made = []
        for profile in self._place.profiles:
            messages = [traffic.query(self._source.choice(self._tokens), self._place.epoch_id) for _ in range(each)]
            signed = traffic.sign(profile, profile.exchange, traffic.QUERY, messages)
            made.append(prepare(traffic.QUERY, self._place.running.port, signed, timeout=timeout))
        return made

    def peak(self, callers: int, seconds: float, guess: float = FIRST_GUESS) -> float:
        """Answers a second to callers who each wait for theirs."""
        return uvloop.run(self._closed(callers, seconds, self.requests(int(guess * seconds * 1.5))))

    async def _closed(self, callers: int, seconds: float, work: list[list[Prepared]]) -> float:
        lines = await self._lines(callers // MEMBERS)
        answered = 0
        began = time.perf_counter()
        until = began + seconds

        async def caller(connection: Connection, pending: Iterator[Prepared]) -> None:
            nonlocal answered
            for prepared in pending:
                await connection.call(prepared)
                if time.perf_counter() >= until:
                    return
                answered += 1

        pending = [iter(each) for each in work]
        await asyncio.gather(*(caller(connection, mine) for line, mine in zip(lines, pending, strict=True) for connection in line))
        # Requests that ran out before the time did end the stretch.
        took = min(time.perf_counter() - began, seconds)
        _close(lines)
        return answered / took

    def at_rate(self, rate: float, seconds: float, seed: int, *, timeout: float) -> Stretch:
        """The open loop."""
        work = self.requests(int(rate * seconds), timeout=f"{int(timeout)}S")
        return uvloop.run(self._opened(rate, work, seed, timeout))

    async def _opened(self, rate: float, work: list[list[Prepared]], seed: int, timeout: float) -> Stretch:
        lines = await self._lines(LINE)
        turns = [prepared for turn in zip(*work, strict=True) for prepared in turn]
        server, busy = sum(self._place.running.processor_seconds()), _busy()
        # What was not answered a second after its deadline is not waited for.
        fared = await send_at_rate(lines, turns, rate, seed=seed, places=PLACES, patience=timeout + 1)
        stretch = Stretch(fared, sum(self._place.running.processor_seconds()) - server, _busy() - busy)
        _close(lines)
        return stretch

    async def _lines(self, each: int) -> list[list[Connection]]:
        return [await connections(address, each) for address in self._place.addresses]


def _close(lines: list[list[Connection]]) -> None:
    for line in lines:
        for connection in line:
            connection.close()


@dataclass(slots=True)
class Rounds:
    """What each round found."""

    peaks: list[float] = field(default_factory=list)
    goodputs: list[float] = field(default_factory=list)
    overloads: list[Stretch] = field(default_factory=list)
    unders: list[Stretch] = field(default_factory=list)

    def found(self, by_callers: dict[int, float]) -> Found:
        """The figures and ratios of all rounds."""
        found = Found("goodput: eight members, two workers")
        for callers, peak in by_callers.items():
            found.figure(f"answers/s to {callers} callers", [peak])
        found.figure("peak, answers/s", self.peaks)
        found.figure("answers in time at twice the peak, /s", self.goodputs)
        found.figure("share that failed at twice the peak", [each.fared.failed / each.fared.sent for each in self.overloads])
        found.figure("p50 at twice the peak, ms", [each.fared.percentile(0.5) * 1e3 for each in self.overloads])
        # The rest is what else the machine did: where that is much, the ratios say little.
        found.figure(
            "generator's part of the processor time at twice the peak",
            [each.fared.generator / each.busy for each in self.overloads],
        )
        found.figure("server's and PostgreSQL's part of it", [each.server / each.busy for each in self.overloads])
        p50s, p99s = ([each.fared.percentile(share) for each in self.unders] for share in (0.5, 0.99))
        found.figure("p50 at 70 % of the peak, ms", [each * 1e3 for each in p50s])
        found.figure("p99 at 70 % of the peak, ms", [each * 1e3 for each in p99s])
        found.ratio(GOODPUT, [good / peak for good, peak in zip(self.goodputs, self.peaks, strict=True)])
        found.ratio(EVENNESS, [slow / half for slow, half in zip(p99s, p50s, strict=True)])
        return found


def _busy() -> float:
    """Processor seconds that the machine spent so far, on anything."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def measure(folder: Path, console: Console, *, quick: bool) -> Found:
    """Measures both; a round is a peak, an overload, a peak and a stretch below it."""
    seconds = 3.0 if quick else 10.0
    tokens = traffic.random_tokens(SUBJECTS + 1)
    rounds = Rounds()
    with exchange(folder / "goodput", MEMBERS, tokens[0]) as place:
        place.report(tokens[1:])
        crowd = Crowd(place, tokens[1:])
        # What is made on first use is made.
        crowd.peak(CALLERS[0], 1.0)
        by_callers = {callers: crowd.peak(callers, seconds) for callers in CALLERS}
        callers = max(by_callers, key=by_callers.__getitem__)
        before = by_callers[callers]
        for number in range(ROUNDS):
            over = crowd.at_rate(before * OVERLOAD, seconds, 2 * number + 1, timeout=DEADLINE)
            after = crowd.peak(callers, seconds, before)
            rounds.peaks.append((before + after) / 2)
            rounds.overloads.append(over)
            rounds.goodputs.append(over.fared.goodput(DEADLINE))
            under = crowd.at_rate(rounds.peaks[-1] * UNDER, seconds, 2 * number + 2, timeout=60.0)
            if under.fared.failures:
                raise RuntimeError(f"at 70 % of the peak there were failures: {dict(under.fared.failures)}")
            rounds.unders.append(under)
            console.print(
                f"round {number + 1}: {rounds.goodputs[-1]:,.0f}/s in time, of {rounds.peaks[-1]:,.0f}/s;"
                f" failed, by gRPC status: {dict(over.fared.failures)}"
            )
            before = after
    return rounds.found(by_callers)

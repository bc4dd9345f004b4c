"""The open loop: requests fall due at random moments of a given rate, whether those before were answered or not.

A latency begins when its request fell due, not when it was sent: a server that stalls, or a generator that lags, does not hide it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.traffic.lean import CallFailed, Connection, Prepared


@dataclass(slots=True)
class Fared:
    """What became of the requests of one stretch."""

    seconds: float
    """From the first moment to the last that one could fall due."""
    answers: list[tuple[float, float]] = field(default_factory=list)
    """Of each success: when it came, counted from the beginning, and its latency."""
    failures: Counter[str] = field(default_factory=Counter)
    generator: float = 0.0
    """Processor seconds of this side."""
    took: float = 0.0
    """Seconds until all was answered."""

    @property
    def failed(self) -> int:
        """How many were no success."""
        return self.failures.total()

    @property
    def sent(self) -> int:
        """How many there were."""
        return len(self.answers) + self.failed

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that `share` of the successes did not exceed."""
        latencies = sorted(latency for _, latency in self.answers)
        return latencies[min(len(latencies) - 1, int(len(latencies) * share))]

    def goodput(self, within: float) -> float:
        """Successes a second that came `within` so many seconds of being due, in the stretch but for its first third: by then
        the queue that overload makes is full."""
        begin = self.seconds / 3
        good = sum(begin <= at < self.seconds and latency <= within for at, latency in self.answers)
        return good / (self.seconds - begin)


def moments(rate: float, count: int, seed: int) -> list[float]:
    """When requests fall due: a Poisson process, the same for the same seed."""
    source = random.Random(seed)
    at, due = 0.0, []
    for _ in range(count):
        at += source.expovariate(rate)
        due.append(at)
    return due


async def send_at_rate(
    lines: Sequence[Sequence[Connection]],
    work: Sequence[Prepared],
    rate: float,
    *,
    seed: int = 1,
    places: int = 64,
    patience: float = 60.0,
) -> Fared:
    """Sends each request when it is due; returns when all are answered, or `patience` seconds after the last one was due.

    A line is one member's connections: request n goes to line n modulo their number, there to the connection with the fewest open
    calls. One that has `places` of them takes no more, as a client that heeds the server's limits does: a request that finds all
    taken has failed.
    """
    due = moments(rate, len(work), seed)
    fared, spent = Fared(due[-1]), time.process_time()
    stretch = _Stretch(fared, places, time.perf_counter())
    for number, (at, prepared) in enumerate(zip(due, work, strict=True)):
        if (early := at - stretch.now()) > 0:
            await asyncio.sleep(early)
        elif not number % 32:
            # While it lags, answers are still read.
            await asyncio.sleep(0)
        stretch.send(lines[number % len(lines)], at, prepared)
    await stretch.end(patience)
    fared.generator, fared.took = time.process_time() - spent, stretch.now()
    return fared


@dataclass(slots=True)
class _Stretch:
    """Requests on their way."""

    fared: Fared
    places: int
    began: float
    open_calls: set[asyncio.Future[None]] = field(default_factory=set)

    def now(self) -> float:
        return time.perf_counter() - self.began

    def send(self, line: Sequence[Connection], at: float, prepared: Prepared) -> None:
        connection = min(line, key=_open_calls)
        if connection.open_calls >= self.places:
            self.fared.failures["no place"] += 1
            return
        try:
            call = connection.call(prepared)
        except ConnectionError:
            self.fared.failures["ConnectionError"] += 1
            return
        self.open_calls.add(call)
        call.add_done_callback(partial(self._note, at))

    def _note(self, at: float, call: asyncio.Future[None]) -> None:
        self.open_calls.discard(call)
        if call.cancelled():
            return
        error = call.exception()
        if error is None:
            now = self.now()
            self.fared.answers.append((now, now - at))
        else:
            self.fared.failures[error.status if isinstance(error, CallFailed) else type(error).__name__] += 1

    async def end(self, patience: float) -> None:
        """Waits for what is open; what is not answered then has failed."""
        if self.open_calls:
            _, unanswered = await asyncio.wait(self.open_calls, timeout=patience)
            self.fared.failures.update(["unanswered"] * len(unanswered))
            for call in unanswered:
                call.cancel()
        # What is done calls back in the next turn of the loop.
        await asyncio.sleep(0)


def _open_calls(connection: Connection) -> int:
    return connection.open_calls

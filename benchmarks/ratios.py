"""What is owed: ratios to peers and to the exchange itself, and the loose floors below which a quick run fails."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owed:
    """A ratio: what it should reach, or, where less is better, what it should not exceed; and what it aims at."""

    name: str
    owed: float
    aim: float | None = None
    less_is_better: bool = False
    has_floor: bool = True
    """False where the peer alone differs by more than a floor allows for, on one machine."""

    def holds(self, ratio: float) -> bool:
        """Whether a ratio is what is owed."""
        return ratio <= self.owed if self.less_is_better else ratio >= self.owed

    def holds_floor(self, ratio: Ratio) -> bool:
        """Whether the best of its rounds is at least half as good as what is owed: a busy machine spoils a round, a slower program
        all of them."""
        if not self.has_floor:
            return True
        return ratio.low <= self.owed * 2 if self.less_is_better else ratio.high >= self.owed / 2

    def attained(self, ratio: float) -> float:
        """How good a ratio is, measured by what is owed: 1 is just that, more is better."""
        return self.owed / ratio if self.less_is_better else ratio / self.owed

    def aimed(self) -> str:
        """What is aimed at, as tables show it."""
        return "" if self.aim is None else f"{self.aim:g}"

    def bound(self) -> str:
        """What is owed, as tables show it."""
        return f"{'≤' if self.less_is_better else '≥'} {self.owed:g}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio as measured: the median of the rounds', the lowest and the highest."""

    value: float
    low: float
    high: float


def of_rounds(ratios: Sequence[float]) -> Ratio:
    """The ratio that several rounds gave."""
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def by_round(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """The ratio of two columns, round by round: what the machine did beside them fell on both."""
    return of_rounds([a / b for a, b in zip(numerators, denominators, strict=True)])


def to_fastapi(callers: int) -> str:
    """The name of the ratio to FastAPI and ORM at so many callers."""
    return f"queries, {callers} {'caller' if callers == 1 else 'callers'} ÷ FastAPI and ORM"


def growth(callers: int) -> str:
    """The name of the ratio of what a query takes among many accounts to what it takes among few."""
    return f"p50 with many accounts ÷ with 30,000, callers: {callers}"


TO_GRPCIO = "queries, 64 callers ÷ synchronous grpcio and ORM"
TO_ECHO = "processor time of a bare echo ÷ a query's"
TO_PGBENCH = "batched subjects ÷ pgbench's look-ups"
TO_LIBSODIUM = "processor time of a multiplication ÷ a proved token's"
GOODPUT = "answers in time at twice the peak ÷ peak"
EVENNESS = "p99 ÷ p50 at 70 % of the peak"
MEMORY = "workers' memory after all calls ÷ after a tenth"
REPORTED = "reported records, new ÷ before"
BYTES = "bytes an account ÷ before"

OWED: dict[str, Owed] = {
    owed.name: owed
    for owed in (
        Owed(to_fastapi(64), 4.4, 6),
        Owed(to_fastapi(16), 2.5, 4),
        Owed(to_fastapi(1), 1.2, 1.5),
        Owed(TO_GRPCIO, 3, 5),
        Owed(TO_ECHO, 0.28, 0.4),
        # pgbench and its one server process wake each other at every look-up: 12,000 a second where that takes a processor out of
        # its sleep, and 60,000 where something else keeps it awake.
        Owed(TO_PGBENCH, 1.7, 2.2, has_floor=False),
        Owed(TO_LIBSODIUM, 0.40, 0.45),
        *(Owed(growth(callers), 1.3, 1.1, less_is_better=True) for callers in (1, 16)),
        Owed(GOODPUT, 0.90, 0.97),
        Owed(EVENNESS, 4, 2.5, less_is_better=True),
        Owed(MEMORY, 1.05, 1.02, less_is_better=True),
        Owed(REPORTED, 1.6, 2.5),
        Owed(BYTES, 0.65, 0.5, less_is_better=True),
    )
}

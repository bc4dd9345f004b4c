"""How well a member guesses who reported: a simulation over the real windows, for the figure in docs/security.md.

python -m benchmarks.guessing [--months N] [--reporters N]

Ten reporters send their files into the same window, each at its own time of the month and hour, which the member knows exactly. It
holds every message of its watched borrowers, in the order in which it was told, and guesses the reporter of each alert. Its ways:

    place     the reporters send one after the other, so an alert's place among those of its window is taken for the place in time
    halves    the first half of the window's alerts are of the first half of the reporters
    same      the alerts of one borrower in one window lie together: the reporter of the one is that of its neighbour
    history   the same borrower's alert at the same place of earlier windows: whoever was guessed most often

Chance is one of ten. A way that did better would show that the order, or where a window is cut, says who reported.
"""

from __future__ import annotations

import random
import secrets
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click
from rich.console import Console

from tallystick.server.services.monitoring.positions import Position, ReleaseWindows

MINUTES = 60
BORROWERS = 2000
ALERTS = 300
"""Alerts of one month, over all reporters."""


@dataclass(frozen=True, slots=True)
class Told:
    """One alert as the member has it; `reporter` is what it must guess."""

    month: int
    place: int
    """Among the alerts of its window, in the order in which they were told."""
    of: int
    """How many those are."""
    subject: bytes
    reporter: int


def simulate(windows: ReleaseWindows, months: int, reporters: int, chance: random.Random) -> list[Told]:
    """What the member was told over so many months."""
    borrowers = [secrets.token_bytes(32) for _ in range(BORROWERS)]
    # Who reports whom does not change from month to month, and each reporter sends at its own minute of the hour.
    banks = {borrower: chance.sample(range(reporters), 2) for borrower in borrowers}
    minutes = sorted(chance.sample(range(1, MINUTES - 1), reporters))
    told: list[Told] = []
    for month in range(months):
        hour = datetime(2025 + month // 12, month % 12 + 1, 5, 22, tzinfo=UTC)
        sent: list[tuple[datetime, bytes, int]] = []
        for borrower in chance.sample(borrowers, ALERTS):
            reporter = chance.choice(banks[borrower])
            # A file takes a while: its entries follow one another for half a minute.
            sent.append((hour + timedelta(minutes=minutes[reporter], seconds=chance.uniform(0, 30)), borrower, reporter))
        rows = []
        for index, (time, borrower, reporter) in enumerate(sorted(sent)):
            release = windows.release_time(time)
            rows.append((Position(release, windows.orders(release).of(borrower), index, 0), borrower, reporter))
        rows.sort()
        told += [Told(month, place, len(rows), borrower, reporter) for place, (_, borrower, reporter) in enumerate(rows)]
    return told


Way = Callable[[Sequence[Told], int, random.Random], list[int]]


def by_place(told: Sequence[Told], reporters: int, _chance: random.Random) -> list[int]:
    """The place in the window's order, taken for the place in time."""
    return [each.place * reporters // each.of for each in told]


def by_halves(told: Sequence[Told], reporters: int, chance: random.Random) -> list[int]:
    """The half of the window, and by chance among the reporters of that half."""
    half = reporters // 2
    return [chance.randrange(half) if each.place < each.of / 2 else chance.randrange(half, reporters) for each in told]


def by_neighbour(told: Sequence[Told], reporters: int, chance: random.Random) -> list[int]:
    """What was guessed of the one before it, while they may be of one file; now and then anew."""
    guesses: list[int] = []
    for each in told:
        guesses.append(guesses[-1] if each.place % (each.of // reporters or 1) and guesses else chance.randrange(reporters))
    return guesses


def by_history(told: Sequence[Told], reporters: int, _chance: random.Random) -> list[int]:
    """Of each borrower the guess by place that was made most often over all months."""
    guessed = by_place(told, reporters, _chance)
    seen: dict[bytes, Counter[int]] = defaultdict(Counter)
    for each, guess in zip(told, guessed, strict=True):
        seen[each.subject][guess] += 1
    return [seen[each.subject].most_common(1)[0][0] for each in told]


WAYS: dict[str, Way] = {"place": by_place, "halves": by_halves, "same": by_neighbour, "history": by_history}


def success(told: Sequence[Told], guesses: Sequence[int]) -> float:
    """The share that was guessed."""
    return sum(each.reporter == guess for each, guess in zip(told, guesses, strict=True)) / len(told)


def guess_all(months: int, reporters: int, seed: int) -> dict[str, float]:
    """How well each way does."""
    chance = random.Random(seed)
    told = simulate(ReleaseWindows(secrets.token_bytes(32), MINUTES), months, reporters, chance)
    return {name: success(told, way(told, reporters, chance)) for name, way in WAYS.items()}


@click.command()
@click.option("--months", default=24, show_default=True)
@click.option("--reporters", default=10, show_default=True)
def main(months: int, reporters: int) -> None:
    """Guesses."""
    console = Console() if sys.stdout.isatty() else Console(width=110)
    console.print(f"{months} months of {ALERTS} alerts, {reporters} reporters in a window: chance is {1 / reporters:.1%}")
    for name, share in guess_all(months, reporters, 2026).items():
        console.print(f"{name:8} {share:.1%}")


if __name__ == "__main__":
    main()

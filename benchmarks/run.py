"""The benchmark: the exchange and the token authority, and their peers beside them.

python -m benchmarks.run [--rounds N] [--quick] [--out FILE]
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
import uvloop
from benchmarks import results
from benchmarks.bench import Bench, ratios_of
from benchmarks.figures import figures_table, ratios_table
from benchmarks.ratios import OWED
from rich.console import Console


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="How often everything is measured.")
@click.option("--quick", is_flag=True, help="A tenth of the calls; fails when a ratio is below half of what is owed.")
@click.option("--out", type=click.Path(path_type=Path), default=results.PATH, show_default=True, help="Where the results go.")
def main(rounds: int, *, quick: bool, out: Path) -> None:
    """Measures the exchange, the token authority and their peers."""
    # Ended from outside, it stops what it started all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console() if sys.stdout.isatty() else Console(width=170)
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name, ExitStack() as stack:
        machine = results.machine()
        if machine["load"] > machine["cores"] / 4:
            console.print(f"load average {machine['load']}: what runs beside makes figures lower and ratios less sure")
        console.print("starting the exchange, the token authority and their peers …")
        bench = Bench(stack, Path(name), 0.1 if quick else 1.0)
        whole = results.results(rounds, machine | {"postgresql": bench.postgresql.version}, quick=quick)
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds} …")
            bench.round()
    ratios = ratios_of(bench.figures)
    whole["figures"] = {figure.name: figure.as_json() for figure in bench.figures.values()}
    whole["ratios"] = {name: results.judged(name, ratio) for name, ratio in ratios.items()}
    results.write(out, whole)
    console.print(figures_table(bench.figures.values()), ratios_table(ratios), f"written to {out}")
    below = [name for name, ratio in ratios.items() if not OWED[name].holds_floor(ratio)]
    for name in below:
        console.print(f"below half of what is owed: {name}")
    # The floors are those of a quick run: a full one is read, not gated.
    sys.exit(1 if below and quick else 0)


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    main()

"""python -m benchmarks.endurance [--quick] [--only goodput|memory|growth] [--accounts N]."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from benchmarks.endurance import goodput, growth, memory
from benchmarks.endurance.found import Found
from rich.console import Console

RESULT = Path(__file__).resolve().parent.parent.parent / "build" / "bench-endurance.json"


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of it, to see that it runs.")
@click.option("--only", type=click.Choice(("goodput", "memory", "growth")), help="One of the measurements.")
@click.option("--accounts", type=click.IntRange(growth.SMALL), help="How many accounts growth goes to.")
def main(only: str | None, accounts: int | None, *, quick: bool) -> None:
    """Measures overload, memory and growth; writes build/bench-endurance.json."""
    console = Console() if sys.stdout.isatty() else Console(width=130)
    measurements: dict[str, Callable[..., Found]] = {
        "goodput": goodput.measure,
        "memory": memory.measure,
        "growth": partial(growth.measure, accounts=accounts),
    }
    figures: dict[str, float] = {}
    ratios: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="tallystick-endurance-") as name:
        for measurement in measurements if only is None else (only,):
            console.print(f"{measurement} …")
            found = measurements[measurement](Path(name), console, quick=quick)
            found.show(console)
            figures |= found.figures
            ratios |= found.ratios
            # Each as it comes: a later one that fails takes nothing of it.
            RESULT.parent.mkdir(exist_ok=True)
            RESULT.write_text(json.dumps({"figures": figures, "ratios": ratios}, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

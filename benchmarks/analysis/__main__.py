"""Measures a bank's own book: the engines beside one another, and the whole analysis with its page.

python -m benchmarks.analysis [--rows N] [--rounds N]

Every measurement is a process of its own: its seconds from its start to its end, its peak of memory the operating system's. The
engines count roll rates and vintages alone; "whole" is `tallystick analyse`, which also checks every row, and writes the page. The
results go to build/bench-analysis.json.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from benchmarks.analysis.engines import ENGINES
from rich.console import Console
from rich.table import Table

OWED_SECONDS, OWED_MEBIBYTES = 60, 1024
"""For ten million account-months on two cores."""


@click.command()
@click.option("--rows", default=10_000_000, show_default=True, help="Account-months of the book.")
@click.option("--rounds", default=3, show_default=True, help="Of each measurement; the median counts.")
def main(rows: int, rounds: int) -> None:
    """Measures, and says whether what is owed was kept."""
    measured: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("book.parquet", "book.csv")]
        # Elsewhere too: what this process has taken would be in the peaks of those that it starts.
        maker = [sys.executable, "-m", "benchmarks.analysis.book", str(files[1]), str(files[0]), str(rows)]
        count = int(subprocess.run(maker, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for _ in range(rounds):
            for path in files:
                commands = {engine: ["-m", "benchmarks.analysis.engines", engine, str(path)] for engine in ENGINES}
                page = str(Path(folder) / "page.html")
                commands["whole"] = ["-m", "tallystick.client.cli", "analyse", str(path), "--out", page]
                measured += [_measured(what, path, command) for what, command in commands.items()]
    figures = _figures(measured)
    _show(figures, count)
    Path("build").mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    Path("build/bench-analysis.json").write_text(json.dumps({"rows": count, "machine": machine, "figures": figures}, indent=1))
    whole = [each for each in figures if each["what"] == "whole"]
    kept = all(each["seconds"] <= OWED_SECONDS and each["mebibytes"] <= OWED_MEBIBYTES for each in whole)
    sys.exit(0 if kept else 1)


def _measured(what: str, path: Path, arguments: list[str]) -> dict[str, Any]:
    began = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{what} on {path.name} did not end well")
    # In kibibytes on Linux.
    seconds, peak = time.perf_counter() - began, used.ru_maxrss / 1024
    return {"what": what, "file": path.suffix[1:], "seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "mebibytes": peak}


def _figures(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for what, file in dict.fromkeys((each["what"], each["file"]) for each in measured):
        of_this = [each for each in measured if (each["what"], each["file"]) == (what, file)]
        medians = {name: statistics.median(each[name] for each in of_this) for name in ("seconds", "cpu", "mebibytes")}
        found.append({"what": what, "file": file, **medians})
    return found


def _show(figures: list[dict[str, Any]], count: int) -> None:
    table = Table(title=f"{count:,} account-months")
    for name in ("what", "file", "seconds", "processor seconds", "MiB at the most"):
        table.add_column(name, justify="left" if name in ("what", "file") else "right")
    for each in figures:
        table.add_row(each["what"], each["file"], *(f"{each[name]:.1f}" for name in ("seconds", "cpu")), f"{each['mebibytes']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()

"""build/bench.json: what a run found, on which machine, of which commit. Other measurements are merged into it:

python -m benchmarks.results FILE…
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import psutil
from benchmarks.ratios import OWED, Ratio

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "build/bench.json"

Results = dict[str, Any]
Stored = Mapping[str, Any]
_NONE: Mapping[str, Any] = MappingProxyType({})


def results(rounds: int, on: Stored, *, quick: bool) -> Results:
    """Results without any figure yet, of this machine."""
    return {
        "commit": commit(),
        "machine": dict(on),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "quick": quick,
        "figures": {},
        "ratios": {},
    }


def commit() -> str:
    """The commit that is checked out, with a plus sign when there is more; empty where there is no git."""
    described = _printed("git", "-C", str(ROOT), "rev-parse", "HEAD")
    return described + ("+" if described and _printed("git", "-C", str(ROOT), "status", "--porcelain") else "")


def machine() -> dict[str, Any]:
    """What is measured on, before anything is started."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        # What ran beside: above a tenth or so of the cores, figures are lower and ratios less sure.
        "load": round(os.getloadavg()[0], 2),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def merge(path: Path, *, figures: Mapping[str, Stored | float] = _NONE, ratios: Mapping[str, Stored] = _NONE) -> Results:
    """Merges results into the file at `path`, which is there; of the same name, the new ones stand. Returns the whole.

    A figure is as the file has it, or one number; a ratio has value, low and high. ValueError for a ratio that is not owed.
    """
    whole: Results = json.loads(path.read_text("utf-8"))
    for name, figure in figures.items():
        whole["figures"][name] = {"value": figure} if isinstance(figure, int | float) else figure
    for name, ratio in ratios.items():
        whole["ratios"][name] = judged(name, Ratio(float(ratio["value"]), float(ratio["low"]), float(ratio["high"])))
    write(path, whole)
    return whole


def judged(name: str, ratio: Ratio) -> dict[str, Any]:
    """A ratio beside what is owed, as the file has it. Raises ValueError when nothing is."""
    owed = OWED.get(name)
    if owed is None:
        raise ValueError(f"no ratio is owed that is named {name!r}: add it to benchmarks/ratios.py")
    return {
        "value": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "owed": owed.owed,
        "aim": owed.aim,
        "held": owed.holds(ratio.value),
    }


def write(path: Path, whole: Results) -> None:
    """Writes results whole or not at all: a crash leaves the file of before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(whole, ensure_ascii=False, indent=2) + "\n", "utf-8")
    new.replace(path)


def _cpu() -> str:
    # platform.processor() is empty on many Linuxes.
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _printed(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--into", type=click.Path(path_type=Path, dir_okay=False), default=PATH, show_default=True)
def main(files: tuple[Path, ...], into: Path) -> None:
    """Merges the figures and the ratios of FILES."""
    if not into.exists():
        click.echo(f"{into} is not there, so nothing is merged: make bench writes it")
        return
    for file in files:
        found = json.loads(file.read_text("utf-8"))
        try:
            merge(into, figures=found["figures"], ratios=found["ratios"])
        except ValueError as error:
            raise click.ClickException(f"{file}: {error}") from None


if __name__ == "__main__":
    main()

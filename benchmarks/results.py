"""build/bench.json: what a run found, on which machine, of which commit. Other measurements are merged into it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from benchmarks.figures import Figure
from benchmarks.ratios import OWED, Ratio

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "build/bench.json"

Results = dict[str, Any]


def results(rounds: int, postgresql: str, *, quick: bool) -> Results:
    """Results without any figure yet."""
    return {
        "commit": commit(),
        "machine": machine(postgresql),
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


def machine(postgresql: str) -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": postgresql,
    }


def merge(path: Path, *, figures: Iterable[Figure] = (), ratios: Mapping[str, Ratio] | None = None) -> Results:
    """Merges results into the file at `path`, which is there; of the same name, the new ones stand. Returns the whole.

    A ratio must be one that is owed: KeyError otherwise.
    """
    whole: Results = json.loads(path.read_text("utf-8"))
    add(whole, figures=figures, ratios=ratios)
    write(path, whole)
    return whole


def add(whole: Results, *, figures: Iterable[Figure] = (), ratios: Mapping[str, Ratio] | None = None) -> None:
    """Puts figures and ratios into results."""
    whole["figures"].update({figure.name: figure.as_json() for figure in figures})
    whole["ratios"].update({name: _ratio(name, ratio) for name, ratio in (ratios or {}).items()})


def write(path: Path, whole: Results) -> None:
    """Writes results whole or not at all: a crash leaves the file of before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(whole, ensure_ascii=False, indent=2) + "\n", "utf-8")
    new.replace(path)


def _ratio(name: str, ratio: Ratio) -> dict[str, Any]:
    owed = OWED[name]
    return {
        "value": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "owed": owed.owed,
        "aim": owed.aim,
        "held": owed.holds(ratio.value),
    }


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

"""Plots as SVG: the same results give the same bytes, whenever and wherever they are drawn."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from benchmarks.figures import Figure
from benchmarks.ratios import OWED
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import LogLocator, NullLocator

SETTINGS: Any = {"svg.hashsalt": "tallystick", "axes.spines.top": False, "axes.spines.right": False, "font.size": 9}

Growth = Sequence[tuple[int, float]]
"""Milliseconds by the number of accounts, ascending."""


def draw(folder: Path, figures: Sequence[Figure], ratios: Mapping[str, float], growth: Mapping[str, Growth]) -> None:
    """Draws callers.svg and ratios.svg into a folder, and growth.svg when there are points for it."""
    with mpl.rc_context(SETTINGS):
        _save(_callers(series(figures)), folder / "callers.svg")
        _save(_ratios(ratios), folder / "ratios.svg")
        if growth:
            _save(_growth(growth), folder / "growth.svg")


def series(figures: Iterable[Figure]) -> dict[str, list[tuple[int, Figure]]]:
    """Single queries by who answers them: the numbers of callers, ascending, with their figures."""
    found: dict[str, list[tuple[int, Figure]]] = {}
    for each in figures:
        match = re.fullmatch(r"([^,]+), (\d+) callers?", each.name)
        if match and each.unit == "queries":
            found.setdefault(match[1], []).append((int(match[2]), each))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}


def _callers(lines: Mapping[str, Sequence[tuple[int, Figure]]]) -> Drawing:
    drawing = Drawing(figsize=(7, 4), layout="constrained")
    axes = drawing.add_subplot()
    for name, points in lines.items():
        middle = [statistics.median(each.rates) for _, each in points]
        below = [value - min(each.rates) for value, (_, each) in zip(middle, points, strict=True)]
        above = [max(each.rates) - value for value, (_, each) in zip(middle, points, strict=True)]
        axes.errorbar([callers for callers, _ in points], middle, yerr=[below, above], marker="o", capsize=3, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sorted({callers for points in lines.values() for callers, _ in points})
    axes.set_xticks(ticks, [str(callers) for callers in ticks])
    axes.set_xlabel("callers")
    axes.set_ylabel("queries a second")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", alpha=0.3)
    if lines:
        axes.legend(frameon=False)
    return drawing


def _ratios(ratios: Mapping[str, float]) -> Drawing:
    measured = [(owed, ratios[name]) for name, owed in reversed(OWED.items()) if name in ratios]
    drawing = Drawing(figsize=(9, 1 + 0.4 * len(measured)), layout="constrained")
    axes = drawing.add_subplot()
    reached = [owed.attained(value) for owed, value in measured]
    colours = ["tab:blue" if owed.holds(value) else "tab:red" for owed, value in measured]
    rows = range(len(measured))
    axes.barh(rows, reached, color=colours, height=0.6)
    aims = [(owed.attained(owed.aim), row) for row, (owed, _) in enumerate(measured) if owed.aim is not None]
    axes.plot([aim for aim, _ in aims], [row for _, row in aims], "k|", markersize=12, label="aim")
    axes.axvline(1, color="black", linewidth=1, label="owed")
    axes.set_yticks(rows, [f"{owed.name}: {value:.2f} ({owed.bound()})" for owed, value in measured])
    axes.set_xlabel("how good, by what is owed")
    axes.set_xlim(left=0)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return drawing


def _growth(lines: Mapping[str, Growth]) -> Drawing:
    drawing = Drawing(figsize=(7, 3.5), layout="constrained")
    axes = drawing.add_subplot()
    for name, points in lines.items():
        axes.plot([accounts for accounts, _ in points], [p50 for _, p50 in points], marker="o", label=name)
    axes.set_xscale("log")
    ticks = sorted({accounts for points in lines.values() for accounts, _ in points})
    axes.set_xticks(ticks, [f"{accounts:,}" for accounts in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1.2 * max(p50 for points in lines.values() for _, p50 in points))
    axes.set_xlabel("accounts in the table")
    axes.set_ylabel("p50 of a query, ms")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, loc="center right")
    return drawing


def _save(drawing: Drawing, path: Path) -> None:
    drawing.savefig(path, format="svg", metadata={"Date": None, "Creator": None})

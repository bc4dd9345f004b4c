"""What a measurement found: figures, and ratios with what is owed of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.ratios import Owed
from rich.console import Console
from rich.table import Table

Ratio = dict[str, float]
"""value, low, high and owed."""


@dataclass(slots=True)
class Found:
    """Figures by name, as they are shown and kept; ratios likewise."""

    title: str
    figures: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    _judged: list[tuple[Owed, Ratio]] = field(default_factory=list)

    def figure(self, name: str, rounds: Sequence[float]) -> None:
        """Keeps the median of all rounds."""
        self.figures[name] = statistics.median(rounds)

    def ratio(self, owed: Owed, rounds: Sequence[float]) -> None:
        """Keeps the median of the rounds' ratios, and how far apart they were."""
        kept = {"value": statistics.median(rounds), "low": min(rounds), "high": max(rounds), "owed": owed.owed}
        self.ratios[owed.name] = kept
        self._judged.append((owed, kept))

    def show(self, console: Console) -> None:
        """Prints both."""
        figures = Table(title=self.title)
        figures.add_column("figure")
        figures.add_column("median of all rounds", justify="right")
        for name, value in self.figures.items():
            figures.add_row(name, f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}")
        console.print(figures)
        ratios = Table()
        ratios.add_column("ratio")
        for heading in ("value", "owed", "rounds", ""):
            ratios.add_column(heading, justify="right")
        for owed, kept in self._judged:
            ratios.add_row(
                owed.name,
                f"{kept['value']:.3f}",
                owed.bound(),
                f"{kept['low']:.3f} – {kept['high']:.3f}",
                "held" if owed.holds(kept["value"]) else "missed",
            )
        console.print(ratios)

"""Figures: what each round found, their medians, and the table of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.ratios import OWED, Ratio
from benchmarks.traffic import Measured
from rich.table import Table

COLUMNS = ("rates", "p50", "p99", "server", "database", "generator")


@dataclass(slots=True)
class Figure:
    """One line of the table. A column is empty where there is nothing to measure."""

    name: str
    unit: str
    rates: list[float] = field(default_factory=list)
    """Units a second; of the primitives, a second of processor time."""
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    """Processor seconds for one unit, as in the two columns that follow."""
    database: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)

    def add(self, measured: Measured, units: int, server: float, database: float | None) -> None:
        """Takes one round's result; `database` is None where there is none."""
        self.rates.append(units / measured.seconds)
        self.p50.append(measured.percentile(0.5))
        self.p99.append(measured.percentile(0.99))
        self.server.append(server)
        if database is not None:
            self.database.append(database)
        self.generator.append(measured.generator / units)

    def cost(self) -> list[float]:
        """Of each round, the processor seconds of server and PostgreSQL for one unit."""
        return [a + b for a, b in zip(self.server, self.database or [0.0] * len(self.server), strict=True)]

    def row(self) -> tuple[str, ...]:
        """The medians, as the table shows them."""
        return (
            self.name,
            f"{statistics.median(self.rates):,.0f} {self.unit}/s",
            *(_median(column, 1e3, "ms") for column in (self.p50, self.p99)),
            *(_median(column, 1e6, "µs") for column in (self.server, self.database, self.generator)),
            f"{min(self.rates):,.0f} – {max(self.rates):,.0f}",
        )

    def as_json(self) -> dict[str, Any]:
        """What build/bench.json holds of it: every round of each column."""
        return {"unit": self.unit, **{column: getattr(self, column) for column in COLUMNS}}


def figure(name: str, stored: Mapping[str, Any]) -> Figure:
    """A figure from build/bench.json; a column that is missing is empty."""
    columns = {column: [float(value) for value in stored.get(column, ())] for column in COLUMNS}
    return Figure(name, str(stored["unit"]), **columns)


def _median(column: Sequence[float], scale: float, unit: str) -> str:
    if not column:
        return ""
    value = statistics.median(column) * scale
    return f"{value:,.{0 if value >= 100 else 1}f} {unit}"


HEADINGS = ("what", "rate", "p50", "p99", "server CPU", "PostgreSQL CPU", "generator CPU", "slowest – fastest round")


def figures_table(figures: Iterable[Figure]) -> Table:
    """The figures, for a terminal."""
    table = Table(title="median of all rounds; processor times are those of one unit")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for each in figures:
        table.add_row(*each.row())
    return table


def ratios_table(ratios: Mapping[str, Ratio]) -> Table:
    """The ratios beside what is owed, for a terminal."""
    table = Table(title="ratios")
    for heading in ("ratio", "median", "rounds", "owed", "aim", "held"):
        table.add_column(heading, justify="left" if heading == "ratio" else "right")
    for name, ratio in ratios.items():
        owed = OWED[name]
        rounds = f"{ratio.low:.2f} – {ratio.high:.2f}"
        table.add_row(name, f"{ratio.value:.2f}", rounds, owed.bound(), owed.aimed(), "yes" if owed.holds(ratio.value) else "NO")
    return table

"""docs/performance.md and its plots, from build/bench.json.

python -m benchmarks.page [--results FILE] [--docs FOLDER]

What stands outside the marked regions of the page is left as it is. The same results give the same bytes.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from benchmarks import bench, results
from benchmarks.capacity import Bureau, Measured, markdown
from benchmarks.figures import HEADINGS, Figure, figure
from benchmarks.plots import draw
from benchmarks.ratios import OWED

TEMPLATE = """# Performance

`make bench` measures the exchange, the token authority and their peers in turns, on one machine and in one run; a figure is the
median of its rounds, and a ratio the median of the rounds' ratios.

## Ratios

<!-- ratios -->
<!-- /ratios -->

![each ratio by what is owed](performance/ratios.svg)

## Figures

<!-- figures -->
<!-- /figures -->

![queries a second by callers](performance/callers.svg)

## Growth

<!-- growth -->
<!-- /growth -->

## Capacity

<!-- capacity -->
<!-- /capacity -->
"""


def render(page: str, whole: results.Results) -> str:
    """The page with its marked regions made anew. Raises ValueError when one is missing."""
    page = _region(page, "ratios", _ratios(whole["ratios"]))
    numbers = numbers_of(whole)
    tables = [measured_on(whole), _table(HEADINGS, [each.row() for each in figures_of(whole)])]
    if numbers:
        tables.append(_table(("what", "median"), [(name, _number(value)) for name, value in numbers.items()]))
    page = _region(page, "figures", "\n\n".join(tables))
    page = _region(page, "growth", "![p50 by accounts in the table](performance/growth.svg)" if growth(numbers) else "")
    return _region(page, "capacity", _capacity(whole))


def _capacity(whole: results.Results) -> str:
    """What a national bureau would need; empty where a run did not measure all that it follows from."""
    costs = {each.name: statistics.median(each.cost()) for each in figures_of(whole) if each.server}
    sizes = {name: value for name, value in numbers_of(whole).items() if "bytes an account" in name or "indices an account" in name}
    most = max((int(match[1].replace(",", "")) for name in sizes if (match := re.search(r"([\d,]+) accounts$", name))), default=0)
    account_bytes = sum(value for name, value in sizes.items() if name.endswith(f", {most:,} accounts"))
    names = (bench.exchange_queries(64), bench.exchange_queries(1), bench.NEW, bench.TOKENS)
    if not account_bytes or not all(name in costs for name in names):
        return ""
    query, lone_query, record, token = (costs[name] for name in names)
    return markdown(Bureau(), Measured(query, lone_query, record, token, account_bytes))


def figures_of(whole: results.Results) -> list[Figure]:
    """The figures with their rounds."""
    return [figure(name, stored) for name, stored in whole["figures"].items() if "value" not in stored]


def numbers_of(whole: results.Results) -> dict[str, float]:
    """The figures that are one number."""
    return {name: float(stored["value"]) for name, stored in whole["figures"].items() if "value" in stored}


def measured_on(whole: results.Results) -> str:
    """Where and when it was measured, in one paragraph."""
    machine, rounds = whole["machine"], whole["rounds"]
    kind = "a quick run, which is for seeing that it runs: " if whole["quick"] else ""
    return (
        f"Measured on {whole['date'][:10]}, {kind}{rounds} {'round' if rounds == 1 else 'rounds'} of commit "
        f"{whole['commit'][:12] or 'unknown'}{' with changes' if whole['commit'].endswith('+') else ''}, on {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, {machine['kernel']}, Python {machine['python']}, "
        f"PostgreSQL {machine['postgresql']}; load average before it began {machine['load']:g}. "
        "Processor times are those of one unit."
    )


def growth(numbers: dict[str, float]) -> dict[str, list[tuple[int, float]]]:
    """Lines of the plot: of the numbers named "p50, ms, N accounts, callers: M", by M, those by N, ascending."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for name, value in numbers.items():
        match = re.fullmatch(r"p50, ms, ([\d,]+) accounts, (callers: \d+)", name)
        if match:
            lines.setdefault(match[2], []).append((int(match[1].replace(",", "")), value))
    return {name: sorted(points) for name, points in lines.items()}


def _region(page: str, name: str, content: str) -> str:
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page must have {begin} and then {end}, each once")
    content = content and content + "\n"
    head, _, rest = page.partition(begin)
    return (
        f"{head}{begin}\n{content}\n{end}{rest.partition(end)[2]}" if content else f"{head}{begin}\n{end}{rest.partition(end)[2]}"
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ratios(ratios: dict[str, Any]) -> str:
    rows = []
    # In the order in which they are owed; those that no run gave have no line.
    for name, owed in OWED.items():
        if (ratio := ratios.get(name)) is not None:
            rounds = f"{ratio['low']:.2f} – {ratio['high']:.2f}"
            held = "yes" if ratio["held"] else "**no**"
            rows.append((name, f"{ratio['value']:.2f}", rounds, owed.bound(), owed.aimed(), held))
    return _table(("ratio", "median", "rounds", "owed", "aim", "held"), rows)


@click.command()
@click.option("--results", "source", type=click.Path(path_type=Path, exists=True), default=results.PATH, show_default=True)
@click.option("--docs", type=click.Path(path_type=Path, file_okay=False), default=results.ROOT / "docs", show_default=True)
def main(source: Path, docs: Path) -> None:
    """Writes the page and its plots."""
    whole = json.loads(source.read_text("utf-8"))
    page, folder = docs / "performance.md", docs / "performance"
    try:
        text = render(page.read_text("utf-8") if page.exists() else TEMPLATE, whole)
    except ValueError as error:
        raise click.ClickException(f"{page}: {error}") from None
    folder.mkdir(parents=True, exist_ok=True)
    ratios = {name: float(ratio["value"]) for name, ratio in whole["ratios"].items()}
    draw(folder, figures_of(whole), ratios, growth(numbers_of(whole)))
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

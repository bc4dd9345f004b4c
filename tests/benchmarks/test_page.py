"""build/bench.json, and the page and plots that are made of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import page, results
from benchmarks.figures import figure
from benchmarks.ratios import MEMORY, OWED, by_round, growth, to_fastapi
from click.testing import CliRunner

MACHINE = {"cpu": "X", "cores": 2, "memory": 2**33, "load": 0.1, "kernel": "Linux 6", "python": "3.11", "postgresql": "18.4"}
FIGURE = {"unit": "queries", "rates": [1000.0, 3000.0, 2000.0], "p50": [0.01], "p99": [0.02], "server": [4e-7], "database": []}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    whole: dict[str, Any] = {
        "commit": "a" * 40 + "+",
        "machine": {
            "cpu": "X",
            "cores": 2,
            "memory": 2**33,
            "load": 0.1,
            "kernel": "Linux 6",
            "python": "3.11",
            "postgresql": "18.4",
        },
        "date": "2026-01-02T03:04:05+00:00",
        "rounds": 3,
        "quick": False,
        "figures": dict.fromkeys(("exchange, 1 caller", "exchange, 64 callers", "FastAPI and ORM, 64 callers"), FIGURE),
        "ratios": {to_fastapi(64): results.judged(to_fastapi(64), by_round([9.0, 8.0, 10.0], [2.0, 2.0, 2.0]))},
    }
    path = tmp_path / "bench.json"
    results.write(path, whole)
    return path


def make(file: Path, docs: Path) -> str:
    done = CliRunner().invoke(page.main, ["--results", str(file), "--docs", str(docs)])
    assert done.exit_code == 0, done.output
    return (docs / "performance.md").read_text("utf-8")


def test_tables_show_medians_and_what_is_owed(file: Path, tmp_path: Path) -> None:
    text = make(file, tmp_path)
    assert "| exchange, 64 callers | 2,000 queries/s | 10.0 ms | 20.0 ms | 0.4 µs |  |  | 1,000 – 3,000 |" in text
    assert "| queries, 64 callers ÷ FastAPI and ORM | 4.50 | 4.00 – 5.00 | ≥ 4.4 | 6 | yes |" in text
    assert "3 rounds of commit aaaaaaaaaaaa with changes, on X, 2 cores, 8 GiB" in text


def test_capacity_follows_where_all_of_it_was_measured(file: Path, tmp_path: Path) -> None:
    assert "disk for accounts" not in make(file, tmp_path)
    whole = json.loads(file.read_text("utf-8"))
    whole["figures"] |= dict.fromkeys(("reported records, new", "tokens, batches of 1,000, 4 callers"), FIGURE)
    whole["figures"] |= {
        "heap bytes an account, 30,000 accounts": {"value": 1.0},
        "heap bytes an account, 3,000,000 accounts": {"value": 600.0},
        "bytes of indices an account, 3,000,000 accounts": {"value": 200.0},
    }
    results.write(file, whole)
    assert "| disk for accounts | 4.0 TB | 5,000,000,000 × 800 bytes |" in make(file, tmp_path)


def test_the_same_results_give_the_same_bytes_and_leave_other_text_alone(file: Path, tmp_path: Path) -> None:
    make(file, tmp_path)
    written = tmp_path / "performance.md"
    written.write_text("before\n" + written.read_text("utf-8") + "after\n", "utf-8")
    first = written.read_text("utf-8")
    plots = {path.name: path.read_bytes() for path in (tmp_path / "performance").iterdir()}
    assert make(file, tmp_path) == first
    assert plots.keys() == {"callers.svg", "ratios.svg"}
    assert {path.name: path.read_bytes() for path in (tmp_path / "performance").iterdir()} == plots


@pytest.mark.parametrize("broken", ["", "<!-- /ratios -->\n<!-- ratios -->", "<!-- ratios -->\n<!-- ratios -->\n<!-- /ratios -->"])
def test_a_page_without_its_regions_is_left_as_it_is(file: Path, tmp_path: Path, broken: str) -> None:
    (tmp_path / "performance.md").write_text(broken, "utf-8")
    done = CliRunner().invoke(page.main, ["--results", str(file), "--docs", str(tmp_path)])
    assert done.exit_code == 1
    assert "<!-- ratios -->" in done.output
    assert (tmp_path / "performance.md").read_text("utf-8") == broken


def test_others_results_are_merged_and_judged(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    names = ("p50, ms, 3,000,000 accounts, callers: 1", "p50, ms, 30,000 accounts, callers: 1")
    ratio = {"value": 1.31, "low": 1.2, "high": 1.4, "owed": 1.3}
    memory = {"value": 1.01, "low": 1.0, "high": 1.02}
    figures = dict(zip(names, (1.75, 1.5), strict=True))
    other.write_text(json.dumps({"figures": figures, "ratios": {growth(1): ratio, MEMORY: memory}}))
    assert CliRunner().invoke(results.main, [str(other), "--into", str(file)]).exit_code == 0
    whole = json.loads(file.read_text("utf-8"))
    assert whole["ratios"][growth(1)] == {"value": 1.31, "low": 1.2, "high": 1.4, "owed": 1.3, "aim": 1.1, "held": False}
    assert whole["ratios"][MEMORY]["held"] is True
    assert whole["figures"]["exchange, 1 caller"] == FIGURE
    assert page.growth(page.numbers_of(whole)) == {"callers: 1": [(30_000, 1.5), (3_000_000, 1.75)]}
    text = make(file, tmp_path)
    assert "performance/growth.svg" in text
    assert f"| {names[0]} | 1.75 |" in text
    assert (tmp_path / "performance/growth.svg").exists()


def test_a_ratio_that_nobody_owes_is_refused(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(ValueError, match="'novel'"):
        results.merge(file, ratios={"novel": {"value": 1, "low": 1, "high": 1}})
    assert file.read_bytes() == before


def test_costs_count_postgresql_where_there_is_one() -> None:
    assert figure("echo", {"unit": "queries", "rates": [1], "server": [0.5]}).cost() == [0.5]
    assert figure("ours", {"unit": "queries", "rates": [1], "server": [0.5], "database": [0.25]}).cost() == [0.75]


def test_what_is_aimed_at_is_better_than_what_is_owed() -> None:
    assert all(owed.aim is not None and owed.attained(owed.aim) > 1 and owed.holds(owed.aim) for owed in OWED.values())


def test_results_that_have_nothing_to_be_merged_into_are_no_failure(file: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    done = CliRunner().invoke(results.main, [str(file), "--into", str(missing)])
    assert done.exit_code == 0
    assert "is not there" in done.output
    assert not missing.exists()

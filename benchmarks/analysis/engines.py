"""Roll rates and vintages of a book by three engines, each as its own documentation would have it written.

python -m benchmarks.analysis.engines ENGINE FILE prints what was counted, the seconds and the peak of memory, as one line of JSON.
What is measured is reading and counting alone: nothing is checked, and amounts are not read.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY = "512MB"
"""Where an engine lets itself be bounded."""

Counts = dict[str, int]
"""The number of rolls, of them from 0 to 1, and of accounts that were ever more than 30 days late by their twelfth month."""


def with_duckdb(path: Path) -> Counts:
    """SQL over the file, with a bound on memory."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{MEMORY}'; SET threads = 2; SET temp_directory = '{path.parent / 'spilled'}'")
    connection.execute("SET preserve_insertion_order = false")
    reader = "read_parquet(?)" if path.suffix == ".parquet" else "read_csv(?, all_varchar = true)"
    query = f"""
    WITH months AS (
      SELECT account_number AS account, opened_date AS opened, disposition AS state,
        substr(month, 1, 4)::INTEGER * 12 + substr(month, 6, 2)::INTEGER AS month,
        substr(opened_date, 1, 4)::INTEGER * 12 + substr(opened_date, 6, 2)::INTEGER AS begun
      FROM {reader} WHERE month <> ''
    ), followed AS (
      SELECT *, lead(state) OVER one AS next_state, lead(month) OVER one AS next_month FROM months
      WINDOW one AS (PARTITION BY account ORDER BY month)
    ), by_account AS (
      SELECT account, count(*) FILTER (next_month = month + 1) AS rolls,
        count(*) FILTER (next_month = month + 1 AND state = 'N' AND next_state = '1') AS worse,
        bool_or(state IN ('2', '3', '4', '5', '6', '7', 'B') AND month - begun <= 12) AS late
      FROM followed GROUP BY account
    )
    SELECT sum(rolls), sum(worse), count(*) FILTER (late) FROM by_account"""
    (counted,) = connection.execute(query, [str(path)]).fetchall()
    return dict(zip(("rolls", "worse", "late"), map(int, counted), strict=True))


def with_polars(path: Path) -> Counts:
    """A lazy frame, collected by the streaming engine."""
    import polars as pl

    columns = ["account_number", "opened_date", "month", "disposition"]
    frame = pl.scan_parquet(path) if path.suffix == ".parquet" else pl.scan_csv(path, infer_schema=False)

    def month_of(name: str) -> Any:
        text = pl.col(name)
        return text.str.slice(0, 4).cast(pl.Int32) * 12 + text.str.slice(5, 2).cast(pl.Int32)

    months = frame.select(columns).with_columns(at=month_of("month"), begun=month_of("opened_date")).sort("account_number", "at")
    follows = (pl.col("at").shift(-1) == pl.col("at") + 1) & (pl.col("account_number").shift(-1) == pl.col("account_number"))
    worse = follows & (pl.col("disposition") == "N") & (pl.col("disposition").shift(-1) == "1")
    late = pl.col("disposition").is_in(["2", "3", "4", "5", "6", "7", "B"]) & (pl.col("at") - pl.col("begun") <= 12)
    marked = months.select("account_number", follows=follows, worse=worse, late=late)
    grouped = marked.group_by("account_number").agg(pl.col("follows").sum(), pl.col("worse").sum(), pl.col("late").any())
    counted = grouped.select(pl.col("follows").sum(), pl.col("worse").sum(), pl.col("late").sum()).collect(engine="streaming")
    return dict(zip(("rolls", "worse", "late"), map(int, counted.row(0)), strict=True))


def with_pandas(path: Path) -> Counts:
    """Frames in memory, with categories where a column repeats itself."""
    import pandas as pd

    columns = ["account_number", "opened_date", "month", "disposition"]
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path, columns=columns, dtype_backend="pyarrow")
    else:
        frame = pd.read_csv(path, usecols=columns, dtype=dict.fromkeys(columns, "category"))
    frame = frame.astype("category")

    def month_of(name: str) -> Any:
        return frame[name].map(lambda text: int(text[:4]) * 12 + int(text[5:7])).astype("int32")

    frame["at"], frame["begun"] = month_of("month"), month_of("opened_date")
    frame["account"] = frame.pop("account_number").cat.codes
    frame = frame.drop(columns=["month", "opened_date"]).sort_values(["account", "at"])
    after = frame.shift(-1)
    follows = (after["at"] == frame["at"] + 1) & (after["account"] == frame["account"])
    worse = follows & (frame["disposition"] == "N") & (after["disposition"] == "1")
    late = frame["disposition"].isin([*"234567B"]) & (frame["at"] - frame["begun"] <= 12)
    return {"rolls": int(follows.sum()), "worse": int(worse.sum()), "late": int(late.groupby(frame["account"]).any().sum())}


ENGINES: dict[str, Callable[[Path], Counts]] = {"duckdb": with_duckdb, "polars": with_polars, "pandas": with_pandas}


def main() -> None:
    """One engine on one file, in this process, whose peak is the engine's."""
    name, path = sys.argv[1], Path(sys.argv[2])
    began = time.perf_counter()
    counted = ENGINES[name](path)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"engine": name, "file": path.suffix[1:], "seconds": seconds, "mebibytes": peak, **counted}))


if __name__ == "__main__":
    main()

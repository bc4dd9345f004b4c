"""A generated book: accounts of every kind, month by month, in CSV and in Parquet.

python -m benchmarks.analysis.book CSV PARQUET ROWS
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

MONTHS = 40
"""Of an account at the most."""
CHUNK = 20_000
"""Accounts that are made at once."""
AS_OF = "2025-09-30T23:59:59+08:00"
_LAST = 2025 * 12 + 8
_CODES = np.array([*"N1234567BC#"])
_SETTLED, _UNKNOWN = 9, 10
_STEPS = np.array(
    [
        [0.955, 0.035, 0, 0, 0, 0, 0, 0, 0, 0.01, 0],
        [0.600, 0.150, 0.24, 0, 0, 0, 0, 0, 0, 0.01, 0],
        [0.300, 0.100, 0.15, 0.44, 0, 0, 0, 0, 0, 0.01, 0],
        [0.120, 0.030, 0.05, 0.15, 0.64, 0, 0, 0, 0, 0.01, 0],
        [0.050, 0.010, 0.01, 0.03, 0.1, 0.79, 0, 0, 0, 0.01, 0],
        [0.040, 0, 0, 0.01, 0.03, 0.1, 0.80, 0, 0.01, 0.01, 0],
        [0.030, 0, 0, 0, 0.01, 0.03, 0.1, 0.80, 0.02, 0.01, 0],
        [0.020, 0, 0, 0, 0, 0, 0.01, 0.86, 0.10, 0.01, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    ]
)


def write_book(csv: Path, parquet: Path, rows: int, seed: int = 1) -> int:
    """Writes the same book in both formats; returns how many rows it has, which is `rows` or a little more."""
    generator = np.random.default_rng(seed)
    options = pa.csv.WriteOptions(quoting_style="needed")
    written = 0
    first = next(_chunks(generator))
    with (
        pa.csv.CSVWriter(csv, first.schema, write_options=options) as text,
        pa.parquet.ParquetWriter(parquet, first.schema) as store,
    ):
        for table in _chunks(generator):
            text.write_table(table)
            store.write_table(table)
            written += int(table.num_rows)
            if written >= rows:
                return written
    raise AssertionError("the chunks have no end")


def _chunks(generator: np.random.Generator) -> Iterator[pa.Table]:
    first = 0
    while True:
        yield _chunk(generator, first)
        first += CHUNK


def _chunk(generator: np.random.Generator, first: int) -> pa.Table:
    age = generator.integers(3, 80, CHUNK)
    length = np.minimum(age, MONTHS)
    states = _histories(generator)
    month = np.arange(MONTHS)[None, :]
    # A settled account is told of once.
    kept = (month < length[:, None]) & ~((states == _SETTLED) & (np.roll(states, 1, axis=1) == _SETTLED) & (month > 0))
    shown = np.where(generator.random(states.shape) < 0.002, _UNKNOWN, states)[kept]
    account = np.broadcast_to(np.arange(CHUNK)[:, None], states.shape)[kept]
    begin = (_LAST + 1 - length)[:, None]
    when = np.broadcast_to(begin + month, states.shape)[kept]
    return _table(generator, first, account, when, shown, _LAST + 1 - age)


def _histories(generator: np.random.Generator) -> Any:
    sums = _STEPS.cumsum(axis=1)
    states = np.zeros((CHUNK, MONTHS), dtype=np.int64)
    draws = generator.random((CHUNK, MONTHS))
    for month in range(1, MONTHS):
        states[:, month] = (draws[:, month, None] > sums[states[:, month - 1]]).sum(axis=1)
    return states


def _table(generator: np.random.Generator, first: int, account: Any, when: Any, shown: Any, opened: Any) -> pa.Table:
    number = np.char.add("6222-", np.char.zfill((first + np.arange(CHUNK)).astype(str), 9))
    balance = generator.integers(10_000, 5_000_000, CHUNK)
    late = (shown >= 1) & (shown <= 8)
    overdue = np.where(late, np.minimum(balance[account], balance[account] // 20 * shown), 0)
    days = np.where((shown >= 1) & (shown <= 7), shown * 30 - 15 + 15 * (shown == 7), 0)
    month_names = np.array([f"{index // 12:04d}-{index % 12 + 1:02d}" for index in range(_LAST + 1)])
    opened_names = np.array([f"{index // 12:04d}-{index % 12 + 1:02d}-15" for index in opened])
    kinds = np.array(["D1", "R2"])[generator.integers(0, 2, CHUNK)]
    currencies = np.array(["CNY", "CNY", "CNY", "USD"])[generator.integers(0, 4, CHUNK)]
    last = np.zeros(CHUNK, dtype=np.int64)
    last[account] = shown  # rows are in the order of months
    quality = np.array(
        ["normal", "special_mention", "special_mention", "special_mention", "substandard", "substandard", "substandard"]
    )
    classes = np.append(quality, ["doubtful", "loss", "normal", "unclassified"])[last]
    stages = np.array(
        ["none", "reminder", "reminder", "field", "agency", "agency", "legal", "legal", "written_off", "none", "none"]
    )
    plan = np.full(CHUNK, "", dtype=object)
    planned = generator.random(CHUNK) < 0.01
    plan[planned] = '[{"type": "extension", "date": "2024-05-03"}]'
    columns = {
        "id_kind": np.full(len(account), "person"),
        "id_type": np.full(len(account), "2"),
        "id_country": np.full(len(account), "DE"),
        "id_number": number[account],
        "account_number": number[account],
        "as_of": np.full(len(account), AS_OF),
        "account_type": kinds[account],
        "status": np.full(len(account), 1),
        "currency": currencies[account],
        "opened_date": opened_names[account],
        "asset_quality": classes[account],
        "balance": balance[account],
        "collection_stage": stages[last][account],
        "special_transactions": plan[account],
        "month": month_names[when],
        "disposition": _CODES[shown],
        "days_past_due": days,
        "overdue_amount": overdue,
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()})


if __name__ == "__main__":
    print(write_book(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))

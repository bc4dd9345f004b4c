"""A book from its file to its figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

from tallystick.client.analysis import overdue, paths, standing, tables
from tallystick.client.analysis.columns import OF_ACCOUNT
from tallystick.client.analysis.decoding import month_index, month_of
from tallystick.client.analysis.engine import Engine, open_engine
from tallystick.client.analysis.faults import Fault, faults_of
from tallystick.client.analysis.figures import BookAnalysis, Reading, RowFault
from tallystick.client.analysis.source import Source, load
from tallystick.client.files.amounts import Amounts

SHOWN = 20
"""Rows with a fault that are named; all of them are counted."""


def analyse(
    path: str | PathLike[str],
    as_of: dt.date | None = None,
    *,
    amounts: Literal["minor", "major"] | None = None,
    encoding: str | None = None,
) -> BookAnalysis:
    """Counts a book: a file of accounts as docs/files.md has it, in CSV or Parquet. Nothing of it is sent anywhere.

    `as_of` is the day of which it is looked at, in UTC; without it that of the newest `as_of` in the book. Its months after that
    day are left out, and how an account stood then (balance, class, stage, what runs) is not known of one whose own `as_of` is of
    a later month. `amounts` says what amounts with decimals are, `encoding` what a CSV that is neither UTF-8 nor UTF-16 is in.
    Rows that cannot be read are counted and named, and in no figure. Raises TypeError for an `as_of` that is no date, and
    FileInvalid for what is wrong with the file as a whole, and without the extra `analysis`."""
    if amounts not in (None, *(each.value for each in Amounts)):
        raise ValueError(f'amounts: must be "minor" or "major", not {str(amounts)[:40]!r}')
    if as_of is not None and (not isinstance(as_of, dt.date) or isinstance(as_of, dt.datetime)):
        raise TypeError(f"as_of: must be a date, not a {type(as_of).__name__}")
    said = None if amounts is None else Amounts(amounts)
    file = Path(path)
    with open_engine(file) as engine:
        source = load(engine, file, said, encoding)
        day, later = tables.build(engine, said, as_of)
        paths.make_paths(engine)
        overdue.make_now(engine)
        (last,) = engine.row("SELECT max(last) FROM reach")
        (accounts,) = engine.row("SELECT count(*) FROM now")
        return BookAnalysis(
            name=file.name,
            as_of=day,
            last_month=None if last is None else month_of(last),
            accounts=accounts,
            stood_later=later,
            reading=_reading(engine, source, month_index(day) if day else 0),
            coverage=overdue.coverage(engine),
            by_month=overdue.by_month(engine),
            by_age=overdue.by_age(engine),
            amounts=overdue.amounts(engine),
            frequency=overdue.frequency(engine),
            rolls=paths.rolls(engine),
            roll_amounts=paths.roll_amounts(engine),
            vintages=paths.vintages(engine),
            cures=paths.cures(engine),
            stages=standing.stages(engine),
            five_class=standing.five_class(engine, source),
        )


def _reading(engine: Engine, source: Source, last: int) -> Reading:
    """What became of the rows; of the faults the first are named."""
    engine.run(f"UPDATE entry SET faults = {Fault.MONTH_TWICE.bit} WHERE row IN (SELECT row FROM twice)")
    rows, faulty, other, later = engine.row(
        "SELECT count(*), count(*) FILTER (faults <> 0), count(*) FILTER (faults = 0 AND other),"
        f" count(*) FILTER (faults = 0 AND NOT other AND month > {last}) FROM entry"
    )
    by_bit = engine.rows("SELECT faults, count(*) FROM entry WHERE faults <> 0 GROUP BY 1")
    counts = [(fault, sum(count for bits, count in by_bit if bits & fault.bit)) for fault in Fault]
    found = engine.rows(f"SELECT row, faults FROM entry WHERE faults <> 0 ORDER BY row LIMIT {SHOWN}")
    return Reading(
        rows=rows,
        used=rows - faulty - other - later,
        faulty=faulty,
        other_roles=other,
        later=later,
        faults=tuple((fault, count) for fault, count in counts if count),
        first=_named(engine, source, found),
    )


def _named(engine: Engine, source: Source, found: Sequence[tuple[int, int]]) -> tuple[RowFault, ...]:
    numbers = source.row_numbers(engine, [row for row, _ in found])
    named = []
    for row, bits in found:
        for fault in faults_of(bits):
            column = _differing(engine, row) if fault is Fault.DIFFERS else fault.column
            named.append(RowFault(numbers[row], column, fault))
    return tuple(named)


def _differing(engine: Engine, row: int) -> str:
    """The first column in which a row differs from its account's first one."""
    columns = ", ".join(OF_ACCOUNT)
    this = engine.row(f"SELECT {columns} FROM raw WHERE rowid = {row}")
    other = engine.row(
        f"SELECT {columns} FROM raw WHERE rowid = (SELECT a.first FROM entry e JOIN first_of a USING (account) WHERE e.row = {row})"
    )
    return next(name for name, one, two in zip(OF_ACCOUNT, this, other, strict=True) if one != two)

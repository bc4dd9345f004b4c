"""Capacity: what a national bureau would need, by arithmetic from what was measured.

Nothing here was run at that size. Each line says from which measured figure it follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

DAY = 86_400.0
MONTH = 30 * DAY
YEAR = 365 * DAY
TERABYTE = 1e12


@dataclass(frozen=True, slots=True)
class Bureau:
    """What it has to do."""

    subjects: float = 1.2e9
    queries_a_day: float = 20e6
    peak: float = 10.0
    """The peak, in means."""
    accounts: float = 5e9
    """All of them are reported again each month."""

    @property
    def queries_at_peak(self) -> float:
        """A second."""
        return self.queries_a_day / DAY * self.peak

    @property
    def records_a_second(self) -> float:
        """If a month's reports come evenly."""
        return self.accounts / MONTH


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of a run. Processor seconds are those of server and PostgreSQL together."""

    query: float
    """Of a single query, with 64 callers."""
    lone_query: float
    """Of a single query, with one caller."""
    record: float
    """Of a reported record."""
    token: float
    """Of a token, at the authority."""
    account_bytes: float
    """Of an account, with its indices."""


QUERY_BYTES = 1460.0
"""What the log holds of a single query (docs/operations.md, "Disk"), of which EVIDENCE_BYTES go with their month."""
EVIDENCE_BYTES = 720.0
PAGE = 8192.0
"""PostgreSQL writes a whole page to the WAL when it is changed for the first time after a checkpoint; in a table this large each
update meets another page."""
LARGEST = TERABYTE
"""Bytes of accounts that one PostgreSQL still vacuums, backs up and restores within a night, at some hundreds of megabytes a
second."""

Row = tuple[str, str, str]


def rows(bureau: Bureau, measured: Measured) -> Iterator[Row]:
    """What is needed: what, how much, and from what it follows."""
    at_peak, spread = bureau.queries_at_peak, bureau.records_a_second
    yield (
        "processors for queries at the peak",
        f"{at_peak * measured.query:.1f}, or {at_peak * measured.lone_query:.1f} if each came alone",
        f"{at_peak:,.0f} a second × {measured.query * 1e6:,.0f} µs, or {measured.lone_query * 1e6:,.0f} µs",
    )
    yield (
        "processors for reports",
        f"{spread * measured.record:.1f}; {spread * 3 * measured.record:.1f} if they come in eight hours of each day",
        f"{spread:,.0f} records a second × {measured.record * 1e6:,.0f} µs",
    )
    yield (
        "processor time for the tokens of all subjects, once",
        f"{bureau.subjects * measured.token / 3600:,.0f} hours at the authority, and as much again at each change of its key",
        f"{bureau.subjects:,.0f} × {measured.token * 1e6:,.0f} µs; members keep theirs",
    )
    accounts = bureau.accounts * measured.account_bytes
    yield (
        "disk for accounts",
        f"{accounts / TERABYTE:.1f} TB",
        f"{bureau.accounts:,.0f} × {measured.account_bytes:,.0f} bytes",
    )
    queries_a_year = bureau.queries_a_day * YEAR / DAY
    yield (
        "disk for the log of queries",
        f"{queries_a_year * (QUERY_BYTES - EVIDENCE_BYTES) / TERABYTE:.1f} TB a year for good, and "
        f"{queries_a_year * EVIDENCE_BYTES / TERABYTE:.1f} TB for each year that evidence is kept",
        f"{queries_a_year:,.0f} × {QUERY_BYTES - EVIDENCE_BYTES:,.0f} and {EVIDENCE_BYTES:,.0f} bytes",
    )
    yield (
        "WAL of reports",
        f"{spread * PAGE / 1e6:,.0f} MB a second, {bureau.accounts * PAGE / TERABYTE:,.0f} TB a month, before compression",
        f"{spread:,.0f} pages of {PAGE:,.0f} bytes a second: nearly every record meets a page that no other has touched",
    )
    yield (
        "databases, by subject",
        f"{math.ceil(accounts / LARGEST)}",
        "one for each terabyte of accounts: what a night suffices to vacuum, copy and restore",
    )


def markdown(bureau: Bureau, measured: Measured) -> str:
    """The table."""
    lines = ["| what | how much | from |", "|---|---|---|"]
    lines += [f"| {what} | {much} | {source} |" for what, much, source in rows(bureau, measured)]
    return "\n".join(lines)

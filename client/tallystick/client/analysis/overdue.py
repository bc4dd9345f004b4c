"""Overdue by time, by amount and by frequency, and how much of the book is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from tallystick.client.analysis.decoding import BAD, LEFT, NO_BILL, NOT_OPEN, SETTLED, UNKNOWN, month_of
from tallystick.client.analysis.engine import Engine
from tallystick.client.analysis.figures import (
    AmountBand,
    Concentration,
    CoverageOfMonth,
    CurrencyAmounts,
    Frequency,
    OverdueByAge,
    OverdueByMonth,
    OverdueShare,
    Rate,
)

AGES = ((0, 3), (4, 6), (7, 12), (13, 24), (25, 36), (37, 60), (61, None))
BANDS = (0, 1_000, 10_000, 100_000, 1_000_000)
"""Lower ends of the bands of overdue amounts, in major units."""
STREAKS = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 6), (7, 12), (13, None))
WINDOW = 12

LATE = f"(state BETWEEN 1 AND 7 OR state = {BAD})"
_SHARES = """count(*) FILTER (state <= 7), count(*) FILTER (state BETWEEN 1 AND 7), count(*) FILTER (state BETWEEN 2 AND 7),
  count(*) FILTER (state BETWEEN 4 AND 7)"""


def coverage(engine: Engine) -> tuple[CoverageOfMonth, ...]:
    """By month. An account's months are those from its first one in the book to its last, or to the one in which it ended."""
    counted = {
        month: counts
        for month, *counts in engine.rows(
            f"SELECT o.month, count(*) FILTER (state < {UNKNOWN}), count(*) FILTER (state = {UNKNOWN}),"
            f" count(*) FILTER (state = {NO_BILL}) FROM ordered o JOIN reach r USING (account)"
            f" WHERE NOT twice AND state <> {NOT_OPEN} AND o.month <= coalesce(r.ended, r.last) GROUP BY 1"
        )
    }
    begun: dict[int, int] = dict(engine.rows("SELECT first, count(*) FROM reach GROUP BY 1"))
    over: dict[int, int] = dict(engine.rows("SELECT coalesce(ended, last) + 1, count(*) FROM reach GROUP BY 1"))
    if not begun:
        return ()
    months = range(min(begun), max(over))
    expected = accumulate(begun.get(month, 0) - over.get(month, 0) for month in months)
    found = []
    for month, accounts in zip(months, expected, strict=True):
        known, unknown, no_bill = counted.get(month, (0, 0, 0))
        if accounts:
            found.append(CoverageOfMonth(month_of(month), known, unknown, no_bill, accounts - known - unknown - no_bill))
    return tuple(found)


def by_month(engine: Engine) -> tuple[OverdueByMonth, ...]:
    """Calendar months."""
    query = f"SELECT month, {_SHARES}, count(*) FILTER (state = {BAD}) FROM known GROUP BY 1 ORDER BY 1"
    return tuple(OverdueByMonth(month_of(month), OverdueShare(*share), bad) for month, *share, bad in engine.rows(query))


def by_age(engine: Engine) -> tuple[OverdueByAge, ...]:
    """Months on book."""
    place = _place("age", [last for _, last in AGES])
    counted = {place: share for place, *share in engine.rows(f"SELECT {place}, {_SHARES} FROM known GROUP BY 1")}
    none = (0, 0, 0, 0)
    return tuple(OverdueByAge(first, last, OverdueShare(*counted.get(at, none))) for at, (first, last) in enumerate(AGES))


def make_now(engine: Engine) -> None:
    """`now`: each account that was open on the day, as it stood. Days and amounts of an overdue that runs come before those of the
    newest month."""
    engine.run(
        "CREATE TABLE now AS SELECT a.account, a.type, a.status, a.currency, a.places, a.quality, a.balance, a.stage, a.first,"
        # Of a bad debt 0 days say nothing; of an overdue whose days are not told the fewest that its state has count.
        f" k.state, e.paid, coalesce(a.running_days, CASE WHEN k.state <> {BAD} OR k.days > 0 THEN k.days END,"
        " CASE WHEN k.state = 0 THEN 0 WHEN k.state <= 7 THEN (k.state::INTEGER - 1) * 30 + 1 END) AS days,"
        " coalesce(a.running_amount, k.overdue, CASE WHEN k.state = 0 THEN 0 END) AS overdue"
        " FROM account a LEFT JOIN reach r USING (account)"
        # The newest month, or the one in which the account's story ended; another one says nothing of now.
        " LEFT JOIN known k ON k.account = a.account AND k.month = coalesce(r.ended, r.horizon)"
        " LEFT JOIN ordered e ON e.account = a.account AND e.month = k.month AND NOT e.twice"
        " WHERE was_there(a.opened)"
    )


def amounts(engine: Engine) -> tuple[CurrencyAmounts, ...]:
    """By currency, in the order of their names."""
    live = f"coalesce(state, {UNKNOWN}) NOT IN ({SETTLED}, {LEFT})"
    lower = " + ".join(f"(overdue > {over} * 10 ** places)::INTEGER" for over in BANDS[1:])
    bands = {
        (currency, band): (accounts, int(amount))
        for currency, band, accounts, amount in engine.rows(
            f"SELECT currency, {lower}, count(*), sum(overdue) FROM now WHERE {live} AND overdue > 0 GROUP BY 1, 2"
        )
    }
    unknown = f"count(*) FILTER ({live} AND overdue IS NULL AND (days > 0 OR state = {BAD}))"
    both = f"FILTER ({live} AND overdue IS NOT NULL AND balance IS NOT NULL)"
    found = []
    for currency, missing, overdue, balance in engine.rows(
        f"SELECT currency, {unknown}, coalesce(sum(overdue) {both}, 0), coalesce(sum(balance) {both}, 0)"
        " FROM now GROUP BY 1 ORDER BY 1"
    ):
        of_currency = []
        for place, over in enumerate(BANDS):
            up_to = BANDS[place + 1] if place + 1 < len(BANDS) else None
            of_currency.append(AmountBand(over, up_to, *bands.get((currency, place), (0, 0))))
        of_balance = Rate(int(overdue), int(balance))
        held, late = _concentration(engine, "balance", currency, live), _concentration(engine, "overdue", currency, live)
        found.append(CurrencyAmounts(currency, tuple(of_currency), missing, of_balance, held, late))
    return tuple(found)


def _concentration(engine: Engine, column: str, currency: str, live: str) -> Concentration:
    chosen = f"FROM now WHERE currency = ? AND {live} AND {column} > 0"
    accounts, amount = engine.row(f"SELECT count(*), coalesce(sum({column}), 0) {chosen}", [currency])
    top = -(-accounts // 100)
    (held,) = engine.row(
        f"SELECT coalesce(sum({column}), 0) FROM (SELECT {column} {chosen} ORDER BY {column} DESC LIMIT {top})", [currency]
    )
    return Concentration(Rate(top, accounts), Rate(int(held), int(amount)))


def frequency(engine: Engine) -> Frequency:
    """Late months of the last twelve, and the longest runs of late months."""
    engine.run(
        f"CREATE TEMP TABLE twelve AS SELECT account, count(*) AS known, count(*) FILTER ({LATE}) AS late FROM known"
        f" JOIN reach r USING (account) WHERE month > r.horizon - {WINDOW} AND (state <= 7 OR state = {BAD}) GROUP BY 1"
    )
    by_count: dict[int, int] = dict(engine.rows(f"SELECT late, count(*) FROM twelve WHERE known = {WINDOW} GROUP BY 1"))
    engine.run("DROP TABLE twelve")
    (accounts,) = engine.row("SELECT count(*) FROM now")
    (followed,) = engine.row(f"SELECT count(DISTINCT account) FROM known WHERE state <= 7 OR state = {BAD}")
    late = f"SELECT account, month - row_number() OVER (PARTITION BY account ORDER BY month) AS run FROM known WHERE {LATE}"
    longest = (
        f"SELECT account, max(length) AS longest FROM (SELECT account, count(*) AS length FROM ({late}) GROUP BY account, run)"
    )
    place = _place("longest", [last for _, last in STREAKS])
    runs: dict[int, int] = dict(engine.rows(f"SELECT {place}, count(*) FROM ({longest} GROUP BY account) GROUP BY 1"))
    runs[0] = followed - sum(runs.values())
    return Frequency(
        late_months=tuple(by_count.get(late_months, 0) for late_months in range(WINDOW + 1)),
        streaks=tuple(runs.get(at, 0) for at in range(len(STREAKS))),
        not_known=accounts - sum(by_count.values()),
    )


def _place(value: str, last: Sequence[int | None]) -> str:
    """SQL: which of the ranges, by their last values, a value is in."""
    cases = " ".join(f"WHEN {value} <= {most} THEN {place}" for place, most in enumerate(last) if most is not None)
    return f"CASE {cases} ELSE {len(last) - 1} END"

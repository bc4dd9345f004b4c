"""From month to month: roll rates, vintages, cures and what came after them.

An account is followed without a gap as long as each of its months is known. Its story ends with the first month in which it is
settled, bad or left; from then on what became of it is known. What was not followed long enough is in no denominator, late or not.
"""

from __future__ import annotations

from collections import defaultdict

from tallystick.client.analysis.decoding import BAD, LEFT, SETTLED, UNKNOWN, month_of
from tallystick.client.analysis.engine import Engine
from tallystick.client.analysis.figures import Cures, Rate, RollMatrix, Vintage, VintagePoint, Within

BUCKETS = 8
STATES = (*range(BUCKETS), SETTLED, BAD, LEFT)
CURED_WITHIN = (1, 3, 6)
AGAIN_WITHIN = (3, 6, 12)
OBSERVED = 12
"""Months of observation after a restructuring."""
OLDEST = 60
"""Months on book up to which vintages are followed."""
FIRST_PAYMENTS = 3

_THRESHOLDS = (1, 2, 3, 4)
"""Buckets from which on an account is late, over 30, over 60, over 90 days."""


def make_paths(engine: Engine) -> None:
    """`reach` gets the month up to which an account could have been told of; `island` holds its months that follow one another."""
    engine.run("ALTER TABLE reach ADD horizon INTEGER")
    engine.run("UPDATE reach SET horizon = least(as_of, (SELECT max(last) FROM reach))")
    firsts = ", ".join(f"min(age) FILTER (state BETWEEN {least} AND 7 OR state = {BAD}) AS late_{least}" for least in _THRESHOLDS)
    engine.run(
        "CREATE TABLE island AS SELECT i.*, CASE WHEN i.over THEN greatest(r.horizon, i.last) ELSE i.last END AS until, r.opened"
        " FROM (SELECT account, island, min(month) AS first, max(month) AS last, min(age) AS first_age,"
        f" bool_or(state BETWEEN {SETTLED} AND {LEFT}) AS over, {firsts} FROM known GROUP BY account, island) i"
        " JOIN reach r USING (account)"
    )


def rolls(engine: Engine) -> RollMatrix:
    """By number of account-months."""
    cells = [[0] * len(STATES) for _ in range(BUCKETS)]
    for before, after, count in engine.rows(
        "SELECT state_before, state, count(*) FROM known WHERE month_before = month - 1 AND state_before <= 7 GROUP BY 1, 2"
    ):
        cells[before][STATES.index(after)] += count
    unknown = []
    followed: dict[int, int] = dict(engine.rows(_ROLL_FROM.format("count(*)", "k.month < r.horizon")))
    left: dict[int, int] = dict(engine.rows(_ROLL_FROM.format("count(*)", f"k.month = r.last AND {_GONE}")))
    for bucket, row in enumerate(cells):
        row[STATES.index(LEFT)] += left.get(bucket, 0)
        unknown.append(followed.get(bucket, 0) - sum(row))
    return RollMatrix(tuple(map(tuple, cells)), tuple(unknown))


_GONE = "r.last < r.horizon - 1"
"""Of an account that has no row in the book's last two months. In the last month alone bills may be on their way."""
_ROLL_FROM = "SELECT k.state, {} FROM known k JOIN reach r USING (account) WHERE {} AND k.state <= 7 GROUP BY 1"


def roll_amounts(engine: Engine) -> tuple[RollMatrix, ...]:
    """By what was overdue in the first of the two months. Nothing is overdue in bucket 0, so its row is empty."""
    engine.run(
        "CREATE TEMP TABLE owed AS SELECT r.currency, k.state, k.month, k.account, k.overdue,"
        f" k.month = r.last AND {_GONE} AS is_last FROM known k JOIN reach r USING (account)"
        " WHERE k.state BETWEEN 1 AND 7 AND k.month < r.horizon"
    )
    cells: dict[str, list[list[int]]] = defaultdict(lambda: [[0] * len(STATES) for _ in range(BUCKETS)])
    unknown: dict[str, list[int]] = defaultdict(lambda: [0] * BUCKETS)
    without: dict[str, list[int]] = defaultdict(lambda: [0] * BUCKETS)
    for currency, before, after, amount, missing in engine.rows(
        f"SELECT o.currency, o.state, coalesce(k.state, CASE WHEN o.is_last THEN {LEFT} ELSE {UNKNOWN} END),"
        " coalesce(sum(o.overdue), 0), count(*) FILTER (o.overdue IS NULL)"
        " FROM owed o LEFT JOIN known k ON k.account = o.account AND k.month = o.month + 1 GROUP BY 1, 2, 3"
    ):
        without[currency][before] += missing
        if after == UNKNOWN:
            unknown[currency][before] += int(amount)
        else:
            cells[currency][before][STATES.index(after)] += int(amount)
    engine.run("DROP TABLE owed")
    return tuple(
        RollMatrix(tuple(map(tuple, cells[name])), tuple(unknown[name]), tuple(without[name]), name) for name in sorted(without)
    )


def vintages(engine: Engine) -> tuple[Vintage, ...]:
    """By the quarter in which accounts were opened; only those are followed whose first or second month is in the book."""
    opened: dict[int, int] = dict(engine.rows("SELECT opened // 3 * 3, count(*) FROM account GROUP BY 1 ORDER BY 1"))
    followed: dict[int, list[int]] = defaultdict(lambda: [0] * (OLDEST + 1))
    late: dict[tuple[int, int], list[int]] = {}
    for least in _THRESHOLDS:
        for quarter, until, first, count in engine.rows(
            f"SELECT opened // 3 * 3, least(until - opened, {OLDEST}), late_{least}, count(*) FROM island"
            " WHERE first_age <= 1 GROUP BY 1, 2, 3"
        ):
            if least == _THRESHOLDS[0]:
                for age in range(until + 1):
                    followed[quarter][age] += count
            if first is not None and first <= until:
                counts = late.setdefault((quarter, least), [0] * (OLDEST + 1))
                for age in range(first, until + 1):
                    counts[age] += count
    return tuple(_vintage(quarter, accounts, followed[quarter], late) for quarter, accounts in opened.items())


def _vintage(quarter: int, accounts: int, followed: list[int], late: dict[tuple[int, int], list[int]]) -> Vintage:
    none = [0] * (OLDEST + 1)
    by_threshold = [late.get((quarter, least), none) for least in _THRESHOLDS]
    points = tuple(
        VintagePoint(age, followed[age], *(counts[age] for counts in by_threshold[1:]))
        for age in range(1, OLDEST + 1)
        if followed[age]
    )
    first_payment = Rate(by_threshold[0][FIRST_PAYMENTS], followed[FIRST_PAYMENTS])
    return Vintage(month_of(quarter), accounts, first_payment, points)


def cures(engine: Engine) -> Cures:
    """Cures after an account became overdue, and overdue again after cures and restructurings."""
    adjacent = "month_before = month - 1"
    became = f"SELECT account, month, island FROM known WHERE {adjacent} AND state_before = 0 AND state BETWEEN 1 AND 7"
    paid = f"SELECT account, month FROM known WHERE {adjacent} AND state_before BETWEEN 1 AND 7 AND state IN (0, {SETTLED})"
    cured = f"SELECT account, month, island FROM known WHERE {adjacent} AND state_before BETWEEN 1 AND 7 AND state = 0"
    (episodes,) = engine.row(f"SELECT count(*) FROM ({became})")
    agreed = (
        "SELECT DISTINCT a.account, t.month, i.island FROM account a JOIN restructured t ON t.text = a.transactions"
        " LEFT JOIN island i ON i.account = a.account AND t.month + 1 BETWEEN i.first AND i.last"
    )
    (restructured,) = engine.row(f"SELECT count(*) FROM (SELECT DISTINCT account, month FROM ({agreed}))")
    after, worse_after = (_within(engine, agreed, _late(least), (OBSERVED,))[0].rate for least in (1, 2))
    return Cures(
        episodes=episodes,
        cured=_within(engine, became, paid, CURED_WITHIN),
        overdue_again=_within(engine, cured, _late(1), AGAIN_WITHIN),
        over_30_days_again=_within(engine, cured, _late(2), AGAIN_WITHIN),
        restructured=restructured,
        after_restructuring=after,
        over_30_days_after_restructuring=worse_after,
    )


def _late(least: int) -> str:
    return f"SELECT account, month FROM known WHERE state BETWEEN {least} AND 7 OR state = {BAD}"


def _within(engine: Engine, cases: str, followers: str, months: tuple[int, ...]) -> tuple[Within, ...]:
    """Of the cases that were followed so many months: after how many a follower came at the latest."""
    followed = "count(*) FILTER (c.month + {0} <= i.until)"
    came = "count(*) FILTER (c.month + {0} <= i.until AND f.month <= c.month + {0})"
    counts = ", ".join(f"{followed.format(most)}, {came.format(most)}" for most in months)
    row = engine.row(
        f"SELECT {counts} FROM ({cases}) c JOIN island i USING (account, island)"
        f" ASOF LEFT JOIN ({followers}) f ON f.account = c.account AND f.month > c.month"
    )
    return tuple(Within(most, Rate(row[2 * at + 1], row[2 * at])) for at, most in enumerate(months))

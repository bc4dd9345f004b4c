"""Roll rates, vintages and cures of any book equal what another engine counts by other statements."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.analysis.books import ACCOUNT, LAST, Row, month_name, write

from tallystick.client import analyse
from tallystick.client.analysis.figures import BookAnalysis, Rate

_STATES = {**dict.fromkeys("N*M", 0), **{str(n): n for n in range(1, 8)}, "C": 8, "B": 9, "Z": 9, "D": 9, "G": 10, "#": 20, "A": 21}
_CODES = "N" * 12 + "M*" + "1" * 6 + "22334567CBZDG#A" + " "

_PREPARED = """
CREATE VIEW ended AS SELECT account, min(month) AS month FROM book WHERE state BETWEEN 8 AND 10 GROUP BY account;
CREATE VIEW known AS SELECT b.* FROM book b LEFT JOIN ended e USING (account)
  WHERE b.state < 20 AND (e.month IS NULL OR b.month <= e.month);
CREATE VIEW pair AS SELECT a.account, a.month, a.opened, a.state AS before, b.state AS after, b.month AS next
  FROM known a JOIN known b ON b.account = a.account AND b.month = a.month + 1;
"""
# How many months from one to another, both included, are known: with those after the end.
_FOLLOWED = """((SELECT count(*) FROM known k WHERE k.account = {0} AND k.month BETWEEN {1} AND {2})
  + coalesce((SELECT {2} - max(e.month, {1} - 1) FROM ended e WHERE e.account = {0} AND e.month <= {2}), 0) = ({2}) - ({1}) + 1
  AND {2} <= (SELECT max(month) FROM book))"""

accounts = st.tuples(
    st.lists(st.sampled_from(_CODES), min_size=1, max_size=16),
    st.integers(0, 3),  # months between the newest month and the account's last
    st.integers(0, 2),  # months between opening and the account's first
)


def rows_of(drawn: list[tuple[list[str], int, int]]) -> list[tuple[int, int, int, str]]:
    """Account, month of opening, month, code."""
    found = []
    for number, (codes, before_last, before_first) in enumerate(drawn):
        first = LAST - before_last - len(codes) + 1
        found += [(number, first - before_first, first + at, code) for at, code in enumerate(codes) if code != " "]
    return found


def csv_row(number: int, opened: int, month: int, code: str) -> Row:
    days = {"opened_date": f"{month_name(opened)}-15", "month": month_name(month), "disposition": code}
    return {**ACCOUNT, **days, "account_number": f"A-{number}"}


def counted(rows: list[tuple[int, int, int, str]]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE book (account INTEGER, opened INTEGER, month INTEGER, state INTEGER, UNIQUE (account, month))")
    database.executemany("INSERT INTO book VALUES (?, ?, ?, ?)", [(*row[:3], _STATES[row[3]]) for row in rows])
    database.executescript(_PREPARED)
    return database


def check_rolls(book: BookAnalysis, database: sqlite3.Connection) -> None:
    columns = [*range(11)]
    expected = Counter(
        {
            (before, after): count
            for before, after, count in database.execute("SELECT before, after, count(*) FROM pair GROUP BY 1, 2")
        }
    )
    gone = database.execute(
        "SELECT state, count(*) FROM known k WHERE state <= 7 AND month < (SELECT max(month) - 1 FROM book)"
        " AND NOT EXISTS (SELECT * FROM book b WHERE b.account = k.account AND b.month > k.month) GROUP BY 1"
    )
    for state, count in gone:
        expected[state, 10] += count
    assert {
        (at, after): book.rolls.cells[at][after] for at in range(8) for after in columns if book.rolls.cells[at][after]
    } == +expected
    unknown = dict(
        database.execute(
            "SELECT state, count(*) FROM known k WHERE state <= 7"
            " AND (EXISTS (SELECT * FROM book b WHERE b.account = k.account AND b.month > k.month)"
            " OR month = (SELECT max(month) - 1 FROM book))"
            " AND NOT EXISTS (SELECT * FROM known n WHERE n.account = k.account AND n.month = k.month + 1) GROUP BY 1"
        )
    )
    assert {state: count for state, count in enumerate(book.rolls.not_known) if count} == unknown


def check_vintages(book: BookAnalysis, database: sqlite3.Connection) -> None:
    late = ", ".join(
        "sum(EXISTS (SELECT * FROM known k WHERE k.account = a.account AND k.month <= a.opened + n.age"
        f" AND (k.state BETWEEN {least} AND 7 OR k.state = 9)))"
        for least in (2, 3, 4)
    )
    followed = _FOLLOWED.format("a.account", "a.opened + 1", "a.opened + n.age")
    query = f"""
    WITH RECURSIVE n (age) AS (SELECT 1 UNION ALL SELECT age + 1 FROM n WHERE age < 24),
      a AS (SELECT DISTINCT account, opened FROM known WHERE month <= opened + 1)
    SELECT a.opened / 3 * 3, n.age, count(*), {late} FROM a JOIN n ON {followed}
    GROUP BY 1, 2 ORDER BY 1, 2"""
    found = [
        (
            each.quarter.year * 12 + each.quarter.month - 1,
            point.months_on_book,
            point.followed,
            point.over_30_days,
            point.over_60_days,
            point.over_90_days,
        )
        for each in book.vintages
        for point in each.points
    ]
    assert found == database.execute(query).fetchall()


def check_cures(book: BookAnalysis, database: sqlite3.Connection) -> None:
    def rate(cases: str, ends: str, months: int) -> Rate:
        followed = _FOLLOWED.format("p.account", "p.next", f"p.next + {months}")
        then = f"k.account = p.account AND k.month BETWEEN p.next + 1 AND p.next + {months}"
        came = f"EXISTS (SELECT * FROM known k WHERE {then} AND {ends})"
        part, whole = database.execute(
            f"SELECT coalesce(sum({came}), 0), count(*) FROM pair p WHERE {cases} AND {followed}"
        ).fetchone()
        return Rate(part, whole)

    began, ended = "before = 0 AND after BETWEEN 1 AND 7", "before BETWEEN 1 AND 7 AND after = 0"
    assert book.cures.episodes == database.execute(f"SELECT count(*) FROM pair WHERE {began}").fetchone()[0]
    for each in book.cures.cured:
        assert each.rate == rate(began, "k.state IN (0, 8)", each.months)
    for each in book.cures.overdue_again:
        assert each.rate == rate(ended, "(k.state BETWEEN 1 AND 7 OR k.state = 9)", each.months)
    for each in book.cures.over_30_days_again:
        assert each.rate == rate(ended, "(k.state BETWEEN 2 AND 7 OR k.state = 9)", each.months)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(accounts, min_size=1, max_size=60))
def test_any_book(tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[list[str], int, int]]) -> None:
    rows = rows_of(drawn)
    if not rows:
        return
    path: Path = write(tmp_path_factory.mktemp("any") / "book.csv", [csv_row(*row) for row in rows])
    book, database = analyse(path), counted(rows)
    assert book.reading.used == len(rows)
    check_rolls(book, database)
    check_vintages(book, database)
    check_cures(book, database)

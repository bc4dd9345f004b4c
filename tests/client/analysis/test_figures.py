"""Figures of small books, counted by hand."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from tests.client.analysis.books import LAST, account, read, write

from tallystick.client import analyse
from tallystick.client.analysis.figures import BookAnalysis, Rate
from tallystick.credit.enums import AssetQuality, CollectionStage

SEPTEMBER = dt.date(2025, 9, 1)


def share(book: BookAnalysis, month: dt.date = SEPTEMBER) -> tuple[int, int, int, int]:
    (found,) = [each.share for each in book.by_month if each.month == month]
    return found.live, found.overdue, found.over_30_days, found.over_90_days


# --- Time, and what is known ---


def test_a_month_counts_the_accounts_whose_month_is_known(tmp_path: Path) -> None:
    codes = ("NN", "NM", "N*", "N1", "N2", "N4", "N#", "NA", "N ", "NC", "NB", "NG")
    book = read(tmp_path, *(account(str(place), code) for place, code in enumerate(codes)))
    assert share(book) == (6, 3, 2, 1)
    assert [each.became_bad for each in book.by_month] == [0, 1]
    assert share(book, dt.date(2025, 8, 1)) == (12, 0, 0, 0)


def test_what_is_not_known_is_shown_as_coverage(tmp_path: Path) -> None:
    book = read(tmp_path, account("1", "N#A N"), account("2", "/NN"), account("3", "NC N"))
    covered = [(each.known, each.unknown, each.no_bill, each.absent) for each in book.coverage]
    # The third one's story ended with C: the month behind it is no gap, and its last row is in no figure.
    assert covered == [(1, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (2, 0, 0, 0)]
    assert book.coverage[1].rate == Rate(1, 2)


def test_months_on_book_count_from_the_month_of_opening(tmp_path: Path) -> None:
    book = read(tmp_path, account("1", "N1N2N", opened_date="2025-05-31"))
    assert [(each.first, each.last, each.share.live, each.share.overdue) for each in book.by_age[:2]] == [
        (0, 3, 4, 2),
        (4, 6, 1, 0),
    ]


def test_a_day_cuts_off_what_came_later(tmp_path: Path) -> None:
    book = read(tmp_path, account("1", "N12"), as_of=dt.date(2025, 8, 31))
    assert (book.as_of, book.reading.later, book.reading.used) == (dt.date(2025, 8, 31), 1, 2)
    assert share(book, dt.date(2025, 8, 1)) == (1, 1, 0, 0)
    assert read(tmp_path, account("1", "N12")).as_of == dt.date(2025, 9, 30)


def test_how_an_account_stood_later_says_nothing_of_a_day(tmp_path: Path) -> None:
    later: dict[str, Any] = {"balance": 1000, "asset_quality": "5", "collection_stage": "legal", "running_since_date": "2025-09-01"}
    rows = account("1", "NN1", overdue_amount=("", "", 900), running_days_past_due="30", running_amount="900", **later)
    rows += account(
        "2", "N1", last=LAST - 1, as_of="2025-08-31T00:00:00Z", balance=400, asset_quality="1", overdue_amount=("", 100)
    )
    rows += account("3", "N", opened_date="2025-09-02", balance=70)
    book = read(tmp_path, rows, as_of=dt.date(2025, 8, 31))
    assert (book.accounts, book.stood_later, book.stages) == (2, 1, ())
    (amounts,) = book.amounts
    assert (amounts.of_balance, amounts.balance.amount) == (Rate(100, 400), Rate(400, 400))
    classes = {row.quality: sum(row.by_days) for row in book.five_class.rows if sum(row.by_days)}
    assert classes == {AssetQuality.NORMAL: 1, AssetQuality.UNSPECIFIED: 1}
    assert "later month: not known here" in book.to_html()
    newest = read(tmp_path, rows)
    assert (newest.accounts, newest.stood_later, newest.amounts[0].of_balance) == (3, 0, Rate(1000, 1470))
    assert "later month: not known here" not in newest.to_html()


def test_a_row_of_an_account_that_was_opened_later_is_named_all_the_same(tmp_path: Path) -> None:
    rows = [*account("3", "N", opened_date="2025-09-02"), *account("3", "N", opened_date="2025-09-02", balance=1)]
    book = read(tmp_path, account("1", "NN"), rows, as_of=dt.date(2025, 8, 31))
    assert [(each.row, each.column) for each in book.reading.first] == [(5, "balance")]
    assert book.accounts == 1


# --- Amount ---


def test_amounts_are_by_currency_and_never_added_up(tmp_path: Path) -> None:
    book = read(
        tmp_path,
        account("1", "1", overdue_amount=100_000, balance=1_000_000),  # 1,000.00 CNY: the first band
        account("2", "2", overdue_amount=100_001, balance=1_000_000),
        account("3", "N", balance=2_000_000),
        account("4", "1", balance=5),  # by how much is not known
        account("5", "1", currency="JPY", overdue_amount=1_000, balance=4_000),
        account("6", "C", balance=7_000_000),
    )
    cny, jpy = book.amounts
    assert (cny.currency, jpy.currency) == ("CNY", "JPY")
    assert [(each.over, each.accounts, each.amount) for each in cny.bands[:2]] == [(0, 1, 100_000), (1_000, 1, 100_001)]
    assert [each.accounts for each in jpy.bands] == [1, 0, 0, 0, 0]
    assert (cny.unknown, cny.of_balance) == (1, Rate(200_001, 4_000_000))
    assert (jpy.unknown, jpy.of_balance) == (0, Rate(1_000, 4_000))


def test_an_overdue_that_runs_comes_before_the_month(tmp_path: Path) -> None:
    running: dict[str, Any] = {"running_since_date": "2025-06-01", "running_days_past_due": 100, "running_amount": 700}
    book = read(tmp_path, account("1", "1", overdue_amount=5, balance=1000, asset_quality="2", **running))
    assert book.amounts[0].of_balance == Rate(700, 1000)
    assert book.five_class.milder[0].accounts == Rate(1, 1)


def test_the_top_hundredth_is_one_account_at_least(tmp_path: Path) -> None:
    small = [account(str(place), "1", overdue_amount=10, balance=100) for place in range(100)]
    book = read(tmp_path, *small, account("large", "1", overdue_amount=1_000, balance=90_000))
    held = book.amounts[0].overdue
    assert (held.accounts, held.amount) == (Rate(2, 101), Rate(1_010, 2_000))
    assert book.amounts[0].balance.amount == Rate(90_100, 100_000)


# --- Frequency ---


def test_late_months_are_of_accounts_whose_year_is_known(tmp_path: Path) -> None:
    book = read(
        tmp_path, account("1", "1" + "N" * 12), account("2", "N" * 9 + "121"), account("3", "N" * 11), account("4", "N" * 11 + "#")
    )
    assert book.frequency.late_months[0] == 1
    assert book.frequency.late_months[3] == 1
    assert (sum(book.frequency.late_months), book.frequency.not_known) == (2, 2)


def test_a_month_that_is_not_known_ends_a_run(tmp_path: Path) -> None:
    book = read(
        tmp_path, account("1", "1234"), account("2", "12#12"), account("3", "NN"), account("4", "12 12"), account("5", "7B")
    )
    assert book.frequency.streaks == (1, 0, 3, 0, 1, 0, 0)


def test_a_first_payment_default_is_late_by_the_third_month(tmp_path: Path) -> None:
    opened: dict[str, Any] = {"opened_date": "2025-05-10"}
    late, good, early, short = (
        account("late", " NN1N", **opened),
        account("good", "NNNN1", **opened),
        account("gap", "N1 NN", **opened),
        account("short", "1N", opened_date="2025-08-01"),
    )
    book = read(tmp_path, late, good, early, short)
    assert [(each.quarter, each.accounts, each.first_payment_default) for each in book.vintages] == [
        (dt.date(2025, 4, 1), 3, Rate(1, 2)),
        (dt.date(2025, 7, 1), 1, Rate(0, 0)),
    ]


# --- From month to month ---


def test_roll_rates_leave_out_what_is_not_known(tmp_path: Path) -> None:
    codes = ("NN", "N1", "N#N", "N N", "N12C", "7B", "1Z", "2D", "3G", "N/")
    accounts = [account(str(place), code) for place, code in enumerate(codes) if "/" not in code]
    gone = account("gone", "N1", last=LAST - 3)  # the book goes on without it
    book = read(tmp_path, *accounts, gone)
    settled, bad, left = 8, 9, 10
    assert book.rolls.cells[0][:3] == (1, 3, 0)
    assert book.rolls.not_known == (2, 0, 0, 0, 0, 0, 0, 0)
    assert (book.rolls.cells[1][2], book.rolls.cells[2][settled]) == (1, 1)
    assert (book.rolls.cells[7][bad], book.rolls.cells[1][bad], book.rolls.cells[2][bad]) == (1, 1, 1)
    assert (book.rolls.cells[3][left], book.rolls.cells[1][left]) == (1, 1)
    assert book.rolls.rate(1, 2) == Rate(1, 3)


def test_amounts_roll_with_what_was_overdue_before(tmp_path: Path) -> None:
    book = read(
        tmp_path,
        account("1", "N12", overdue_amount=(0, 100, 150)),
        account("2", "1N", overdue_amount=(300, 0)),
        account("3", "1#", overdue_amount=(7, "")),
        account("4", "1N"),
        account("5", "1N", currency="USD", overdue_amount=(40, 0)),
    )
    cny, usd = book.roll_amounts
    assert (cny.currency, cny.cells[1][0], cny.cells[1][2]) == ("CNY", 300, 100)
    assert (cny.not_known[1], cny.without_amount[1]) == (7, 1)
    assert usd.rate(1, 0) == Rate(40, 40)


def test_vintages_follow_accounts_without_a_gap(tmp_path: Path) -> None:
    opened: dict[str, Any] = {"opened_date": "2025-04-15"}
    book = read(
        tmp_path,
        account("1", "NN12NN", **opened),
        account("2", "NNNNN4", **opened),
        account("3", "NN#4NN", **opened),  # followed for a month
        account("4", "NBNNNN", **opened),  # bad ends its story, and is more than 90 days
        account("5", "    NN", **opened),  # its beginning is not in the book
    )
    (vintage,) = book.vintages
    points = [(each.months_on_book, each.followed, each.over_30_days, each.over_90_days) for each in vintage.points]
    assert points == [(1, 4, 1, 1), (2, 3, 1, 1), (3, 3, 2, 1), (4, 3, 2, 1), (5, 3, 3, 2)]
    assert [each.over_60_days for each in vintage.points] == [1, 1, 1, 1, 2]
    assert vintage.accounts == 5


def test_cures_and_what_came_after(tmp_path: Path) -> None:
    book = read(
        tmp_path,
        account("1", "N1" + "N" * 13),  # cured in the first month, and never overdue again
        account("2", "N12N" + "1" + "N" * 11),  # cured in the second, overdue again in the next
        account("3", "N1#NNNNN"),  # not followed
        account("4", "N1B" + "N" * 7),  # bad: not cured
        account("5", "N11111C" + " " * 6),  # settled in the sixth month after the first
    )
    assert book.cures.episodes == 6
    by_months = {each.months: each.rate for each in book.cures.cured}
    assert by_months == {1: Rate(2, 5), 3: Rate(3, 5), 6: Rate(4, 5)}
    assert [(each.months, each.rate) for each in book.cures.overdue_again] == [(3, Rate(1, 3)), (6, Rate(1, 3)), (12, Rate(1, 2))]
    assert [each.rate.part for each in book.cures.over_30_days_again] == [0, 0, 0]


def test_a_restructuring_is_observed_for_a_year(tmp_path: Path) -> None:
    def listed(kind: str, day: str) -> str:
        return json.dumps([{"type": kind, "date": day}])

    year = "N" * 14
    book = read(
        tmp_path,
        account("1", year, special_transactions=listed("extension", "2024-08-05")),
        account("2", year[:-1] + "1", special_transactions=listed("bank_deferral", "2024-09-05")),
        account("3", year[:-1] + "2", special_transactions=listed("debt_relief", "2024-09-05")),
        account("4", year[:-1] + "2", special_transactions=listed("prepayment", "2024-09-05")),
        account("5", year, special_transactions=listed("personalised_instalments", "2024-10-05")),  # not yet a year
    )
    assert book.cures.restructured == 4
    assert book.cures.after_restructuring == Rate(2, 3)
    assert book.cures.over_30_days_after_restructuring == Rate(1, 3)


# --- How accounts stand ---


def test_stages_are_those_at_which_accounts_stand(tmp_path: Path) -> None:
    book = read(
        tmp_path,
        account("1", "1", collection_stage="reminder", paid_amount=5),
        account("2", "N", collection_stage="reminder", paid_amount=0),
        account("3", "4", collection_stage="legal"),
        account("4", "#", collection_stage="legal"),
        account("5", "N"),
    )
    stages = {each.stage: each for each in book.stages}
    reminder, legal = stages[CollectionStage.REMINDER], stages[CollectionStage.LEGAL]
    assert (reminder.accounts, reminder.reached, reminder.recovered, reminder.paid) == (2, 4, Rate(1, 2), Rate(1, 2))
    assert (legal.accounts, legal.reached, legal.recovered, legal.paid) == (2, 2, Rate(0, 1), Rate(0, 0))
    assert read(tmp_path, account("1", "1")).stages == ()


@pytest.mark.parametrize(
    ("days", "class_", "milder"),
    [
        (90, "2", (0, 0, 0)),
        (91, "2", (1, 0, 0)),
        (91, "3", (0, 0, 0)),
        (270, "3", (0, 0, 0)),
        (271, "3", (0, 1, 0)),
        (360, "4", (0, 0, 0)),
        (361, "4", (0, 0, 1)),
        (361, "loss", (0, 0, 0)),
        (361, "9", (0, 0, 0)),
        (361, "", (0, 0, 0)),
    ],
)
def test_a_class_may_be_milder_than_the_days_allow(tmp_path: Path, days: int, class_: str, milder: tuple[int, ...]) -> None:
    code = str(min(7, -(-days // 30)))
    book = read(tmp_path, account("1", code, days_past_due=days, asset_quality=class_), account("2", "N"))
    assert tuple(each.accounts.part for each in book.five_class.milder) == milder
    assert [each.rows for each in book.five_class.milder if each.accounts.part] == [(2,)] * sum(milder)


def test_days_that_are_not_told_are_the_fewest_of_the_code(tmp_path: Path) -> None:
    closed = account("3", "4", asset_quality="1", status="4")
    book = read(tmp_path, account("1", "4", asset_quality="1"), account("2", "7", asset_quality="5"), closed)
    by_class = {each.quality: each.by_days for each in book.five_class.rows}
    assert by_class[AssetQuality.NORMAL] == (0, 0, 0, 0, 1, 0, 0, 0)
    assert by_class[AssetQuality.LOSS] == (0, 0, 0, 0, 1, 0, 0, 0)
    assert book.five_class.milder[0].accounts == Rate(1, 2)


# --- The whole ---


def test_rows_may_come_in_any_order_and_from_parquet(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rows = account("1", "N1N2", balance=100, overdue_amount=5) + account("2", "NNNN", balance=100)
    rows = [{**row, "overdue_amount": "0"} if row["disposition"] == "N" else row for row in rows]
    first = analyse(write(tmp_path / "book.csv", rows))
    mixed = analyse(write(tmp_path / "mixed.csv", sorted(rows, key=lambda row: row["month"])))
    frame = pandas.DataFrame(rows).astype({"balance": "int64", "overdue_amount": "float64", "status": "int8"})
    frame["month"] = pandas.to_datetime(frame["month"])
    frame["as_of"] = pandas.to_datetime(frame["as_of"], utc=True)
    frame.to_parquet(tmp_path / "book.parquet")
    stored = analyse(tmp_path / "book.parquet", amounts="minor")
    assert [each.rolls for each in (mixed, stored)] == [first.rolls] * 2
    assert [each.amounts for each in (mixed, stored)] == [first.amounts] * 2
    assert stored.reading.faulty == 0
    assert stored.by_month == first.by_month


def test_other_roles_are_left_out(tmp_path: Path) -> None:
    book = read(tmp_path, account("1", "N"), account("1", "N", role="guarantor"), account("2", "1", role="borrower"))
    assert (book.accounts, book.reading.other_roles, book.reading.faulty) == (2, 1, 0)


def test_each_table_is_a_frame(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    book = read(tmp_path, account("1", "N1N", balance=10, overdue_amount=(0, 5, 0)))
    frames = book.frames()
    rolls = frames["rolls"].set_index(["before", "after"])
    assert rolls.loc[(0, "1"), "share"] == 1
    assert rolls.loc[(1, "0"), ["part", "whole"]].tolist() == [1, 1]
    assert frames["by_month"]["overdue"].tolist() == [0, 1, 0]
    assert frames["stages"].empty
    assert not [name for name, frame in frames.items() if frame.columns.duplicated().any()]

"""The overdue summary, by example and against a count that follows the contract's words one by one."""

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.credit.enums import Disposition
from tallystick.credit.overdue import has_overdue, is_overdue, summarise
from tallystick.v1.account_pb2 import Account, AccountMonth
from tallystick.v1.inquiry_service_pb2 import CurrencyAmount, OverdueSummary, OverdueWindow

BADNESS = "1234567DZB"
CODES = {
    "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "N": 10, "*": 11, "M": 12, "D": 13, "Z": 14, "B": 15, "C": 16,
    "G": 17, "A": 18, "#": 19, "/": 20,
}  # fmt: skip
LETTERS = {number: code for code, number in CODES.items()}
DAY = dt.date(2025, 9, 20)


def month(number: int, code: str, days: int | None = None, amount: int | None = None) -> AccountMonth:
    """A month by the trade's code."""
    value = AccountMonth(month=number, days_past_due=days, overdue_amount=amount)
    value.disposition = CODES[code]  # type: ignore[assignment]  # the stubs want the enum's own type for a number
    return value


def account(*months: AccountMonth, currency: str = "CNY", running: tuple[int, int | None] | None = None) -> Account:
    """An account with these months, and a running overdue of so many days and so much."""
    value = Account(currency=currency, months=months)
    if running is not None:
        value.running_overdue.days_past_due = running[0]
        if running[1] is not None:
            value.running_overdue.amount = running[1]
    return value


@pytest.mark.parametrize("code", CODES)
def test_overdue_are_the_buckets_and_what_others_had_to_pay(code: str) -> None:
    assert is_overdue(CODES[code]) == (code in BADNESS)


def test_nothing_is_overdue_without_accounts() -> None:
    empty = OverdueSummary(windows=[OverdueWindow(months=months) for months in (3, 6, 12, 24, 60)])
    assert summarise([], DAY) == empty
    assert summarise([account(month(20250901, "N", 0, 0), month(20250801, "G"), month(20250701, "#"))], DAY) == empty


def test_what_runs_now_is_summed_by_currency() -> None:
    summary = summarise(
        [
            account(running=(5, 100)),
            account(running=(95, 50)),
            account(running=(12, None), currency="USD"),
            account(running=(1, 7), currency="AUD"),
            account(),
        ],
        DAY,
    )
    assert summary.accounts_overdue_now == 4
    assert summary.max_days_past_due_now == 95
    assert list(summary.overdue_amounts_now) == [
        CurrencyAmount(currency="AUD", amount=7),
        CurrencyAmount(currency="CNY", amount=150),
    ]


def test_windows_count_pairs_of_account_and_month() -> None:
    summary = summarise(
        [
            account(month(20250901, "2", 45, 300), month(20250801, "1", 15, 900), month(20250701, "N", 0, 0)),
            account(month(20250901, "1", 20, 5), month(20250401, "3", 61), currency="USD"),
            account(month(20250301, "B")),
        ],
        DAY,
    )
    three, six, twelve, *_ = summary.windows
    assert three == OverdueWindow(
        months=3,
        overdue_months=3,
        overdue_accounts=2,
        worst_disposition=summary.windows[0].worst_disposition,
        max_days_past_due=45,
        max_overdue_amounts=[CurrencyAmount(currency="CNY", amount=900), CurrencyAmount(currency="USD", amount=5)],
    )
    assert Disposition(three.worst_disposition) is Disposition.OVERDUE_2
    assert (six.overdue_months, six.overdue_accounts, Disposition(six.worst_disposition)) == (4, 2, Disposition.OVERDUE_3)
    assert six.max_days_past_due == 61
    assert (twelve.overdue_months, twelve.overdue_accounts) == (5, 3)
    assert Disposition(twelve.worst_disposition) is Disposition.BAD_DEBT
    assert (Disposition(summary.worst_disposition), summary.worst_month) == (Disposition.BAD_DEBT, 20250301)


@pytest.mark.parametrize(
    ("number", "windows"),
    [
        (20250901, [3, 6, 12, 24, 60]),
        (20250701, [3, 6, 12, 24, 60]),
        (20250601, [6, 12, 24, 60]),
        (20250401, [6, 12, 24, 60]),
        (20250301, [12, 24, 60]),
        (20241001, [12, 24, 60]),
        (20240901, [24, 60]),
        (20231001, [24, 60]),
        (20230901, [60]),
        (20201001, [60]),
        (20200901, []),
    ],
)
@pytest.mark.parametrize("day", [dt.date(2025, 9, 1), dt.date(2025, 9, 30)])
def test_windows_are_calendar_months_with_the_answer_s_own(number: int, windows: list[int], day: dt.date) -> None:
    summary = summarise([account(month(number, "1"))], day)
    assert [window.months for window in summary.windows if window.overdue_months] == windows
    assert summary.worst_month == number


def test_days_that_nobody_told_are_absent_and_not_zero() -> None:
    unknown = summarise([account(month(20250901, "4"))], DAY).windows[0]
    assert unknown.overdue_months == 1
    assert not unknown.HasField("max_days_past_due")
    assert not unknown.max_overdue_amounts
    partly = summarise([account(month(20250901, "4"), month(20250801, "1", 12, 0))], DAY).windows[0]
    assert partly.max_days_past_due == 12
    assert list(partly.max_overdue_amounts) == [CurrencyAmount(currency="CNY", amount=0)]


def test_the_worst_month_is_the_latest_of_the_worst() -> None:
    summary = summarise([account(month(20230101, "5")), account(month(20240501, "5"), month(20250101, "4"))], DAY)
    assert (Disposition(summary.worst_disposition), summary.worst_month) == (Disposition.OVERDUE_5, 20240501)


MONTH_NUMBERS = st.integers(2019 * 12, 2025 * 12 + 8).map(lambda index: index // 12 * 10_000 + (index % 12 + 1) * 100 + 1)
AMOUNTS = st.none() | st.integers(0, 1000)
MONTHS = st.builds(month, MONTH_NUMBERS, st.sampled_from(list(CODES)), st.none() | st.integers(0, 300), AMOUNTS)
ACCOUNTS = st.builds(
    lambda months, currency, running: account(*months, currency=currency, running=running),
    st.lists(MONTHS, max_size=8, unique_by=lambda value: value.month),
    st.sampled_from(["CNY", "USD"]),
    st.none() | st.tuples(st.integers(1, 300), AMOUNTS),
)


def counted(accounts: Sequence[Account]) -> OverdueSummary:
    """The contract's words, one at a time and without regard to speed."""
    summary = OverdueSummary()
    running = [(item.currency, item.running_overdue) for item in accounts if item.HasField("running_overdue")]
    summary.accounts_overdue_now = len(running)
    for _, overdue in running:
        if overdue.days_past_due > summary.max_days_past_due_now:
            summary.max_days_past_due_now = overdue.days_past_due
    for currency in ("CNY", "USD"):
        told = [overdue.amount for own, overdue in running if own == currency and overdue.HasField("amount")]
        if told:
            summary.overdue_amounts_now.add(currency=currency, amount=sum(told))
    bad = [
        (index, item, value)
        for index, item in enumerate(accounts)
        for value in item.months
        if LETTERS[value.disposition] in BADNESS
    ]
    for length in (3, 6, 12, 24, 60):
        window = summary.windows.add(months=length)
        inside = [entry for entry in bad if 0 <= _age(entry[2].month) < length]
        window.overdue_months = len(inside)
        window.overdue_accounts = len({index for index, _, _ in inside})
        for letter in BADNESS:
            if any(LETTERS[value.disposition] == letter for _, _, value in inside):
                window.worst_disposition = next(v.disposition for _, _, v in inside if LETTERS[v.disposition] == letter)
        days = [value.days_past_due for _, _, value in inside if value.HasField("days_past_due")]
        if days:
            window.max_days_past_due = max(days)
        for currency in ("CNY", "USD"):
            told = [v.overdue_amount for _, item, v in inside if item.currency == currency and v.HasField("overdue_amount")]
            if told:
                window.max_overdue_amounts.add(currency=currency, amount=max(told))
    for letter in BADNESS:
        months = sorted((value.month, value.disposition) for _, _, value in bad if LETTERS[value.disposition] == letter)
        if months:
            summary.worst_month, summary.worst_disposition = months[-1]
    return summary


def _age(number: int) -> int:
    return (DAY.year - number // 10_000) * 12 + DAY.month - number // 100 % 100


@given(st.lists(ACCOUNTS, max_size=5))
def test_a_summary_is_what_the_contract_s_words_count(accounts: list[Account]) -> None:
    assert summarise(accounts, DAY) == counted(accounts)


@given(ACCOUNTS)
def test_an_account_has_overdue_just_when_its_summary_shows_any(value: Account) -> None:
    empty = summarise([], DAY)
    assert has_overdue(value) == (summarise([value], DAY) != empty)


@given(st.lists(ACCOUNTS, max_size=5))
def test_accounts_without_overdue_can_be_left_out(accounts: list[Account]) -> None:
    assert summarise(accounts, DAY) == summarise([item for item in accounts if has_overdue(item)], DAY)

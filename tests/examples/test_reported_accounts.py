"""How the file's clients become accounts."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from examples.card_file import CardClient, CardMonth
from examples.reported_accounts import account_of, disposition_of, reporting_months
from hypothesis import given
from hypothesis import strategies as st

from tallystick.credit.enums import Disposition
from tallystick.credit.history import Account
from tallystick.credit.validation import validate_account

MONTHS = reporting_months(date(2026, 3, 17))


def client(**changes: object) -> CardClient:
    months = tuple(CardMonth(status, 100 * place, place) for place, status in enumerate((2, 0, -1, -2, 8, 1)))
    values: dict[str, object] = {"number": 7, "credit_limit": 20_000, "months": months, "defaulted": False}
    return CardClient(**{**values, **changes})  # type: ignore[arg-type]  # the values are those of the fields


@pytest.mark.parametrize(
    ("status", "disposition"),
    [
        (-2, Disposition.NOTHING_DUE),
        (-1, Disposition.PAID_AS_AGREED),
        (0, Disposition.PAID_AS_AGREED),
        (1, Disposition.OVERDUE_1),
        (2, Disposition.OVERDUE_2),
        (6, Disposition.OVERDUE_6),
        (7, Disposition.OVERDUE_7),
        (8, Disposition.OVERDUE_7),
        (9, Disposition.OVERDUE_7),
    ],
)
def test_each_repayment_status_has_its_disposition(status: int, disposition: Disposition) -> None:
    assert disposition_of(status) is disposition


@pytest.mark.parametrize("status", [-3, 10])
def test_another_status_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match=str(status)):
        disposition_of(status)


@given(st.dates(date(2001, 1, 1), date(2199, 12, 31)))
def test_the_months_are_the_six_full_ones_before_the_current(today: date) -> None:
    months = reporting_months(today)
    ordinals = [month.year * 12 + month.month for month in months]
    assert ordinals == [today.year * 12 + today.month - back for back in range(1, 7)]
    assert all(month.day == 1 for month in months)


def test_an_account_says_what_the_file_says_and_nothing_else() -> None:
    account = account_of(client(), MONTHS)
    assert account.as_of == datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    assert account.opened_date == date(2025, 9, 1)
    assert (account.currency, account.credit_limit, account.balance) == ("TWD", 2_000_000, 0)
    assert [month.disposition.name for month in account.months] == [
        "OVERDUE_2",
        "PAID_AS_AGREED",
        "PAID_AS_AGREED",
        "NOTHING_DUE",
        "OVERDUE_7",
        "OVERDUE_1",
    ]
    assert [(month.billed_amount, month.paid_amount) for month in account.months] == [(n * 10_000, n * 100) for n in range(6)]
    assert {month.days_past_due for month in account.months} == {None}
    assert {month.overdue_amount for month in account.months} == {None}
    assert account.running_overdue is None


def test_a_credit_balance_is_nothing_owed() -> None:
    months = tuple(CardMonth(0, -500, 0) for _ in range(6))
    account = account_of(client(months=months), MONTHS)
    assert account.balance == 0
    assert account.months[0].billed_amount == -50_000


def test_every_client_of_the_file_can_be_reported(clients: list[CardClient]) -> None:
    now = datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC)
    for each in clients:
        account: Account = account_of(each, MONTHS)
        assert validate_account(account.to_message(), now) == []

"""What the demo expects bank A to be told, and how it counts what came of it."""

from __future__ import annotations

from datetime import date

import pytest
from examples.after_the_loan import NONE, Told, facts_of, outcomes, together
from examples.card_file import CardClient, CardMonth
from examples.reported_accounts import account_before, account_of, reporting_months

from tallystick.credit import TriggerType, WarningClass

MONTHS = reporting_months(date.today())


def client(number: int, newest: int, before: int, *, defaulted: bool = False) -> CardClient:
    """Somebody with a status in the newest month, and another in the one before; paid as agreed before that."""
    months = tuple(CardMonth(status, 1000, 500) for status in (newest, before, 0, 0, 0, 0))
    return CardClient(number, 50_000, months, defaulted)


@pytest.mark.parametrize(
    ("newest", "before", "told"),
    [
        (0, 0, []),
        (2, 0, [(TriggerType.OVERDUE_BEGAN, 0, 2)]),
        (3, 2, [(TriggerType.OVERDUE_WORSENED, 2, 3)]),
        (2, 1, []),  # below the threshold of what became worse
        (0, 2, [(TriggerType.OVERDUE_CURED, 2, 0)]),
        (2, 3, []),
    ],
)
def test_what_is_due_follows_from_two_months(newest: int, before: int, told: list[tuple[TriggerType, int, int]]) -> None:
    assert facts_of(client(7, newest, before), MONTHS) == [Told(7, *each) for each in told]


def test_before_the_newest_month_the_account_is_as_of_its_end() -> None:
    after, before = account_of(client(7, 2, 0), MONTHS), account_before(client(7, 2, 0), MONTHS)
    assert before.months == after.months[1:]
    assert before.as_of < after.as_of
    assert (before.as_of.year, before.as_of.month) == (MONTHS[1].year, MONTHS[1].month)


def test_outcomes_are_of_bank_a_alone() -> None:
    clients = [client(1, 2, 0, defaulted=True), client(3, 0, 0), client(5, 0, 0, defaulted=True), client(2, 2, 0, defaulted=True)]
    found = outcomes(clients, {1: WarningClass.YELLOW})
    assert {each.name: (each.clients, each.defaulted) for each in found if each.clients} == {"yellow": (1, 1), NONE: (2, 1)}
    everybody = together(found, "all", *(each.name for each in found))
    assert (everybody.clients, everybody.defaulted) == (3, 2)
    assert everybody.rate == pytest.approx(2 / 3)

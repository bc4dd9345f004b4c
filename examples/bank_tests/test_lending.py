"""A bank's tests of its own code, with tallystick.testing alone: `pytest examples/bank_tests`."""

from __future__ import annotations

from lending import decide

from tallystick.client import Purpose
from tallystick.testing import InMemoryExchange, account, person

WANG = person(1)


def test_who_pays_as_agreed_is_approved(tallystick_exchange: InMemoryExchange) -> None:
    tallystick_exchange.known(WANG, account(), account(institution="a-third-bank", closed_months_ago=5))
    assert decide(tallystick_exchange.exchange(), WANG, "C-1") == "approve"


def test_who_was_late_for_two_months_is_referred(tallystick_exchange: InMemoryExchange) -> None:
    tallystick_exchange.known(WANG, account(overdue={5: 1, 4: 2}))
    assert decide(tallystick_exchange.exchange(), WANG, "C-1") == "refer"


def test_whose_debt_was_written_off_is_declined(tallystick_exchange: InMemoryExchange) -> None:
    tallystick_exchange.known(WANG, account(written_off=True))
    assert decide(tallystick_exchange.exchange(), WANG, "C-1") == "decline"


def test_a_refusal_goes_to_compliance(tallystick_exchange: InMemoryExchange) -> None:
    tallystick_exchange.refuse("MEMBER_SUSPENDED")
    assert decide(tallystick_exchange.exchange(), WANG, "C-1") == "ask compliance: MEMBER_SUSPENDED"


def test_an_exchange_that_is_not_reached_is_asked_later(tallystick_exchange: InMemoryExchange) -> None:
    tallystick_exchange.unreachable()
    assert decide(tallystick_exchange.exchange(), WANG, "C-1") == "later"


def test_an_exchange_that_is_not_trusted_raises_an_alarm(tallystick_exchange: InMemoryExchange) -> None:
    tallystick_exchange.falsify_receipts()
    assert decide(tallystick_exchange.exchange(), WANG, "C-1") == "alarm"


def test_the_exchange_is_asked_once_for_the_agreed_purpose(tallystick_exchange: InMemoryExchange) -> None:
    decide(tallystick_exchange.exchange(), WANG, "C-1")
    (asked,) = tallystick_exchange.inquiries(WANG)
    assert (asked.purpose, asked.consent_reference) == (Purpose.LOAN_APPROVAL, "C-1")

"""Who banks where, who applies, and what the decisions are counted as."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

from examples import own_book
from examples.banks import Applicant, Screened, Timing
from examples.card_file import CardClient
from examples.market import KNOWN_APPLICANTS, STRANGERS, bank_of, draw_applicants
from examples.outcomes import decision_bands, groups, held_out, rating_bands, rule_counts
from examples.rating.parts import TEST_PART
from examples.reported_accounts import reporting_months

from tallystick.client import analyse
from tallystick.credit.decisions import Decision
from tallystick.credit.enums import RatingOutcome
from tallystick.credit.ratings import Rating


def test_the_clients_are_dealt_evenly(clients: list[CardClient]) -> None:
    assert Counter(bank_of(client.number).member_id for client in clients) == {"bank-a": 15_000, "bank-b": 15_000}


def test_the_same_seed_draws_the_same_applicants(clients: list[CardClient]) -> None:
    applicants = draw_applicants(clients)
    assert applicants == draw_applicants(clients)
    assert applicants != draw_applicants(clients, seed=1)
    assert len({applicant.serial for applicant in applicants}) == len(applicants) == KNOWN_APPLICANTS + STRANGERS
    assert sum(applicant.client is None for applicant in applicants) == STRANGERS
    assert all(applicant.client is None or applicant.client.number == applicant.serial for applicant in applicants)
    assert not {each.serial for each in applicants if each.client is None} & {client.number for client in clients}


def screened(decision: Decision, defaulted: bool | None, *rules: tuple[Decision, str]) -> Screened:
    client = None if defaulted is None else CardClient(1, 1, (), defaulted)
    return Screened(Applicant(1, client), decision, rules, 0)


def test_default_rates_leave_strangers_out() -> None:
    approve, refer, decline = groups(
        [
            screened(Decision.APPROVE, False),
            screened(Decision.APPROVE, True),
            screened(Decision.REFER, None),
            screened(Decision.REFER, True),
            screened(Decision.REFER, None),
        ]
    )
    assert (approve.applicants, approve.known, approve.defaulted, approve.strangers, approve.default_rate) == (2, 2, 1, 0, 0.5)
    assert (refer.applicants, refer.known, refer.defaulted, refer.strangers, refer.default_rate) == (3, 1, 1, 2, 1.0)
    assert (decline.applicants, decline.default_rate) == (0, None)


def test_rules_are_counted_with_the_decisions_they_called_for() -> None:
    late, worse, note = (Decision.REFER, "late"), (Decision.DECLINE, "worse"), (Decision.APPROVE, "note")
    counts = rule_counts(
        [
            screened(Decision.DECLINE, True, worse, late, note),
            screened(Decision.REFER, False, late),
            screened(Decision.APPROVE, False, note),
            screened(Decision.APPROVE, False),
        ]
    )
    assert [(count.rule, count.applicants, count.as_decided) for count in counts] == [
        ("worse", 1, 1),
        ("late", 2, 1),
        ("note", 2, 1),
    ]


def test_a_bank_s_own_book_holds_its_accounts_and_nobody_s_identity(clients: list[CardClient], tmp_path: Path) -> None:
    months = reporting_months(date(2026, 11, 26))
    rows, late = own_book.write(tmp_path / "book.csv", clients[:50], months)
    book = analyse(tmp_path / "book.csv")
    assert (rows, book.accounts) == (300, 50)
    assert book.by_month[-1].share.overdue == late > 0
    header = (tmp_path / "book.csv").read_text().splitlines()[0]
    assert not [column for column in header.split(",") if column.startswith("id_")]


def test_what_ran_side_by_side_is_timed_once() -> None:
    both = Timing(10, 1.0, 3.0) | Timing(5, 2.0, 6.0)
    assert (both.count, both.seconds) == (15, 5.0)


def rated(number: int, grade: int | None, decision: Decision, defaulted: bool) -> Screened:
    outcome = RatingOutcome.TOO_THIN if grade is None else RatingOutcome.RATED
    score = None if grade is None else 500
    rating = Rating(outcome=outcome, score=score, grade=grade, scorecard="c", scorecard_digest=b"", validated=True)
    return Screened(Applicant(number, CardClient(number, 1, (), defaulted)), decision, (), 0, rating)


def test_bands_are_of_those_of_whom_the_card_was_not_made() -> None:
    left = [
        rated(1, 1, Decision.APPROVE, False),
        rated(2, 1, Decision.REFER, True),
        rated(3, 3, Decision.DECLINE, True),
        rated(4, None, Decision.REFER, False),
    ]
    others = [rated(5, 1, Decision.APPROVE, True), Screened(Applicant(6, None), Decision.REFER, (), 0)]
    parts = dict.fromkeys(range(1, 5), TEST_PART) | {5: TEST_PART + 1}
    assert held_out([*others, *left], parts) == left
    assert [(each.name, each.applicants, each.defaulted) for each in rating_bands(left)] == [("grade 1", 2, 1), ("grade 3", 1, 1)]
    assert [(each.name, each.default_rate) for each in decision_bands(left)] == [("approve", 0.0), ("refer", 0.5), ("decline", 1.0)]

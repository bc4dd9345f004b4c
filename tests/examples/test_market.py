"""Who banks where, who applies, and what the decisions are counted as."""

from __future__ import annotations

from collections import Counter

from examples.banks import Applicant, Screened, Timing
from examples.card_file import CardClient
from examples.market import KNOWN_APPLICANTS, STRANGERS, bank_of, draw_applicants
from examples.outcomes import groups, rule_counts

from tallystick.credit.decisions import Decision


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


def test_what_ran_side_by_side_is_timed_once() -> None:
    both = Timing(10, 1.0, 3.0) | Timing(5, 2.0, 6.0)
    assert (both.count, both.seconds) == (15, 5.0)

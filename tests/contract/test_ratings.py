"""Ratings: what an exchange answers is what anybody makes of the answer, and scorecards are installed in the open."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.contract import requests
from tests.contract.examined import examine
from tests.contract.system import System

from tallystick.credit.enums import RatingOutcome
from tallystick.credit.history import credit_history_from_message
from tallystick.credit.rating import PublishedCard, built_in_cards, rate_history
from tallystick.server.errors import Problem
from tallystick.server.services.rating.checking import installed_cards
from tallystick.server.services.rating.drift import measure_drift

WITHOUT_CREDIT = (16, 18, 19)
EXAMPLES = 60


def known_account(chance: random.Random, months_told: int = 0) -> Any:
    """One that might be anybody's, as of today."""
    months = []
    for number in requests.months_back(months_told or chance.choice([2, 7, 14])):
        month = requests.month(number, chance.choice([10, 10, 10, 1, 2, 15, 19]))
        if chance.random() < 0.8:
            month.billed_amount, month.paid_amount = chance.choice([0, 100, 9_500]), chance.choice([0, 50])
        month.ClearField("days_past_due")
        months.append(month)
    account = requests.account(months=months, credit_limit=10_000)
    if chance.random() < 0.3:
        account.annotations.append(1)
    return account


def told(system: System, subject: Any) -> Any:
    """The history that bank-a is told."""
    return system["bank-a"].exchange.call(requests.QUERY, requests.rated_query(subject)).message.credit_history


def test_the_rating_of_an_answer_is_what_anybody_makes_of_it(system: System) -> None:
    chance = random.Random(7)
    subjects = [system.mint.stranger() for _ in range(EXAMPLES)]
    for place, subject in enumerate(subjects[1:]):
        for name in chance.sample(["bank-a", "bank-b"], chance.choice([1, 2])):
            report = requests.report(subject, known_account(chance))
            assert system[name].exchange.call(requests.SUBMIT, requests.submission([report])).message.accepted_count == 1, place
    asked = [requests.rated_query(subject).inquiry for subject in subjects]
    answer = system["bank-a"].exchange.call(requests.BATCH_QUERY, requests.batch_query(asked)).message
    outcomes = set()
    for message in answer.credit_histories:
        history = credit_history_from_message(message)
        assert history.rating == rate_history(built_in_cards()[0].card, history)
        outcomes.add(history.rating.outcome)
    assert outcomes == {RatingOutcome.NO_RECORD, RatingOutcome.TOO_THIN, RatingOutcome.RATED}
    # All askers are told the same.
    other = told(system, subjects[1])
    assert (
        system["lender-c"].exchange.call(requests.QUERY, requests.rated_query(subjects[1])).message.credit_history.rating
        == other.rating
    )


def test_a_rating_is_in_the_answer_on_request_alone(system: System) -> None:
    subject = system.mint.stranger()
    report = requests.report(subject)
    assert system["bank-b"].exchange.call(requests.SUBMIT, requests.submission([report])).ok
    plain = system["bank-a"].exchange.call(requests.QUERY, requests.query(subject)).message.credit_history
    assert not plain.HasField("rating")
    rated = told(system, subject)
    assert rated.HasField("rating")
    # In one batch who asks for it is told, and the other is not.
    other = system.mint.stranger()
    asked = [requests.rated_query(subject).inquiry, requests.query(other).inquiry]
    first, second = system["bank-a"].exchange.call(requests.BATCH_QUERY, requests.batch_query(asked)).message.credit_histories
    assert first.HasField("rating")
    assert not second.HasField("rating")


@pytest.mark.parametrize("state", ["emptied", "of another version"])
def test_where_facts_are_not_kept_the_record_gives_them(system: System, state: str) -> None:
    subject = system.mint.stranger()
    report = requests.report(subject, known_account(random.Random(3), 14))
    assert system["bank-b"].exchange.call(requests.SUBMIT, requests.submission([report])).ok
    before = told(system, subject).rating
    assert before.outcome == RatingOutcome.RATED
    value = "NULL" if state == "emptied" else r"'\x63ff'::bytea"
    reference = report.account_reference.secret_id + report.account_reference.digest
    system.exchange.database_view.rows(f"UPDATE account SET rating_facts = {value} WHERE account_reference = %s", (reference,))
    assert told(system, subject).rating == before


@pytest.mark.parametrize(
    ("sections", "purpose", "reason"),
    [
        ([2], 2, "CODE_UNKNOWN"),
        ([0], 2, "CODE_UNKNOWN"),
        ([1, 1], 2, "FIELDS_INCONSISTENT"),
        *(([1], purpose, "FIELDS_INCONSISTENT") for purpose in WITHOUT_CREDIT),
    ],
)
def test_a_section_that_cannot_be_given_is_refused(system: System, sections: list[int], purpose: int, reason: str) -> None:
    asked = requests.query(system.mint.stranger(), purpose)
    asked.inquiry.sections.extend(sections)
    refused = system["bank-a"].exchange.call(requests.QUERY, asked)
    assert [(each[0], each[1]) for each in refused.violations] == [("inquiry.sections", reason)]
    batch = system["bank-a"].exchange.call(requests.BATCH_QUERY, requests.batch_query([asked.inquiry]))
    assert [each[0] for each in batch.violations] == ["inquiries[0].sections"]


def test_an_installed_card_is_listed_for_everybody_and_comes_into_force(own_system: System) -> None:
    operator = own_system.operator
    toml = requests.scorecard(days=2)
    card = PublishedCard.of(toml).card
    request = requests.installing(toml)
    answer = operator.call(requests.INSTALL, request)
    assert answer.message.scorecard.digest == card.digest
    # A retry has no second effect, and is answered as it was then.
    assert operator.call(requests.INSTALL, request).answer == answer.answer
    listed = operator.send(requests.LIST_SCORECARDS, b"", ()).message.scorecards
    assert [(each.name, each.HasField("end_time")) for each in listed] == [
        ("person-1", True),
        (card.name, False),
        ("organisation-expert-1", False),
    ]
    assert listed[1].toml == toml
    assert listed[0].end_time == listed[1].start_time
    subject = own_system.mint.stranger()
    report = requests.report(subject, known_account(random.Random(3)))
    assert own_system["bank-b"].exchange.call(requests.SUBMIT, requests.submission([report])).ok
    assert told(own_system, subject).rating.scorecard == "person-1"
    view, url = own_system.exchange.database_view, own_system.exchange.installation.database
    assert [each.card.name for each in installed_cards(url)] == [card.name]
    assert examine(own_system.exchange).found == []
    # The day has come: as if it had been installed long ago, with an earlier start.
    early = toml.replace(str(card.start_date).encode(), b"2026-01-01")
    digest = PublishedCard.of(early).card.digest
    view.rows("UPDATE scorecard SET toml = %s, digest = %s", (early, digest))
    assert told(own_system, subject).rating.scorecard == card.name
    # Which is not what the log installed.
    assert [(each.table, each.row) for each in examine(own_system.exchange).found] == [("scorecard", card.name)]
    # Edited in place under its old digest, no server begins to serve beside it, and none rates by it.
    view.rows("UPDATE scorecard SET toml = %s", (early.replace(b"points = 100", b"points = 200"),))
    with pytest.raises(Problem, match="was changed in the database"):
        installed_cards(url)
    view.rows("DELETE FROM scorecard")


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        (b"", "FIELD_REQUIRED"),
        (b"\xff", "FIELD_MALFORMED"),
        (requests.scorecard().replace(b"points = 100", b"points = -1"), "FIELD_MALFORMED"),
        (requests.scorecard().replace(b"points = 0 }", b"points = 101 }"), "FIELD_MALFORMED"),
        (requests.scorecard().replace(b'"worst_status"', b'"sex"'), "FIELD_MALFORMED"),
        (requests.scorecard(days=0), "FIELD_OUT_OF_RANGE"),
        (requests.scorecard(days=-1), "FIELD_OUT_OF_RANGE"),
        (
            requests.scorecard().replace(
                b'"worst_status"\nwindow = 13', b'"months_paid_below"\nwindow = 3\ncurrency = "CNY"\namount = 5'
            ),
            "FIELD_OUT_OF_RANGE",
        ),
    ],
)
def test_a_card_that_cannot_be_installed_is_refused(system: System, toml: bytes, reason: str) -> None:
    refused = system.operator.call(requests.INSTALL, requests.installing(toml))
    assert [(each[0], each[1]) for each in refused.violations] == [("toml", reason)]


@pytest.mark.parametrize("name", ["person-1", "organisation-expert-1"])
def test_a_released_name_is_taken(system: System, name: str) -> None:
    assert system.operator.call(requests.INSTALL, requests.installing(requests.scorecard(name=name))).reason == "ALREADY_EXISTS"


def test_a_card_is_not_replaced_under_its_name(own_system: System) -> None:
    toml = requests.scorecard()
    assert own_system.operator.call(requests.INSTALL, requests.installing(toml)).ok
    other = toml.replace(b"points = 100", b"points = 200")
    assert own_system.operator.call(requests.INSTALL, requests.installing(other)).reason == "ALREADY_EXISTS"
    assert own_system["bank-a"].exchange.call(requests.INSTALL, requests.installing(requests.scorecard())).reason == "ROLE_MISSING"


def test_drift_counts_subjects_by_grade_and_a_year_later_what_became_of_them(own_system: System) -> None:
    bank = own_system["bank-a"].exchange
    numbers = requests.months_back(20)
    for late, left_out in ((0, None), (0, None), (0, 5), (3, None), (14, 1)):
        # In order a year ago; overdue by so many dispositions lately. Of one a month is not known; one was given up before its end.
        months = [requests.month(number, late or 10 if place < 3 else 10) for place, number in enumerate(numbers) if place]
        months = [each for place, each in enumerate(months, start=1) if place != left_out]
        for month in months:
            month.ClearField("days_past_due")
        account = requests.account(months=months)
        report = requests.report(own_system.mint.stranger(), account)
        assert bank.call(requests.SUBMIT, requests.submission([report])).message.accepted_count == 1
    url, today = own_system.exchange.installation.database, datetime.now(UTC).date()
    ago = numbers[13]
    past = measure_drift(url, date(ago // 10_000, ago // 100 % 100, 1))
    (person, organisation) = past.populations.values()
    assert dict(person.outcomes) == {RatingOutcome.RATED: 5}
    assert dict(person.grades) == {1: 5}
    assert {grade: (each.good, each.bad) for grade, each in person.cohort_by_grade().items()} == {1: (3, 1)}
    assert (person.cohort.not_followed, person.cohort_auc()) == (1, None)
    assert not organisation.outcomes
    now = measure_drift(url, today.replace(day=1))
    (person, _) = now.populations.values()
    assert person.rated == 5
    assert person.cohort.by_score == {}
    assert person.grades[1] == 3
    # Of so few chance alone would move it.
    assert person.grade_stability() is None
    assert dict(person.characteristic_stability()) == dict.fromkeys(("R01", "R02", "R03", "R04", "R05"))

"""`tallystickd rating`: scorecards are installed and listed, and drift is told to people, programs and Prometheus."""

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest
from tests.contract import requests
from tests.server.cli.running import TOKEN_KEY, Run, entries, json_lines

from tallystick.credit.enums import RatingOutcome
from tallystick.credit.rating import built_in_cards
from tallystick.credit.rating.cohort import Cohort
from tallystick.credit.rating.measures import ALARMS_FROM, WARNS_FROM, Outcomes
from tallystick.server.cli.drift_texts import drift_lines
from tallystick.server.services.rating.drift import LEAST_OUTCOMES, LEAST_SUBJECTS, Drift, Population


@pytest.fixture
def exchange(tallystickd: Run, tmp_path: Path, fresh_database: str) -> Path:
    """The configuration file of a new exchange."""
    code, _, errors = tallystickd(
        *("init", tmp_path / "exchange", "--role", "exchange", "--origin", "exchange.example/log", "--listen", "127.0.0.1:1"),
        *("--database", fresh_database, "--token-public-key", TOKEN_KEY, "--token-sequence", "1"),
    )
    assert (code, errors) == (0, "")
    return tmp_path / "exchange" / "tallystickd.toml"


def test_a_card_is_installed_once_and_listed(tallystickd: Run, exchange: Path, fresh_database: str, tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_bytes(requests.scorecard(name="house-1"))
    code, output, errors = tallystickd("rating", "install", card, "--config", exchange)
    assert (code, errors) == (0, "")
    start = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)
    assert output.startswith(f"installed house-1, in force for person from {start} UTC; SHA-256 ")
    assert entries(fresh_database).count("InstallScorecard") == 1
    code, output, errors = tallystickd("rating", "install", card, "--config", exchange)
    assert (code, "never changed" in errors) == (3, True)
    code, output, _ = tallystickd("rating", "list", "--config", exchange)
    assert [line.split("  ")[0] for line in output.splitlines()] == ["person-1", "house-1", "organisation-expert-1"]
    code, output, _ = tallystickd("rating", "list", "--json", "--config", exchange)
    listed = json_lines(output)
    assert [(each["name"], each["validated"]) for each in listed] == [
        ("person-1", True),
        ("house-1", False),
        ("organisation-expert-1", False),
    ]
    assert listed[0]["end_time"] == listed[1]["start_time"]


def test_a_card_that_is_none_is_named_by_its_place(tallystickd: Run, exchange: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_bytes(requests.scorecard().replace(b"points = 0 }", b"points = 101 }"))
    code, _, errors = tallystickd("rating", "install", card, "--config", exchange)
    assert (code, "characteristics[0].bins[1].points" in errors) == (1, True)
    card.write_bytes(b"#" * 40_000)
    code, _, errors = tallystickd("rating", "install", card, "--config", exchange)
    assert (code, "is longer than" in errors) == (1, True)


def population(subjects: int, grade: int, bad: int = 0) -> Population:
    """So many subjects by person-1, all of one grade; so many of them went bad."""
    card = built_in_cards()[0].card
    cohort = Cohort({600: Outcomes(subjects - bad, bad)}, not_followed=3)
    bins = [Counter({0: subjects}) for _ in card.weighted]
    return Population(card, Counter({RatingOutcome.RATED: subjects}), Counter({grade: subjects}), bins, cohort)


def lines(population: Population) -> str:
    return "\n".join(drift_lines(Drift(dt.date(2025, 10, 1), {population.card.subject_kind: population}), WARNS_FROM, ALARMS_FROM))


def test_of_too_few_subjects_neither_drift_nor_ranking_is_told() -> None:
    few = population(LEAST_SUBJECTS - 1, 2, LEAST_OUTCOMES - 1)
    assert few.grade_stability() is None
    assert {index for _, index in few.characteristic_stability()} == {None}
    assert few.cohort_auc() is None
    assert "of the grades: fewer than 1,000 subjects" in lines(few)
    assert "AUC not known: fewer than 30 went bad, or did not" in lines(few)
    assert "3 were not reported throughout the 12 months: they are left out" in lines(few)
    enough = population(LEAST_SUBJECTS, 2, LEAST_OUTCOMES)
    assert (enough.grade_stability() or 0) > 0.25
    assert enough.cohort_auc() == 0.5
    assert "ALARM: the card no longer fits" in lines(enough)


def test_drift_of_an_empty_exchange_is_told(tallystickd: Run, exchange: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "rating.prom"
    month = f"{dt.datetime.now(dt.UTC):%Y-%m}"
    code, output, errors = tallystickd("rating", "drift", "--month", month, "--prometheus", metrics, "--config", exchange)
    assert (code, errors) == (0, "")
    assert f"persons by person-1 in {month}: none on record" in output
    assert "tallystick_rating_drift_month" in metrics.read_text()
    code, output, _ = tallystickd("rating", "drift", "--month", month, "--json", "--config", exchange)
    assert [each["scorecard"] for each in json_lines(output)] == ["person-1", "organisation-expert-1"]
    for wrong in ("2999-01", "2026-13", "soon"):
        code, _, errors = tallystickd("rating", "drift", "--month", wrong, "--config", exchange)
        assert (code, "--month" in errors) == (1, True)

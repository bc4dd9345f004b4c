"""Drift for an operator to read, for programs, and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from tallystick.credit.rating.cohort import MONTHS as COHORT_MONTHS
from tallystick.credit.rating.measures import MILLION
from tallystick.server.services.rating.drift import LEAST_OUTCOMES, LEAST_SUBJECTS, Drift, Population

_SCORE = "score"
"""What the index of the grades is called beside those of the characteristics."""


def drift_lines(drift: Drift, warns_from: float, alarms_from: float) -> Iterator[str]:
    """Lines for people; the two bounds are of the population stability index."""

    def told(index: float | None, population: Population) -> str:
        if index is None:
            few = f"fewer than {LEAST_SUBJECTS:,} subjects: chance alone would move it"
            return few if population.has_development else "no development to compare with"
        verdict = "ALARM: the card no longer fits" if index >= alarms_from else "moved" if index >= warns_from else "stable"
        return f"{index:.3f}  {verdict}"

    for kind, population in drift.populations.items():
        card = population.card
        outcomes = ", ".join(
            f"{count:,} {each.name.lower().replace('_', ' ')}" for each, count in sorted(population.outcomes.items())
        )
        yield f"{kind.name.lower()}s by {card.name} in {drift.month:%Y-%m}: {outcomes or 'none on record'}"
        if not population.rated:
            continue
        yield f"  population stability of the grades: {told(population.grade_stability(), population)}"
        for reason, index in population.characteristic_stability():
            yield f"  population stability of {reason}: {told(index, population)}"
        if population.cohort.by_score or population.cohort.not_followed:
            yield from _cohort_lines(population)
        elif population.rated:
            yield f"  what became of them is told of months {COHORT_MONTHS} or more months ago"


def _cohort_lines(population: Population) -> Iterator[str]:
    ranked = population.cohort_auc()
    auc = f"not known: fewer than {LEAST_OUTCOMES} went bad, or did not" if ranked is None else f"{ranked:.3f}"
    yield f"  within {COHORT_MONTHS} months: AUC {auc}"
    if population.cohort.not_followed:
        yield f"  {population.cohort.not_followed:,} were not reported throughout the {COHORT_MONTHS} months: they are left out"
    rates = {each.grade: each.default_rate_ppm for each in population.card.grades}
    for grade, outcomes in population.cohort_by_grade().items():
        stated = rates[grade]
        beside = "" if stated is None else f", {stated / MILLION:.1%} stated by the calibration"
        share = outcomes.bad / outcomes.subjects
        yield f"  grade {grade}: {outcomes.bad:,} of {outcomes.subjects:,} went bad, {share:.1%}{beside}"


def drift_values(drift: Drift) -> Iterator[Mapping[str, Any]]:
    """One object for each kind of subject."""
    for kind, population in drift.populations.items():
        yield {
            "month": f"{drift.month:%Y-%m}",
            "subject_kind": kind.name.lower(),
            "scorecard": population.card.name,
            "outcomes": {each.name.lower(): count for each, count in sorted(population.outcomes.items())},
            "stability": _stability(population),
            "cohort_auc": population.cohort_auc(),
            "cohort_not_followed": population.cohort.not_followed,
            "cohort": [
                {"grade": grade, "subjects": each.subjects, "bad": each.bad} for grade, each in population.cohort_by_grade().items()
            ],
        }


def prometheus_text(drift: Drift) -> str:
    """The text format, for the textfile collector."""
    registry = CollectorRegistry()
    stability = Gauge(
        "tallystick_rating_population_stability",
        "Population stability index against the scorecard's development, of the grades (score) and of each characteristic.",
        ("scorecard", "characteristic"),
        registry=registry,
    )
    month = Gauge("tallystick_rating_drift_month", "First day of the month measured, seconds since 1970.", registry=registry)
    rated = Gauge("tallystick_rating_subjects", "Subjects by outcome.", ("scorecard", "outcome"), registry=registry)
    ranked = Gauge("tallystick_rating_cohort_auc", "AUC of the scores of a year ago.", ("scorecard",), registry=registry)
    seconds = int(drift.month.toordinal() - 719_163) * 86_400
    month.set(seconds)
    for population in drift.populations.values():
        name = population.card.name
        for characteristic, index in _stability(population).items():
            if index is not None:
                stability.labels(name, characteristic).set(index)
        for outcome, count in population.outcomes.items():
            rated.labels(name, outcome.name.lower()).set(count)
        auc = population.cohort_auc()
        if auc is not None:
            ranked.labels(name).set(auc)
    return generate_latest(registry).decode()


def _stability(population: Population) -> dict[str, float | None]:
    return {_SCORE: population.grade_stability()} | dict(population.characteristic_stability())

"""Writing a scorecard as TOML: what `read_scorecard` reads back as the same card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields

from tallystick.credit.codes import disposition_code
from tallystick.credit.enums import Disposition
from tallystick.credit.rating.scorecard import Calibration, Grade, Scorecard, Weighted


def scorecard_toml(card: Scorecard, comment: str) -> str:
    """The text of a card, its digest aside; `comment` stands at its head, line by line."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [
        "",
        f'name = "{card.name}"',
        f'subject_kind = "{card.subject_kind.name.lower()}"',
        f"start_date = {card.start_date}",
        f"validated = {str(card.validated).lower()}",
        f"base_points = {card.base_points}",
    ]
    if card.calibration is not None:
        lines += _calibration(card.calibration)
    for weighted in card.weighted:
        lines += _weighted(weighted)
    for grade in card.grades:
        lines += _grade(grade)
    return "\n".join(lines) + "\n"


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield ""
    yield "[calibration]"
    yield f"population = {_text(calibration.population)}"
    yield f"outcome = {_text(calibration.outcome)}"
    yield f"first_date = {calibration.first_date}"
    yield f"last_date = {calibration.last_date}"
    yield f"subjects = {calibration.subjects}"
    yield f"defaults = {calibration.defaults}"


def _weighted(weighted: Weighted) -> Iterator[str]:
    characteristic = weighted.characteristic
    yield ""
    yield "[[characteristics]]"
    yield f'characteristic = "{characteristic.kind}"'
    for field in fields(characteristic):
        value = getattr(characteristic, field.name)
        if isinstance(value, Disposition):
            value = disposition_code(value)
        text = _text(value) if isinstance(value, str) else list(value) if isinstance(value, tuple) else value
        yield f"{field.name} = {text}"
    yield f'reason = "{weighted.reason}"'
    yield "bins = ["
    shares = weighted.development_ppm or (None,) * len(weighted.points)
    for up_to, points, share in zip((*weighted.up_to, None), weighted.points, shares, strict=True):
        bound = "" if up_to is None else f"up_to = {up_to}, "
        developed = "" if share is None else f", development_ppm = {share}"
        yield f"  {{ {bound}points = {points}{developed} }},"
    yield "]"


def _text(value: str) -> str:
    # A basic string of TOML is escaped as one of JSON is.
    return json.dumps(value, ensure_ascii=False)


def _grade(grade: Grade) -> Iterator[str]:
    yield ""
    yield "[[grades]]"
    yield f"grade = {grade.grade}"
    yield f"from_score = {grade.from_score}"
    if grade.development_ppm is not None:
        yield f"development_ppm = {grade.development_ppm}"
    if grade.default_rate_ppm is not None:
        yield f"default_rate_ppm = {grade.default_rate_ppm}"

"""Reading a scorecard: TOML in which every number is whole. What is wrong is told by its place in the text."""

from __future__ import annotations

import codecs
import datetime as dt
import re
import tomllib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

from tallystick.contract.limits import MAX_SCORECARD
from tallystick.credit.decisions import PolicyError
from tallystick.credit.enums import SubjectKind
from tallystick.credit.policy_reading import read_fields, read_table, read_value
from tallystick.credit.policy_values import Reader, one_of, read_short_text, whole_number
from tallystick.credit.rating.characteristics import KINDS, Characteristic
from tallystick.credit.rating.scorecard import HIGHEST_SCORE, LOWEST_SCORE, Calibration, Grade, Scorecard, Weighted

MAX_CHARACTERISTICS: Final = 30
MAX_BINS: Final = 30
MAX_GRADES: Final = 10
_MILLION: Final = 1_000_000

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_REASON: Final = re.compile(r"R[0-9]{2}")
_points: Final = whole_number(0, HIGHEST_SCORE)
_share: Final = whole_number(0, _MILLION)
_count: Final = whole_number(0, 10**12)
_TOP: Final = ("name", "subject_kind", "start_date", "validated", "base_points", "characteristics", "grades")


class ScorecardError(PolicyError):
    """A scorecard cannot be used. `key` names the place in the TOML text, such as "characteristics[2].bins[0].points"."""


def read_scorecard(content: bytes) -> Scorecard:
    """Reads the bytes of a scorecard. Raises ScorecardError."""
    try:
        return _read(content)
    except ScorecardError:
        raise
    except PolicyError as error:
        raise ScorecardError(error.key, str(error).removeprefix(f"{error.key}: ")) from None


def _read(content: bytes) -> Scorecard:
    if len(content) > MAX_SCORECARD:
        raise ScorecardError("", f"is longer than {MAX_SCORECARD} bytes")
    if content.startswith(codecs.BOM_UTF8):
        # Not left out: a card is its bytes.
        raise ScorecardError("", "begins with a byte order mark: save it as UTF-8 without one")
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise ScorecardError("", f"is not TOML: {error}") from None
    _check_keys("", table, _TOP, ("calibration",), "a scorecard")
    weighted = _weighted(table["characteristics"])
    base = read_value("base_points", _points, table["base_points"])
    worst, best = (base + sum(each.points[end] for each in weighted) for end in (-1, 0))
    if worst < LOWEST_SCORE or best > HIGHEST_SCORE:
        raise ScorecardError(
            "base_points", f"scores run from {worst} to {best}: they must stay from {LOWEST_SCORE} to {HIGHEST_SCORE}"
        )
    calibration = _calibration(table["calibration"]) if "calibration" in table else None
    card = Scorecard(
        name=read_value("name", _matching(_NAME, "1 to 63 lower-case letters, digits and hyphens, a letter first"), table["name"]),
        subject_kind=read_value("subject_kind", one_of(SUBJECT_KINDS), table["subject_kind"]),
        start_date=read_value("start_date", _date, table["start_date"]),
        validated=read_value("validated", _truth, table["validated"]),
        base_points=base,
        weighted=weighted,
        grades=_grades(table["grades"], calibration is not None),
        calibration=calibration,
        digest=sha256(content).digest(),
    )
    if calibration is not None and card.subject_kind == SubjectKind.ORGANISATION:
        raise ScorecardError("calibration", "no data validates a default rate of organisations: leave it out")
    return card


SUBJECT_KINDS: Final = {"person": SubjectKind.PERSON, "organisation": SubjectKind.ORGANISATION}


def _weighted(entries: Any) -> tuple[Weighted, ...]:
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_CHARACTERISTICS:
        raise ScorecardError("characteristics", f"expected 1 to {MAX_CHARACTERISTICS} tables [[characteristics]]")
    read = [_one_weighted(f"characteristics[{n}]", entry) for n, entry in enumerate(entries)]
    seen: set[str] = set()
    for n, each in enumerate(read):
        if each.reason in seen:
            raise ScorecardError(
                f"characteristics[{n}].reason", "another characteristic has this code; points are told apart by it"
            )
        seen.add(each.reason)
    if len({bool(each.development_ppm) for each in read}) > 1:
        raise ScorecardError("characteristics", "give development_ppm for each bin of each characteristic, or for none")
    return tuple(read)


def _one_weighted(path: str, entry: Any) -> Weighted:
    table = dict(read_table(path, entry))
    for key in ("characteristic", "reason", "bins"):
        if key not in table:
            raise ScorecardError(f"{path}.{key}", "is missing")
    kind = read_value(f"{path}.characteristic", one_of(KINDS), table.pop("characteristic"))
    reason = read_value(f"{path}.reason", _matching(_REASON, "a code such as R01"), table.pop("reason"))
    up_to, points, shares = _bins(f"{path}.bins", table.pop("bins"))
    characteristic: Characteristic = read_fields(path, table, kind, f"the characteristic {kind.kind}")
    return Weighted(reason, characteristic, up_to, points, shares)


def _bins(path: str, entries: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    if not isinstance(entries, list) or not 2 <= len(entries) <= MAX_BINS:
        raise ScorecardError(path, f"expected a list of 2 to {MAX_BINS} tables, such as {{ up_to = 0, points = 62 }}")
    bins = [read_table(f"{path}[{n}]", entry) for n, entry in enumerate(entries)]
    last = len(bins) - 1
    for n, each in enumerate(bins):
        _check_keys(f"{path}[{n}].", each, ("points",), ("up_to", "development_ppm"), "a bin")
        if (n == last) == ("up_to" in each):
            text = "the last bin has none: it takes every greater value" if n == last else "is missing; only the last bin has none"
            raise ScorecardError(f"{path}[{n}].up_to", text)
    up_to = tuple(read_value(f"{path}[{n}].up_to", _count, each["up_to"]) for n, each in enumerate(bins[:-1]))
    points = tuple(read_value(f"{path}[{n}].points", _points, each["points"]) for n, each in enumerate(bins))
    for n, (before, after) in enumerate(pairwise(up_to), start=1):
        if after <= before:
            raise ScorecardError(f"{path}[{n}].up_to", "must be greater than that of the bin before it")
    for n, (before, after) in enumerate(pairwise(points), start=1):
        if after > before:
            raise ScorecardError(
                f"{path}[{n}].points", "must not be more than those of the bin before it: a greater value is worse"
            )
    return up_to, points, _shares(path, bins, "development_ppm")


def _shares(path: str, entries: Sequence[Mapping[str, Any]], key: str) -> tuple[int, ...]:
    stated = [n for n, each in enumerate(entries) if key in each]
    if not stated:
        return ()
    if len(stated) < len(entries):
        raise ScorecardError(f"{path}.{key}", "give it for each, or for none")
    shares = tuple(read_value(f"{path}[{n}].{key}", _share, each[key]) for n, each in enumerate(entries))
    if sum(shares) != _MILLION:
        raise ScorecardError(f"{path}.{key}", f"the shares add up to {sum(shares)}, and not to {_MILLION}")
    return shares


def _grades(entries: Any, calibrated: bool) -> tuple[Grade, ...]:
    if not isinstance(entries, list) or not 2 <= len(entries) <= MAX_GRADES:
        raise ScorecardError("grades", f"expected 2 to {MAX_GRADES} tables [[grades]]")
    tables = [read_table(f"grades[{n}]", entry) for n, entry in enumerate(entries)]
    grades = []
    for n, each in enumerate(tables):
        path = f"grades[{n}]"
        _check_keys(f"{path}.", each, ("grade", "from_score"), ("development_ppm", "default_rate_ppm"), "a grade")
        number = read_value(f"{path}.grade", whole_number(1, MAX_GRADES), each["grade"])
        if number != n + 1:
            raise ScorecardError(f"{path}.grade", f"must be {n + 1}: grades follow each other, the best first")
        if ("default_rate_ppm" in each) != calibrated:
            text = "needs a table [calibration] that says on whose outcomes it rests" if not calibrated else "is missing"
            raise ScorecardError(f"{path}.default_rate_ppm", text)
        rate = read_value(f"{path}.default_rate_ppm", _share, each["default_rate_ppm"]) if calibrated else None
        from_score = read_value(f"{path}.from_score", whole_number(0, HIGHEST_SCORE), each["from_score"])
        grades.append(Grade(number, from_score, each.get("development_ppm"), rate))
    _shares("grades", tables, "development_ppm")
    for n, (better, worse) in enumerate(pairwise(grades), start=1):
        if worse.from_score >= better.from_score:
            raise ScorecardError(f"grades[{n}].from_score", "must be less than that of the grade before it")
        if calibrated and (worse.default_rate_ppm or 0) < (better.default_rate_ppm or 0):
            raise ScorecardError(f"grades[{n}].default_rate_ppm", "must not be less than that of the grade before it")
    if grades[-1].from_score > LOWEST_SCORE:
        raise ScorecardError(f"grades[{len(grades) - 1}].from_score", f"must be {LOWEST_SCORE} or less: every score has a grade")
    return tuple(grades)


def _calibration(entry: Any) -> Calibration:
    table = read_table("calibration", entry)
    keys = {
        "population": read_short_text,
        "outcome": read_short_text,
        "first_date": _date,
        "last_date": _date,
        "subjects": whole_number(1, 10**12),
        "defaults": _count,
    }
    _check_keys("calibration.", table, tuple(keys), (), "a calibration")
    read = {key: read_value(f"calibration.{key}", reader, table[key]) for key, reader in keys.items()}
    if read["last_date"] < read["first_date"]:
        raise ScorecardError("calibration.last_date", "lies before first_date")
    if read["defaults"] > read["subjects"]:
        raise ScorecardError("calibration.defaults", "must not be more than subjects")
    return Calibration(**read)


def _check_keys(path: str, table: Mapping[str, Any], needed: Sequence[str], others: Sequence[str], what: str) -> None:
    for key in table:
        if key not in needed and key not in others:
            raise ScorecardError(f"{path}{key}", f"is no key of {what}, which has {', '.join((*needed, *others))}")
    for key in needed:
        if key not in table:
            raise ScorecardError(f"{path}{key}", f"is missing; {what} needs it")


def _matching(pattern: re.Pattern[str], what: str) -> Reader:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"expected {what}")
        return value

    return read


def _date(value: Any) -> dt.date:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise ValueError("expected a day, such as 2026-12-01, without quotation marks")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value

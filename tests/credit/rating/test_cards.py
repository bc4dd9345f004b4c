"""Scorecards: what is one, what is none and why, and which is in force."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tallystick.contract.limits import MAX_SCORECARD
from tallystick.credit.enums import SubjectKind
from tallystick.credit.rating import PublishedCard, ScorecardError, built_in_cards, in_force, read_scorecard, scorecard_toml
from tallystick.credit.screening import ScreeningPolicy

EXAMPLE = Path(__file__).parents[3] / "examples" / "rating" / "person-twd-2005.toml"

DOCUMENT = Path(__file__).parents[3] / "docs" / "rating.md"

GOOD = """\
name = "house-1"
subject_kind = "person"
start_date = 2026-12-01
validated = false
base_points = 400
[[characteristics]]
characteristic = "worst_status"
window = 13
reason = "R01"
bins = [{ up_to = 0, points = 100 }, { up_to = 1, points = 40 }, { points = 0 }]
[[characteristics]]
characteristic = "months_utilised"
window = 7
over = 90
reason = "R02"
bins = [{ up_to = 1, points = 20 }, { points = 0 }]
[[grades]]
grade = 1
from_score = 500
[[grades]]
grade = 2
from_score = 300
"""

# What is changed, and the place that is named.
WRONG = [
    ("points = 40 }", "points = 101 }", "characteristics[0].bins[1].points"),
    ("points = 40 }", "points = 40.0 }", "characteristics[0].bins[1].points"),
    ("points = 40 }", "points = -1 }", "characteristics[0].bins[1].points"),
    ("points = 40 }", "points = true }", "characteristics[0].bins[1].points"),
    ("up_to = 1, points = 40", "up_to = 0, points = 40", "characteristics[0].bins[1].up_to"),
    ("up_to = 1, points = 40", "points = 40", "characteristics[0].bins[1].up_to"),
    (
        ", { points = 0 }]\n[[characteristics]]",
        ", { up_to = 9, points = 0 }]\n[[characteristics]]",
        "characteristics[0].bins[2].up_to",
    ),
    ("up_to = 1, points = 40", "up_to = 1, points = 40, weight = 3", "characteristics[0].bins[1].weight"),
    ('characteristic = "worst_status"', 'characteristic = "age"', "characteristics[0].characteristic"),
    ('characteristic = "worst_status"', 'characteristic = "sex"', "characteristics[0].characteristic"),
    ('characteristic = "worst_status"', 'characteristic = "inquiries"', "characteristics[0].characteristic"),
    ("window = 13", "window = 0", "characteristics[0].window"),
    ("window = 13", "window = 61", "characteristics[0].window"),
    ("window = 7\n", "window = 19\n", "characteristics[1].window"),
    ("over = 90", "over = 91", "characteristics[1].over"),
    ("over = 90\n", "", "characteristics[1].over"),
    ('reason = "R01"\n', "", "characteristics[0].reason"),
    ('reason = "R02"', 'reason = "R01"', "characteristics[1].reason"),
    ('reason = "R02"', 'reason = "late"', "characteristics[1].reason"),
    ("grade = 2", "grade = 1", "grades[1].grade"),
    ("grade = 2", "grade = 3", "grades[1].grade"),
    ("from_score = 300", "from_score = 500", "grades[1].from_score"),
    ("from_score = 300", "from_score = 301", "grades[1].from_score"),
    ("from_score = 300", "from_score = 300\ndefault_rate_ppm = 9", "grades[1].default_rate_ppm"),
    ("from_score = 300", "from_score = 300\ndevelopment_ppm = 9", "grades.development_ppm"),
    ("base_points = 400", "base_points = 299", "base_points"),
    ("base_points = 400", "base_points = 800", "base_points"),
    ("base_points = 400", "base_points = 400\nseed = 1", "seed"),
    ('name = "house-1"', 'name = "House 1"', "name"),
    ('name = "house-1"\n', "", "name"),
    ("validated = false", 'validated = "no"', "validated"),
    ("start_date = 2026-12-01", 'start_date = "2026-12-01"', "start_date"),
    ("start_date = 2026-12-01", "start_date = 2026-12-01T00:00:00Z", "start_date"),
    ('subject_kind = "person"', 'subject_kind = "household"', "subject_kind"),
    ("[[grades]]\ngrade = 1", "[grades]\ngrade = 1", ""),
]


def test_a_card_is_read() -> None:
    card = read_scorecard(GOOD.encode())
    assert (card.name, card.subject_kind, card.start_date) == ("house-1", SubjectKind.PERSON, dt.date(2026, 12, 1))
    assert [each.points_of(value) for each in card.weighted for value in (0, 1, 2, 9)] == [100, 40, 0, 0, 20, 20, 0, 0]
    assert [card.grade_of(score).grade for score in (520, 500, 499, 400)] == [1, 1, 2, 2]


@pytest.mark.parametrize(("old", "new", "place"), WRONG)
def test_a_card_that_is_none_is_refused_and_the_place_is_named(old: str, new: str, place: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(ScorecardError) as refused:
        read_scorecard(text.encode())
    assert refused.value.key == place


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"name = ",
        b"a = " + b"[" * 5000,
        b"a = " + b"9" * 5000,
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.encode() + b"#" * MAX_SCORECARD,
    ],
)
def test_what_is_no_card_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(ScorecardError):
        read_scorecard(content)


def test_only_a_card_with_a_calibration_states_rates_and_no_card_for_organisations_does() -> None:
    calibration = (
        '[calibration]\npopulation = "ours"\noutcome = "late"\nfirst_date = 2025-01-01\nlast_date = 2025-02-01\n'
        "subjects = 10\ndefaults = 3\n"
    )
    text = GOOD.replace("[[characteristics]]", f"{calibration}[[characteristics]]", 1)
    with pytest.raises(ScorecardError, match=r"grades\[0\].default_rate_ppm: is missing"):
        read_scorecard(text.encode())
    text = text.replace("from_score = 500", "from_score = 500\ndefault_rate_ppm = 20")
    with pytest.raises(ScorecardError, match="must not be less than that of the grade before it"):
        read_scorecard(text.replace("from_score = 300", "from_score = 300\ndefault_rate_ppm = 10").encode())
    text = text.replace("from_score = 300", "from_score = 300\ndefault_rate_ppm = 30")
    assert read_scorecard(text.encode()).calibration is not None
    with pytest.raises(ScorecardError, match="no data validates"):
        read_scorecard(text.replace('"person"', '"organisation"').encode())


@pytest.mark.parametrize("content", [GOOD.encode(), EXAMPLE.read_bytes(), *(each.toml for each in built_in_cards())])
def test_a_card_is_written_as_it_is_read(content: bytes) -> None:
    card = read_scorecard(content)
    again = read_scorecard(scorecard_toml(card, "a comment\nof two lines").encode())
    assert again == replace(card, digest=again.digest)


def test_the_card_in_force_is_the_one_that_began_last() -> None:
    def published(name: str, start: str) -> PublishedCard:
        text = GOOD.replace("house-1", name).replace("2026-12-01", start)
        return PublishedCard.of(text.encode())

    installed = [published("house-2", "2027-02-01"), published("house-1", "2026-12-01"), published("house-3", "2027-02-01")]
    names = [
        in_force(installed, dt.date.fromisoformat(day))[SubjectKind.PERSON].name
        for day in ("2026-11-30", "2026-12-01", "2027-01-31", "2027-02-01")
    ]
    assert names == ["person-1", "house-1", "house-1", "house-3"]
    assert in_force(installed, dt.date(2027, 3, 1))[SubjectKind.ORGANISATION].name == "organisation-expert-1"


def test_released_cards_are_never_edited() -> None:
    # A change of a single byte is another card: it takes another name.
    digests = {each.card.name: each.card.digest.hex() for each in built_in_cards()}
    assert digests == {
        "person-1": "5577827037a8e0c7ee58b5bbd62c9db52c90d76fc8730ccde03ffe0687069b66",
        "organisation-expert-1": "06da695dbc028699113cd91077f2df59b42815d2671d8b7dc8f712e7b418bdff",
    }


def test_cards_and_policies_in_the_documentation_are_what_they_seem() -> None:
    documented = re.findall(r"^```toml\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert ["[[characteristics]]" in each for each in documented].count(True) == 1
    for each in documented:
        if "[[characteristics]]" in each:
            assert PublishedCard.of(each.encode()).card.name == "house-1"
        else:
            assert ScreeningPolicy.from_toml(each).rules

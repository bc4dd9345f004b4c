"""`tallystick rating`, and what `query` and `screen` say of ratings."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.client.cli.inputs import NUMBER, QUERY, applicants_file

from tallystick.client import Exchange, Identity
from tallystick.client.flows.scorecards import ListedScorecard
from tallystick.credit.rating import built_in_cards, read_scorecard
from tallystick.testing import account

PERSON = Identity.passport("DE", NUMBER)


@pytest.fixture
def known(system: Any) -> None:
    """An applicant who was late."""
    system.memory.known(PERSON, account(months=12, overdue={2: 2, 3: 3}, limit=1_000_000, opened_months_ago=20))


@pytest.fixture
def answer(cli: Any, known: None, tmp_path: Path) -> Path:
    """What a bank kept of its question."""
    path = tmp_path / "answer.json"
    path.write_text(cli(*QUERY, "--rating", "--json").out)
    return path


def test_a_query_shows_the_rating_with_its_reasons(cli: Any, known: None) -> None:
    shown = cli(*QUERY, "--rating").out
    assert "points, grade " in shown
    assert "R03: 31–60 days past due, or worse, in 2 of the last 13 months" in shown
    assert "Rating" not in cli(*QUERY).out
    assert "R03：" not in shown
    assert "扣" in cli(*QUERY, "--rating", "--language", "zh").out
    value = cli(*QUERY, "--rating", "--json").json[0]["rating"]
    assert value["outcome"] == "rated"
    assert value["scorecard_digest"] == built_in_cards()[0].card.digest.hex()
    assert value["reason_texts"][0].keys() == {"code", "en", "zh"}


def test_a_rating_is_reckoned_again_from_a_kept_answer(cli: Any, answer: Path) -> None:
    ran = cli("rating", "verify", answer)
    assert ran.code == 0
    assert ran.out.startswith("the rating is what its scorecard makes of the accounts: ")
    assert "分，第" in cli("rating", "verify", answer, "--language", "zh").out
    value = json.loads(answer.read_text())
    value["history"]["rating"]["score"] += 1
    answer.write_text(json.dumps(value))
    ran = cli("rating", "verify", answer)
    assert ran.code == 1
    assert [line.split(": ")[0] for line in ran.out.splitlines()] == [
        "the answer says",
        "its scorecard makes of the accounts",
    ]
    assert cli("rating", "verify", answer, "--json").json[0]["verified"] is False
    value["history"]["rating"]["score"] -= 1
    value["rating"]["text"]["en"] = "700 points"
    answer.write_text(json.dumps(value))
    ran = cli("rating", "verify", answer)
    assert (ran.code, "its texts were changed" in ran.out) == (1, True)


def test_a_grade_that_the_card_does_not_have_approves_nobody_in_silence(cli: Any, known: None, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rules]]\nname = "weak"\nkind = "rating_below"\ngrade = 8\ndecision = "decline"\n')
    ran = cli(*QUERY, "--policy", policy)
    assert ran.code == 2
    assert "speaks of grades after 8, and person-1 has 8" in ran.err


@pytest.mark.parametrize("command", ["query", "screen"])
def test_a_rule_that_a_card_in_force_cannot_serve_stops_before_anybody_is_asked_about(
    cli: Any, system: Any, known: None, tmp_path: Path, command: str
) -> None:
    """Not at the first organisation of a file, when half of the inquiries are made."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rules]]\nname = "weak"\nkind = "rating_below"\ngrade = 5\ndecision = "decline"\n')
    rows = [f"A-{n},person,2,DE,{NUMBER},loan_approval,c-{n}" for n in range(3)]
    file = applicants_file(tmp_path / "applicants.csv", rows)
    asked = QUERY if command == "query" else ("screen", file, "--out", tmp_path / "decisions.csv")
    before = len(system.exchange.log.entries)
    ran = cli(*asked, "--policy", policy)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "organisation-expert-1 has 5: say by subject_kind whom it is for" in ran.err
    assert len(system.exchange.log.entries) == before
    policy.write_text(policy.read_text() + 'subject_kind = "person"\n')
    assert cli(*asked, "--policy", policy).code == 0


@pytest.mark.parametrize(("zoned", "code"), [(True, 0), (False, 2)])
def test_an_answer_is_verified_wherever_its_time_was_written_down(
    cli: Any, answer: Path, tmp_path: Path, zoned: bool, code: int
) -> None:
    value = json.loads(answer.read_text())
    instant = dt.datetime.fromisoformat(value["history"]["as_of"])
    zone = dt.timezone(dt.timedelta(hours=8))
    value["history"]["as_of"] = (instant.astimezone(zone) if zoned else instant.replace(tzinfo=None)).isoformat()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(value))
    ran = cli("rating", "verify", other)
    assert (ran.code, "history.as_of: has no time zone" in ran.err) == (code, code == 2), ran.err


def test_a_rating_of_a_kept_answer_is_shown_in_words(cli: Any, answer: Path, tmp_path: Path) -> None:
    assert "R03: " in cli("rating", "show", answer).out
    assert "扣" in cli("rating", "show", answer, "--language", "zh").out
    card = tmp_path / "card.toml"
    card.write_bytes(built_in_cards()[0].toml.replace(b'name = "person-1"', b'name = "ours"'))
    assert "by the scorecard ours" in cli("rating", "show", answer, "--scorecard", card).out
    card.write_bytes(built_in_cards()[1].toml)
    ran = cli("rating", "show", answer, "--scorecard", card)
    assert (ran.code, "rates organisations" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda value: "{", "is not the JSON of one answer"),
        (lambda value: json.dumps({}), "history.outcome: is missing"),
        (lambda value: json.dumps(value | {"history": value["history"] | {"rating": None}}), "holds no rating"),
        (lambda value: json.dumps(value["history"] | {"accounts": 3}), "history.accounts: must be a list"),
        (lambda value: json.dumps(value["history"] | {"as_of": "soon"}), "history.as_of: is no datetime"),
        (lambda value: json.dumps(value["history"] | {"outcome": "maybe"}), "history.outcome: is no historyoutcome"),
    ],
)
def test_what_is_no_kept_answer_is_told_by_its_place(cli: Any, answer: Path, change: Any, says: str) -> None:
    answer.write_text(change(json.loads(answer.read_text())))
    ran = cli("rating", "verify", answer)
    assert ran.code == 2
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1


ODD: Final[tuple[Any, ...]] = (None, True, -1, 10**30, 1.5, "", "x", [], {}, [[]], "2026-02-30T00:00:00Z", "\ud800", "rated")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from places(inner, (*path, step))


def test_whatever_stands_in_a_kept_answer_it_is_shown_or_refused_in_a_line(cli: Any, answer: Path) -> None:
    kept, chance = json.loads(answer.read_text()), random.Random(7)
    told = {path for path in places(kept["history"]) if path[0] == "rating"}
    others = chance.sample(sorted(set(places(kept["history"])) - told, key=str), 40)
    for path, odd in itertools.product([*sorted(told, key=str), *others], ODD):
        value = json.loads(json.dumps(kept))
        functools.reduce(lambda inner, step: inner[step], path[:-1], value["history"])[path[-1]] = odd
        answer.write_text(json.dumps(value))
        ran = cli("rating", *chance.choice([("show", answer, "--language", "zh"), ("show", answer), ("verify", answer)]))
        assert ran.code in (0, 1, 2), (path, odd, ran.err)
        assert len(ran.err.splitlines()) == (ran.code == 2), (path, odd, ran.err)


def test_what_an_answer_says_steers_no_terminal(cli: Any, answer: Path) -> None:
    value = json.loads(answer.read_text())
    for text in ("\x1b[2J", "person-1\nthe rating is what its scorecard makes of the accounts", "\u202e"):
        value["history"]["rating"]["scorecard"] = text
        answer.write_text(json.dumps(value))
        ran = cli("rating", "verify", answer)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.endswith("history.rating.scorecard: is no line of printable characters\n")


def test_the_scorecards_of_the_exchange_are_listed_and_printed_byte_for_byte(cli: Any) -> None:
    listed = cli("rating", "cards").out
    assert "person-1" in listed
    found = [(each["name"], each["subject_kind"], each["validated"]) for each in cli("rating", "cards", "--json").json]
    assert found == [("person-1", "person", True), ("organisation-expert-1", "organisation", False)]
    assert cli("rating", "cards", "--toml", "nobody").code == 2
    assert cli("rating", "cards", "--toml", "person-1").out.encode() == built_in_cards()[0].toml


def test_a_card_that_only_a_newer_version_reads_does_not_hide_the_others(
    cli: Any, answer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    newer = ListedScorecard("person-9", b"\x09" * 32, start, None, b"kinds_of_the_future = 1\n")
    listed = [newer, *(ListedScorecard(each.card.name, each.card.digest, start, None, each.toml) for each in built_in_cards())]
    monkeypatch.setattr(Exchange, "scorecards", lambda self, timeout=None: listed)
    told = cli("rating", "cards")
    assert (told.code, "needs a newer version" in told.out, "person-1" in told.out) == (0, True, True)
    first, second, _ = cli("rating", "cards", "--json").json
    assert (first["name"], first["validated"], second["validated"]) == ("person-9", None, True)
    value = json.loads(answer.read_text())
    value["history"]["rating"]["scorecard_digest"] = newer.digest.hex()
    answer.write_text(json.dumps(value))
    ran = cli("rating", "verify", answer)
    assert (ran.code, "person-9 needs a newer version of this program" in ran.err) == (2, True)


def test_screening_by_a_policy_that_looks_at_ratings_asks_for_them(cli: Any, known: None, tmp_path: Path) -> None:
    policy, out = tmp_path / "policy.toml", tmp_path / "decisions.csv"
    policy.write_text('[[rules]]\nname = "weak"\nkind = "rating_below"\ngrade = 2\ndecision = "decline"\n')
    rows = [f"A-1,person,2,DE,{NUMBER},loan_approval,c-1", "A-2,person,2,DE,C01X00T48,loan_approval,c-2"]
    rows.append(f"A-3,person,2,DE,{NUMBER},merchant_real_name_check,c-3")
    file = applicants_file(tmp_path / "applicants.csv", rows)
    ran = cli("screen", file, "--out", out, "--policy", policy)
    with out.open() as opened:
        found = {row["applicant_id"]: row for row in csv.DictReader(opened)}
    assert (found["A-1"]["decision"], found["A-1"]["rating"]) == ("decline", "rated")
    assert int(found["A-1"]["grade"]) > 2
    assert "R03 31–60 days past due" in found["A-1"]["reasons"]
    assert (found["A-2"]["decision"], found["A-2"]["rating"], found["A-2"]["score"]) == ("approve", "no_record", "")
    assert found["A-3"]["outcome"] == "error"
    assert "ask without the rating" in found["A-3"]["error"]
    assert ran.code == 1
    assert cli("screen", applicants_file(tmp_path / "two.csv", rows[:2]), "--out", out).code == 0


def test_reasons_of_decisions_are_told_in_chinese(cli: Any, system: Any, tmp_path: Path) -> None:
    system.memory.known(PERSON, account(written_off=True))
    english, chinese = cli(*QUERY).out, cli(*QUERY, "--language", "zh").out
    assert "bad debt or written off on 1 account" in english
    assert "1个账户为呆账或已核销（机构1）" in chinese.replace("\n", "")
    (reason,) = [each for each in cli(*QUERY, "--json").json[0]["reasons"] if "written off on" in each["text"]]
    assert reason["text"] == reason["texts"]["en"] == "bad debt or written off on 1 account (institution 1)"
    assert reason["texts"]["zh"] == "1个账户为呆账或已核销（机构1）"
    file = applicants_file(tmp_path / "applicants.csv", [f"A-1,person,2,DE,{NUMBER},loan_approval,c-1"])
    out = tmp_path / "decisions.csv"
    assert cli("screen", file, "--out", out, "--language", "zh").code == 0
    with out.open(encoding="utf-8") as opened:
        (row,) = csv.DictReader(opened)
    assert "1个账户为呆账或已核销（机构1）" in row["reasons"].split(" | ")
    assert reason["rule"] in row["rules"].split(";")
    refused = cli("screen", file, "--out", out, "--language", "fr")
    assert (refused.code, "'fr' is not one of 'en', 'zh'" in refused.err) == (2, True)
    with out.open() as opened:
        assert {row["rating"] for row in csv.DictReader(opened)} == {""}


HEADER = "id_kind,id_type,id_country,id_number,account_number,as_of,account_type,status,currency,opened_date,month,disposition\n"


def book(path: Path, persons: int, bad: int) -> Path:
    """Accounts of two years; so many persons were late at its middle, and half of those went bad in the year after."""
    lines = [HEADER]
    for n in range(persons):
        late, worse = n < 2 * bad, n < bad
        for ago in range(24):
            month = f"{2026 - (ago + 1) // 12 if ago < 10 else 2025 - (ago - 10) // 12}-{(10 - ago - 1) % 12 + 1:02}"
            code = "2" if late and ago in (12, 13) else "4" if worse and ago == 5 else "N"
            lines.append(f"person,2,DE,P{n:07d},a-{n},2026-10-31T12:00:00Z,R2,1,CNY,2020-01-01,{month},{code}\n")
    path.write_text("".join(lines))
    return path


def test_a_card_is_calibrated_on_a_banks_own_outcomes(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "card.toml"
    calibrate = ("rating", "calibrate", book(tmp_path / "book.csv", 400, 110), "--month", "2025-10", "--out", out)
    said = ("--name", "person-1-bank-a", "--population", 'Bank "A"', "--start", "2027-01-01")
    ran = cli(*calibrate, *said)
    assert (ran.code, ran.err) == (0, "")
    assert "400 persons, rated as of 2025-10: 400" in ran.out
    card = read_scorecard(out.read_bytes())
    assert (card.name, card.calibration and card.calibration.population) == ("person-1-bank-a", 'Bank "A"')
    assert card.calibration is not None
    assert (card.calibration.subjects, card.calibration.defaults) == (400, 110)
    rates = [each.default_rate_ppm or 0 for each in card.grades]
    assert rates[0] == 0
    assert rates == sorted(rates)
    assert rates[-1] == 500_000
    assert sum(each.development_ppm or 0 for each in card.grades) == 1_000_000
    assert [each.points for each in card.weighted] == [each.points for each in built_in_cards()[0].card.weighted]
    assert card.weighted[2].development_ppm == (450_000, 0, 550_000, 0)
    again = cli(*calibrate, *said, "--json").json[0]
    assert (again["persons"], again["outcomes"], again["rejected"]) == (400, {"rated": 400}, 0)
    assert sum(each["defaults"] for each in again["grades"]) == 110
    assert (again["already_bad"], again["not_followed"]) == (0, 0)
    lines = (tmp_path / "book.csv").read_text().splitlines(keepends=True)
    changed = []
    for line in lines:
        # Of some a month of the year after is not known; some others had gone bad before.
        if ",a-38" in line:
            line = line.replace(",2026-03,N", ",2026-03,#")
        elif ",a-39" in line:
            line = line.replace(",2025-10,N", ",2025-10,5")
        changed.append(line)
    (tmp_path / "book.csv").write_text("".join(changed))
    again = cli(*calibrate, *said, "--json").json[0]
    assert (again["not_followed"], again["already_bad"], again["outcomes"]) == (11, 10, {"rated": 379})
    (tmp_path / "book.csv").write_text("".join([lines[0], *sorted(lines[1:], key=lambda line: line.split(",")[-2])]))
    ran = cli(*calibrate, *said)
    assert (ran.code, "sort by account_number, month" in ran.err) == (2, True)
    # Nothing is sent, and nothing of the book is in the card.
    assert "P0000" not in out.read_text()


def test_accounts_that_would_be_rejected_are_named_and_calibrate_nothing(cli: Any, tmp_path: Path) -> None:
    path = book(tmp_path / "book.csv", 400, 110)
    lines = path.read_text().splitlines(keepends=True)
    spoilt = {
        "bad-number": ("person,10,CN,110101199013010010", "id_number"),
        "bad-currency": ("person,2,DE,P8000001", "currency"),
        "bad-month": ("person,2,DE,P8000002", "disposition"),
    }
    for number, (identity, _) in spoilt.items():
        currency, code = "?" if number == "bad-currency" else "CNY", "1" if number == "bad-month" else "N"
        # Not yet open, of a month after the opening.
        code = "/" if number == "bad-month" else code
        lines.append(f"{identity},{number},2026-10-31T12:00:00Z,R2,1,{currency},2020-01-01,2026-09,{code}\n")
    path.write_text("".join(lines))
    out = tmp_path / "card.toml"
    ran = cli(
        "rating",
        "calibrate",
        path,
        "--month",
        "2025-10",
        "--name",
        "ours",
        "--population",
        "A",
        "--start",
        "2027-01-01",
        "--out",
        out,
    )
    assert (ran.code, "3 accounts were left out: `tallystick report` would reject them" in ran.out) == (1, True)
    rows = [f"row {9602 + place}: {column}" for place, (_, column) in enumerate(spoilt.values())]
    assert [": ".join(line.split(": ")[:2]) for line in ran.err.splitlines()] == rows
    assert read_scorecard(out.read_bytes()).name == "ours"


@pytest.mark.parametrize(
    ("persons", "bad", "month", "says"),
    [
        (50, 10, "2025-10", "10 persons defaulted: with fewer than 100"),
        (50, 10, "2026-03", "the book must go on for 12 months after 2026-03, and it ends in 2026-10"),
        (0, 0, "2025-10", "there is a header and no row"),
    ],
)
def test_a_book_that_does_not_tell_enough_gives_no_card(
    cli: Any, tmp_path: Path, persons: int, bad: int, month: str, says: str
) -> None:
    out = tmp_path / "card.toml"
    file = book(tmp_path / "book.csv", persons, bad)
    said = ("--name", "ours-1", "--population", "ours", "--start", "2027-01-01")
    ran = cli("rating", "calibrate", file, "--month", month, *said, "--out", out)
    assert ran.code == 2
    assert says in ran.err
    assert not out.exists()

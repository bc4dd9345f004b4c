"""What a rating says: its outcome, its reasons and when they pass, and what is under objection."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from tests.credit.rating.histories import TODAY, account

from tallystick.credit.dates import month_before
from tallystick.credit.decisions import Decision
from tallystick.credit.enums import HistoryOutcome, RatingOutcome, Section
from tallystick.credit.history import Account as AccountValue
from tallystick.credit.history import CreditHistory, ReportedAccount
from tallystick.credit.rating import (
    LANGUAGES,
    RatingFacts,
    built_in_cards,
    in_force,
    rate,
    rate_history,
    rating_text,
    read_scorecard,
    reason_text,
)
from tallystick.credit.ratings import Rating, RatingReason
from tallystick.credit.records import HistoryError
from tallystick.credit.screening import PolicyError, ScreeningPolicy
from tallystick.v1 import rating_pb2
from tallystick.v1.account_pb2 import Account

PERSON = built_in_cards()[0].card
CLEAN = dict.fromkeys(range(1, 13), (10, 5000, 5000))


def rated(*known: Account, on: dt.date = TODAY) -> Rating:
    """By the cards of the package."""
    return rate(in_force((), on), [RatingFacts.of(each) for each in known], on)


def late(*ago: int, disposition: int = 2) -> Account:
    """A card that was overdue so many months ago."""
    return account(CLEAN | dict.fromkeys(ago, (disposition, 5000, 5000)))


def test_a_clean_card_has_the_best_grade_and_no_reason() -> None:
    found = rated(account(CLEAN))
    assert (found.outcome, found.score, found.grade, found.grades) == (RatingOutcome.RATED, 565, 1, 8)
    assert found.reasons == ()
    assert found.default_rate_ppm is None
    assert (found.scorecard, found.scorecard_digest, found.validated) == ("person-1", PERSON.digest, True)


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        ([], RatingOutcome.NO_RECORD),
        ([account({1: (10, None, None), 2: (10, None, None)})], RatingOutcome.TOO_THIN),
        # Unknown, no bill, not yet open: nothing is known of such a month.
        ([account({1: (10, None, None), 2: (18, None, None), 3: (19, None, None), 4: (20, None, None)})], RatingOutcome.TOO_THIN),
        # As a guarantor: how another pays is no habit of the subject's.
        ([account(CLEAN | {1: (7, 5_000, 0)}, role=2)], RatingOutcome.TOO_THIN),
        ([account(dict.fromkeys(range(7, 20), (10, 5000, 5000)), lag=7)], RatingOutcome.TOO_OLD),
        ([account(dict.fromkeys(range(6, 20), (10, 5000, 5000)), lag=6)], RatingOutcome.RATED),
    ],
)
def test_who_cannot_be_rated_has_no_low_score(known: list[Account], outcome: RatingOutcome) -> None:
    found = rated(*known)
    assert found.outcome == outcome
    assert (found.score is None) == (outcome != RatingOutcome.RATED)
    for language in LANGUAGES:
        assert rating_text(found, language)


def test_reasons_come_by_points_and_say_what_counted_and_when_it_passes() -> None:
    found = rated(late(1, disposition=3))
    assert [(each.code, each.points_lost) for each in found.reasons] == [("R01", 91), ("R03", 27), ("R02", 12)]
    first, second, third = found.reasons
    assert (first.counted, first.month, first.change_month) == (3, 20261001, 20261201)
    assert reason_text(first) == (
        "61–90 days past due in 2026-10, the worst of the last 2 months, this one included (91 points);"
        " if nothing so bad is reported again, less is taken from 2026-12 on"
    )
    assert (
        reason_text(first, "zh")
        == "最近2个月（含本月）中最差为逾期61–90天（2026-10）（扣91分）；若不再出现同样情况，自2026-12起扣分减少"
    )
    assert (second.characteristic, second.counted, second.change_month) == ("months_overdue", 1, 20271101)
    assert third.change_month == 20270201


def test_a_reason_passes_in_the_month_that_it_names() -> None:
    known = late(1, 2, 5, disposition=3)
    reasons = rated(known).reasons
    assert reasons
    for reason in reasons:
        number = reason.change_month
        assert number is not None
        day = dt.date(number // 10_000, number // 100 % 100, 1)
        # The account is reported on and on, in order.
        kept = Account()
        kept.CopyFrom(known)
        for ago in range(24):
            month = month_before(day.year * 10_000 + day.month * 100 + 1, ago)
            if month > 20261101:
                kept.months.add(month=month, disposition=10)
        kept.as_of.FromDatetime(dt.datetime(day.year, day.month, 1, tzinfo=dt.UTC))
        later = {each.code: each.points_lost for each in rated(kept, on=day).reasons}
        before = {each.code: each.points_lost for each in rated(kept, on=day - dt.timedelta(days=1)).reasons}
        assert later.get(reason.code, 0) < reason.points_lost
        assert before[reason.code] == reason.points_lost


def test_there_are_four_reasons_at_the_most() -> None:
    known = account(dict.fromkeys(range(1, 13), (7, 99000, 0)))
    found = rated(known)
    assert found.score == PERSON.base_points
    assert len(found.reasons) == 4
    lost = [each.points_lost for each in found.reasons]
    assert lost == sorted(lost, reverse=True)


def test_under_objection_both_scores_are_told_and_which_points() -> None:
    disputed = account(CLEAN | {1: (3, 5_000, 5_000)}, disputed=True)
    found = rated(account(CLEAN), disputed)
    assert (found.score, found.score_without_disputed) == (435, 565)
    assert [(each.code, each.disputed_points) for each in found.reasons] == [("R01", 91), ("R03", 27), ("R02", 12)]
    assert "565 points without the accounts that are under objection" in rating_text(found)
    assert "91 of them by accounts under objection" in reason_text(found.reasons[0])
    # What another account loses by itself is not the objection's.
    both = rated(late(1, disposition=3), disputed)
    assert [each.disputed_points for each in both.reasons] == [0, 0, 0]


def test_where_only_objections_are_known_the_rest_gives_no_score() -> None:
    found = rated(account(CLEAN, disputed=True))
    assert (found.score, found.score_without_disputed) == (565, None)
    assert found.outcome_without_disputed == RatingOutcome.TOO_THIN
    assert "under objection" in rating_text(found)
    assert rated(account(CLEAN)).outcome_without_disputed is None


def test_an_organisation_is_rated_by_its_own_card_which_says_that_it_is_not_validated() -> None:
    found = rated(account(CLEAN, kind=2, account_type=1))
    assert (found.scorecard, found.validated, found.default_rate_ppm) == ("organisation-expert-1", False, None)
    assert "NOT validated" in rating_text(found)
    # A single account that says person makes it one: a mistaken report must not choose the card.
    assert rated(account(CLEAN, kind=2), account(CLEAN)).scorecard == "person-1"


@pytest.mark.parametrize("known", [[], [late(1, 2)], [late(1), account(CLEAN | {2: (5, 1, 0)}, disputed=True)]])
def test_a_message_is_read_back_as_it_was(known: list[Account]) -> None:
    found = rated(*known)
    assert Rating.from_message(rating_pb2.Rating.FromString(found.to_message().SerializeToString())) == found


def test_an_answer_is_rated_as_its_records_are() -> None:
    known = [late(1), account(CLEAN, disputed=True)]
    assert rate_history(PERSON, history(*known)) == rated(*known)
    with pytest.raises(ValueError, match="rates persons"):
        rate_history(PERSON, history(account(CLEAN, kind=2)))


@pytest.mark.parametrize("hours", [-12, -1, 0, 8, 14])
def test_months_are_those_of_utc_wherever_the_answer_was_written_down(hours: int) -> None:
    """The last second of a month is the next month elsewhere, and the first one is still the last month."""
    there = dt.timezone(dt.timedelta(hours=hours))
    for instant in (dt.datetime(2026, 10, 31, 23, 59, 59, tzinfo=dt.UTC), dt.datetime(2026, 11, 1, tzinfo=dt.UTC)):
        answer = replace(history(late(1, 3)), as_of=instant)
        elsewhere = replace(answer, as_of=instant.astimezone(there))
        assert elsewhere == answer
        assert elsewhere.as_of.utcoffset() == dt.timedelta(0)
        assert rate_history(PERSON, elsewhere) == rate_history(PERSON, answer)
    with pytest.raises(HistoryError, match="time zone"):
        replace(history(), as_of=dt.datetime(2026, 11, 1))


LITTLE_PAID = """
name = "house-2"
subject_kind = "person"
start_date = 2027-01-01
validated = false
base_points = 400
[[characteristics]]
characteristic = "months_paid_below"
window = 4
currency = "CNY"
amount = 1000
reason = "R01"
bins = [{ up_to = 0, points = 100 }, { up_to = 1, points = 50 }, { points = 0 }]
[[grades]]
grade = 1
from_score = 451
[[grades]]
grade = 2
from_score = 300
"""


def test_a_card_of_amounts_says_too_when_a_reason_passes() -> None:
    known = [account({**CLEAN, 1: (10, 5_000, 999), 2: (10, 5_000, 500)})]
    card = read_scorecard(LITTLE_PAID.encode())
    (reason,) = card.rate([RatingFacts.of(each) for each in known], TODAY, known).reasons
    # The older of the two leaves the four months first: one is left then, which costs less.
    assert (reason.counted, reason.points_lost, reason.change_month) == (2, 100, 20270101)
    known = [account({**CLEAN, 1: (10, 5_000, 999)})]
    (reason,) = card.rate([RatingFacts.of(each) for each in known], TODAY, known).reasons
    assert (reason.counted, reason.points_lost, reason.change_month) == (1, 50, 20270201)
    assert reason_text(reason).endswith("less is taken from 2027-02 on")


@pytest.mark.parametrize(
    ("reason", "english", "chinese"),
    [
        (
            {"characteristic": "months_utilised", "over": 0},
            "more than 0 % of a credit limit was used this month",
            "本月使用额度超过0%",
        ),
        ({"characteristic": "months_unpaid"}, "nothing was paid of a bill this month", "本月账单分文未还"),
        ({"characteristic": "months_overdue", "at_least": 15}, "bad debt or in collection this month", "本月呆账或催收"),
        ({"characteristic": "months_overdue", "at_least": 1}, "overdue this month", "本月逾期"),
        (
            {"characteristic": "months_overdue", "at_least": 2},
            "31–60 days past due, or worse, this month",
            "本月逾期31–60天或更差",
        ),
    ],
)
def test_what_is_looked_for_in_one_month_is_told_of_this_month(reason: dict[str, Any], english: str, chinese: str) -> None:
    told = RatingReason(code="R01", points_lost=5, disputed_points=0, window=1, counted=1, **reason)
    assert reason_text(told) == f"{english} (5 points)"
    assert reason_text(told, "zh") == f"{chinese}（扣5分）"


@pytest.mark.parametrize("language", ["fr", "ZH", "", None])
def test_another_language_is_refused(language: Any) -> None:
    found = rated(late(1))
    with pytest.raises(ValueError, match='language: must be "en" or "zh"'):
        rating_text(found, language)
    with pytest.raises(ValueError, match='language: must be "en" or "zh"'):
        reason_text(found.reasons[0], language)


def test_a_guarantor_is_told_nothing_that_is_not_so() -> None:
    """Of another's debt twelve months are known, and of the own ones none."""
    text = rating_text(rated(account(CLEAN, role=2)))
    assert text == "not rated: too little is known of its own debts, of fewer than 3 of the last 13 months"


def test_a_rule_of_one_kind_says_nothing_of_the_other() -> None:
    policy = ScreeningPolicy.from_toml(
        '[[rules]]\nname = "weak"\nkind = "rating_below"\ngrade = 5\nsubject_kind = "person"\ndecision = "decline"\n'
        '[[rules]]\nname = "weak firm"\nkind = "rating_below"\ngrade = 4\nsubject_kind = "organisation"\ndecision = "refer"\n'
    )
    policy.check_scorecards(each.card for each in built_in_cards())
    bad = {1: (4, 5_000, 0), 2: (3, 5_000, 0), 3: (2, 5_000, 0)}
    person, firm = history(account(CLEAN | bad)), history(account(CLEAN | bad, kind=2))
    assert [each.rule for each in policy.evaluate(person).reasons] == ["weak"]
    assert [each.rule for each in policy.evaluate(firm).reasons] == ["weak firm"]


def test_a_rule_that_a_card_cannot_serve_is_found_before_anybody_is_asked_about() -> None:
    policy = ScreeningPolicy.from_toml('[[rules]]\nname = "weak"\nkind = "rating_below"\ngrade = 5\ndecision = "decline"\n')
    with pytest.raises(PolicyError, match="weak speaks of grades after 5, and organisation-expert-1 has 5: say by subject_kind"):
        policy.check_scorecards(each.card for each in built_in_cards())
    policy.check_scorecards([PERSON])
    ScreeningPolicy.default().check_scorecards(each.card for each in built_in_cards())


def test_policies_know_bands_and_tell_every_reason() -> None:
    policy = ScreeningPolicy.from_toml(
        '[[rules]]\nname = "weak"\nkind = "rating_below"\ngrade = 4\ndecision = "decline"\n'
        '[[rules]]\nname = "thin"\nkind = "not_rated"\ndecision = "refer"\n'
        '[[rules]]\nname = "fair"\nkind = "rating_below"\nscore = 560\ndecision = "refer"\n'
    )
    assert policy.sections == {Section.RATING}
    assert ScreeningPolicy.default().sections == frozenset()
    bad, fair, good, thin = (
        late(1, 2, disposition=4),
        account(CLEAN | {7: (2, 1, 1)}),
        account(CLEAN),
        account({1: (10, None, None)}),
    )
    found = [policy.evaluate(history(each)) for each in (bad, fair, good, thin)]
    assert [each.decision for each in found] == [Decision.DECLINE, Decision.REFER, Decision.APPROVE, Decision.REFER]
    told = found[0].reasons[0].text
    assert all(each.code in told and reason_text(each) in told for each in rated(bad).reasons)
    chinese = found[0].reasons[0].told("zh")
    assert chinese.startswith("评分：")
    assert all(f"{each.code} {reason_text(each, 'zh')}" in chinese for each in rated(bad).reasons)
    assert found[3].reasons[0].told("zh") == "未评分：自身债务记录不足，最近13个月中不足3个月"
    with pytest.raises(PolicyError, match=r"Section\.RATING"):
        policy.evaluate(CreditHistory(outcome=HistoryOutcome.FOUND, as_of=dt.datetime(2026, 11, 26, tzinfo=dt.UTC)))


def history(*known: Account) -> CreditHistory:
    """An answer with a rating."""
    return CreditHistory(
        outcome=HistoryOutcome.FOUND,
        as_of=dt.datetime(TODAY.year, TODAY.month, TODAY.day, 9, tzinfo=dt.UTC),
        accounts=tuple(ReportedAccount(institution=1, own=False, account=AccountValue.from_message(each)) for each in known),
        rating=rated(*known),
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"characteristic": 99}, "characteristic"),
        ({"characteristic": 0}, "characteristic"),
        ({"characteristic": 2, "at_least": 10}, "at_least"),
        ({"characteristic": 2, "at_least": 0}, "at_least"),
        ({"characteristic": 1, "month": 0}, "month"),
        ({"characteristic": 1, "month": 20260231}, "month"),
        ({"change_month": 20261301}, "change_month"),
    ],
)
def test_a_reason_that_cannot_be_told_is_not_read(change: dict[str, int], field: str) -> None:
    message: Any = rating_pb2.RatingReason(code="R01", points_lost=5, window=13, counted=2)
    message.characteristic, message.at_least, message.month = 3, 1, 20261001
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(HistoryError) as refused:
        RatingReason.from_message(message)
    assert refused.value.field == field


def test_a_score_stands_with_its_grade() -> None:
    for score, grade in ((600, None), (None, 2), (None, None)):
        with pytest.raises(HistoryError):
            Rating(outcome=RatingOutcome.RATED, score=score, grade=grade, scorecard="x", scorecard_digest=b"", validated=True)
    with pytest.raises(HistoryError):
        Rating(outcome=RatingOutcome.TOO_OLD, score=600, grade=2, scorecard="x", scorecard_digest=b"", validated=True)

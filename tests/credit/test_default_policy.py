"""The default screening policy: what it decides, and that it never likes a worse month better."""

from dataclasses import replace

import pytest
from tests.credit.histories import account, asked, history, running

from tallystick.credit.decisions import Decision
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    ObligorRole,
    Purpose,
)
from tallystick.credit.history import (
    CreditHistory,
)
from tallystick.credit.screening import ScreeningPolicy


@pytest.mark.parametrize(
    ("given", "decision", "rules"),
    [
        (history(), Decision.REFER, {"no-record"}),
        (history(account("NNNNNN")), Decision.APPROVE, set()),
        (replace(history(account("NNNNNN")), truncated=True), Decision.REFER, {"not-the-whole-history"}),
        (history(account("N*MN1N")), Decision.APPROVE, set()),
        (history(account("N1N1NN")), Decision.REFER, {"late-twice-lately"}),
        (history(account("NN2NNN")), Decision.REFER, {"late-a-month-this-year"}),
        (history(account("1NNNNN", running_overdue=running(5))), Decision.REFER, {"overdue-now"}),
        (
            history(account("NN3NNN")),
            Decision.DECLINE,
            {"seriously-late-this-year", "late-a-month-this-year", "seriously-late-once"},
        ),
        (history(account("N" * 20 + "3")), Decision.REFER, {"seriously-late-once"}),
        (history(account("222NNN")), Decision.DECLINE, {"often-late-this-year", "late-a-month-this-year", "late-twice-lately"}),
        (history(account("N" * 6 + "N1" * 6)), Decision.DECLINE, {"late-six-times"}),
        (history(account("N", running_overdue=running(60))), Decision.DECLINE, {"long-overdue-now", "overdue-now"}),
        (history(account("N", status=5)), Decision.DECLINE, {"bad-debt"}),
        (history(account(account_type=AccountType.C1)), Decision.DECLINE, {"in-collection"}),
        (history(account("N" * 14 + "D")), Decision.DECLINE, {"others-paid", "seriously-late-once"}),
        (history(account("N", annotations=(AnnotationType.DISPUTE,))), Decision.REFER, {"disputed"}),
        (history(account("N", asset_quality=AssetQuality.SPECIAL_MENTION)), Decision.REFER, {"special-mention"}),
        (history(account("N", asset_quality=AssetQuality.LOSS)), Decision.DECLINE, {"classed-bad", "special-mention"}),
        (history(account("N", status=2)), Decision.REFER, {"stopped"}),
        (history(account("NG")), Decision.REFER, {"ended-otherwise"}),
        (history(account("N", role=ObligorRole.GUARANTOR)), Decision.APPROVE, {"guarantor"}),
        (history(account("N"), inquiries=asked(1, 2, 3, 4, 5)), Decision.REFER, {"many-inquiries-this-month"}),
        (history(account("N"), inquiries=asked(40, 50, 60, 70, 80, 90)), Decision.REFER, {"looking-everywhere"}),
        (history(account("N"), inquiries=asked(1, 2, 3, 4, 5, purpose=Purpose.POST_LOAN_MANAGEMENT)), Decision.APPROVE, set()),
    ],
)
def test_the_default_policy(given: CreditHistory, decision: Decision, rules: set[str]) -> None:
    screening = ScreeningPolicy.default().evaluate(given)
    assert {found.rule for found in screening.reasons} == rules
    assert screening.decision is decision


@pytest.mark.parametrize(("better", "worse"), [("N", "1"), ("1", "2"), ("2", "3"), ("3", "7"), ("7", "D"), ("Z", "B")])
@pytest.mark.parametrize("place", range(6))
def test_the_default_policy_never_likes_a_worse_month_better(better: str, worse: str, place: int) -> None:
    policy = ScreeningPolicy.default()
    months = list("NN1NNN")
    months[place] = better
    before = policy.evaluate(history(account("".join(months)))).decision
    months[place] = worse
    assert policy.evaluate(history(account("".join(months)))).decision.severity >= before.severity

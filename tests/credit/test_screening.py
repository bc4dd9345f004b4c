"""Screening: what each kind of rule finds and says, how reasons make a decision, and what the default policy does."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest
from tests.credit.histories import account, asked, event, history, running

from tallystick.credit.decisions import Decision, PolicyError, Reason
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
    ObligorRole,
    Purpose,
    SpecialTransactionType,
)
from tallystick.credit.history import (
    CreditHistory,
)
from tallystick.credit.screening import ScreeningPolicy


def reason(rule: str, given: CreditHistory) -> str | None:
    """What a policy of one rule says, and from which institutions' records; None if it does not speak."""
    policy = ScreeningPolicy.from_toml(f'[[rules]]\nname = "it"\ndecision = "refer"\n{rule}\n')
    screening = policy.evaluate(given)
    if not screening.reasons:
        assert screening.decision is Decision.APPROVE
        return None
    assert screening.decision is Decision.REFER
    (only,) = screening.reasons
    assert only.rule == "it"
    assert all(value in given.accounts for value in only.accounts)
    return only.text


RULES: list[tuple[str, CreditHistory, str | None]] = [
    ('kind = "no_record"', history(), "no institution has reported an account: nothing speaks against the applicant, nothing for"),
    ('kind = "no_record"', history(account()), None),
    ('kind = "running_overdue"', history(account()), None),
    ('kind = "running_overdue"', history(account(running_overdue=running(1))), "overdue now, 1 day past due (institution 1)"),
    (
        'kind = "running_overdue"\ndays = 60',
        history(account(running_overdue=running(60, 12_345))),
        "overdue now, 60 days past due, 123.45 CNY (institution 1)",
    ),
    ('kind = "running_overdue"\ndays = 60', history(account(running_overdue=running(59))), None),
    (
        'kind = "running_overdue"\ndays = 5',
        history(account(running_overdue=running(4)), account(running_overdue=running(6)), account(running_overdue=running(9))),
        "2 accounts overdue now, up to 9 days past due (institutions 2, 3)",
    ),
    ('kind = "running_overdue"\namounts = {CNY = 1000}', history(account(running_overdue=running(90, 999))), None),
    (
        'kind = "running_overdue"\namounts = {CNY = 1000}',
        history(account(running_overdue=running(90, 1000))),
        "overdue now, 90 days past due, 10.00 CNY (institution 1)",
    ),
    (
        'kind = "running_overdue"\namounts = {CNY = 1000}',
        history(account(running_overdue=running(90))),
        "overdue now, 90 days past due (institution 1)",
    ),
    (
        'kind = "running_overdue"\namounts = {CNY = 1000}',
        history(account(running_overdue=running(90, 1), currency="USD")),
        "overdue now, 90 days past due, 0.01 USD (institution 1)",
    ),
    (
        'kind = "overdue_months"\nmonths = 12\nat_least = "3"\ncount = 2',
        history(account(), account("3..3")),
        "61–90 days past due in 2 of the last 12 months (institution 2)",
    ),
    ('kind = "overdue_months"\nmonths = 12\nat_least = "3"\ncount = 2', history(account("3...........3")), None),
    ('kind = "overdue_months"\nmonths = 12\nat_least = "3"', history(account("22222222222")), None),
    (
        'kind = "overdue_months"\nmonths = 6\ncount = 3',
        history(account("1N2"), account("N"), account(".1")),
        "1–30 days past due or worse 3 times in the last 6 months (institutions 1, 3)",
    ),
    ('kind = "overdue_months"\nmonths = 1', history(account("1")), "1–30 days past due this month (institution 1)"),
    ('kind = "overdue_months"\nmonths = 3', history(account("NM*")), None),
    (
        'kind = "worst_disposition"\nat_least = "4"',
        history(account("........5"), account(".5"), account("4")),
        "121–150 days past due in the last 60 months, last in August 2025 (institutions 1, 2)",
    ),
    ('kind = "worst_disposition"\nat_least = "4"\nmonths = 3', history(account("...7")), None),
    (
        'kind = "worst_disposition"\nat_least = "D"\nmonths = 24',
        history(account("7"), account("Z")),
        "an asset was taken for the debt in the last 24 months, last in September 2025 (institution 2)",
    ),
    (
        'kind = "dispositions"\ndispositions = ["#", "G"]\nmonths = 2',
        history(account("NG"), account("..#")),
        "ended otherwise than by settlement in the last 2 months (institution 1)",
    ),
    ('kind = "dispositions"\ndispositions = ["G"]', history(account("NNB")), None),
    ('kind = "bad_debt"', history(account("7", status=2)), None),
    ('kind = "bad_debt"', history(account(status=5)), "bad debt or written off on 1 account (institution 1)"),
    ('kind = "bad_debt"', history(account(account_type=AccountType.D1, status=5)), None),
    (
        'kind = "bad_debt"',
        history(account(account_type=AccountType.D1, status=4), account("..B"), account()),
        "bad debt or written off on 2 accounts (institutions 1, 2)",
    ),
    (
        'kind = "bad_debt"',
        history(account(running_overdue=running(400, stage=CollectionStage.WRITTEN_OFF))),
        "bad debt or written off on 1 account (institution 1)",
    ),
    ('kind = "bad_debt"\nmonths = 2', history(account("..B")), None),
    (
        'kind = "account_status"\nstatuses = {D1 = [7, 8], R2 = [8]}',
        history(account(status=8), account(account_type=AccountType.D1, status=7)),
        "judicial recovery: R2 credit card; forced liquidation: D1 non-revolving loan (institutions 1, 2)",
    ),
    ('kind = "account_status"\nstatuses = {D1 = [5]}', history(account(status=5)), None),
    (
        'kind = "asset_quality"\nat_least = "substandard"',
        history(account(asset_quality=AssetQuality.DOUBTFUL)),
        "1 account classed doubtful (institution 1)",
    ),
    ('kind = "asset_quality"\nat_least = "substandard"', history(account(asset_quality=AssetQuality.SPECIAL_MENTION)), None),
    ('kind = "asset_quality"\nat_least = "special_mention"', history(account(asset_quality=AssetQuality.UNCLASSIFIED)), None),
    ('kind = "asset_quality"\nat_least = "normal"', history(account(asset_quality=AssetQuality.UNSPECIFIED)), None),
    ('kind = "collection_account"', history(account(account_type=AccountType.C1)), "1 account in collection (institution 1)"),
    ('kind = "collection_account"', history(account(account_type=AccountType.C1, status=2), account()), None),
    (
        'kind = "special_transactions"\ntypes = ["debt_relief", "asset_for_debt"]\nmonths = 3',
        history(
            account(special_transactions=event(SpecialTransactionType.DEBT_RELIEF, 2025, 7, 1)),
            account(special_transactions=event(SpecialTransactionType.PREPAYMENT, 2025, 9, 1)),
        ),
        "debt relief in the last 3 months (institution 1)",
    ),
    (
        'kind = "special_transactions"\ntypes = ["debt_relief"]\nmonths = 3',
        history(account(special_transactions=event(SpecialTransactionType.DEBT_RELIEF, 2025, 6, 30))),
        None,
    ),
    (
        'kind = "annotations"\ntypes = ["dispute"]',
        history(account(annotations=(AnnotationType.DISPUTE, AnnotationType.SPECIAL))),
        "annotated: dispute, on 1 account (institution 1)",
    ),
    ('kind = "annotations"\ntypes = ["dispute"]', history(account(annotations=(AnnotationType.SPECIAL,))), None),
    (
        'kind = "inquiries"\nmonths = 1\ncount = 2',
        history(inquiries=asked(3, 30)),
        "asked about by others 2 times in the last month",
    ),
    ('kind = "inquiries"\nmonths = 1\ncount = 2', history(inquiries=asked(3, 31)), None),
    (
        'kind = "inquiries"\nmonths = 6\ncount = 2',
        history(inquiries=asked(3, 182)),
        "asked about by others 2 times in the last 6 months",
    ),
    (
        'kind = "inquiries"\nmonths = 3\ncount = 2',
        history(inquiries=asked(3, 91)),
        "asked about by others 2 times in the last 3 months",
    ),
    ('kind = "inquiries"\nmonths = 3\ncount = 2', history(inquiries=asked(3, 92)), None),
    (
        'kind = "inquiries"\nmonths = 1\ncount = 1\npurposes = ["loan_approval"]',
        history(inquiries=asked(30)),
        "asked about by others 1 time for these purposes in the last month",
    ),
    (
        'kind = "inquiries"\nmonths = 1\ncount = 1\npurposes = ["loan_approval"]',
        history(inquiries=asked(3, purpose=Purpose.POST_LOAN_MANAGEMENT)),
        None,
    ),
    (
        'kind = "inquiring_institutions"\ncount = 2',
        history(inquiries=asked(3, 4)),
        "asked about by 2 other institutions in the last 6 months",
    ),
    ('kind = "inquiring_institutions"\ncount = 3', history(inquiries=asked(3, 4)), None),
    (
        'kind = "lending_institutions"\ncount = 2',
        history(account(), account()),
        "open accounts at 2 institutions (institutions 1, 2)",
    ),
    ('kind = "lending_institutions"\ncount = 2', history(account(), account(closed_date=dt.date(2025, 1, 1))), None),
    ('kind = "open_accounts"\ncount = 1', history(account()), "1 open account (institution 1)"),
    ('kind = "open_accounts"\ncount = 1\ntypes = ["D1", "R1"]', history(account()), None),
    (
        'kind = "open_accounts"\ncount = 1\ntypes = ["D1", "R1"]',
        history(account(), account(account_type=AccountType.R1)),
        "1 open account of type D1, R1 (institution 2)",
    ),
    (
        'kind = "total_balance"\namounts = {CNY = 100000}',
        history(account(balance=60_000), account(balance=40_000), account(balance=9, currency="USD"), account()),
        "1,000.00 CNY owed in total (institutions 1, 2)",
    ),
    (
        'kind = "total_balance"\namounts = {CNY = 100000}',
        history(account(balance=99_999), account(balance=1, currency="USD")),
        None,
    ),
    (
        'kind = "utilisation"\npercent = 90',
        history(account(balance=95_000, credit_limit=100_000), account(balance=85_000, credit_limit=100_000), account(balance=5)),
        "90 % of revolving limits drawn, 1,800.00 CNY of 2,000.00 CNY (institutions 1, 2)",
    ),
    ('kind = "utilisation"\npercent = 90', history(account(balance=89_999, credit_limit=100_000)), None),
    ('kind = "utilisation"\npercent = 90', history(account(balance=5, credit_limit=0), account(credit_limit=5)), None),
    ('kind = "utilisation"\npercent = 90', history(account(account_type=AccountType.D1, balance=5, credit_limit=5)), None),
    (
        'kind = "utilisation"\npercent = 90',
        history(account(balance=5, credit_limit=100), account(balance=100, credit_limit=100, currency="USD")),
        "100 % of revolving limits drawn, 1.00 USD of 1.00 USD (institution 2)",
    ),
    (
        'kind = "guarantees"',
        history(account(role=ObligorRole.GUARANTOR), account()),
        "1 guarantee for others' debts (institution 1)",
    ),
    ('kind = "guarantees"', history(account(), account(role=ObligorRole.CO_BORROWER)), None),
    ('kind = "guarantees"\ncount = 2', history(account(role=ObligorRole.GUARANTOR)), None),
    (
        'kind = "guarantees"\namounts = {CNY = 100}',
        history(account(role=ObligorRole.GUARANTOR, liability_amount=60), account(role=ObligorRole.GUARANTOR, liability_amount=40)),
        "1.00 CNY guaranteed for others (institutions 1, 2)",
    ),
    (
        'kind = "guarantees"\namounts = {CNY = 100}',
        history(account(role=ObligorRole.GUARANTOR, liability_amount=99), account(role=ObligorRole.GUARANTOR)),
        None,
    ),
]


@pytest.mark.parametrize(("rule", "given", "text"), RULES, ids=[f"{index}: {row[0]}" for index, row in enumerate(RULES)])
def test_a_rule_says_what_it_found_and_where(rule: str, given: CreditHistory, text: str | None) -> None:
    assert reason(rule, given) == text


def test_a_reason_carries_the_records_that_gave_it() -> None:
    given = history(account("3"), account("N"), account("4"), own=[3])
    policy = ScreeningPolicy.from_toml('[[rules]]\nname="late"\nkind="overdue_months"\ndecision="decline"\nmonths=12\nat_least="3"')
    (late,) = policy.evaluate(given).reasons
    assert late.accounts == (given.accounts[0], given.accounts[2])
    assert late.text == "61–90 days past due or worse 2 times in the last 12 months (institution 1 and own account)"


def test_the_worst_reason_decides_and_comes_first() -> None:
    rules = "".join(
        f'[[rules]]\nname="{name}"\nkind="running_overdue"\ndecision="{decision}"\ndays={days}\n'
        for name, decision, days in [("note", "approve", 1), ("early", "refer", 2), ("late", "decline", 3), ("other", "refer", 2)]
    )
    policy = ScreeningPolicy.from_toml(rules)
    for days, decision, names in [
        (1, Decision.APPROVE, ["note"]),
        (2, Decision.REFER, ["early", "other", "note"]),
        (3, Decision.DECLINE, ["late", "early", "other", "note"]),
    ]:
        screening = policy.evaluate(history(account(running_overdue=running(days))))
        assert screening.decision is decision
        assert [given.rule for given in screening.reasons] == names


def test_a_plain_function_is_a_rule() -> None:
    def young_account(given: CreditHistory) -> Iterable[Reason]:
        for reported in given.accounts:
            if reported.account.opened_date.year == 2025:
                yield Reason("young_account", Decision.REFER, "opened this year", (reported,))

    def nothing(given: CreditHistory) -> None:
        assert given.accounts

    def one(given: CreditHistory) -> Reason:
        return Reason("one", Decision.DECLINE, f"{len(given.accounts)} accounts")

    given = history(account(opened_date=dt.date(2025, 1, 1)), account())
    default = ScreeningPolicy.default()
    screening = default.with_rule(young_account).with_rule(nothing).evaluate(given)
    assert screening.decision is Decision.REFER
    assert screening.reasons == (Reason("young_account", Decision.REFER, "opened this year", (given.accounts[0],)),)
    assert default.with_rule(one).evaluate(given).decision is Decision.DECLINE
    assert default.evaluate(given).decision is Decision.APPROVE


@pytest.mark.parametrize("wrong", ["decline", 1, [1], Reason("r", "decline", "text")])  # type: ignore[arg-type]  # on purpose
def test_a_function_that_gives_something_else_is_an_error_and_never_an_approval(wrong: Any) -> None:
    def careless(_: CreditHistory) -> Any:
        return wrong

    with pytest.raises(PolicyError, match="careless"):
        ScreeningPolicy.default().with_rule(careless).evaluate(history(account()))


def test_what_is_not_a_function_is_no_rule() -> None:
    with pytest.raises(PolicyError):
        ScreeningPolicy.default().with_rule("no")  # type: ignore[arg-type]  # on purpose


def test_a_policy_does_not_change_when_a_rule_is_added() -> None:
    default = ScreeningPolicy.default()
    assert len(default.with_rule(lambda _: None).rules) == len(default.rules) + 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        default.name = "other"  # type: ignore[misc]  # the very thing that must not work

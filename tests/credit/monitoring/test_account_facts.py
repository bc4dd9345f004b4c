"""What a change of an account has to tell, by tables; and that it follows from what two queries show."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.credit.histories import AS_OF, account, event, running

from tallystick.credit.codes import BAD_DEBT_STATUSES, disposition_code
from tallystick.credit.enums import AssetQuality, CollectionStage, SpecialTransactionType, TriggerType
from tallystick.credit.history import Account
from tallystick.credit.monitoring import Fact, account_facts, band_of

TODAY = AS_OF.date()
LATER = AS_OF + dt.timedelta(days=30)
BEGAN, WORSENED, CURED = TriggerType.OVERDUE_BEGAN, TriggerType.OVERDUE_WORSENED, TriggerType.OVERDUE_CURED

Told = list[tuple[TriggerType, int, int]]


def told(before: Account | None, after: Account | None, today: dt.date = TODAY) -> Told:
    first, second = (None if each is None else each.to_message() for each in (before, after))
    return [(fact.type, fact.before, fact.after) for fact in account_facts(first, second, today)]


def later(codes: str = "", **changes: Any) -> Account:
    return account(codes, as_of=LATER, **changes)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # An overdue that runs, or that the newest month shows where nothing is said of one that runs.
        (account("N"), later(running_overdue=running(1)), [(BEGAN, 0, 1)]),
        (account("N"), later(running_overdue=running(30)), [(BEGAN, 0, 1)]),
        (account("N"), later(running_overdue=running(31)), [(BEGAN, 0, 2)]),
        (account("N"), later(running_overdue=running(400)), [(BEGAN, 0, 7)]),
        (account("NN"), later("3NN"), [(BEGAN, 0, 3)]),
        (None, account("2N"), [(BEGAN, 0, 2)]),
        (None, account(running_overdue=running(5)), [(BEGAN, 0, 1)]),
        (account(running_overdue=running(40)), later(running_overdue=running(70)), [(WORSENED, 2, 3)]),
        (account(running_overdue=running(31)), later(running_overdue=running(59)), []),
        (account("3N"), later(running_overdue=running(100)), [(WORSENED, 3, 4)]),
        # Less of it is no cure, and no news.
        (account(running_overdue=running(100)), later(running_overdue=running(10)), []),
        # Paid in the next month, or settled.
        (account(".2N"), later("N2N"), [(CURED, 2, 0)]),
        (account("2N", running_overdue=running(40)), later("2N", status=4, closed_date=dt.date(2025, 10, 1)), [(CURED, 2, 0)]),
        (account(running_overdue=running(40)), later(), [(CURED, 2, 0)]),
        # Corrected away: the same month is said to have been paid, or the account is stated for no later time.
        (account("2N"), later("NN"), []),
        (account(running_overdue=running(40)), account(), []),
        # The overdue that is paid by somebody else is no cure.
        (account(".2N"), later("D2N"), [(TriggerType.COMPENSATED, 0, 2)]),
        (account(".2N"), later("Z2N"), [(TriggerType.COMPENSATED, 0, 3)]),
        (account("D"), later("D", balance=1), []),
        (account(".7"), later("B7"), [(TriggerType.NON_PERFORMING, 0, 0)]),
        # Reported late: more than a year ago it is no news.
        (None, account("NNNNNNNNNNNNN3"), []),
        (None, account("...............7"), []),
        # Unknown months say nothing.
        (account("N"), later("#N"), []),
        (account("2"), later("#2"), []),
        # Gone: what was known may have been wrong.
        (account("N"), None, []),
        (None, None, []),
        (None, account("N"), []),
    ],
)
def test_overdue_and_what_ends_it(before: Account | None, after: Account | None, expected: Told) -> None:
    assert told(before, after) == expected


@pytest.mark.parametrize("quality", [AssetQuality.SUBSTANDARD, AssetQuality.DOUBTFUL, AssetQuality.LOSS])
def test_non_performing_by_its_quality(quality: AssetQuality) -> None:
    before, after = account(asset_quality=AssetQuality.NORMAL), later(asset_quality=quality, balance=500_000)
    (fact,) = account_facts(before.to_message(), after.to_message(), TODAY)
    assert fact == Fact(TriggerType.NON_PERFORMING, 1, int(quality), band_of("CNY", 500_000))
    assert told(after, later(asset_quality=AssetQuality.LOSS)) == []
    assert told(before, later(asset_quality=AssetQuality.SPECIAL_MENTION)) == []


def test_non_performing_by_its_status() -> None:
    for account_type, statuses in BAD_DEBT_STATUSES.items():
        for status in statuses:
            found = told(account(status=1, account_type=account_type), later(status=status, account_type=account_type))
            assert found == [(TriggerType.NON_PERFORMING, 0, 0)], account_type


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        (SpecialTransactionType.EXTENSION, TriggerType.RESTRUCTURED),
        (SpecialTransactionType.DEBT_RELIEF, TriggerType.RESTRUCTURED),
        (SpecialTransactionType.PERSONALISED_INSTALMENTS, TriggerType.RESTRUCTURED),
        (SpecialTransactionType.BANK_DEFERRAL, TriggerType.RESTRUCTURED),
        (SpecialTransactionType.THIRD_PARTY_COMPENSATION, TriggerType.COMPENSATED),
        (SpecialTransactionType.ASSET_FOR_DEBT, TriggerType.COMPENSATED),
        (SpecialTransactionType.PREPAYMENT, None),
        (SpecialTransactionType.ASSET_TRANSFER, None),
    ],
)
def test_special_transactions(kind: SpecialTransactionType, type_: TriggerType | None) -> None:
    happened = later(special_transactions=event(kind, 2025, 9, 1))
    assert told(account(), happened) == ([] if type_ is None else [(type_, 0, int(kind))])
    assert told(happened, later(special_transactions=event(kind, 2025, 9, 1), balance=1)) == []
    assert told(account(), later(special_transactions=event(kind, 2024, 8, 31))) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (CollectionStage.UNSPECIFIED, CollectionStage.REMINDER, [(0, 2)]),
        (CollectionStage.NONE, CollectionStage.REMINDER, [(1, 2)]),
        (CollectionStage.REMINDER, CollectionStage.FIELD, [(2, 3)]),
        (CollectionStage.LEGAL, CollectionStage.AGENCY, []),
        (CollectionStage.FIELD, CollectionStage.FIELD, []),
        (CollectionStage.UNSPECIFIED, CollectionStage.NONE, []),
    ],
)
def test_collection_goes_further(before: CollectionStage, after: CollectionStage, expected: list[tuple[int, int]]) -> None:
    first, second = account(running_overdue=running(40, stage=before)), later(running_overdue=running(45, stage=after))
    assert [each[1:] for each in told(first, second) if each[0] is TriggerType.COLLECTION_STAGE] == expected


def test_amounts_are_bands() -> None:
    (fact,) = account_facts(account("N").to_message(), later(running_overdue=running(5, 123_456)).to_message(), TODAY)
    assert fact.band == band_of("CNY", 123_456)
    (fact,) = account_facts(account("N").to_message(), later(running_overdue=running(5)).to_message(), TODAY)
    assert fact.band is None


CODES = "N*M123467DZBC#A"
STATES = st.builds(
    account,
    st.text(alphabet=CODES + ".", max_size=14),
    as_of=st.sampled_from([AS_OF, LATER]),
    status=st.sampled_from([1, 4, 5]),
    asset_quality=st.sampled_from(AssetQuality),
    balance=st.sampled_from([None, 0, 12_345]),
    closed_date=st.sampled_from([None, dt.date(2025, 8, 1)]),
    running_overdue=st.one_of(
        st.none(), st.builds(running, st.integers(1, 250), st.sampled_from([None, 5000]), st.sampled_from(CollectionStage))
    ),
    special_transactions=st.sampled_from([(), *(event(kind, 2025, 7, 3) for kind in SpecialTransactionType if kind)]),
)


@given(state=STATES)
def test_nothing_changed_is_nothing_told(state: Account) -> None:
    assert told(state, state) == []


@given(before=st.one_of(st.none(), STATES), after=STATES)
def test_every_fact_follows_from_two_answers(before: Account | None, after: Account) -> None:
    """An oracle of its own over what a query for the watch's purpose shows of the account, before the change and after it."""
    found = told(before, after)
    assert {each[0] for each in found} <= {each[0] for each in oracle(before, after)}
    assert len({each[0] for each in found} & {BEGAN, WORSENED, CURED}) <= 1
    for type_, was, now in found:
        assert (type_, was, now) in oracle(before, after), found


def oracle(before: Account | None, after: Account) -> set[tuple[TriggerType, int, int]]:
    """Everything that may be told, from the values of two answers."""
    may: set[tuple[TriggerType, int, int]] = set()
    was, now = months_late(before), months_late(after)
    if not was and now:
        may.add((BEGAN, 0, now))
    if was and now > was:
        may.add((WORSENED, was, now))
    if was and not now and before is not None and after.as_of > before.as_of:
        may.add((CURED, was, 0))
    if is_poor(after) and not (before is not None and is_poor(before)):
        may.add((TriggerType.NON_PERFORMING, int(before.asset_quality) if before is not None else 0, int(after.asset_quality)))
    for transaction in after.special_transactions:
        for type_ in (TriggerType.RESTRUCTURED, TriggerType.COMPENSATED):
            if before is None or transaction not in before.special_transactions:
                may.add((type_, 0, int(transaction.type)))
    shown = {(each.month, each.disposition) for each in before.months} if before is not None else set()
    for month in after.months:
        paid_by = {"D": 2, "Z": 3}.get(disposition_code(month.disposition))
        if paid_by and (month.month, month.disposition) not in shown:
            may.add((TriggerType.COMPENSATED, 0, paid_by))
    stage = before.running_overdue.collection_stage if before is not None and before.running_overdue else 0
    if after.running_overdue and after.running_overdue.collection_stage > stage:
        may.add((TriggerType.COLLECTION_STAGE, int(stage), int(after.running_overdue.collection_stage)))
    return may


def months_late(state: Account | None) -> int:
    if state is None:
        return 0
    if state.running_overdue is not None:
        return min((state.running_overdue.days_past_due + 29) // 30, 7)
    said = [month for month in state.months if disposition_code(month.disposition) != "#"]
    if not said or not state.is_open or state.status == 4:
        return 0
    newest = max(said, key=lambda month: month.month)
    code = disposition_code(newest.disposition)
    return int(code) if code.isdigit() and newest.month >= dt.date(2024, 10, 1) else 0


def is_poor(state: Account) -> bool:
    poor = {AssetQuality.SUBSTANDARD, AssetQuality.DOUBTFUL, AssetQuality.LOSS}
    said = [month for month in state.months if disposition_code(month.disposition) != "#"]
    newest = disposition_code(max(said, key=lambda month: month.month).disposition) if said else ""
    return state.asset_quality in poor or state.status in BAD_DEBT_STATUSES[state.account_type] or newest == "B"

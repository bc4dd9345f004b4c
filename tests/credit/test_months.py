"""Months are read once, as columns: what is found of them is what looking at month after month finds."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.credit.rating.histories import MONTH, account, accounts

from tallystick.contract.violations import Violation
from tallystick.credit import merging, month_rules
from tallystick.credit.account_rules import check_account
from tallystick.credit.dates import month_before
from tallystick.credit.field_rules import MAX_AMOUNT
from tallystick.credit.merging import EMPTY, merge_report
from tallystick.credit.month_columns import MonthColumns, follow_backwards
from tallystick.v1.account_pb2 import Account

NOW = datetime(MONTH // 10_000, MONTH // 100 % 100, 20, tzinfo=UTC)
AMOUNTS = (0, 1, -1, MAX_AMOUNT, MAX_AMOUNT + 1, -MAX_AMOUNT - 1)

changes = st.one_of(
    st.tuples(st.just("month"), st.sampled_from([0, 5, 20261101, 20260132, 20270101, 19991201, month_before(MONTH, 2)])),
    st.tuples(st.just("disposition"), st.integers(0, 22)),
    st.tuples(st.just("days_past_due"), st.sampled_from([0, 1, 30, 31, 200, 40_000])),
    st.tuples(st.sampled_from(["overdue_amount", "billed_amount", "paid_amount"]), st.sampled_from(AMOUNTS)),
    st.tuples(st.just("twice"), st.none()),
)


@st.composite
def plain(draw: Any) -> Account:
    """A record that is as most are."""
    months = draw(st.integers(1, 36))
    return account(dict.fromkeys(range(months), (10, 5000, 5000)), account_type=draw(st.sampled_from([1, 3])))


def checked(record: Account) -> list[Violation]:
    found: list[Violation] = []
    check_account(record, NOW, "account", found)
    return found


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(plain(), accounts()),
    st.lists(st.tuples(st.integers(0, 59), changes), max_size=2),
    st.sampled_from([20150101, 20250615, 0]),
)
def test_columns_pass_nothing_that_month_after_month_would_not(
    record: Account, changed: list[tuple[int, tuple[str, Any]]], opened: int
) -> None:
    record.opened_date = opened
    for place, (field, value) in changed if record.months else ():
        month = record.months[place % len(record.months)]
        if field == "twice":
            record.months.add().CopyFrom(month)
        else:
            setattr(month, field, value)
    found = checked(record)
    event(f"wrong: {bool(found)}")
    with mock.patch.object(month_rules, "_are_plain", return_value=False):
        assert checked(record) == found


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(plain(), accounts()), min_size=2, max_size=3), st.permutations(range(3)))
def test_a_report_that_says_all_anew_is_the_record(records: list[Account], order: list[int]) -> None:
    states = []
    for shortened in (False, True):
        state = EMPTY
        with nullcontext() if shortened else mock.patch.object(merging, "_covers", return_value=False):
            for record, place in zip(records, order, strict=False):
                copy = Account.FromString(record.SerializeToString())
                copy.as_of.seconds += 86_400 * place
                state = merge_report(state, copy, place + 1).state
        states.append((state.content, state.versions, state.overdue, state.living, state.rating_facts))
    assert states[0] == states[1]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(accounts(), accounts())
def test_a_report_merges_alike_whoever_has_read_its_months(first: Account, second: Account) -> None:
    states = []
    for read in (MonthColumns.of, lambda _: None):
        state = EMPTY
        for arrival, record in enumerate((first, second), 1):
            copy = Account.FromString(record.SerializeToString())
            state = merge_report(state, copy, arrival, read(copy)).state
        states.append((state.content, state.versions, state.overdue, state.living, state.rating_facts))
    assert states[0] == states[1]


def test_a_record_that_is_reported_again_keeps_its_facts_unless_they_are_of_another_version() -> None:
    record = account(dict.fromkeys(range(3), (10, 5000, 5000)))
    known = merge_report(EMPTY, Account.FromString(record.SerializeToString()), 1).state
    assert known.rating_facts is not None
    for stored in (known.rating_facts, None, b"", b"\x00" + known.rating_facts[1:]):
        merged = merge_report(replace(known, rating_facts=stored), Account.FromString(record.SerializeToString()), 2)
        assert not merged.changed
        assert (merged.state.rating_facts, merged.state.living, merged.state.overdue) == (
            known.rating_facts,
            known.living,
            known.overdue,
        )


def test_most_reports_are_checked_by_their_columns() -> None:
    record: Any = Account(opened_date=20150101)
    record.account_type = 3
    for ago in range(24):
        record.months.add(month=month_before(MONTH, ago), disposition=10, billed_amount=5_000, paid_amount=0)
    with mock.patch.object(month_rules, "_check_each", side_effect=AssertionError):
        month_rules.check_months(record, 20150101, mock.Mock(month=MONTH), "account", [])


def test_what_nobody_said_is_not_known() -> None:
    record: Any = Account()
    record.account_type = 3
    record.months.add(month=20250901, disposition=10, billed_amount=0)
    record.months.add(month=20250801, disposition=10, paid_amount=7)
    assert MonthColumns.of(record) == ((20250901, 20250801), (10, 10), (0, None), (None, 7))
    record.account_type = 1
    assert MonthColumns.of(record) == ((20250901, 20250801), (10, 10), (), ())


def test_months_that_follow_each_other() -> None:
    assert follow_backwards(())
    assert follow_backwards((20260201, 20260101, 20251201))
    assert follow_backwards((21001201,))
    wrong: list[tuple[int, ...]] = [(20260101, 20260201), (20260201, 20251201), (20260201,) * 2, (20260132,), (0,), (21010101,)]
    for numbers in (*wrong, (19000101, 0)):
        assert not follow_backwards(numbers), numbers

"""Histories as hypothesis makes them: records of cards and loans, some of them absurd, all of them valid messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tallystick.credit.dates import month_before
from tallystick.credit.enums import Disposition
from tallystick.v1.account_pb2 import Account

Months = Mapping[int, tuple[int, int | None, int | None]]
"""By how long ago: disposition, billed, paid."""

TODAY = dt.date(2026, 11, 26)
MONTH = 20261101

dispositions = st.sampled_from([int(each) for each in Disposition if each])
amounts = st.sampled_from([None, 0, 1, 50, 900, 1_000, 5_000, 100_000])


@st.composite
def months(draw: Any) -> Months:
    """By how long ago: disposition, billed, paid."""
    places = draw(st.sets(st.integers(0, 20), max_size=10))
    return {place: (draw(dispositions), draw(st.sampled_from([None, -50, 0, 1, 5_000, 99_000])), draw(amounts)) for place in places}


@st.composite
def accounts(draw: Any) -> Account:
    """One record."""
    return account(
        draw(months()),
        limit=draw(st.sampled_from([None, 0, 1_000, 100_000])),
        account_type=draw(st.sampled_from([1, 2, 3, 6])),
        status=draw(st.sampled_from([1, 4])),
        lag=draw(st.integers(0, 3)),
        running=draw(st.sampled_from([None, None, 1, 40, 400])),
        disputed=draw(st.booleans()),
        role=draw(st.sampled_from([10, 10, 1, 2])),
    )


def account(
    known: Months,
    *,
    limit: int | None = 100_000,
    account_type: int = 3,
    status: int = 1,
    lag: int = 0,
    running: int | None = None,
    disputed: bool = False,
    role: int = 10,
    kind: int = 1,
    currency: str = "CNY",
) -> Account:
    """A record as of `lag` months ago, with these months."""
    made: Any = Account(status=status, currency=currency, opened_date=20150101)
    made.account_type, made.subject_kind, made.role = account_type, kind, role
    as_of = month_before(MONTH, lag)
    made.as_of.FromDatetime(dt.datetime(as_of // 10_000, as_of // 100 % 100, 15, tzinfo=dt.UTC))
    if limit is not None:
        made.credit_limit = limit
    for ago in sorted(known):
        disposition, billed, paid = known[ago]
        month = made.months.add(month=month_before(MONTH, ago), disposition=disposition)
        if billed is not None:
            month.billed_amount = billed
        if paid is not None:
            month.paid_amount = paid
    if running is not None:
        made.running_overdue.since_date, made.running_overdue.days_past_due = 20250101, running
    if disputed:
        made.annotations.append(1)
    assert isinstance(made, Account)
    return made

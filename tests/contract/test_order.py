"""A known account's state depends on what was reported and on nothing else: not on order or batches, server or moment."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.requests import QUERY, SUBMIT, WITHDRAW
from tests.contract.system import System

FIRST = datetime(2017, 3, 31, 12, tzinfo=UTC)
MONTHS_SPANNED = 100
DISPOSITIONS = (1, 2, 7, 10, 11, 16, 19)


@dataclass(frozen=True)
class State:
    """One report: as of some month after FIRST, about some of the months before it."""

    after: int
    balance: int
    months: tuple[tuple[int, int], ...]
    """How many months before as_of, and the disposition."""

    @property
    def as_of(self) -> datetime:
        return FIRST + timedelta(days=30 * self.after)

    def account(self) -> Any:
        number = self.as_of.year * 12 + self.as_of.month - 1
        months = [
            requests.month((number - back) // 12 * 10_000 + ((number - back) % 12 + 1) * 100 + 1, disposition)
            for back, disposition in self.months
        ]
        return requests.account(as_of=self.as_of, balance=self.balance, opened_date=20050101, months=months)


@dataclass(frozen=True)
class Removal:
    """A withdrawal as of the same instant as a report of that month would be."""

    after: int

    @property
    def as_of(self) -> datetime:
        return FIRST + timedelta(days=30 * self.after)


months = st.lists(st.tuples(st.integers(0, 65), st.sampled_from(DISPOSITIONS)), max_size=5, unique_by=lambda month: month[0])
states = st.lists(
    # Two different states as of one instant are told apart by their arrival alone, so that their order does matter.
    st.builds(State, st.integers(0, MONTHS_SPANNED), st.integers(0, 10**6), months.map(tuple)),
    min_size=1,
    max_size=5,
    unique_by=lambda state: state.after,
)
removals = st.lists(st.builds(Removal, st.integers(0, MONTHS_SPANNED)), max_size=1)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[State | Removal], list[list[State | Removal]]]:
    """Reports and perhaps a withdrawal in the order in which they happened; and the same, shuffled and cut into batches."""
    events: list[State | Removal] = [*draw(states), *draw(removals)]
    shuffled = draw(st.permutations(events))
    cuts = sorted(draw(st.sets(st.integers(1, len(events)), max_size=3)))
    batches = [list(shuffled[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    in_order = sorted(events, key=lambda event: (event.as_of, isinstance(event, Removal)))
    return in_order, [batch for batch in batches if batch]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories())
def test_order_and_batches_do_not_matter(
    system: System, second_worker_caller: RawCaller, history: tuple[list[State | Removal], list[list[State | Removal]]]
) -> None:
    in_order, batches = history
    first, second = system["bank-a"].exchange, second_worker_caller
    expected = _state_after(system, [(first, [event]) for event in in_order])
    alternating = [((first, second)[i % 2], batch) for i, batch in enumerate(batches)]
    assert _state_after(system, alternating) == expected
    assert _state_after(system, [*alternating, *alternating[::-1]]) == expected
    assert _state_after(system, alternating, at_once=True) == expected


def _state_after(
    system: System, sent: Sequence[tuple[RawCaller, Sequence[State | Removal]]], *, at_once: bool = False
) -> list[bytes]:
    """What another bank is told of an account after all this was sent about it."""
    subject, account = system.mint.stranger(), requests.reference()
    # A withdrawal of what is not known leaves nothing behind: what is put in disorder here is an account that is.
    known = State(-1, 0, ())
    assert sent[0][0].call(SUBMIT, requests.submission([requests.report(subject, known.account(), account)])).ok

    def send(caller: RawCaller, events: Sequence[State | Removal]) -> None:
        for event in events:
            if isinstance(event, Removal):
                assert caller.call(WITHDRAW, requests.withdrawal(subject, account, event.as_of)).ok
        reports = [requests.report(subject, event.account(), account) for event in events if isinstance(event, State)]
        if reports:
            assert caller.call(SUBMIT, requests.submission(reports)).message.rejected_count == 0

    with ThreadPoolExecutor(len(sent) if at_once else 1) as pool:
        for future in [pool.submit(send, *each) for each in sent]:
            future.result()
    history = system["bank-b"].exchange.call(QUERY, requests.query(subject)).message.credit_history
    return [each.account.SerializeToString(deterministic=True) for each in history.accounts]

"""Merging: whatever the order of arrival, the state is what the set of reports and withdrawals says it is."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tallystick.credit.dates import month_before, month_of_seconds
from tallystick.credit.merging import EMPTY, AccountState, Merged, merge_report, merge_withdrawal
from tallystick.credit.versions import NEVER, Stamp, Versions, runs_of
from tallystick.v1.account_pb2 import Account, AccountMonth


@dataclass(frozen=True)
class Event:
    """A report, or a withdrawal where account is None."""

    as_of: int
    arrival: int
    account: Account | None

    def merge_into(self, state: AccountState) -> Merged:
        if self.account is None:
            return merge_withdrawal(state, self.as_of, self.arrival)
        return merge_report(state, self.account, self.arrival)


def seconds(text: str) -> int:
    """Seconds since 1970 of a time in UTC."""
    return int(dt.datetime.fromisoformat(text).timestamp())


def report(text: str, months: dict[int, int] | None = None, *, balance: int = 0) -> Account:
    """A report as of that time; `months` gives the amount billed in each month."""
    account = Account(balance=balance)
    account.as_of.seconds = seconds(text)
    account.months.extend(AccountMonth(month=month, billed_amount=billed) for month, billed in (months or {}).items())
    return account


def billed(state: AccountState) -> dict[int, int]:
    """What the record says was billed in each month, newest first."""
    assert state.record is not None
    return {month.month: month.billed_amount for month in state.record.months}


# Few instants and arrivals, so that events meet; far enough apart for months to grow too old.
DAYS = ("2019-02-28", "2019-03-01", "2020-03-31", "2023-12-15", "2024-01-31", "2025-06-01")
AS_OFS = [seconds(f"{day}T00:00:00Z") for day in DAYS]


@st.composite
def events(draw: st.DrawFn) -> Event:
    as_of, arrival = draw(st.sampled_from(AS_OFS)), draw(st.integers(1, 4))
    if draw(st.integers(0, 4)) == 0:
        return Event(as_of, arrival, None)
    account = Account(balance=draw(st.integers(0, 2)))
    account.as_of.seconds = as_of
    newest = month_of_seconds(as_of)
    for back in draw(st.lists(st.one_of(st.integers(0, 3), st.integers(10, 75)), unique=True, max_size=6)):
        account.months.add(month=month_before(newest, back), billed_amount=draw(st.integers(0, 2)))
    return Event(as_of, arrival, account)


def expected(history: Sequence[Event]) -> AccountState:
    """The rules as they are stated, over the whole set at once."""
    withdrawals = [event.as_of for event in history if event.account is None]
    newest = month_of_seconds(max(event.as_of for event in history))
    withdrawn = max(withdrawals, default=None)
    live = [(event, event.account) for event in history if event.account and event.as_of > max(withdrawals, default=0)]
    if not live:
        return AccountState(None, Versions(withdrawn_as_of=withdrawn, newest_month=newest))

    def header_rank(item: tuple[Event, Account]) -> tuple[int, int, bytes]:
        header = Account.FromString(item[1].SerializeToString())
        del header.months[:]
        return item[0].as_of, item[0].arrival, header.SerializeToString(deterministic=True)

    setter, header = max(live, key=header_rank)
    record = Account.FromString(header.SerializeToString())
    del record.months[:]
    stamps: list[Stamp] = []
    candidates: dict[int, list[tuple[int, int, bytes]]] = {}
    for event, account in live:
        for month in account.months:
            stamped = (event.as_of, event.arrival, month.SerializeToString(deterministic=True))
            candidates.setdefault(month.month, []).append(stamped)
    for number in sorted(candidates, reverse=True):
        if number > month_before(newest, 60):
            as_of, arrival, value = max(candidates[number])
            record.months.append(AccountMonth.FromString(value))
            stamps.append((as_of, arrival))
    versions = Versions((setter.as_of, setter.arrival), withdrawn, newest, runs_of(stamps))
    return AccountState(record.SerializeToString(deterministic=True), versions)


def stored(state: AccountState) -> tuple[bytes | None, bytes]:
    """A state as it is stored."""
    return state.content, state.versions.to_bytes()


def merged(history: Sequence[Event]) -> AccountState:
    """The state after these events in this order."""
    state = AccountState.empty()
    for event in history:
        state = event.merge_into(state).state
    return state


@given(st.lists(events(), min_size=1, max_size=8), st.data())
def test_any_order_of_arrival_gives_the_state_that_the_rules_say(history: list[Event], data: st.DataObject) -> None:
    assert stored(merged(history)) == stored(merged(data.draw(st.permutations(history)))) == stored(expected(history))


@given(st.lists(events(), min_size=1, max_size=6), st.data())
def test_what_was_merged_once_changes_nothing_when_it_comes_again(history: list[Event], data: st.DataObject) -> None:
    state = merged(history)
    again = data.draw(st.sampled_from(history)).merge_into(state)
    assert again.state is state
    assert not again.changed


@given(st.lists(events(), min_size=1, max_size=6), events())
def test_merging_touches_neither_the_state_nor_the_report_it_is_given(history: list[Event], event: Event) -> None:
    state = merged(history)
    before = stored(state), event.account and event.account.SerializeToString(deterministic=True)
    after = event.merge_into(state)
    assert (stored(state), event.account and event.account.SerializeToString(deterministic=True)) == before
    assert after.changed == (after.state.record != state.record)


@given(st.lists(events(), min_size=1, max_size=8))
def test_a_record_keeps_sixty_months_at_most_newest_first(history: list[Event]) -> None:
    state = merged(history)
    if state.record is not None:
        months = [month.month for month in state.record.months]
        assert months == sorted(set(months), reverse=True)
        assert len(months) == len(state.versions.months) <= 60
        assert all(month > month_before(state.versions.newest_month, 60) for month in months)


def test_a_later_month_replaces_and_an_earlier_report_fills_in() -> None:
    late = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 3, 20250201: 2}, balance=7), 1)
    early = merge_report(late.state, report("2025-02-10T00:00:00Z", {20250201: 9, 20250101: 1}, balance=5), 2)
    assert late.changed
    assert early.changed
    assert billed(early.state) == {20250301: 3, 20250201: 2, 20250101: 1}
    assert early.state.record is not None
    assert early.state.record.balance == 7
    assert early.state.record.as_of.seconds == seconds("2025-03-10T00:00:00Z")


def test_a_report_that_is_older_in_everything_is_superseded() -> None:
    state = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 3, 20250201: 2}), 1).state
    late = merge_report(state, report("2025-02-10T00:00:00Z", {20250201: 9}), 2)
    assert not late.changed
    assert late.state is state


def test_the_same_content_arriving_later_changes_nothing_that_is_seen() -> None:
    content = report("2025-03-10T00:00:00Z", {20250301: 3})
    again = merge_report(merge_report(EMPTY, content, 1).state, content, 2)
    assert not again.changed
    assert again.state.versions.state[1] == 2
    assert [arrival for _, arrival in again.state.versions.months] == [2]


def test_of_two_reports_as_of_the_same_instant_the_later_arrival_wins() -> None:
    first = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 9}, balance=9), 1).state
    second = merge_report(first, report("2025-03-10T00:00:00Z", {20250301: 1}, balance=1), 2).state
    assert billed(second) == {20250301: 1}
    assert second.record is not None
    assert second.record.balance == 1


def test_months_a_report_does_not_carry_stay() -> None:
    state = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 3, 20250201: 2}), 1).state
    state = merge_report(state, report("2025-04-10T00:00:00Z", {20250401: 4}), 2).state
    assert billed(state) == {20250401: 4, 20250301: 3, 20250201: 2}


def test_the_sixty_first_month_is_gone_for_good() -> None:
    state = merge_report(EMPTY, report("2020-02-10T00:00:00Z", {20200201: 2, 20200101: 1}), 1).state
    state = merge_report(state, report("2025-01-10T00:00:00Z", {20250101: 5}), 2).state
    assert billed(state) == {20250101: 5, 20200201: 2}
    late = merge_report(state, report("2020-03-10T00:00:00Z", {20200101: 1}), 3)
    assert not late.changed
    assert billed(late.state) == {20250101: 5, 20200201: 2}


def test_a_withdrawal_kills_what_came_before_and_after_it() -> None:
    state = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 3}), 1).state
    gone = merge_withdrawal(state, seconds("2025-03-10T00:00:00Z"), 2)
    assert gone.changed
    assert gone.state.record is None
    assert gone.state.versions.withdrawn_as_of == seconds("2025-03-10T00:00:00Z")
    assert gone.state.versions.state == NEVER
    retry = merge_report(gone.state, report("2025-03-10T00:00:00Z", {20250301: 3}), 3)
    assert not retry.changed
    assert retry.state is gone.state


def test_a_report_after_a_withdrawal_revives_the_account_with_its_own_content_alone() -> None:
    state = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 3, 20250201: 2}, balance=9), 1).state
    state = merge_withdrawal(state, seconds("2025-03-15T00:00:00Z"), 2).state
    revived = merge_report(state, report("2025-03-15T00:00:01Z", {20250301: 8}), 3)
    assert revived.changed
    assert billed(revived.state) == {20250301: 8}
    assert revived.state.record is not None
    assert not revived.state.record.balance
    assert revived.state.versions.withdrawn_as_of == seconds("2025-03-15T00:00:00Z")


def test_a_withdrawal_before_the_newest_report_takes_only_older_months() -> None:
    state = merge_report(EMPTY, report("2025-02-10T00:00:00Z", {20250201: 2, 20250101: 1}), 1).state
    state = merge_report(state, report("2025-03-10T00:00:00Z", {20250301: 3}), 2).state
    cut = merge_withdrawal(state, seconds("2025-02-20T00:00:00Z"), 3)
    assert cut.changed
    assert billed(cut.state) == {20250301: 3}


def test_a_withdrawal_of_nothing_leaves_a_tombstone() -> None:
    merged_once = merge_withdrawal(EMPTY, seconds("2025-03-10T00:00:00Z"), 1)
    assert not merged_once.changed
    assert merged_once.state.record is None
    assert merge_report(merged_once.state, report("2025-03-01T00:00:00Z"), 2).state.record is None
    earlier = merge_withdrawal(merged_once.state, seconds("2025-03-09T00:00:00Z"), 2)
    assert earlier.state is merged_once.state


def test_an_unchanging_withdrawal_is_stored_all_the_same() -> None:
    state = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 3}), 1).state
    cut = merge_withdrawal(state, seconds("2025-01-01T00:00:00Z"), 2)
    assert not cut.changed
    assert cut.state is not state
    assert cut.state.versions.withdrawn_as_of == seconds("2025-01-01T00:00:00Z")


def test_fields_that_nobody_checked_do_not_reach_the_record() -> None:
    plain = report("2025-03-10T00:00:00Z", {20250301: 3})
    plain.ClearField("balance")
    unknown = b"\xfa\x3f\x05hello"
    month = plain.months[0].SerializeToString() + unknown
    data = Account(as_of=plain.as_of).SerializeToString() + unknown + b"\x6a" + bytes([len(month)]) + month
    hostile = Account.FromString(data)
    assert b"hello" in hostile.SerializeToString()
    assert hostile.months[0].billed_amount == 3
    state = merge_report(EMPTY, hostile, 1).state
    assert state.record == plain
    assert stored(state)[0] == plain.SerializeToString(deterministic=True)


def test_merging_again_from_what_was_stored_is_the_same() -> None:
    state = merge_report(EMPTY, report("2025-03-10T00:00:00Z", {20250301: 3, 20250201: 2}), 1).state
    record, versions = stored(state)
    read = AccountState(record, Versions.from_bytes(versions))
    later = report("2025-04-10T00:00:00Z", {20250401: 4, 20250301: 1})
    assert stored(merge_report(read, later, 2).state) == stored(merge_report(state, later, 2).state)

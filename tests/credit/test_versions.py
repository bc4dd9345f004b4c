"""Versions as they are stored: read again as they were, small, and nothing that nobody stored is believed."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from tallystick.credit.merging import EMPTY, AccountState, merge_report
from tallystick.credit.versions import MAX_MONTHS, Stamp, Versions, runs_of
from tallystick.v1.account_pb2 import Account
from tallystick.v1.storage_pb2 import AccountVersions, MonthVersion

SECOND = 1_000_000
stamps = st.tuples(st.integers(0, 5_000_000_000), st.integers(0, 5_000_000_000 * SECOND))
few_stamps = st.lists(stamps, min_size=1, max_size=4).flatmap(lambda some: st.lists(st.sampled_from(some), max_size=MAX_MONTHS))


@given(stamps, st.none() | st.integers(0, 5_000_000_000), st.integers(0, 21001201), few_stamps)
def test_what_is_stored_is_read_again(state: Stamp, withdrawn: int | None, newest: int, months: list[Stamp]) -> None:
    versions = Versions(state, withdrawn, newest, runs_of(months))
    assert versions.months == months
    assert Versions.from_bytes(versions.to_bytes()) == versions


@given(stamps, st.none() | st.integers(0, 5_000_000_000), few_stamps)
def test_what_was_stored_before_there_were_runs_is_read(state: Stamp, withdrawn: int | None, months: list[Stamp]) -> None:
    former = AccountVersions(state_as_of=state[0], state_arrival=state[1], withdrawn_as_of=withdrawn, newest_month=20250901)
    former.months.extend(MonthVersion(as_of=as_of, arrival=arrival) for as_of, arrival in months)
    assert Versions.from_bytes(former.SerializeToString()) == Versions(state, withdrawn, 20250901, runs_of(months))


@pytest.mark.parametrize(
    "stored",
    [
        b"\xff",
        AccountVersions(run_months=[1]).SerializeToString(),
        AccountVersions(run_months=[1], run_as_of_deltas=[0]).SerializeToString(),
        AccountVersions(run_as_of_deltas=[0], run_lateness_deltas=[0]).SerializeToString(),
        AccountVersions(run_months=[61], run_as_of_deltas=[0], run_lateness_deltas=[0]).SerializeToString(),
        AccountVersions(run_months=[2**32 - 1], run_as_of_deltas=[0], run_lateness_deltas=[0]).SerializeToString(),
    ],
)
def test_what_nobody_stored_is_not_believed(stored: bytes) -> None:
    with pytest.raises(DecodeError):
        Versions.from_bytes(stored)


def _reported(first: int, carried: int) -> AccountState:
    """After 24 months: at once where `first` is 0, else month after month, at about the same hour, each with the last `carried`."""
    state = EMPTY
    for number in range(first or 24, 25):
        account = Account()
        account.as_of.seconds = 1_700_000_000 + number * 30 * 86_400
        for back in range(min(number, carried)):
            index = 2022 * 12 + number - back
            account.months.add(month=index // 12 * 10_000 + (index % 12 + 1) * 100 + 1, disposition=10)
        arrival = account.as_of.seconds * SECOND + 7_200 * SECOND + number * 12_345_678
        state = merge_report(state, account, arrival).state
    assert len(state.versions.months) == 24
    return state


@pytest.mark.parametrize(("first", "carried", "most"), [(0, 24, 30), (1, 1, 250), (1, 3, 240), (1, 24, 30)])
def test_versions_of_twenty_four_months_are_small(first: int, carried: int, most: int) -> None:
    assert len(_reported(first, carried).versions.to_bytes()) <= most

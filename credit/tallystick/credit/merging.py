"""Merging of reports into an account's state, which depends on what was reported and never on the order of arrival.

What holds, for any set of reports and withdrawals with their arrivals:

1. A withdrawal kills every report as of its own as_of or earlier, whichever of the two arrives first.
2. All fields but the months are those of the live report with the greatest (as_of, arrival).
3. Each month is that of the live report with the greatest (as_of, arrival) among those that carry it.
4. Where both stamps are equal, the greater serialisation wins: of no meaning, but the same everywhere.
5. Months that lie 60 or more before the month of the greatest as_of ever seen, withdrawals included, are gone for good.

Each of these takes a maximum over a set, so neither order nor repetition matters. Nothing dead needs to be kept for it:
what is dropped at one step (killed, superseded or too old) would be dropped at every later step as well.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Final

from tallystick.credit.dates import month_before, month_of_seconds
from tallystick.credit.overdue import has_overdue
from tallystick.v1.account_pb2 import Account, AccountMonth
from tallystick.v1.storage_pb2 import AccountVersions, MonthVersion

__all__ = ["EMPTY", "MAX_MONTHS", "AccountState", "Merged", "has_overdue", "merge_report", "merge_withdrawal"]

MAX_MONTHS: Final = 60

# Typed Any: the stubs of ClearField know each name as a literal, and a list of names is not a literal.
_HEADER_FIELDS: Final[list[Any]] = [item.name for item in Account.DESCRIPTOR.fields if item.name != "months"]


@dataclass(frozen=True, slots=True)
class AccountState:
    """What is stored of one account. Merging never changes a state that it is given."""

    record: Account | None = None
    """What others are told, months newest first; None if nothing was reported yet or all of it was withdrawn."""
    versions: AccountVersions = field(default_factory=AccountVersions)
    """Which report set what; its months are parallel to the record's."""

    @classmethod
    def empty(cls) -> "AccountState":
        """The state of an account of which nothing was ever heard."""
        return cls()


EMPTY: Final = AccountState()


@dataclass(frozen=True, slots=True)
class Merged:
    """What a report or a withdrawal made of a state."""

    state: AccountState
    """The state to store; the very object that was given if there is nothing to store."""
    changed: bool
    """Whether the record changed, as others see it."""


def merge_report(state: AccountState, account: Account, arrival: int) -> Merged:
    """Merges a valid account (tallystick.credit.validation) that arrived at `arrival`, microseconds since 1970."""
    as_of = account.as_of.seconds
    if state.versions.HasField("withdrawn_as_of") and as_of <= state.versions.withdrawn_as_of:
        return Merged(state, changed=False)
    reported = Account()
    reported.CopyFrom(account)
    # What we do not know, nobody checked: it must not reach others.
    reported.DiscardUnknownFields()
    header_wins = _header_wins(state, reported, as_of, arrival)
    record, versions = _copy_of(state)
    versions.newest_month = max(versions.newest_month, month_of_seconds(as_of))
    oldest = month_before(versions.newest_month, MAX_MONTHS - 1)
    _drop_months_before(oldest, record, versions)
    order = [-month.month for month in record.months]
    for month in reported.months:
        if month.month >= oldest:
            _merge_month(month, MonthVersion(as_of=as_of, arrival=arrival), record, versions, order)
    if header_wins:
        _replace_header(record, reported)
        versions.state_as_of, versions.state_arrival = as_of, arrival
    return _merged(state, record, versions)


def merge_withdrawal(state: AccountState, as_of_seconds: int, arrival: int) -> Merged:
    """Merges a withdrawal. `arrival` is taken for likeness with merge_report: a tombstone does not depend on it.

    The account is gone if the record of the result is None and the one before was not; `changed` is also true where
    only older months went.
    """
    del arrival
    if state.versions.HasField("withdrawn_as_of") and as_of_seconds <= state.versions.withdrawn_as_of:
        return Merged(state, changed=False)
    newest_month = max(state.versions.newest_month, month_of_seconds(as_of_seconds))
    if state.record is None or state.versions.state_as_of <= as_of_seconds:
        # The header's as_of is the greatest of all live reports: all months die with it.
        versions = AccountVersions(withdrawn_as_of=as_of_seconds, newest_month=newest_month)
        return Merged(AccountState(None, versions), changed=state.record is not None)
    record, versions = _copy_of(state)
    versions.withdrawn_as_of = as_of_seconds
    versions.newest_month = newest_month
    _drop_months_before(month_before(newest_month, MAX_MONTHS - 1), record, versions)
    for index in reversed(range(len(versions.months))):
        if versions.months[index].as_of <= as_of_seconds:
            del record.months[index]
            del versions.months[index]
    return _merged(state, record, versions)


def _copy_of(state: AccountState) -> tuple[Account, AccountVersions]:
    record, versions = Account(), AccountVersions()
    if state.record is not None:
        record.CopyFrom(state.record)
    versions.CopyFrom(state.versions)
    return record, versions


def _header_wins(state: AccountState, reported: Account, as_of: int, arrival: int) -> bool:
    if state.record is None:
        return True
    present = (state.versions.state_as_of, state.versions.state_arrival)
    if (as_of, arrival) != present:
        return (as_of, arrival) > present
    return _bytes_of(_header_of(reported)) > _bytes_of(_header_of(state.record))


def _replace_header(record: Account, reported: Account) -> None:
    # Around the months, so that those that stay are copied as one.
    for name in _HEADER_FIELDS:
        record.ClearField(name)
    record.MergeFrom(_header_of(reported))


def _header_of(account: Account) -> Account:
    header = Account()
    header.CopyFrom(account)
    header.ClearField("months")
    return header


def _drop_months_before(oldest: int, record: Account, versions: AccountVersions) -> None:
    while record.months and record.months[-1].month < oldest:
        del record.months[-1]
        del versions.months[-1]


def _merge_month(month: AccountMonth, version: MonthVersion, record: Account, versions: AccountVersions, order: list[int]) -> None:
    """Puts one month in its place; `order` holds the record's months, negated so that they ascend."""
    index = bisect_left(order, -month.month)
    if index == len(order) or order[index] != -month.month:
        order.insert(index, -month.month)
        record.months.insert(index, month)
        versions.months.insert(index, version)
        return
    stamps = (version.as_of, version.arrival)
    present = (versions.months[index].as_of, versions.months[index].arrival)
    if stamps > present or (stamps == present and _bytes_of(month) > _bytes_of(record.months[index])):
        record.months[index].CopyFrom(month)
        versions.months[index].CopyFrom(version)


def _bytes_of(message: Account | AccountMonth) -> bytes:
    return message.SerializeToString(deterministic=True)


def _merged(state: AccountState, record: Account, versions: AccountVersions) -> Merged:
    changed = record != state.record
    if not changed and versions == state.versions:
        return Merged(state, changed=False)
    return Merged(AccountState(record, versions), changed)

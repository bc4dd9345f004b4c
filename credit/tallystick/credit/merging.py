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

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tallystick.credit.dates import month_before, month_of_seconds
from tallystick.credit.overdue import has_overdue
from tallystick.v1.account_pb2 import Account, AccountMonth
from tallystick.v1.storage_pb2 import AccountVersions, MonthVersion

__all__ = ["EMPTY", "MAX_MONTHS", "AccountState", "Merged", "has_overdue", "merge_report", "merge_withdrawal"]

MAX_MONTHS: Final = 60


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


class _Month(NamedTuple):
    """A month with the stamps of the report that set it."""

    value: AccountMonth
    as_of: int
    arrival: int

    def wins_over(self, other: "_Month") -> bool:
        """Whether this one takes the other's place."""
        if self[1:] != other[1:]:
            return self[1:] > other[1:]
        return _bytes_of(self.value) > _bytes_of(other.value)


def merge_report(state: AccountState, account: Account, arrival: int) -> Merged:
    """Merges a valid account (tallystick.credit.validation) that arrived at `arrival`, microseconds since 1970."""
    versions = state.versions
    as_of = account.as_of.seconds
    if versions.HasField("withdrawn_as_of") and as_of <= versions.withdrawn_as_of:
        return Merged(state, changed=False)
    newest_month = max(versions.newest_month, month_of_seconds(as_of))
    oldest = month_before(newest_month, MAX_MONTHS - 1)
    months = _months_of(state, oldest)
    reported = Account()
    reported.CopyFrom(account)
    # Fields that we do not know would be told to others unread.
    reported.DiscardUnknownFields()
    for value in reported.months:
        if value.month >= oldest:
            candidate = _Month(value, as_of, arrival)
            present = months.get(value.month)
            if present is None or candidate.wins_over(present):
                months[value.month] = candidate
    new = AccountVersions(newest_month=newest_month)
    if versions.HasField("withdrawn_as_of"):
        new.withdrawn_as_of = versions.withdrawn_as_of
    if _header_wins(state, reported, as_of, arrival):
        new.state_as_of, new.state_arrival = as_of, arrival
        return _assemble(state, reported, new, months)
    new.state_as_of, new.state_arrival = versions.state_as_of, versions.state_arrival
    return _assemble(state, state.record or reported, new, months)


def merge_withdrawal(state: AccountState, as_of_seconds: int, arrival: int) -> Merged:
    """Merges a withdrawal. `arrival` is taken for likeness with merge_report: a tombstone does not depend on it.

    The account is gone if the record of the result is None and the one before was not; `changed` is also true where
    only older months went.
    """
    del arrival
    versions = state.versions
    if versions.HasField("withdrawn_as_of") and as_of_seconds <= versions.withdrawn_as_of:
        return Merged(state, changed=False)
    new = AccountVersions(
        withdrawn_as_of=as_of_seconds,
        newest_month=max(versions.newest_month, month_of_seconds(as_of_seconds)),
    )
    if state.record is None or versions.state_as_of <= as_of_seconds:
        # The header's as_of is the greatest of all live reports: all months die with it.
        return Merged(AccountState(None, new), changed=state.record is not None)
    new.state_as_of, new.state_arrival = versions.state_as_of, versions.state_arrival
    oldest = month_before(new.newest_month, MAX_MONTHS - 1)
    months = {number: month for number, month in _months_of(state, oldest).items() if month.as_of > as_of_seconds}
    return _assemble(state, state.record, new, months)


def _months_of(state: AccountState, oldest: int) -> dict[int, _Month]:
    if state.record is None:
        return {}
    return {
        value.month: _Month(value, version.as_of, version.arrival)
        for value, version in zip(state.record.months, state.versions.months, strict=True)
        if value.month >= oldest
    }


def _header_wins(state: AccountState, reported: Account, as_of: int, arrival: int) -> bool:
    if state.record is None:
        return True
    present = (state.versions.state_as_of, state.versions.state_arrival)
    if (as_of, arrival) != present:
        return (as_of, arrival) > present
    return _bytes_of(_header_of(reported)) > _bytes_of(_header_of(state.record))


def _header_of(account: Account) -> Account:
    header = Account()
    header.CopyFrom(account)
    header.ClearField("months")
    return header


def _bytes_of(message: Account | AccountMonth) -> bytes:
    return message.SerializeToString(deterministic=True)


def _assemble(state: AccountState, header: Account, versions: AccountVersions, months: dict[int, _Month]) -> Merged:
    record = _header_of(header)
    for number in sorted(months, reverse=True):
        month = months[number]
        record.months.append(month.value)
        versions.months.append(MonthVersion(as_of=month.as_of, arrival=month.arrival))
    changed = record != state.record
    if not changed and versions == state.versions:
        return Merged(state, changed=False)
    return Merged(AccountState(record, versions), changed)

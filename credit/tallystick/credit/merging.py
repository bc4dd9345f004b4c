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

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import gt
from typing import Final

from tallystick.credit.dates import month_before, month_of_seconds
from tallystick.credit.living import is_living
from tallystick.credit.month_columns import MonthColumns
from tallystick.credit.overdue import has_overdue
from tallystick.credit.rating.facts import are_current, facts_of
from tallystick.credit.versions import MAX_MONTHS, Run, Stamp, Versions, runs_of
from tallystick.v1.account_pb2 import Account, AccountMonth

__all__ = ["EMPTY", "MAX_MONTHS", "AccountState", "Merged", "has_overdue", "merge_report", "merge_withdrawal"]


@dataclass(frozen=True, slots=True)
class AccountState:
    """What is stored of one account."""

    content: bytes | None = None
    """The record, serialised; None if nothing was reported yet or all of it was withdrawn."""
    versions: Versions = field(default_factory=Versions)
    """Which report set what."""
    overdue: bool = field(default=False, compare=False)
    """Whether the record holds any overdue (has_overdue), so that nobody need parse it again to know."""
    living: bool = field(default=False, compare=False)
    """Whether the record is of a living account (tallystick.credit.living); of a withdrawn one it is not."""
    rating_facts: bytes | None = field(default=None, compare=False)
    """What a rating must know of the record (tallystick.credit.rating.facts); None of a withdrawn one, and of a row of before."""

    @classmethod
    def empty(cls) -> "AccountState":
        """The state of an account of which nothing was ever heard."""
        return EMPTY

    @property
    def record(self) -> Account | None:
        """What others are told, months newest first: parsed anew each time."""
        return None if self.content is None else Account.FromString(self.content)


EMPTY: Final = AccountState()


@dataclass(frozen=True, slots=True)
class Merged:
    """What a report or a withdrawal made of a state."""

    state: AccountState
    """The state to store; the very object that was given if there is nothing to store."""
    changed: bool
    """Whether the record changed, as others see it."""
    became_overdue: bool = False
    """Whether the record holds some overdue, and none was known of this account before."""


def merge_report(state: AccountState, account: Account, arrival: int, months: MonthColumns | None = None) -> Merged:
    """Merges a valid account (tallystick.credit.validation) that arrived at `arrival`, microseconds since 1970.

    `account` loses what this version does not know of it. `months` are its months, if who checked it has read them."""
    versions = state.versions
    stamp = account.as_of.seconds, arrival
    if versions.withdrawn_as_of is not None and stamp[0] <= versions.withdrawn_as_of:
        return Merged(state, changed=False)
    reported = account
    # What we do not know, nobody checked: it must not reach others.
    reported.DiscardUnknownFields()
    newest_month = max(versions.newest_month, month_of_seconds(stamp[0]))
    oldest = month_before(newest_month, MAX_MONTHS - 1)
    content = _bytes_of(reported)
    months = months or MonthColumns.of(reported)
    # The first report of an account, and a later one that says all anew, as most do: _together comes to the same, with more work.
    anew = state.content is None or (stamp > versions.state and _covers(state, content, months, oldest))
    if anew and _is_record(months.numbers, oldest):
        runs: tuple[Run, ...] = ((len(months.numbers), stamp),) if months.numbers else ()
    else:
        reported, runs = _together(state, reported, stamp, oldest)
        content, months = _bytes_of(reported), MonthColumns.of(reported)
    stamped = Versions(max(stamp, versions.state), versions.withdrawn_as_of, newest_month, runs)
    return _merged(state, reported, content, stamped, months)


def merge_withdrawal(state: AccountState, as_of_seconds: int, arrival: int) -> Merged:
    """Merges a withdrawal. `arrival` is taken for likeness with merge_report: a tombstone does not depend on it.

    The account is gone if the record of the result is None and the one before was not; `changed` is also true where
    only older months went.
    """
    del arrival
    versions = state.versions
    if versions.withdrawn_as_of is not None and as_of_seconds <= versions.withdrawn_as_of:
        return Merged(state, changed=False)
    newest_month = max(versions.newest_month, month_of_seconds(as_of_seconds))
    record = state.record
    if record is None or versions.state[0] <= as_of_seconds:
        # The header's as_of is the greatest of all live reports: all months die with it.
        return _merged(state, None, None, Versions(withdrawn_as_of=as_of_seconds, newest_month=newest_month))
    oldest = month_before(newest_month, MAX_MONTHS - 1)
    stamped = zip(record.months, versions.months, strict=True)
    live = [(month, stamp) for month, stamp in stamped if month.month >= oldest and stamp[0] > as_of_seconds]
    record = _record_of(record, [month for month, _ in live])
    left = Versions(versions.state, as_of_seconds, newest_month, runs_of(stamp for _, stamp in live))
    return _merged(state, record, _bytes_of(record), left)


def _together(state: AccountState, reported: Account, stamp: Stamp, oldest: int) -> tuple[Account, tuple[Run, ...]]:
    """The record and the runs of its months, of what was known and what is reported now."""
    record = state.record
    known = () if record is None else zip(record.months, state.versions.months, strict=True)
    merged = {month.month: (month, set_by) for month, set_by in known}
    for month in reported.months:
        present = merged.get(month.month)
        if present is None or _wins(stamp, month, present[1], present[0]):
            merged[month.month] = month, stamp
    order = [merged[number] for number in sorted(merged, reverse=True) if number >= oldest]
    if record is None or _wins(stamp, reported, state.versions.state, record):
        record = reported
    return _record_of(record, [month for month, _ in order]), runs_of(set_by for _, set_by in order)


def _wins(stamp: Stamp, content: Account | AccountMonth, present_stamp: Stamp, present: Account | AccountMonth) -> bool:
    """Whether a month, or an account but for its months, takes the place of the present one."""
    if stamp != present_stamp:
        return stamp > present_stamp
    return _without_months(content) > _without_months(present)


def _is_record(numbers: Sequence[int], oldest: int) -> bool:
    """Whether months are as they are in a record: newest first, each once, none too old."""
    return not numbers or (numbers[-1] >= oldest and all(map(gt, numbers, numbers[1:])))


def _covers(state: AccountState, content: bytes, months: MonthColumns, oldest: int) -> bool:
    """Whether a report has every month that is known. If it is later than all that is known too, it is the record by itself."""
    if content == state.content or not state.versions.runs:
        return True
    record = state.record
    return record is not None and {number for month in record.months if (number := month.month) >= oldest} <= set(months.numbers)


def _record_of(header: Account, months: Sequence[AccountMonth]) -> Account:
    record = _header_of(header)
    record.months.extend(months)
    return record


def _header_of(account: Account) -> Account:
    header = Account()
    header.CopyFrom(account)
    header.ClearField("months")
    return header


def _without_months(message: Account | AccountMonth) -> bytes:
    return _bytes_of(_header_of(message) if isinstance(message, Account) else message)


def _bytes_of(message: Account | AccountMonth) -> bytes:
    return message.SerializeToString(deterministic=True)


def _merged(
    state: AccountState, record: Account | None, content: bytes | None, versions: Versions, months: MonthColumns | None = None
) -> Merged:
    """`content` is the record, serialised; `months` are its months, if they were read."""
    if content == state.content and versions == state.versions:
        return Merged(state, changed=False)
    if record is None:
        merged = AccountState(content, versions)
    elif content == state.content and are_current(state.rating_facts):
        # What is said of a record stays with it.
        merged = AccountState(content, versions, state.overdue, state.living, state.rating_facts)
    else:
        read = months or MonthColumns.of(record)
        overdue = has_overdue(record, read.dispositions)
        merged = AccountState(content, versions, overdue, is_living(record), facts_of(record, read))
    return Merged(merged, changed=content != state.content, became_overdue=merged.overdue and not state.overdue)

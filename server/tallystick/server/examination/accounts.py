"""The accounts: what was reported and withdrawn, merged again from the evidence, held against what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, permutations
from typing import Any

from google.protobuf.message import DecodeError

from tallystick.contract.instants import microseconds
from tallystick.contract.limits import MAX_OWN_ACCOUNTS
from tallystick.contract.methods import SUBMIT_REPORTS, WITHDRAW_ACCOUNT
from tallystick.contract.subjects import of_token
from tallystick.credit.merging import AccountState, merge_report, merge_withdrawal
from tallystick.credit.notices import may_lack_notice
from tallystick.credit.requests import check_submission
from tallystick.credit.versions import Versions
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.streams import Rows
from tallystick.server.examination.subjects import Subjects
from tallystick.server.services.reporting.account_changes import standing_of
from tallystick.v1 import account_pb2, reporting_service_pb2, storage_pb2

LONGEST_WAY = timedelta(minutes=10)
"""From the time of a change to that of its entry; it is seconds unless a clock was set."""
_MOST_ORDERS = 4
"""States as of the same instant whose every order is tried."""
_REPORTING = frozenset({SUBMIT_REPORTS.path, WITHDRAW_ACCOUNT.path})

Key = tuple[bytes, int, bytes]


@dataclass(frozen=True, slots=True)
class _Report:
    """One report of an account, or its withdrawal."""

    entry: int
    time: int
    """Of the entry, in microseconds."""
    as_of: int
    account: account_pb2.Account | None
    """None for a withdrawal."""
    judged: bool
    """Whether it is certain that it was accepted."""


class Accounts:
    """Collects reports entry by entry, and merges them at the end."""

    def __init__(
        self,
        anomalies: Anomalies,
        scratch: Scratch,
        subjects: Subjects,
        epoch_id: bytes,
        members: Mapping[int, str],
        forgotten: datetime,
        forgetting: timedelta,
    ) -> None:
        """`forgotten` is before when withdrawn accounts may have been forgotten, `forgetting` after how long they are."""
        self._anomalies = anomalies
        self._scratch = scratch
        self._subjects = subjects
        self._epoch_id = epoch_id
        self._members = members
        self._forgotten = microseconds(forgotten)
        self._forgetting = forgetting // timedelta(microseconds=1)
        self._unseen = False
        """Whether the evidence of any report is gone."""
        self._erased: set[int] = set()
        """Members some of whose reports were erased."""

    def take(self, entry: Examined, verdicts: Sequence[int] | None) -> None:
        """One entry, and what became of its reports if that is known."""
        if entry.leaf.method not in _REPORTING or not entry.carried_out or entry.repeated is True:
            return
        if entry.message is None:
            self._unseen = self._unseen or not entry.details
            self._unreadable(entry)
        elif entry.repeated is None:
            self._unreadable(entry)
        elif entry.leaf.method == SUBMIT_REPORTS.path:
            self._reports(entry, entry.message, verdicts)
        else:
            message: reporting_service_pb2.WithdrawAccountRequest = entry.message
            self._keep(entry, message.subject, message.account_reference, message.as_of.seconds, None, judged=True)

    def finish(self, stored: Rows) -> None:
        """All entries were taken; the rows are (key), record, versions, standing, live, update_time, rating_facts, by key."""
        if self._unseen:
            self._anomalies.untold["entries with reports whose evidence is gone: accounts"] += 1
            return
        for key, reports in self._reported():
            for other, *_ in stored.before(key):
                self._unreported(other)
            rows = stored.take(key)
            self._compare(key, reports, rows[0][1:] if rows else None)
        for other, *_ in stored.rest():
            self._unreported(other)

    def _reports(self, entry: Examined, message: Any, verdicts: Sequence[int] | None) -> None:
        judged = verdicts is not None and len(verdicts) == len(message.reports)
        if judged and verdicts is not None:
            accepted = [verdict != reporting_service_pb2.REPORT_OUTCOME_REJECTED for verdict in verdicts]
        else:
            checked = check_submission(message, entry.create_time, epoch_id=self._epoch_id)
            accepted = [not each.violations for each in checked]
        for report, good in zip(message.reports, accepted, strict=True):
            if good:
                as_of = report.account.as_of.seconds
                if not judged and may_lack_notice(report):
                    # Nothing says what the exchange asked for then: it may have rejected this one.
                    key = self._subjects.key(of_token(report.subject))
                    self._scratch.execute("INSERT OR IGNORE INTO unread VALUES (?, ?)", key, entry.member)
                self._keep(entry, report.subject, report.account_reference, as_of, report.account, judged=judged)

    def _keep(self, entry: Examined, token: Any, reference: Any, as_of: int, account: Any, *, judged: bool) -> None:
        assert entry.contract is not None
        key = self._subjects.key(of_token(token))
        content = None if account is None else account.SerializeToString()
        row = (key, entry.member, reference.secret_id + reference.digest, entry.index, microseconds(entry.create_time), as_of)
        self._scratch.execute("INSERT INTO report VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row, content, judged)

    def _unreadable(self, entry: Examined) -> None:
        """The subjects that an entry still names, of whom it reported nobody knows what."""
        for leaf in entry.details[1:]:
            if leaf.WhichOneof("content") == "subject":
                key = self._subjects.key(of_token(leaf.subject.subject))
                self._scratch.execute("INSERT OR IGNORE INTO unread VALUES (?, ?)", key, entry.member)
            else:
                self._erased.add(entry.member)

    def _reported(self) -> Iterator[tuple[Key, list[_Report]]]:
        order = "SELECT * FROM report ORDER BY subject, member, reference, entry"
        for key, rows in groupby(self._scratch.rows(order), lambda row: (row[0], row[1], row[2])):
            reports = [
                _Report(entry, time, as_of, None if content is None else account_pb2.Account.FromString(content), bool(judged))
                for *_, entry, time, as_of, content, judged in rows
            ]
            yield key, reports

    def _compare(self, key: Key, reports: Sequence[_Report], row: Sequence[Any] | None) -> None:
        expected = (_merged(order, forgetting=forgetting) for order in _orders(reports) for forgetting in (None, self._forgetting))
        wrong = min((_differing(each, row, self._forgotten) for each in expected), key=len)
        if not wrong:
            return
        if self._is_unread(key) or not self._certain(key, reports):
            self._anomalies.untold["accounts some of whose reports cannot be read, or be known to have been accepted"] += 1
        elif key[1] in self._erased and row is not None:
            self._anomalies.untold["accounts that differ, of members some of whose reports were erased"] += 1
        elif row is None:
            text = "MISSING: it was reported, and not erased (unless the erasure of its subject is not complete: run it again)"
            self._anomalies.add("account", self._name(key, reports), text)
        else:
            text = f"its {', '.join(wrong)} is not what was reported"
            self._anomalies.add("account", self._name(key, reports), text)

    def _unreported(self, key: Key) -> None:
        if self._is_unread(key) or key[1] in self._erased:
            self._anomalies.untold["accounts whose reports were erased, or were never made"] += 1
        else:
            self._anomalies.add("account", self._name(key, ()), "no entry reported it: somebody added or changed it")

    def _is_unread(self, key: Key) -> bool:
        return self._scratch.one("SELECT 1 FROM unread WHERE subject = ? AND member = ?", key[0], key[1]) is not None

    def _certain(self, key: Key, reports: Sequence[_Report]) -> bool:
        """Whether all reports are known to have been accepted: past the limit of accounts, one may not have been."""
        if all(report.judged for report in reports):
            return True
        known = "SELECT count(DISTINCT reference) FROM report WHERE subject = ? AND member = ?"
        (count,) = self._scratch.one(known, key[0], key[1]) or (0,)
        return bool(count <= MAX_OWN_ACCOUNTS)

    def _name(self, key: Key, reports: Sequence[_Report]) -> str:
        """By the keyed digests that the database stores, cut: they say nothing without its key."""
        last = f", reported in entry {reports[-1].entry}" if reports else ""
        return f"of {self._members.get(key[1], key[1])}, subject {key[0].hex()[:16]}…, reference {key[2].hex()[-8:]}{last}"


def _orders(reports: Sequence[_Report]) -> Iterator[Sequence[_Report]]:
    """The orders in which reports may have arrived: that of the log, and those of states as of the same instant at several servers,
    whose transactions ended in another order than they began."""
    yield reports
    by_time: dict[int, list[int]] = {}
    for place, report in enumerate(reports):
        by_time.setdefault(report.as_of, []).append(place)
    for places in by_time.values():
        if 1 < len(places) <= _MOST_ORDERS:
            for order in list(permutations(places))[1:]:
                moved = list(reports)
                for place, source in zip(places, order, strict=True):
                    moved[place] = reports[source]
                yield moved


@dataclass(frozen=True, slots=True)
class _Expected:
    """What an account must be."""

    state: AccountState | None
    """None where no row is to be."""
    times: Sequence[int]
    """Of the reports, by the numbers that stand for their arrival."""
    changed: int
    """When the last of them was."""


def _merged(reports: Sequence[_Report], *, forgetting: int | None) -> _Expected:
    """The reports merged in this order. `forgetting` says after how long what was withdrawn was forgotten before the next report
    came; None that it was not, since upkeep may be late."""
    state: AccountState | None = None
    changed = 0
    for arrival, report in enumerate(reports):
        if state is not None and state.content is None and forgetting is not None and report.time - changed > forgetting:
            state = None
        if report.account is not None:
            merged = merge_report(state or AccountState.empty(), report.account, arrival).state
        elif state is not None:
            merged = merge_withdrawal(state, report.as_of, arrival).state
        else:
            # What can only end an account leaves no row where there was none.
            continue
        changed = changed if merged is state else report.time
        state = merged
    return _Expected(state, [report.time for report in reports], changed)


def _differing(expected: _Expected, row: Sequence[Any] | None, forgotten: int) -> list[str]:
    """The columns that are not as expected; one that was withdrawn before `forgotten` need not be there."""
    state = expected.state
    if row is None or state is None:
        gone = state is None or (state.content is None and expected.changed < forgotten)
        return [] if row is None and gone else ["whole row"]
    record, versions, standing, live, update_time, facts = row
    same = {
        "record": record == state.content,
        "versions": _same_versions(versions, state.versions, expected.times),
        "standing": standing == standing_of(state),
        "live": live == state.living,
        # None of a row that was not reported since facts are kept: a rating reckons them from the record then.
        "rating_facts": facts is None or facts == state.rating_facts,
        "update_time": _is_about(microseconds(update_time), min(expected.times), max(expected.times)),
    }
    return [name for name, equal in same.items() if not equal]


def _same_versions(stored: bytes, expected: Versions, times: Sequence[int]) -> bool:
    """Arrivals are expected as the numbers of reports, and stored as their time, which is a little before that of their entry."""
    try:
        versions = Versions.from_bytes(stored)
        spelled = stored in (versions.to_bytes(), _before_runs(versions))
    except (DecodeError, ValueError):
        # ValueError: numbers of which a sum or a difference is too large to be written.
        return False
    if not spelled:
        return False
    if (versions.withdrawn_as_of, versions.newest_month) != (expected.withdrawn_as_of, expected.newest_month):
        return False
    stamps, others = [versions.state, *versions.months], [expected.state, *expected.months]
    return len(stamps) == len(others) and all(
        as_of == other and (_is_about(arrival, times[place], times[place]) if other else arrival == 0)
        for (as_of, arrival), (other, place) in zip(stamps, others, strict=True)
    )


def _before_runs(versions: Versions) -> bytes:
    """As a server wrote them that knew no runs."""
    (as_of, arrival), withdrawn = versions.state, versions.withdrawn_as_of
    months = [storage_pb2.MonthVersion(as_of=as_of, arrival=arrival) for as_of, arrival in versions.months]
    return storage_pb2.AccountVersions(
        state_as_of=as_of, state_arrival=arrival, withdrawn_as_of=withdrawn, newest_month=versions.newest_month, months=months
    ).SerializeToString(deterministic=True)


def _is_about(time: int, earliest: int, latest: int) -> bool:
    """A thousand requests of a batch add a microsecond each to the time that they arrived at."""
    return earliest - LONGEST_WAY // timedelta(microseconds=1) <= time <= latest + 10_000

"""The examination of a whole log: one walk over its entries, with the rows of every other table beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta

from psycopg2 import extensions

from tallystick.server.examination.accounts import Accounts
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.entries import Entries
from tallystick.server.examination.evidence import Evidence
from tallystick.server.examination.membership import Membership
from tallystick.server.examination.requests import Requests
from tallystick.server.examination.scorecards import SCORECARDS, Scorecards
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.servicing import ServicingRecord
from tallystick.server.examination.streams import Row, Rows, plain
from tallystick.server.examination.subjects import Subjects
from tallystick.server.examination.tree import Tree
from tallystick.server.examination.usage import Meter, Nonces
from tallystick.server.examination.watches import MESSAGES, WATCHES, Watches, check_fence
from tallystick.server.services.capability import Foundation
from tallystick.server.services.membership.registry import KeyRow, MemberRow
from tallystick.server.storage.partitions import month_of

Progress = Callable[[int, int], None]
"""Hears how many entries of how many were examined."""
PROGRESS_ENTRIES = 10_000

_ENTRIES = "SELECT index, leaf, leaf_hash, create_time, member, method, outcome FROM audit_entry ORDER BY index"
_EVIDENCE = "SELECT entry_index, month, sealed FROM evidence ORDER BY entry_index, month"
_SUBJECTS = """
SELECT entry_index, ordinal, subject, member, purpose, consent_reference, create_time, footprint
FROM audit_subject ORDER BY entry_index, ordinal
"""
_REQUESTS = """
SELECT entry_index, member, request_id, method, digest, create_time, answer, accepted_count, rejected_count,
       superseded_count
FROM request ORDER BY entry_index, member, request_id
"""
_ACCOUNTS = """
SELECT subject, member, account_reference, record, versions, standing, live, update_time, rating_facts
FROM account ORDER BY subject, member, account_reference
"""
_EVENTS = """
SELECT subject, member, account_reference, event_id, event, create_time
FROM servicing_event ORDER BY subject, member, account_reference, event_id
"""
_NONCES = "SELECT minute, keyid, nonce FROM nonce WHERE minute > %s ORDER BY minute, keyid, nonce"
_MEMBERS = (
    "SELECT id, member_id, display_name, roles, purposes, state, daily_evaluations, create_time, quotas FROM member ORDER BY id"
)
_KEYS = "SELECT keyid, member, public_key, create_time, revoke_time FROM member_key ORDER BY keyid"
_HEAD = "SELECT size, compact_range, last_time, registry_version, fence_time, watch_index FROM log_head"


def examine_log(connection: extensions.connection, foundation: Foundation, progress: Progress = lambda *_: None) -> Anomalies:
    """Examines every row in one snapshot, in bounded memory. Raises psycopg2.Error."""
    with _snapshot(connection), closing(Scratch()) as scratch:
        return _Examination(connection, foundation, scratch).run(progress)


@contextmanager
def _snapshot(connection: extensions.connection) -> Iterator[None]:
    # Entries are added all the time.
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    try:
        yield
    finally:
        connection.rollback()
        connection.set_session(isolation_level="DEFAULT", readonly=False, autocommit=True)


class _Examination:
    """All parts, and the rows that they take."""

    def __init__(self, connection: extensions.connection, foundation: Foundation, scratch: Scratch) -> None:
        settings, keys = foundation.settings, foundation.keys
        self._connection = connection
        self._anomalies = anomalies = Anomalies()
        ((now,),) = self._fetch("SELECT clock_timestamp()")
        horizons = self._fetch("SELECT minute FROM replay_horizon")
        if not horizons:
            anomalies.add("replay_horizon", "minute", "MISSING: every request is refused")
        self._horizon: int = horizons[0][0] if horizons else -1
        self._members = [MemberRow(*row) for row in self._fetch(_MEMBERS)]
        self._keys = [KeyRow(*row) for row in self._fetch(_KEYS)]
        names = {row.id: row.member_id for row in self._members}
        public_keys = {row.keyid: row.public_key for row in self._keys}
        days = {"request_days": settings.request_days, "submission_days": settings.submission_days}
        self._tree = Tree(anomalies, connection, now)
        self._entries = Entries(anomalies, self._tree, names)
        self._evidence = Evidence(
            anomalies, foundation.box, settings.origin, public_keys, _first_kept(now, settings.evidence_months)
        )
        self._subjects = Subjects(anomalies, keys.subject_secret, foundation.epoch_id)
        self._requests = Requests(anomalies, scratch, keys.request_secret, now, **days)
        self._membership = Membership(anomalies)
        self._nonces = Nonces(anomalies, scratch, self._horizon, now)
        self._meter = Meter(anomalies, names)
        forgotten = now - timedelta(days=settings.withdrawn_days), timedelta(days=settings.withdrawn_days)
        self._accounts = Accounts(anomalies, scratch, self._subjects, foundation.epoch_id, names, *forgotten)
        months = int(settings.servicing_months)
        ((horizon,),) = self._fetch(f"SELECT clock_timestamp() - {months} * interval '1 month'")
        self._servicing = ServicingRecord(anomalies, scratch, self._subjects, foundation.epoch_id, names, horizon)
        self._watches = Watches(anomalies, scratch, self._subjects, foundation.epoch_id, names, keys.watch_secret)
        self._scorecards = Scorecards(anomalies)
        self._now = now

    def run(self, progress: Progress) -> Anomalies:
        """The walk, and what remains after it."""
        heads = self._fetch(_HEAD)
        if not heads:
            self._anomalies.add("log_head", "all", "MISSING: nothing can be appended, and nothing is signed")
            return self._anomalies
        ((size, compact_range, last_time, registry_version, fence_time, watch_index),) = heads
        self._walk(size, progress)
        self._entries.finish(size, last_time, registry_version)
        self._tree.finish(size, compact_range)
        self._membership.finish(self._members, self._keys)
        self._nonces.finish(_keyed(self._connection, _NONCES, self._horizon))
        self._meter.finish(self._fetch("SELECT member, day, evaluations FROM token_meter"))
        self._accounts.finish(_keyed(self._connection, _ACCOUNTS))
        self._servicing.finish(Rows(self._connection, _EVENTS, key=4))
        self._watches.finish(_keyed(self._connection, WATCHES), Rows(self._connection, MESSAGES), watch_index)
        self._scorecards.finish([(row[0], row[1], row[2]) for row in self._fetch(SCORECARDS)])
        check_fence(self._anomalies, fence_time, self._now)
        return self._anomalies

    def _walk(self, size: int, progress: Progress) -> None:
        evidence = Rows(self._connection, _EVIDENCE, ahead=64)
        subjects, requests = Rows(self._connection, _SUBJECTS), Rows(self._connection, _REQUESTS, ahead=256)
        beside = (("evidence", evidence), ("audit_subject", subjects), ("request", requests))
        for row in Rows(self._connection, _ENTRIES).rest():
            index = row[0]
            for table, rows in beside:
                self._orphans(table, rows.before(index))
            taken = [rows.take(index) for _, rows in beside]
            entry = self._entries.take(row)
            if entry is None:
                continue
            self._evidence.take(entry, taken[0])
            self._requests.note(entry)
            self._subjects.take(entry, taken[1])
            verdicts = self._requests.take(entry, taken[2])
            self._membership.take(entry)
            self._nonces.take(entry)
            self._meter.take(entry)
            self._accounts.take(entry, verdicts)
            self._servicing.take(entry, verdicts)
            self._watches.take(entry)
            self._scorecards.take(entry)
            if index % PROGRESS_ENTRIES == PROGRESS_ENTRIES - 1:
                progress(index + 1, size)
        for table, rows in beside:
            self._orphans(table, rows.rest())

    def _orphans(self, table: str, rows: Iterator[Row]) -> None:
        for row in rows:
            self._anomalies.add(table, row[0], "belongs to no entry of the log: somebody added or changed it")

    def _fetch(self, statement: str) -> list[Row]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return [plain(row) for row in cursor.fetchall()]


def _first_kept(now: datetime, evidence_months: int) -> date:
    """The first month whose evidence must be there."""
    return month_of(now.date(), -evidence_months)


def _keyed(connection: extensions.connection, statement: str, *parameters: object) -> Rows:
    return Rows(connection, statement, *parameters, key=3)

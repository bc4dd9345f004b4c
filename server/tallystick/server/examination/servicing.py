"""The servicing record: what was recorded, read again from the evidence, held against what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Any

from tallystick.contract.instants import microseconds
from tallystick.contract.methods import RECORD_SERVICING_EVENTS
from tallystick.contract.subjects import of_token
from tallystick.credit.dates import number_of_day
from tallystick.credit.servicing import content_of
from tallystick.server.examination.accounts import LONGEST_WAY
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.streams import Rows
from tallystick.server.examination.subjects import Subjects
from tallystick.server.services.servicing.recording import RecordServicingEvents
from tallystick.v1 import reporting_service_pb2
from tallystick.v1 import servicing_service_pb2 as pb

Key = tuple[bytes, int, bytes, bytes]
"""Subject key, member, account reference, event_id."""

_ACCEPTED = reporting_service_pb2.REPORT_OUTCOME_ACCEPTED
_BESIDE = timedelta(milliseconds=10)
"""Each event of a transaction adds a microsecond to the time of arrival."""


@dataclass(frozen=True, slots=True)
class _Recording:
    """One event as a request brought it."""

    entry: int
    time: int
    """Of the entry, in microseconds."""
    content: bytes
    judged: bool
    """Whether it is certain that it was accepted."""


class ServicingRecord:
    """Collects events entry by entry, and compares them at the end."""

    def __init__(
        self,
        anomalies: Anomalies,
        scratch: Scratch,
        subjects: Subjects,
        epoch_id: bytes,
        members: Mapping[int, str],
        forgotten: datetime,
    ) -> None:
        """`forgotten` is before when events may have been forgotten."""
        self._anomalies = anomalies
        self._scratch = scratch
        self._subjects = subjects
        self._recording = RecordServicingEvents(epoch_id)
        self._members = members
        self._forgotten = forgotten
        self._unseen = False
        """Whether the evidence of any batch is gone whose events are to be kept."""
        self._unseen_before = False
        """Whether that of any is gone whose events may have been forgotten."""
        self._erased: set[int] = set()
        """Members some of whose batches were erased."""

    def take(self, entry: Examined, verdicts: Sequence[int] | None) -> None:
        """One entry, and what became of its events if that is known."""
        if entry.leaf.method != RECORD_SERVICING_EVENTS.path or not entry.carried_out or entry.repeated is True:
            return
        if entry.message is None:
            if not entry.details and entry.create_time < self._forgotten:
                self._unseen_before = True
            self._unseen = self._unseen or (not entry.details and entry.create_time >= self._forgotten)
            self._unreadable(entry)
        elif entry.repeated is None:
            self._unreadable(entry)
        else:
            self._events(entry, entry.message, verdicts)

    def finish(self, stored: Rows) -> None:
        """All entries were taken; the rows are (key), event, create_time in the order of the key."""
        if self._unseen:
            self._anomalies.untold["entries with servicing events whose evidence is gone: the servicing record"] += 1
            return
        for key, recordings in self._recorded():
            for other, *row in stored.before(key):
                self._unrecorded(other, row)
            rows = stored.take(key)
            if rows:
                self._compare(key, recordings, rows[0][1:])
            else:
                self._missing(key, recordings)
        for other, *row in stored.rest():
            self._unrecorded(other, row)

    def _events(self, entry: Examined, message: pb.RecordServicingEventsRequest, verdicts: Sequence[int] | None) -> None:
        count = len(message.events)
        if verdicts is None and _all_were_accepted(entry, count):
            verdicts = [_ACCEPTED] * count
        judged = verdicts is not None and len(verdicts) == count
        if judged and verdicts is not None:
            accepted = [verdict == _ACCEPTED for verdict in verdicts]
        else:
            accepted = [not violations for violations in self._recording.validate(message, entry.create_time)]
        for event, good in zip(message.events, accepted, strict=True):
            if good:
                reference = event.account_reference.secret_id + event.account_reference.digest
                row = (self._subjects.key(of_token(event.subject)), entry.member, reference, event.event_id)
                time = microseconds(entry.create_time)
                statement = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                self._scratch.execute(statement, *row, entry.index, time, content_of(event), judged)

    def _unreadable(self, entry: Examined) -> None:
        """The subjects that an entry still names, of whom it recorded nobody knows what."""
        for leaf in entry.details[1:]:
            if leaf.WhichOneof("content") == "subject":
                key = self._subjects.key(of_token(leaf.subject.subject))
                self._scratch.execute("INSERT OR IGNORE INTO unread_event VALUES (?, ?)", key, entry.member)
            else:
                self._erased.add(entry.member)

    def _recorded(self) -> Iterator[tuple[Key, list[_Recording]]]:
        order = "SELECT * FROM event ORDER BY subject, member, reference, event_id, entry"
        for key, rows in groupby(self._scratch.rows(order), lambda row: (row[0], row[1], row[2], row[3])):
            yield key, [_Recording(entry, time, content, bool(judged)) for *_, entry, time, content, judged in rows]

    def _compare(self, key: Key, recordings: Sequence[_Recording], row: Sequence[Any]) -> None:
        event, create_time = row
        same = [each for each in recordings if each.content == event]
        if any(_is_about(create_time, each.time) for each in same):
            return
        if self._is_unread(key):
            self._anomalies.untold["servicing events some of whose recordings cannot be read"] += 1
        else:
            wrong = "create_time" if same else "event"
            self._anomalies.add("servicing_event", self._name(key, recordings), f"its {wrong} is not what was recorded")

    def _missing(self, key: Key, recordings: Sequence[_Recording]) -> None:
        if not any(each.judged for each in recordings) or self._is_unread(key):
            self._anomalies.untold["servicing events that need not have been accepted, and are not there"] += 1
        elif self._must_be_kept(recordings):
            text = "MISSING: it was recorded, and not erased (unless the erasure of its subject is not complete: run it again)"
            self._anomalies.add("servicing_event", self._name(key, recordings), text)

    def _must_be_kept(self, recordings: Sequence[_Recording]) -> bool:
        """Whether it was not recorded so early that it is forgotten: a later recording of the same event changes nothing."""
        first = min(recordings, key=lambda each: each.time)
        latest = number_of_day((self._forgotten + timedelta(days=1)).date())
        if pb.ServicingEvent.FromString(first.content).date > latest:
            return True  # it had not happened yet
        return first.time >= microseconds(self._forgotten) and not self._unseen_before

    def _unrecorded(self, key: Key, row: Sequence[Any]) -> None:
        _, create_time = row
        late = self._unseen_before and create_time < self._forgotten
        if late or self._is_unread(key) or key[1] in self._erased:
            self._anomalies.untold["servicing events whose recordings are gone, or were never made"] += 1
        else:
            self._anomalies.add("servicing_event", self._name(key, ()), "no entry recorded it: somebody added or changed it")

    def _is_unread(self, key: Key) -> bool:
        return self._scratch.one("SELECT 1 FROM unread_event WHERE subject = ? AND member = ?", key[0], key[1]) is not None

    def _name(self, key: Key, recordings: Sequence[_Recording]) -> str:
        """By the keyed digests that the database stores, cut: they say nothing without its key."""
        last = f", recorded in entry {recordings[-1].entry}" if recordings else ""
        return f"of {self._members.get(key[1], key[1])}, subject {key[0].hex()[:16]}…, reference {key[2].hex()[-8:]}{last}"


def _all_were_accepted(entry: Examined, count: int) -> bool:
    """By the digest of the answer, which the entry holds when the answer itself is no longer kept."""
    verdicts = [reporting_service_pb2.ReportVerdict(outcome=_ACCEPTED)] * count
    answer = pb.RecordServicingEventsResponse(verdicts=verdicts).SerializeToString()
    return entry.envelope is not None and sha256(answer).digest() == entry.envelope.answer_digest


def _is_about(create_time: datetime, entry: int) -> bool:
    """Whether a row may have been made in a transaction whose entry has this time."""
    time = microseconds(create_time.astimezone(UTC))
    return entry - LONGEST_WAY // timedelta(microseconds=1) <= time <= entry + _BESIDE // timedelta(microseconds=1)

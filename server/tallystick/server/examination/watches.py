"""Watches and messages: what was put, read again from the evidence, held against the rows; and of each message its cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tallystick.contract.instants import EPOCH, microseconds
from tallystick.contract.methods import PUT_WATCHES, SUBMIT_REPORTS, SWEEP_WATCHES, WITHDRAW_ACCOUNT
from tallystick.contract.subjects import of_token
from tallystick.credit.enums import TriggerType
from tallystick.credit.monitoring import Triggers, checked_watches, last_day
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.streams import Rows
from tallystick.server.examination.subjects import Subjects
from tallystick.server.examination.watch_ends import WatchEnds
from tallystick.server.services.monitoring.outbox import WATCH_ENDED, WatchKey
from tallystick.server.services.monitoring.positions import ReleaseWindows
from tallystick.server.services.monitoring.sealed_tokens import TokenBox
from tallystick.v1 import monitoring_service_pb2 as pb

WATCHES = """
SELECT subject, member, account_reference, watch_id, purpose, consent_reference, triggers, end_date, end_reason, sealed_token
FROM watch ORDER BY subject, member, account_reference
"""
MESSAGES = """
SELECT entry_index, subject, member, account_reference, ordinal, release_time, subject_order, message_id, type
FROM message ORDER BY entry_index, member, ordinal
"""

_CAUSES = frozenset({SUBMIT_REPORTS.path, WITHDRAW_ACCOUNT.path, SWEEP_WATCHES.path})
_LONGEST_WINDOW = timedelta(days=1, microseconds=1)
"""Of any setting: it may have been another when the entry was made."""
_TYPES = frozenset(map(int, TriggerType)) | {WATCH_ENDED}


@dataclass(frozen=True, slots=True)
class _Put:
    """A watch as a request put it."""

    entry: int
    day: date
    purpose: int
    consent: str
    triggers: bytes
    end_date: date
    token: bytes


class Watches:
    """Collects watches and causes entry by entry, and compares them at the end."""

    def __init__(
        self,
        anomalies: Anomalies,
        scratch: Scratch,
        subjects: Subjects,
        epoch_id: bytes,
        members: Mapping[int, str],
        watch_secret: bytes,
    ) -> None:
        self._anomalies = anomalies
        self._scratch = scratch
        self._subjects = subjects
        self._epoch_id = epoch_id
        self._members = members
        self._watch_ends = WatchEnds(scratch, subjects)
        self._box = TokenBox(watch_secret)
        # The order inside a window depends on when it ends, and not on how long it is.
        self._windows = ReleaseWindows(watch_secret, 0)
        self._ends: set[int] = {0}
        """The last index behind a transaction that put watches, and those before it."""
        self._put_time: datetime | None = None
        """When that transaction was: all of its entries have one time."""
        self._unread = False
        """Whether the evidence of any request that put watches is gone, or was erased."""

    def take(self, entry: Examined) -> None:
        """One entry."""
        if entry.create_time == self._put_time:
            self._ends.add(entry.index + 1)
        if not entry.carried_out:
            return
        self._watch_ends.take(entry)
        if entry.leaf.method in _CAUSES:
            time = microseconds(entry.create_time)
            sweeps = entry.leaf.method == SWEEP_WATCHES.path
            self._scratch.execute("INSERT INTO cause VALUES (?, ?, ?, ?)", entry.index, time, entry.member, sweeps)
        elif entry.leaf.method == PUT_WATCHES.path:
            if entry.repeated is not True:
                self._put_time = entry.create_time
                self._ends.add(entry.index + 1)
            if entry.message is None:
                self._unread = True
            elif entry.repeated is not True:
                self._watches(entry, entry.message)

    def _watches(self, entry: Examined, message: pb.PutWatchesRequest) -> None:
        """Those that are good by themselves: whether their accounts lived the answer said, which is not kept for ever."""
        day = entry.create_time.date()
        checked = checked_watches(message, entry.create_time, epoch_id=self._epoch_id)
        for watch, violations in zip(message.watches, checked, strict=True):
            if not violations:
                reference = watch.account_reference.secret_id + watch.account_reference.digest
                self._scratch.execute(
                    "INSERT INTO put VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    *(self._subjects.key(of_token(watch.subject)), entry.member, reference, entry.index, day.toordinal()),
                    *(int(watch.purpose), watch.consent_reference, Triggers.read(watch.triggers).to_bytes()),
                    *(last_day(watch.end_date, day).toordinal(), watch.subject.SerializeToString(deterministic=True)),
                )

    def finish(self, watches: Rows, messages: Rows, watch_index: int) -> None:
        """All entries were taken; the rows are those of WATCHES and of MESSAGES, and `watch_index` is the head's."""
        if watch_index not in self._ends:
            self._anomalies.add("log_head", "watch_index", "is not where a transaction ended that put watches")
        for key, *row in watches.rest():
            self._watch(key, row)
        told: set[bytes] = set()
        for index, *row in messages.rest():
            self._message(index, row, told)

    def _watch(self, key: WatchKey, row: list[Any]) -> None:
        watch_id, purpose, consent, triggers, end_date, end_reason, sealed = row
        puts = self._puts(key)
        if not puts:
            self._unfounded("watch", key, "no entry put it: somebody added or changed it")
            return
        token = self._box.open(sealed, watch_id=watch_id, subject_key=key[0])
        opened = b"" if token is None else token.SerializeToString(deterministic=True)

        def differing(put: _Put) -> list[str]:
            same = {
                "purpose": purpose == put.purpose,
                "consent_reference": consent == put.consent,
                "triggers": triggers == put.triggers,
                "end_date": end_date == put.end_date if not end_reason else put.day <= end_date <= put.end_date,
                "watch_id or sealed_token": opened == put.token,
            }
            return [name for name, equal in same.items() if not equal]

        # The last one that was accepted holds; which were is not known for ever.
        if all(differing(put) for put in puts):
            text = f"its {', '.join(differing(puts[-1]))} is not what was put in entry {puts[-1].entry}"
            self._anomalies.add("watch", self._name(key), text)
        elif end_reason and not self._watch_ends.may_have_ended(key, watch_id, end_reason, end_date):
            text = "its end_date or end_reason is not of anything that ended it: somebody changed it"
            self._anomalies.add("watch", self._name(key), text)

    def _message(self, index: int, row: list[Any], told: set[bytes]) -> None:
        subject, member, reference, _, release_time, order, message_id, type_ = row
        key: WatchKey = subject, member, reference
        if not self._puts(key):
            self._unfounded("message", key, f"of entry {index}: nobody put a watch that it could be of")
            return
        cause = self._scratch.one("SELECT time, member, sweeps FROM cause WHERE entry = ?", index)
        wrong = []
        if cause is None:
            wrong.append("entry_index")
        else:
            time, by, sweeps = cause
            entry_time = EPOCH + timedelta(microseconds=time)
            if not entry_time < release_time <= entry_time + _LONGEST_WINDOW:
                wrong.append("release_time")
            # Its member's own report ends its watch, and others' reports alert it.
            if type_ not in _TYPES or (not sweeps and (by == member) != (type_ == WATCH_ENDED)):
                wrong.append("type")
        if order != self._windows.orders(release_time).of(subject):
            wrong.append("subject_order")
        if message_id in told:
            wrong.append("message_id")
        told.add(message_id)
        if wrong:
            text = f"of entry {index}: its {', '.join(wrong)} is not what that entry gives: somebody added or changed it"
            self._anomalies.add("message", self._name(key), text)

    def _puts(self, key: WatchKey) -> list[_Put]:
        rows = self._scratch.rows(
            "SELECT entry, day, purpose, consent, triggers, end_date, token FROM put"
            " WHERE subject = ? AND member = ? AND reference = ? ORDER BY entry",
            *key,
        )
        return [
            _Put(entry, date.fromordinal(day), purpose, consent, triggers, date.fromordinal(end), token)
            for entry, day, purpose, consent, triggers, end, token in rows
        ]

    def _unfounded(self, table: str, key: WatchKey, text: str) -> None:
        if self._unread:
            self._anomalies.untold["entries that put watches whose evidence is gone, or was erased: some watches and messages"] += 1
        else:
            self._anomalies.add(table, self._name(key), text)

    def _name(self, key: WatchKey) -> str:
        """By the keyed digests that the database stores, cut: they say nothing without its key."""
        return f"of {self._members.get(key[1], key[1])}, subject {key[0].hex()[:16]}…, reference {key[2].hex()[-8:]}"


def check_fence(anomalies: Anomalies, fence_time: datetime, now: datetime) -> None:
    """The fence is moved up to what has passed, and never ahead of it: entries would else have times to come."""
    if fence_time > now:
        anomalies.add("log_head", "fence_time", "lies ahead: entries would have times that have not come")

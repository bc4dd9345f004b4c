"""The ends of watches: by what request, and so on which day, each may have ended."""

from __future__ import annotations

from datetime import date
from typing import Any

from tallystick.contract.methods import END_WATCHES, SUBMIT_REPORTS, WITHDRAW_ACCOUNT
from tallystick.contract.subjects import of_token
from tallystick.credit.enums import WatchStateReason
from tallystick.credit.living import is_living
from tallystick.server.examination.evidence import LONGEST_WAY
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.subjects import Subjects
from tallystick.server.services.monitoring.outbox import WatchKey

_REASONS = {
    END_WATCHES.path: int(WatchStateReason.BY_MEMBER),
    SUBMIT_REPORTS.path: int(WatchStateReason.ACCOUNT_NOT_LIVING),
    WITHDRAW_ACCOUNT.path: int(WatchStateReason.ACCOUNT_WITHDRAWN),
}


class WatchEnds:
    """Collects entry by entry what may have ended a watch: more than what did, for not every request had an effect."""

    def __init__(self, scratch: Scratch, subjects: Subjects) -> None:
        self._scratch = scratch
        self._subjects = subjects
        self._unread: set[int] = set()
        """Members some of whose requests cannot be read, or not any more."""

    def take(self, entry: Examined) -> None:
        """One entry that was carried out."""
        reason = _REASONS.get(entry.leaf.method)
        if reason is None or entry.repeated is True:
            return
        if entry.message is None:
            self._unread.add(entry.member)
            return
        # The day is that of the transaction's beginning, which a midnight may lie behind.
        days = {entry.create_time.date(), (entry.create_time - LONGEST_WAY).date()}
        for about in self._ended(entry.leaf.method, entry.message):
            for day in days:
                statement = "INSERT OR IGNORE INTO watch_end VALUES (?, ?, ?, ?)"
                self._scratch.execute(statement, entry.member, about, reason, day.toordinal())

    def may_have_ended(self, key: WatchKey, watch_id: bytes, reason: int, day: date) -> bool:
        """Whether a watch may have ended for that reason on that day."""
        subject, member, reference = key
        about = watch_id if reason == int(WatchStateReason.BY_MEMBER) else subject + reference
        found = self._scratch.one(
            "SELECT 1 FROM watch_end WHERE member = ? AND about = ? AND reason = ? AND day = ?",
            *(member, about, reason, day.toordinal()),
        )
        return found is not None or member in self._unread

    def _ended(self, method: str, message: Any) -> list[bytes]:
        if method == END_WATCHES.path:
            return list(message.watch_ids)
        if method == WITHDRAW_ACCOUNT.path:
            return [self._account(message)]
        return [self._account(report) for report in message.reports if not is_living(report.account)]

    def _account(self, named: Any) -> bytes:
        reference: bytes = named.account_reference.secret_id + named.account_reference.digest
        return self._subjects.key(of_token(named.subject)) + reference

"""The effects of requests, by which a retry is known: one row for each entry that had one, as long as they are kept."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from google.protobuf.message import DecodeError

from tallystick.contract.authority import BOOTSTRAP
from tallystick.contract.instants import microseconds
from tallystick.contract.methods import ERASE_SUBJECT, EVALUATE_TOKENS, METHODS, RECORD_SERVICING_EVENTS, SUBMIT_REPORTS
from tallystick.crypto import framed
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.streams import Row
from tallystick.server.examination.subjects import QUERIES
from tallystick.v1 import reporting_service_pb2 as reporting

_WITHOUT_ANSWER = QUERIES | {EVALUATE_TOKENS.path}
"""Methods whose retries are answered anew."""
_WITH_VERDICTS = frozenset({SUBMIT_REPORTS.path, RECORD_SERVICING_EVENTS.path})
"""Methods whose answers judge each item of a batch."""


class Requests:
    """Holds the rows of request against the entries, and says which entries are retries."""

    def __init__(
        self,
        anomalies: Anomalies,
        scratch: Scratch,
        request_secret: bytes,
        now: datetime,
        *,
        request_days: int,
        submission_days: int,
    ) -> None:
        self._anomalies = anomalies
        self._scratch = scratch
        self._secret = request_secret
        self._now = now
        self._query_time, self._submission_time = timedelta(days=request_days), timedelta(days=submission_days)

    def note(self, entry: Examined) -> None:
        """Sets whether an entry is a retry. Call it for every entry, in order."""
        request_id = entry.request_id
        if not entry.carried_out or request_id is None:
            entry.repeated = None if entry.carried_out and self._has_request_id(entry) else False
            return
        who, time = (entry.leaf.member_id, request_id), microseconds(entry.create_time)
        prior = self._scratch.one("SELECT time FROM effect WHERE member = ? AND request_id = ?", *who)
        if prior is None:
            entry.repeated = False
        else:
            # Forgotten is what is older; when exactly, only upkeep knew.
            entry.repeated = True if time - prior[0] <= self._kept(entry) // timedelta(microseconds=1) else None
        if not entry.repeated:
            self._scratch.execute("INSERT OR REPLACE INTO effect VALUES (?, ?, ?)", *who, time)

    def take(self, entry: Examined, rows: Sequence[Row]) -> list[int] | None:
        """One entry with the rows that call it theirs; the outcomes of its items, where a row holds them for certain."""
        has_effect = entry.carried_out and self._has_request_id(entry) and entry.repeated is not True
        verdicts = None
        for number, row in enumerate(rows):
            if not has_effect or number:
                self._add(entry, "names an entry that had no such effect: somebody added or changed it")
            else:
                verdicts = self._compare(entry, row)
        due = self._now - entry.create_time < self._kept(entry)
        if has_effect and entry.repeated is False and not rows and due:
            self._add(entry, "MISSING: a retry of it would have its effect a second time")
        return verdicts

    def _kept(self, entry: Examined) -> timedelta:
        return self._submission_time if entry.leaf.method == SUBMIT_REPORTS.path else self._query_time

    @staticmethod
    def _has_request_id(entry: Examined) -> bool:
        return entry.contract is not None and entry.contract.has_request_id

    def _compare(self, entry: Examined, row: Row) -> list[int] | None:
        _, member, request_id, method, digest, create_time, answer, accepted, rejected, superseded = row
        same = {
            "member": member == entry.member,
            "request_id": entry.request_id in (None, request_id),
            "method": method == entry.leaf.method,
            "digest": self._is_digest(entry, request_id, digest),
            "create_time": create_time == entry.create_time,
            "answer": self._is_answer(entry, answer),
        }
        verdicts = _verdicts(entry, answer)
        counted = verdicts if entry.leaf.method == SUBMIT_REPORTS.path else None
        refused = None if counted is None else sum(each == reporting.REPORT_OUTCOME_REJECTED for each in counted)
        taken = None if counted is None or refused is None else len(counted) - refused
        changed_nothing = None if counted is None else sum(each == reporting.REPORT_OUTCOME_SUPERSEDED for each in counted)
        if entry.leaf.method != SUBMIT_REPORTS.path or same["answer"]:
            same |= {
                "accepted_count": accepted == taken,
                "rejected_count": rejected == refused,
                "superseded_count": superseded == changed_nothing,
            }
        if differing := [name for name, equal in same.items() if not equal]:
            self._add(entry, f"its {', '.join(differing)} is not what its entry says")
        return verdicts if same["answer"] else None

    def _is_digest(self, entry: Examined, request_id: bytes, digest: bytes) -> bool:
        if entry.leaf.method == ERASE_SUBJECT.path:
            content = request_id
        elif entry.request is not None:
            content = entry.request
        else:
            # Emptied with the erasure; without evidence nobody can tell.
            return not entry.details or digest == b""
        expected = hmac.digest(self._secret, framed("tallystick-request-v1", entry.leaf.method.encode(), content), "sha256")
        return hmac.compare_digest(digest, expected)

    @staticmethod
    def _is_answer(entry: Examined, answer: bytes | None) -> bool:
        if entry.leaf.method in _WITHOUT_ANSWER or answer is None:
            return answer is None and (entry.leaf.method in _WITHOUT_ANSWER or entry.index < BOOTSTRAP)
        if entry.envelope is not None:
            return sha256(answer).digest() == entry.envelope.answer_digest
        verdicts = _verdicts(entry, answer)
        return not entry.details or verdicts is None or len(verdicts) == len(entry.details) - 1

    def _add(self, entry: Examined, text: str) -> None:
        self._anomalies.add("request", entry.index, text)


def _verdicts(entry: Examined, answer: bytes | None) -> list[int] | None:
    """The outcome of each report or event; None for any other method, and for an answer that cannot be read."""
    if entry.leaf.method not in _WITH_VERDICTS or answer is None:
        return None
    try:
        read: Any = METHODS[entry.leaf.method].answer.FromString(answer)
    except DecodeError:
        return None
    return [verdict.outcome for verdict in read.verdicts]

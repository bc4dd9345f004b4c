"""Reporting: account states taken and accounts withdrawn (tallystick.v1.ReportingService)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from tallystick.contract.instants import microseconds
from tallystick.contract.methods import SUBMIT_REPORTS, WITHDRAW_ACCOUNT
from tallystick.contract.steps import Steps
from tallystick.contract.violations import Violation
from tallystick.credit.merging import Merged, merge_report, merge_withdrawal
from tallystick.credit.notices import NoticeRule, is_refused, notice_missing, warnings_of
from tallystick.credit.requests import (
    acceptance,
    check_submission,
    check_withdrawal,
    checked_reports,
    one_account_too_many,
    rejection,
)
from tallystick.credit.validation import CheckedReport
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.services.reporting.account_changes import Change, Key, NotTaken, Observer, apply_changes
from tallystick.server.storage.connection import Connection
from tallystick.v1 import reporting_service_pb2 as pb


class SubmitReports(Operation):
    """A batch of account states, each accepted or rejected by itself."""

    contract = SUBMIT_REPORTS
    locks = "accounts"

    def __init__(self, epoch_id: bytes, observer: Observer, notices: NoticeRule = NoticeRule.WARN) -> None:
        self._epoch_id = epoch_id
        self._observer = observer
        self._notices = notices

    def validate(self, message: Any, now: datetime) -> list[CheckedReport]:
        """What was found of each report."""
        return check_submission(message, now, epoch_id=self._epoch_id)

    def validate_in_steps(self, message: Any, now: datetime) -> Steps[object]:
        found = []
        for checked in checked_reports(message, now, epoch_id=self._epoch_id):
            found.append(checked)
            yield
        return found

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        # Each request of a batch adds its position to the time of arrival: no two arrive at once.
        changes = [change for position, work in enumerate(works) for change in self._changes(work, microseconds(clock) + position)]
        results = iter(await apply_changes(connection, changes, clock, self._observer, adding=True))
        for work in works:
            verdicts = [
                self._verdict(i, report, checked.violations, results)
                for i, (report, checked) in enumerate(zip(work.message.reports, work.request.prepared, strict=True))
            ]
            rejected = sum(verdict.outcome == pb.REPORT_OUTCOME_REJECTED for verdict in verdicts)
            superseded = sum(verdict.outcome == pb.REPORT_OUTCOME_SUPERSEDED for verdict in verdicts)
            work.submission = (len(verdicts) - rejected, superseded, rejected)
            work.answer = pb.SubmitReportsResponse(
                verdicts=verdicts, accepted_count=len(verdicts) - rejected, rejected_count=rejected
            ).SerializeToString()
            work.keep_answer = True

    def _changes(self, work: Work, arrival: int) -> list[Change]:
        return [
            Change(
                work,
                _key(key, work, report.account_reference),
                partial(merge_report, account=report.account, arrival=arrival, months=checked.months),
                partial(self._takes, report),
            )
            for report, key, checked in zip(work.message.reports, work.request.subject_keys, work.request.prepared, strict=True)
            if not checked.violations
        ]

    def _takes(self, report: pb.AccountReport, merged: Merged) -> bool:
        return not is_refused(self._notices, report, merged)

    def _verdict(
        self, i: int, report: pb.AccountReport, violations: Sequence[Violation], results: Iterator[Merged | NotTaken]
    ) -> pb.ReportVerdict:
        """Takes the next of `results` if the i-th report was valid by itself and so was merged."""
        if violations:
            return rejection(violations)
        merged = next(results)
        if merged is NotTaken.ONE_ACCOUNT_TOO_MANY:
            return rejection([one_account_too_many(i)])
        if merged is NotTaken.REFUSED:
            return rejection([notice_missing(i)])
        return acceptance(merged, warnings_of(self._notices, report, merged, i))


class WithdrawAccount(Operation):
    """One account disappears; its tombstone stays."""

    contract = WITHDRAW_ACCOUNT
    locks = "accounts"

    def __init__(self, epoch_id: bytes, observer: Observer) -> None:
        self._epoch_id = epoch_id
        self._observer = observer

    def validate(self, message: Any, now: datetime) -> None:
        check_withdrawal(message, now, epoch_id=self._epoch_id)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        changes = [_withdrawal_change(work, microseconds(clock) + position) for position, work in enumerate(works)]
        results = await apply_changes(connection, changes, clock, self._observer, adding=False)
        for work, merged in zip(works, results, strict=True):
            gone = isinstance(merged, Merged) and merged.changed and merged.state.content is None
            work.answer = pb.WithdrawAccountResponse(withdrawn=gone).SerializeToString()
            work.keep_answer = True


def _withdrawal_change(work: Work, arrival: int) -> Change:
    merge = partial(merge_withdrawal, as_of_seconds=work.message.as_of.seconds, arrival=arrival)
    return Change(work, _key(work.request.subject_keys[0], work, work.message.account_reference), merge)


def _key(subject_key: bytes, work: Work, reference: Any) -> Key:
    return subject_key, work.caller.member, reference.secret_id + reference.digest

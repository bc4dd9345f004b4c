"""Accounts as members report them: validated and merged by tallystick.credit, as the exchange does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from tallystick.contract.instants import microseconds
from tallystick.contract.limits import MAX_OWN_ACCOUNTS
from tallystick.contract.methods import GET_SUBMISSION, LIST_SUBMISSIONS, SUBMIT_REPORTS, WITHDRAW_ACCOUNT
from tallystick.contract.refusals import refuse_violations
from tallystick.contract.request_fields import check_page_size, page_size
from tallystick.credit.living import REPORT_AGE
from tallystick.credit.merging import AccountState, merge_report, merge_withdrawal
from tallystick.credit.notices import NoticeRule, is_refused, notice_missing, warnings_of
from tallystick.credit.requests import (
    acceptance,
    check_submission,
    check_submission_asked_for,
    check_withdrawal,
    no_such_submission,
    one_account_too_many,
    rejection,
)
from tallystick.credit.validation import CheckedReport
from tallystick.testing.pages import position, token
from tallystick.testing.requests import Operation, Request
from tallystick.testing.tokens import TokenKey
from tallystick.v1 import account_pb2
from tallystick.v1 import reporting_service_pb2 as pb

Key = tuple[str, bytes]
"""Whose account it is, and its reference."""


@dataclass
class Accounts:
    """What all members reported, by subject; and the caller's submissions."""

    token_key: TokenKey
    """Whose tokens are good here."""
    notices: NoticeRule = NoticeRule.WARN
    """What becomes of a first bad report without the day of a notice."""
    states: dict[bytes, dict[Key, AccountState]] = field(default_factory=dict)
    reported: dict[tuple[bytes, Key], int] = field(default_factory=dict)
    """When each account was last reported, in microseconds since 1970."""
    submissions: dict[bytes, tuple[pb.Submission, pb.SubmitReportsResponse]] = field(default_factory=dict)

    def operations(self) -> dict[str, Operation]:
        """The methods of ReportingService."""
        return {
            SUBMIT_REPORTS.path: Operation(self._submit, self._check_submission, keeps_answer=True),
            WITHDRAW_ACCOUNT.path: Operation(self._withdraw, self._check_withdrawal, keeps_answer=True),
            GET_SUBMISSION.path: Operation(self._get, lambda message, _now: check_submission_asked_for(message)),
            LIST_SUBMISSIONS.path: Operation(self._list, _check_list),
        }

    def _check_submission(self, message: pb.SubmitReportsRequest, now: datetime) -> list[CheckedReport]:
        return check_submission(message, now, epoch_id=self.token_key.epoch_id)

    def _check_withdrawal(self, message: pb.WithdrawAccountRequest, now: datetime) -> None:
        check_withdrawal(message, now, epoch_id=self.token_key.epoch_id)

    def live(self, element: bytes) -> Iterator[tuple[str, account_pb2.Account]]:
        """The accounts of a subject that are told, each with its institution."""
        for (institution, _), state in self.states.get(element, {}).items():
            if (record := state.record) is not None:
                yield institution, record

    def has_living(self, element: bytes, institution: str, now: datetime) -> bool:
        """Whether an institution has a living account of a subject that it reported lately."""
        since = microseconds(now - REPORT_AGE)
        return any(
            state.living and self.reported.get((element, key), 0) > since
            for key, state in self.states.get(element, {}).items()
            if key[0] == institution
        )

    def merge(
        self, element: bytes, key: Key, report: pb.AccountReport, arrival: int, place: int, notices: NoticeRule
    ) -> pb.ReportVerdict:
        """Merges a valid report, which is at this place of its batch."""
        known = self.states.setdefault(element, {})
        state = known.get(key, AccountState.empty())
        merged = merge_report(state, report.account, arrival)
        if is_refused(notices, report, merged):
            return rejection([notice_missing(place)])
        own = sum(whose == key[0] and each.content is not None for (whose, _), each in known.items())
        if state.content is None and merged.state.content is not None and own >= MAX_OWN_ACCOUNTS:
            return rejection([one_account_too_many(place)])
        known[key] = merged.state
        if merged.state is not state:
            self.reported[element, key] = arrival
        return acceptance(merged, warnings_of(notices, report, merged, place))

    def _submit(self, request: Request) -> Message:
        answer = pb.SubmitReportsResponse()
        for place, (report, checked) in enumerate(zip(request.message.reports, request.prepared, strict=True)):
            answer.verdicts.append(self._verdict(request, place, report, checked.violations))
        answer.rejected_count = sum(verdict.outcome == pb.REPORT_OUTCOME_REJECTED for verdict in answer.verdicts)
        answer.accepted_count = len(answer.verdicts) - answer.rejected_count
        request_id = request.message.request_id
        submission = pb.Submission(
            request_id=request_id,
            accepted_count=answer.accepted_count,
            superseded_count=sum(verdict.outcome == pb.REPORT_OUTCOME_SUPERSEDED for verdict in answer.verdicts),
            rejected_count=answer.rejected_count,
            entry_index=request.index,
        )
        submission.create_time.FromDatetime(request.now)
        self.submissions[request_id] = submission, answer
        return answer

    def _verdict(self, request: Request, place: int, report: pb.AccountReport, violations: Any) -> pb.ReportVerdict:
        if violations:
            return rejection(violations)
        key = request.caller.member_id, reference_of(report.account_reference)
        return self.merge(report.subject.element, key, report, microseconds(request.now), place, self.notices)

    def _withdraw(self, request: Request) -> Message:
        message = request.message
        known = self.states.get(message.subject.element, {})
        key = request.caller.member_id, reference_of(message.account_reference)
        if key not in known:
            return pb.WithdrawAccountResponse(withdrawn=False)
        merged = merge_withdrawal(known[key], message.as_of.seconds, microseconds(request.now))
        known[key] = merged.state
        return pb.WithdrawAccountResponse(withdrawn=merged.changed and merged.state.content is None)

    def _get(self, request: Request) -> Message:
        found = self.submissions.get(request.message.submission_request_id)
        if found is None:
            raise no_such_submission()
        return pb.GetSubmissionResponse(submission=found[0], verdicts=found[1].verdicts)

    def _list(self, request: Request) -> Message:
        before = position(request.message)
        newest = sorted((each for each, _ in self.submissions.values()), key=lambda each: -each.entry_index)
        below = [each for each in newest if before is None or each.entry_index < before]
        size = page_size(request.message.page_size)
        following = token(request.message, below[size - 1].entry_index) if len(below) > size else ""
        return pb.ListSubmissionsResponse(submissions=below[:size], next_page_token=following)


def _check_list(message: pb.ListSubmissionsRequest, _now: datetime) -> None:
    if violations := check_page_size(message.page_size):
        raise refuse_violations(violations)


def reference_of(reference: account_pb2.AccountReference) -> bytes:
    """As accounts are kept by."""
    return reference.secret_id + reference.digest

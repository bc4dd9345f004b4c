"""What is wrong with a whole request to report or to inquire, by itself: the rules of tallystick.credit.validation over its items.

A server refuses by these, and so does the in-memory one of tallystick.testing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from tallystick.contract.limits import MAX_INQUIRIES, MAX_OWN_ACCOUNTS, MAX_REPORTS, REQUEST_ID_BYTES
from tallystick.contract.refusals import Refusal, refuse_violations
from tallystick.contract.subjects import Subject
from tallystick.contract.violations import Violation
from tallystick.credit.living import LIVING_PURPOSES, REPORT_AGE
from tallystick.credit.merging import Merged
from tallystick.credit.validation import (
    MAX_VIOLATIONS_PER_REPORT,
    CheckedReport,
    check_report,
    validate_inquiry,
    validate_withdrawal,
)
from tallystick.v1 import codes_pb2, errors_pb2, inquiry_service_pb2, reporting_service_pb2
from tallystick.v1.errors_pb2 import FieldViolation


def check_submission(message: reporting_service_pb2.SubmitReportsRequest, now: datetime, *, epoch_id: bytes) -> list[CheckedReport]:
    """What is wrong with each report of a batch. Raises Refusal for what is wrong with the batch."""
    return list(checked_reports(message, now, epoch_id=epoch_id))


def checked_reports(
    message: reporting_service_pb2.SubmitReportsRequest, now: datetime, *, epoch_id: bytes
) -> Iterator[CheckedReport]:
    """As `check_submission`, one report after the other: a batch takes long."""
    if not message.reports:
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_REQUIRED, "reports", "give at least one")
    if len(message.reports) > MAX_REPORTS:
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_BATCH_TOO_LARGE, "reports", f"at most {MAX_REPORTS} at once; split the batch"
        )
    seen: set[tuple[bytes, bytes, bytes, int]] = set()
    for i, report in enumerate(message.reports):
        checked = check_report(report, now, f"reports[{i}]", epoch_id=epoch_id)
        reference = report.account_reference
        what = (report.subject.element, reference.secret_id, reference.digest, report.account.as_of.seconds)
        if what in seen:
            checked.violations.append(
                Violation(
                    f"reports[{i}].account.as_of",
                    "FIELDS_INCONSISTENT",
                    "this batch holds another state of the same account as of the same instant; send one of them",
                )
            )
        seen.add(what)
        yield checked


def rejection(violations: Sequence[Violation]) -> reporting_service_pb2.ReportVerdict:
    """The verdict on a report that is not taken."""
    return reporting_service_pb2.ReportVerdict(
        outcome=reporting_service_pb2.REPORT_OUTCOME_REJECTED,
        violations=[_field_violation(each) for each in violations[:MAX_VIOLATIONS_PER_REPORT]],
    )


def acceptance(merged: Merged, warnings: Sequence[Violation] = ()) -> reporting_service_pb2.ReportVerdict:
    """The verdict on a report that was merged."""
    return reporting_service_pb2.ReportVerdict(
        outcome=reporting_service_pb2.REPORT_OUTCOME_ACCEPTED
        if merged.changed
        else reporting_service_pb2.REPORT_OUTCOME_SUPERSEDED,
        warnings=[_field_violation(each) for each in warnings],
    )


def _field_violation(violation: Violation) -> FieldViolation:
    return FieldViolation(field=violation.field, reason=violation.reason, description=violation.description)


def one_account_too_many(position: int) -> Violation:
    """What is wrong with a report that would make a member's accounts of one subject more than MAX_OWN_ACCOUNTS."""
    description = f"this member reports {MAX_OWN_ACCOUNTS} accounts of this subject already; withdraw one that is closed"
    return Violation(f"reports[{position}].account_reference", "FIELD_OUT_OF_RANGE", description)


def check_withdrawal(message: reporting_service_pb2.WithdrawAccountRequest, now: datetime, *, epoch_id: bytes) -> None:
    """Raises Refusal for what is wrong with a withdrawal."""
    if violations := validate_withdrawal(message, now, epoch_id=epoch_id):
        raise refuse_violations(violations)


def check_submission_asked_for(message: reporting_service_pb2.GetSubmissionRequest) -> None:
    """Raises Refusal for what cannot be a submission's request_id."""
    if len(message.submission_request_id) != REQUEST_ID_BYTES:
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_FIELD_MALFORMED,
            "submission_request_id",
            "must be the submission's request_id, a UUID as 16 bytes",
        )


def no_such_submission() -> Refusal:
    """For who asks for a submission that it did not make, or that is forgotten."""
    return Refusal(errors_pb2.ERROR_REASON_NOT_FOUND, "this member made no such submission, or it is too long ago")


def check_query(message: inquiry_service_pb2.QueryCreditHistoryRequest, *, epoch_id: bytes) -> None:
    """Raises Refusal for what is wrong with a query."""
    if violations := validate_inquiry(message.inquiry, "inquiry", epoch_id=epoch_id):
        raise refuse_violations(violations)


def check_batch_query(message: inquiry_service_pb2.BatchQueryCreditHistoriesRequest, *, epoch_id: bytes) -> None:
    """Raises Refusal for what is wrong with a batch of queries; one faulty inquiry refuses them all."""
    if not message.inquiries:
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_REQUIRED, "inquiries", "give at least one")
    if len(message.inquiries) > MAX_INQUIRIES:
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_BATCH_TOO_LARGE, "inquiries", f"at most {MAX_INQUIRIES} at once; split the batch"
        )
    violations: list[Violation] = []
    seen: set[bytes] = set()
    for i, inquiry in enumerate(message.inquiries):
        violations += validate_inquiry(inquiry, f"inquiries[{i}]", epoch_id=epoch_id)
        element = inquiry.subject.element
        if element in seen:
            description = "this batch asks about the same subject already; ask once"
            violations.append(Violation(f"inquiries[{i}].subject", "FIELDS_INCONSISTENT", description))
        elif element:
            seen.add(element)
    if violations:
        raise refuse_violations(violations)


def purpose_refusal(message: Any, subjects: Sequence[Subject], allowed: Collection[int]) -> Refusal | None:
    """Why a member that may query for the purposes of `allowed` may not make this query, or batch of them.

    Names each inquiry of another purpose: its sender then sends the others, once.
    """
    single = isinstance(message, inquiry_service_pb2.QueryCreditHistoryRequest)
    violations = []
    for i, subject in enumerate(subjects):
        if subject.purpose not in allowed:
            name = codes_pb2.Purpose.Name(codes_pb2.Purpose.ValueType(subject.purpose)).removeprefix("PURPOSE_")
            where = "inquiry.purpose" if single else f"inquiries[{i}].purpose"
            text = f"this member may not query for {name}; ask the operator"
            violations.append(Violation(where, "PURPOSE_NOT_ALLOWED", text))
    return refuse_violations(violations) if violations else None


def account_refusal(message: Any, subjects: Sequence[Subject], living: Sequence[bool]) -> Refusal | None:
    """Why a member may not ask, for a purpose that takes a contract, about subjects of whom it has no living account.

    `living` says of each subject whether it has one; names each inquiry that has none, as `purpose_refusal` does."""
    single = isinstance(message, inquiry_service_pb2.QueryCreditHistoryRequest)
    text = f"takes an account of this subject, open or owed, that you reported within {REPORT_AGE.days} days: report it first"
    violations = [
        Violation("inquiry.purpose" if single else f"inquiries[{i}].purpose", "PURPOSE_WITHOUT_ACCOUNT", text)
        for i, subject in enumerate(subjects)
        if subject.purpose in LIVING_PURPOSES and not living[i]
    ]
    return refuse_violations(violations) if violations else None


def answer_too_large(limit: int) -> Refusal:
    """For an answer of more bytes than a message may have."""
    return Refusal(
        errors_pb2.ERROR_REASON_ANSWER_TOO_LARGE,
        f"the answer is larger than {limit} bytes; ask for fewer subjects at once",
    )

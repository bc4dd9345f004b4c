"""What is wrong with a request that reads the log, by itself."""

from __future__ import annotations

from tallystick.contract.refusals import Refusal, refuse_violations
from tallystick.contract.request_fields import check_member_id, check_page_size, check_timestamp
from tallystick.contract.subjects import MAX_CONSENT_REFERENCE
from tallystick.contract.violations import Violation
from tallystick.credit.validation import validate_subject
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import codes_pb2, errors_pb2, log_pb2

Filtered = pb.ListAuditEntriesRequest | pb.CountAuditEntriesRequest


def check_filters(message: Filtered) -> list[Violation]:
    """What is wrong with the filters that lists and counts have in common."""
    violations = _check_times(message)
    if message.purpose not in codes_pb2.Purpose.values():
        violations.append(Violation("purpose", "CODE_UNKNOWN", "must be a Purpose"))
    if message.outcome not in log_pb2.EntryOutcome.values():
        violations.append(Violation("outcome", "CODE_UNKNOWN", "must be an EntryOutcome"))
    consent = message.consent_reference
    if len(consent) > MAX_CONSENT_REFERENCE or not consent.isprintable():
        text = f"must be a consent reference: at most {MAX_CONSENT_REFERENCE} printable characters"
        violations.append(Violation("consent_reference", "FIELD_MALFORMED", text))
    if message.member_id:
        violations += check_member_id(message.member_id, "member_id")
    return violations


def _check_times(message: Filtered) -> list[Violation]:
    violations = []
    if message.HasField("start_time"):
        violations += check_timestamp(message.start_time, "start_time")
    if message.HasField("end_time"):
        violations += check_timestamp(message.end_time, "end_time")
    if not violations and message.HasField("start_time") and message.HasField("end_time"):
        start, end = message.start_time, message.end_time
        if (start.seconds, start.nanos) > (end.seconds, end.nanos):
            violations.append(Violation("end_time", "FIELDS_INCONSISTENT", "must not be before start_time"))
    return violations


def check_list(message: pb.ListAuditEntriesRequest) -> None:
    """Raises Refusal for what is wrong with a list."""
    violations = [*check_page_size(message.page_size), *check_filters(message)]
    if message.HasField("subject"):
        violations += validate_subject(message.subject, "subject")
    elif message.purpose and not message.consent_reference:
        text = "filters queries about a subject or under a consent: give one of them too"
        violations.append(Violation("purpose", "FIELDS_INCONSISTENT", text))
    if violations:
        raise refuse_violations(violations)


def check_export(message: pb.ExportAuditEntriesRequest) -> None:
    """Raises Refusal for what is wrong with an export, whatever the size of the log."""
    if message.end_index and message.start_index > message.end_index:
        text = "must not be above end_index"
        raise refuse_violations([Violation("start_index", "FIELD_OUT_OF_RANGE", text)])


def no_such_member() -> Refusal:
    """For a filter by a member that there is not."""
    return Refusal(errors_pb2.ERROR_REASON_NOT_FOUND, "there is no member of this member_id")


def no_such_entry() -> Refusal:
    """For an index beyond the log, and for what the caller may not know of."""
    return Refusal(errors_pb2.ERROR_REASON_NOT_FOUND, "there is no such entry, or it is another member's")

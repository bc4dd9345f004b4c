"""What several reads of the log are asked by: a member, a period, a consent, codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.contract.subjects import MAX_CONSENT_REFERENCE
from tallystick.contract.violations import Violation
from tallystick.server.errors import Refusal
from tallystick.server.services.membership import registry
from tallystick.server.services.membership.members import check_member_id
from tallystick.server.services.request_fields import check_timestamp
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import codes_pb2, errors_pb2, log_pb2

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

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


async def filtered_member(connection: Connection, message: Filtered) -> int | None:
    """The member whose entries are asked for; None for those of all. Raises Refusal NOT_FOUND."""
    if not message.member_id:
        return None
    row = await registry.find_member(connection, message.member_id)
    if row is None:
        raise Refusal(errors_pb2.ERROR_REASON_NOT_FOUND, "there is no member of this member_id")
    return row.id

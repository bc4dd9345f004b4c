"""Counts of entries and of distinct subjects, in groups. They come from the server's index, which nothing verifies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum

from tallystick.client.exceptions import AnswerMalformed
from tallystick.client.flows.inquiries import receipt_of
from tallystick.client.flows.reporting import to_timestamp
from tallystick.client.flows.stated import purpose_of
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.credit.enums import Purpose
from tallystick.v1 import audit_service_pb2, codes_pb2, log_pb2

COUNT_AUDIT_ENTRIES = Method.of(methods.COUNT_AUDIT_ENTRIES)


class Dimension(Enum):
    """By what entries are counted."""

    MEMBER = "member"
    HOUR = "hour"
    """The hour of the day, in the filter's time zone."""
    DAY = "day"
    """The day, in the filter's time zone."""
    METHOD = "method"
    OUTCOME = "outcome"
    PURPOSE = "purpose"
    """The purposes of its queries: an entry with several counts once in the group of each."""
    CONSENT = "consent"
    """The consents of its queries; entries that state none are left out."""


_WIRE = {each: audit_service_pb2.CountDimension.Value(f"COUNT_DIMENSION_{each.name}") for each in Dimension}


@dataclass(frozen=True, slots=True)
class CountFilter:
    """Which entries to count. All that is set must hold."""

    start: datetime
    """Entries at or after this instant; with time zone."""
    end: datetime
    """Entries before this instant, at most 366 days later; with time zone."""
    member_id: str = ""
    purpose: Purpose = Purpose.UNSPECIFIED
    consent_reference: str = ""
    refused: bool | None = None
    """True for refused requests alone, False for those carried out, None for both."""
    hours: tuple[int, ...] = ()
    """Entries of these hours of the day; empty for all."""
    time_zone: str = "UTC"
    """The IANA name of the zone of hours and days, such as "Asia/Taipei"."""
    min_subjects: int = 0
    """Groups with at least this many distinct subjects alone, those with most first."""
    limit: int = 100
    """How many groups at the most, up to 1,000."""


@dataclass(frozen=True, slots=True)
class EntryCount:
    """One group. What was not asked for is None."""

    requests: int
    subjects: int
    """Distinct ones; erased subjects are not counted."""
    member_id: str | None = None
    hour: int | None = None
    day: date | None = None
    method: str | None = None
    refused: bool | None = None
    purpose: Purpose | int | None = None
    """UNSPECIFIED is the group of entries that state none."""
    consent_reference: str | None = None


@dataclass(frozen=True, slots=True)
class EntryCounts:
    """The groups that a server counted: by its index, which it could cut."""

    counts: tuple[EntryCount, ...]
    """The largest first."""
    groups: int
    """How many groups there are; more than are in `counts` where the limit cut them."""
    receipt: KeptReceipt
    """For the counting, which is in the log as well."""


class Counting:
    """The flow of AuditService that counts, at the exchange or at the token authority."""

    def count(self, dimensions: Sequence[Dimension], wanted: CountFilter, server: Server) -> Flow[EntryCounts]:
        """The groups, largest first. For auditors."""
        request = audit_service_pb2.CountAuditEntriesRequest(
            dimensions=[_WIRE[each] for each in dimensions],
            start_time=to_timestamp(wanted.start, "start"),
            end_time=to_timestamp(wanted.end, "end"),
            member_id=wanted.member_id,
            purpose=codes_pb2.Purpose.ValueType(int(wanted.purpose)),
            consent_reference=wanted.consent_reference,
            hours=wanted.hours,
            time_zone=wanted.time_zone,
            min_subjects=wanted.min_subjects,
            max_groups=wanted.limit,
        )
        if wanted.refused is not None:
            request.outcome = log_pb2.ENTRY_OUTCOME_REFUSED if wanted.refused else log_pb2.ENTRY_OUTCOME_OK
        answered = yield from ask(Call(COUNT_AUDIT_ENTRIES.at(server), request.SerializeToString()))
        message = answered.message
        if len(message.counts) > message.group_count:
            raise AnswerMalformed("more groups were given than counted")
        counts = tuple(_read(each, frozenset(dimensions)) for each in message.counts)
        return EntryCounts(counts, message.group_count, receipt_of(answered))


def _read(count: audit_service_pb2.AuditEntryCount, asked: frozenset[Dimension]) -> EntryCount:
    try:
        day = datetime.strptime(str(count.day), "%Y%m%d").replace(tzinfo=UTC).date() if Dimension.DAY in asked else None
    except ValueError:
        raise AnswerMalformed("a group has a day that does not read") from None
    return EntryCount(
        count.request_count,
        count.subject_count,
        count.member_id if Dimension.MEMBER in asked else None,
        count.hour if Dimension.HOUR in asked else None,
        day,
        count.method if Dimension.METHOD in asked else None,
        count.outcome == log_pb2.ENTRY_OUTCOME_REFUSED if Dimension.OUTCOME in asked else None,
        purpose_of(count.purpose) if Dimension.PURPOSE in asked else None,
        count.consent_reference if Dimension.CONSENT in asked else None,
    )

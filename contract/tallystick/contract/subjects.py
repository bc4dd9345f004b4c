"""The subjects of a request: whom it is about, read from the message as it was sent (docs/protocol.md, "Log entry").

Nothing is validated here. A refused request is logged with the subjects that it named, whatever they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tallystick.crypto import subject_leaf
from tallystick.v1 import (
    audit_service_pb2,
    inquiry_service_pb2,
    monitoring_service_pb2,
    reporting_service_pb2,
    servicing_service_pb2,
    subject_pb2,
)

MAX_CONSENT_REFERENCE = 64


class Subject(NamedTuple):
    """One subject of a request, as it is in the details of its log entry."""

    epoch_id: bytes
    element: bytes
    purpose: int = 0
    consent_reference: str = ""

    def leaf(self) -> bytes:
        """The unsalted bytes of the leaf of this subject under the details commitment."""
        return subject_leaf(self.epoch_id, self.element, self.purpose, self.consent_reference)

    def searchable(self) -> tuple[int, str]:
        """Purpose and consent as entries are listed by them; a refused request may have stated anything else."""
        purpose = self.purpose if 0 <= self.purpose < 1 << 15 else 0
        consent = self.consent_reference
        return purpose, consent if len(consent) <= MAX_CONSENT_REFERENCE and consent.isprintable() else ""


SubjectReader = Callable[[Any], Sequence[Subject]]
"""Reads the subjects of a parsed message, in its order."""


def nobody(_message: object) -> Sequence[Subject]:
    """For a method whose requests are about no subject, or must not name the one that they are about."""
    return ()


def of_token(token: subject_pb2.SubjectToken) -> Subject:
    """The subject that a token names, without purpose or consent."""
    return Subject(token.epoch_id, token.element)


def of_stated(
    stated: inquiry_service_pb2.Inquiry | monitoring_service_pb2.Watch | monitoring_service_pb2.Message,
) -> Subject:
    """The subject of an inquiry, a watch or a message, with the purpose and the consent that are stated beside it."""
    return Subject(stated.subject.epoch_id, stated.subject.element, stated.purpose, stated.consent_reference)


def of_query(message: inquiry_service_pb2.QueryCreditHistoryRequest) -> Sequence[Subject]:
    """The subject of a query."""
    return (of_stated(message.inquiry),)


def of_batch_query(message: inquiry_service_pb2.BatchQueryCreditHistoriesRequest) -> Sequence[Subject]:
    """The subject of each inquiry of a batch."""
    return [of_stated(inquiry) for inquiry in message.inquiries]


def of_reports(message: reporting_service_pb2.SubmitReportsRequest) -> Sequence[Subject]:
    """The subject of each report of a batch."""
    return [of_token(report.subject) for report in message.reports]


def of_events(message: servicing_service_pb2.RecordServicingEventsRequest) -> Sequence[Subject]:
    """The subject of each servicing event of a batch."""
    return [of_token(event.subject) for event in message.events]


def of_watches(message: monitoring_service_pb2.PutWatchesRequest) -> Sequence[Subject]:
    """The subject of each watch of a batch."""
    return [of_stated(watch) for watch in message.watches]


def of_messages(message: monitoring_service_pb2.PullMessagesResponse) -> Sequence[Subject]:
    """The subject of each message that an answer holds."""
    return [of_stated(each) for each in message.messages]


def of_subject(
    message: reporting_service_pb2.WithdrawAccountRequest | servicing_service_pb2.ListServicingEventsRequest,
) -> Sequence[Subject]:
    """The subject that a request names in its field `subject`, without purpose or consent."""
    return (of_token(message.subject),)


def of_list(message: audit_service_pb2.ListAuditEntriesRequest) -> Sequence[Subject]:
    """The subject that entries are listed by, if there is one."""
    return (of_token(message.subject),) if message.HasField("subject") else ()

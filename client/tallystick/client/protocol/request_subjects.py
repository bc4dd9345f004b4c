"""Whom a request is about, read from its bytes: what the details of its log entry must name (docs/protocol.md, "Log entry")."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import DecodeError

from tallystick.client.flows.inquiries import MAX_INQUIRIES
from tallystick.client.flows.reporting import MAX_REPORTS
from tallystick.client.protocol.methods import (
    BATCH_QUERY_CREDIT_HISTORIES,
    LIST_AUDIT_ENTRIES,
    QUERY_CREDIT_HISTORY,
    SUBMIT_REPORTS,
    WITHDRAW_ACCOUNT,
)
from tallystick.v1 import audit_service_pb2, inquiry_service_pb2, reporting_service_pb2, subject_pb2


class RequestSubject(NamedTuple):
    """One subject as the request had it: nothing of it was validated."""

    epoch_id: bytes
    element: bytes
    purpose: int = 0
    consent_reference: str = ""


def request_subjects(method: str, request: bytes, *, refused: bool) -> list[RequestSubject] | None:
    """The subjects of a request of this full method, in its order.

    None for what cannot have been carried out: bytes that are no such request, or more items than the method allows. Refused,
    such a request has no subjects.
    """
    reader, limit = _READERS.get(method, (_nobody, 0))
    try:
        subjects = reader(request)
    except DecodeError:
        return [] if refused else None
    if len(subjects) > limit:
        return [] if refused else None
    return subjects


def _queried(request: bytes) -> list[RequestSubject]:
    return [_inquiry(inquiry_service_pb2.QueryCreditHistoryRequest.FromString(request).inquiry)]


def _queried_together(request: bytes) -> list[RequestSubject]:
    return [_inquiry(each) for each in inquiry_service_pb2.BatchQueryCreditHistoriesRequest.FromString(request).inquiries]


def _reported(request: bytes) -> list[RequestSubject]:
    return [_token(each.subject) for each in reporting_service_pb2.SubmitReportsRequest.FromString(request).reports]


def _withdrawn(request: bytes) -> list[RequestSubject]:
    return [_token(reporting_service_pb2.WithdrawAccountRequest.FromString(request).subject)]


def _listed(request: bytes) -> list[RequestSubject]:
    message = audit_service_pb2.ListAuditEntriesRequest.FromString(request)
    return [_token(message.subject)] if message.HasField("subject") else []


def _nobody(request: bytes) -> list[RequestSubject]:
    return []


def _token(token: subject_pb2.SubjectToken) -> RequestSubject:
    return RequestSubject(token.epoch_id, token.element)


def _inquiry(inquiry: inquiry_service_pb2.Inquiry) -> RequestSubject:
    return RequestSubject(inquiry.subject.epoch_id, inquiry.subject.element, inquiry.purpose, inquiry.consent_reference)


_READERS: dict[str, tuple[Callable[[bytes], list[RequestSubject]], int]] = {
    QUERY_CREDIT_HISTORY.path: (_queried, 1),
    BATCH_QUERY_CREDIT_HISTORIES.path: (_queried_together, MAX_INQUIRIES),
    SUBMIT_REPORTS.path: (_reported, MAX_REPORTS),
    WITHDRAW_ACCOUNT.path: (_withdrawn, 1),
    LIST_AUDIT_ENTRIES.path: (_listed, 1),
}
"""How each method that has subjects is read, and how many it may have. EraseSubject is none of them, although it names one."""

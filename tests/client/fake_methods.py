"""The methods of the double of both servers, and what it reads out of requests."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from tallystick.v1 import (
    audit_service_pb2,
    codes_pb2,
    inquiry_service_pb2,
    membership_service_pb2,
    reporting_service_pb2,
    subject_token_service_pb2,
)

METHODS: dict[str, tuple[type[Message], bool]] = {
    "GetTokenKey": (subject_token_service_pb2.GetTokenKeyRequest, True),
    "EvaluateTokens": (subject_token_service_pb2.EvaluateTokensRequest, False),
    "SubmitReports": (reporting_service_pb2.SubmitReportsRequest, False),
    "WithdrawAccount": (reporting_service_pb2.WithdrawAccountRequest, False),
    "GetSubmission": (reporting_service_pb2.GetSubmissionRequest, False),
    "ListSubmissions": (reporting_service_pb2.ListSubmissionsRequest, False),
    "QueryCreditHistory": (inquiry_service_pb2.QueryCreditHistoryRequest, False),
    "BatchQueryCreditHistories": (inquiry_service_pb2.BatchQueryCreditHistoriesRequest, False),
    "ListAuditEntries": (audit_service_pb2.ListAuditEntriesRequest, False),
    "CountAuditEntries": (audit_service_pb2.CountAuditEntriesRequest, False),
    "ListMembers": (membership_service_pb2.ListMembersRequest, False),
    "GetAuditEntry": (audit_service_pb2.GetAuditEntryRequest, False),
    "GetCheckpoint": (audit_service_pb2.GetCheckpointRequest, True),
    "GetInclusionProof": (audit_service_pb2.GetInclusionProofRequest, True),
    "GetConsistencyProof": (audit_service_pb2.GetConsistencyProofRequest, True),
}


def subjects_of(request: Any) -> list[tuple[bytes, bytes, int, str]]:
    """The subjects of a request, as docs/protocol.md lists them."""
    inquiries = [request.inquiry] if hasattr(request, "inquiry") else getattr(request, "inquiries", [])
    if inquiries:
        return [(i.subject.epoch_id, i.subject.element, i.purpose, i.consent_reference) for i in inquiries]
    tokens = [report.subject for report in getattr(request, "reports", [])]
    if "subject" in request.DESCRIPTOR.fields_by_name and request.HasField("subject"):
        tokens = [request.subject]
    return [(token.epoch_id, token.element, 0, "") for token in tokens]


def stated_of(subjects: list[tuple[bytes, bytes, int, str]]) -> audit_service_pb2.StatedInquiries:
    """What a list says of the inquiries of an entry."""
    purposes = [codes_pb2.Purpose.ValueType(each) for each in dict.fromkeys(subject[2] for subject in subjects)]
    consents = list(dict.fromkeys(subject[3] for subject in subjects))
    return audit_service_pb2.StatedInquiries(
        subject_count=len(subjects),
        purposes=purposes[:10],
        purpose_count=len(purposes),
        consent_references=consents[:5],
        consent_count=len(consents),
    )

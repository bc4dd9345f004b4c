"""The RPCs: each with its path, types, roles, subjects, bounds, and how it is carried. One line each, by service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from tallystick.contract import subjects
from tallystick.contract.limits import (
    BATCH_REQUEST,
    EVENTS_REQUEST,
    MAX_ELEMENTS,
    MAX_EVENTS,
    MAX_INQUIRIES,
    MAX_MESSAGE,
    MAX_REPORTS,
    MAX_WATCHES,
    SCORECARD_REQUEST,
    SMALL_REQUEST,
    WATCHES_REQUEST,
)
from tallystick.contract.subjects import Subject, SubjectReader
from tallystick.v1 import audit_service_pb2 as audit
from tallystick.v1 import inquiry_service_pb2 as inquiry
from tallystick.v1 import log_pb2 as log
from tallystick.v1 import membership_service_pb2 as membership
from tallystick.v1 import monitoring_service_pb2 as monitoring
from tallystick.v1 import rating_service_pb2 as rating
from tallystick.v1 import reporting_service_pb2 as reporting
from tallystick.v1 import servicing_service_pb2 as servicing
from tallystick.v1 import subject_token_service_pb2 as tokens
from tallystick.v1.membership_service_pb2 import (
    ROLE_AUDITOR,
    ROLE_INQUIRER,
    ROLE_OPERATOR,
    ROLE_REPORTER,
    ROLE_SYSTEM,
    ROLE_TOKEN_REQUESTER,
)

Asked = TypeVar("Asked", bound=Message)
Answer = TypeVar("Answer", bound=Message)

PACKAGE: Final = "tallystick.v1"


@dataclass(frozen=True, slots=True)
class Method(Generic[Asked, Answer]):
    """One RPC."""

    service: str
    name: str
    request: type[Asked]
    answer: type[Answer]
    roles: frozenset[int] = frozenset()
    """Any one of these allows it; empty allows every active member."""
    about: SubjectReader = subjects.nobody
    """Reads whom a request is about."""
    items: str = ""
    """The repeated field that holds the items of a batch; empty for a method that takes one."""
    max_items: int = 0
    max_bytes: int = SMALL_REQUEST
    """Most bytes of a request: far above what a full one has, far below what the transport would let through."""
    public: bool = False
    """A public method is neither signed nor logged, and has no receipt."""
    paged: bool = False
    """The answer is a stream of pages, each an entry and a transaction of its own."""
    told: SubjectReader = subjects.nobody
    """Reads whom an answer told of: the subjects of its entry, where the request names none."""
    path: str = field(init=False)
    """The full method, such as "/tallystick.v1.InquiryService/QueryCreditHistory"."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", f"/{PACKAGE}.{self.service}/{self.name}")

    @property
    def has_request_id(self) -> bool:
        """Whether a retry is recognised by the request_id of the message."""
        return "request_id" in self.request.DESCRIPTOR.fields_by_name

    def request_id(self, message: Any) -> bytes | None:
        """The request_id as sent; None for a method that has none."""
        return bytes(message.request_id) if self.has_request_id else None

    def subjects(self, message: Any) -> Sequence[Subject] | None:
        """Whom a parsed request is about, in its order; None if it names more than the method allows."""
        if self.about is not subjects.nobody and self.items and len(getattr(message, self.items)) > self.max_items:
            return None
        return self.about(message)

    def logged_subjects(self, request: bytes, *, refused: bool) -> Sequence[Subject] | None:
        """The subjects that the entry of a request of these bytes names.

        None for what cannot have been carried out: bytes that are no such request, or too many items. A refused request of that
        kind names no subject."""
        try:
            found = self.subjects(self.request.FromString(request))
        except DecodeError:
            found = None
        return () if found is None and refused else found


def _roles(*roles: int) -> frozenset[int]:
    return frozenset(roles)


_R, _I, _T, _M, _A = "ReportingService", "InquiryService", "SubjectTokenService", "MembershipService", "AuditService"
_S, _W, _C = "ServicingService", "MonitoringService", "RatingService"
_REPORTER, _INQUIRER, _OPERATOR = _roles(ROLE_REPORTER), _roles(ROLE_INQUIRER), _roles(ROLE_OPERATOR)

# fmt: off
SUBMIT_REPORTS: Final = Method(_R, "SubmitReports", reporting.SubmitReportsRequest, reporting.SubmitReportsResponse, _REPORTER, subjects.of_reports, "reports", MAX_REPORTS, MAX_MESSAGE)  # noqa: E501
WITHDRAW_ACCOUNT: Final = Method(_R, "WithdrawAccount", reporting.WithdrawAccountRequest, reporting.WithdrawAccountResponse, _REPORTER, subjects.of_subject)  # noqa: E501
GET_SUBMISSION: Final = Method(_R, "GetSubmission", reporting.GetSubmissionRequest, reporting.GetSubmissionResponse, _REPORTER)
LIST_SUBMISSIONS: Final = Method(_R, "ListSubmissions", reporting.ListSubmissionsRequest, reporting.ListSubmissionsResponse, _REPORTER)  # noqa: E501

QUERY_CREDIT_HISTORY: Final = Method(_I, "QueryCreditHistory", inquiry.QueryCreditHistoryRequest, inquiry.QueryCreditHistoryResponse, _INQUIRER, subjects.of_query)  # noqa: E501
BATCH_QUERY_CREDIT_HISTORIES: Final = Method(_I, "BatchQueryCreditHistories", inquiry.BatchQueryCreditHistoriesRequest, inquiry.BatchQueryCreditHistoriesResponse, _INQUIRER, subjects.of_batch_query, "inquiries", MAX_INQUIRIES, BATCH_REQUEST)  # noqa: E501

RECORD_SERVICING_EVENTS: Final = Method(_S, "RecordServicingEvents", servicing.RecordServicingEventsRequest, servicing.RecordServicingEventsResponse, _REPORTER, subjects.of_events, "events", MAX_EVENTS, EVENTS_REQUEST)  # noqa: E501
LIST_SERVICING_EVENTS: Final = Method(_S, "ListServicingEvents", servicing.ListServicingEventsRequest, servicing.ListServicingEventsResponse, _REPORTER, subjects.of_subject)  # noqa: E501

PUT_WATCHES: Final = Method(_W, "PutWatches", monitoring.PutWatchesRequest, monitoring.PutWatchesResponse, _INQUIRER, subjects.of_watches, items="watches", max_items=MAX_WATCHES, max_bytes=WATCHES_REQUEST)  # noqa: E501
END_WATCHES: Final = Method(_W, "EndWatches", monitoring.EndWatchesRequest, monitoring.EndWatchesResponse, _INQUIRER, items="watch_ids", max_items=MAX_WATCHES, max_bytes=BATCH_REQUEST)  # noqa: E501
LIST_WATCHES: Final = Method(_W, "ListWatches", monitoring.ListWatchesRequest, monitoring.ListWatchesResponse, _INQUIRER)
PULL_MESSAGES: Final = Method(_W, "PullMessages", monitoring.PullMessagesRequest, monitoring.PullMessagesResponse, _INQUIRER, told=subjects.of_messages)  # noqa: E501
ACKNOWLEDGE_MESSAGES: Final = Method(_W, "AcknowledgeMessages", monitoring.AcknowledgeMessagesRequest, monitoring.AcknowledgeMessagesResponse, _INQUIRER)  # noqa: E501
GET_PORTFOLIO_DIGEST: Final = Method(_W, "GetPortfolioDigest", monitoring.GetPortfolioDigestRequest, monitoring.GetPortfolioDigestResponse, _INQUIRER)  # noqa: E501
SWEEP_WATCHES: Final = Method(_W, "SweepWatches", monitoring.SweepWatchesRequest, monitoring.SweepWatchesResponse, _roles(ROLE_SYSTEM))  # noqa: E501

LIST_SCORECARDS: Final = Method(_C, "ListScorecards", rating.ListScorecardsRequest, rating.ListScorecardsResponse, public=True)
INSTALL_SCORECARD: Final = Method(_C, "InstallScorecard", rating.InstallScorecardRequest, rating.InstallScorecardResponse, _OPERATOR, max_bytes=SCORECARD_REQUEST)  # noqa: E501

GET_TOKEN_KEY: Final = Method(_T, "GetTokenKey", tokens.GetTokenKeyRequest, tokens.GetTokenKeyResponse, public=True)
EVALUATE_TOKENS: Final = Method(_T, "EvaluateTokens", tokens.EvaluateTokensRequest, tokens.EvaluateTokensResponse, _roles(ROLE_TOKEN_REQUESTER), items="blinded_elements", max_items=MAX_ELEMENTS, max_bytes=BATCH_REQUEST)  # noqa: E501

CREATE_MEMBER: Final = Method(_M, "CreateMember", membership.CreateMemberRequest, membership.CreateMemberResponse, _OPERATOR)
UPDATE_MEMBER: Final = Method(_M, "UpdateMember", membership.UpdateMemberRequest, membership.UpdateMemberResponse, _OPERATOR)
LIST_MEMBERS: Final = Method(_M, "ListMembers", membership.ListMembersRequest, membership.ListMembersResponse)
GET_STANDING: Final = Method(_M, "GetStanding", membership.GetStandingRequest, membership.GetStandingResponse)
ADD_MEMBER_KEY: Final = Method(_M, "AddMemberKey", membership.AddMemberKeyRequest, membership.AddMemberKeyResponse)
REVOKE_MEMBER_KEY: Final = Method(_M, "RevokeMemberKey", membership.RevokeMemberKeyRequest, membership.RevokeMemberKeyResponse, _OPERATOR)  # noqa: E501

LIST_AUDIT_ENTRIES: Final = Method(_A, "ListAuditEntries", audit.ListAuditEntriesRequest, audit.ListAuditEntriesResponse, about=subjects.of_list)  # noqa: E501
COUNT_AUDIT_ENTRIES: Final = Method(_A, "CountAuditEntries", audit.CountAuditEntriesRequest, audit.CountAuditEntriesResponse, _roles(ROLE_AUDITOR))  # noqa: E501
GET_AUDIT_ENTRY: Final = Method(_A, "GetAuditEntry", audit.GetAuditEntryRequest, audit.GetAuditEntryResponse)
EXPORT_AUDIT_ENTRIES: Final = Method(_A, "ExportAuditEntries", audit.ExportAuditEntriesRequest, log.SignedPage, _roles(ROLE_AUDITOR), paged=True)  # noqa: E501
# The record of an erasure must not name whom it erased: it is about nobody.
ERASE_SUBJECT: Final = Method(_A, "EraseSubject", audit.EraseSubjectRequest, audit.EraseSubjectResponse, _OPERATOR)
GET_CHECKPOINT: Final = Method(_A, "GetCheckpoint", audit.GetCheckpointRequest, audit.GetCheckpointResponse, public=True)
GET_INCLUSION_PROOF: Final = Method(_A, "GetInclusionProof", audit.GetInclusionProofRequest, audit.GetInclusionProofResponse, public=True)  # noqa: E501
GET_CONSISTENCY_PROOF: Final = Method(_A, "GetConsistencyProof", audit.GetConsistencyProofRequest, audit.GetConsistencyProofResponse, public=True)  # noqa: E501
# fmt: on

METHODS: Final[dict[str, Method[Any, Any]]] = {
    each.path: each
    for each in (
        *(SUBMIT_REPORTS, WITHDRAW_ACCOUNT, GET_SUBMISSION, LIST_SUBMISSIONS),
        *(QUERY_CREDIT_HISTORY, BATCH_QUERY_CREDIT_HISTORIES),
        *(RECORD_SERVICING_EVENTS, LIST_SERVICING_EVENTS),
        *(PUT_WATCHES, END_WATCHES, LIST_WATCHES, PULL_MESSAGES, ACKNOWLEDGE_MESSAGES, GET_PORTFOLIO_DIGEST, SWEEP_WATCHES),
        *(LIST_SCORECARDS, INSTALL_SCORECARD),
        *(GET_TOKEN_KEY, EVALUATE_TOKENS),
        *(CREATE_MEMBER, UPDATE_MEMBER, LIST_MEMBERS, GET_STANDING, ADD_MEMBER_KEY, REVOKE_MEMBER_KEY),
        *(LIST_AUDIT_ENTRIES, COUNT_AUDIT_ENTRIES, GET_AUDIT_ENTRY, EXPORT_AUDIT_ENTRIES, ERASE_SUBJECT),
        *(GET_CHECKPOINT, GET_INCLUSION_PROOF, GET_CONSISTENCY_PROOF),
    )
}
"""Every RPC of the contracts, by its full method."""

"""The RPCs that this SDK calls: their paths, their answers, and who serves them."""

from tallystick.client.protocol.calls import Method, Server
from tallystick.v1 import (
    audit_service_pb2,
    inquiry_service_pb2,
    membership_service_pb2,
    reporting_service_pb2,
    subject_token_service_pb2,
)

_TOKENS = "/tallystick.v1.SubjectTokenService/"
_REPORTING = "/tallystick.v1.ReportingService/"
_INQUIRIES = "/tallystick.v1.InquiryService/"
_MEMBERSHIP = "/tallystick.v1.MembershipService/"
_AUDIT = "/tallystick.v1.AuditService/"

GET_TOKEN_KEY = Method(Server.TOKEN_AUTHORITY, _TOKENS + "GetTokenKey", subject_token_service_pb2.GetTokenKeyResponse, signed=False)
EVALUATE_TOKENS = Method(Server.TOKEN_AUTHORITY, _TOKENS + "EvaluateTokens", subject_token_service_pb2.EvaluateTokensResponse)

SUBMIT_REPORTS = Method(Server.EXCHANGE, _REPORTING + "SubmitReports", reporting_service_pb2.SubmitReportsResponse)
WITHDRAW_ACCOUNT = Method(Server.EXCHANGE, _REPORTING + "WithdrawAccount", reporting_service_pb2.WithdrawAccountResponse)
GET_SUBMISSION = Method(Server.EXCHANGE, _REPORTING + "GetSubmission", reporting_service_pb2.GetSubmissionResponse)
LIST_SUBMISSIONS = Method(Server.EXCHANGE, _REPORTING + "ListSubmissions", reporting_service_pb2.ListSubmissionsResponse)

QUERY_CREDIT_HISTORY = Method(Server.EXCHANGE, _INQUIRIES + "QueryCreditHistory", inquiry_service_pb2.QueryCreditHistoryResponse)
BATCH_QUERY_CREDIT_HISTORIES = Method(
    Server.EXCHANGE, _INQUIRIES + "BatchQueryCreditHistories", inquiry_service_pb2.BatchQueryCreditHistoriesResponse
)

ADD_MEMBER_KEY = Method(Server.EXCHANGE, _MEMBERSHIP + "AddMemberKey", membership_service_pb2.AddMemberKeyResponse)

LIST_AUDIT_ENTRIES = Method(Server.EXCHANGE, _AUDIT + "ListAuditEntries", audit_service_pb2.ListAuditEntriesResponse)
GET_AUDIT_ENTRY = Method(Server.EXCHANGE, _AUDIT + "GetAuditEntry", audit_service_pb2.GetAuditEntryResponse)
EXPORT_AUDIT_ENTRIES = Method(Server.EXCHANGE, _AUDIT + "ExportAuditEntries", audit_service_pb2.ExportAuditEntriesResponse)
GET_CHECKPOINT = Method(Server.EXCHANGE, _AUDIT + "GetCheckpoint", audit_service_pb2.GetCheckpointResponse, signed=False)
GET_INCLUSION_PROOF = Method(
    Server.EXCHANGE, _AUDIT + "GetInclusionProof", audit_service_pb2.GetInclusionProofResponse, signed=False
)
GET_CONSISTENCY_PROOF = Method(
    Server.EXCHANGE, _AUDIT + "GetConsistencyProof", audit_service_pb2.GetConsistencyProofResponse, signed=False
)

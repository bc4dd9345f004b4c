"""The public names of the SDK, frozen: a name that is missing here is a promise broken to those who use it."""

from __future__ import annotations

import tallystick.client

PUBLIC = [
    *(
        "AccountEvent",
        "AccountWatch",
        "Acknowledged",
        "AnswerEvent",
        "AnswerMalformed",
        "AsyncExchange",
        "AuditEntry",
        "BookEntry",
        "CheckpointFalse",
        "CompleteList",
        "Conflict",
        "ConnectionNotSecure",
        "CountFilter",
        "DeadlineExceeded",
    ),
    *(
        "DetailsFalse",
        "Difference",
        "DifferenceKind",
        "Dimension",
        "DisclosedSubject",
        "DueNotice",
        "EntryCount",
        "EntryCounts",
        "EntryFilter",
        "EpochRolledBack",
        "EventHooks",
        "EventResult",
        "Exchange",
    ),
    *(
        "FileInvalid",
        "Identity",
        "IdentityInvalid",
        "InclusionFalse",
        "InclusionReport",
        "InputInvalid",
        "Inquiry",
        "InquiryOutcome",
        "Invalid",
        "KeptReceipt",
    ),
    *("KeyRegistration", "LimitExceeded", "LogReport", "NotAllowed", "NotAnExchange", "NotAuthenticated", "NotFound"),
    *(
        "NotReached",
        "NotTrusted",
        "NotUsable",
        "NoticeKind",
        "OpenedEntry",
        "Options",
        "Overloaded",
        "Patience",
        "PinnedTokenKey",
        "Profile",
    ),
    *(
        "ProfileError",
        "Pulled",
        "Purpose",
        "QueriedBatch",
        "QueryResult",
        "QuotaStanding",
        "ReceiptFalse",
        "ReceiptMissing",
        "Refused",
        "RegisteredKey",
        "Report",
    ),
    *(
        "ReportOutcome",
        "ReportResult",
        "ReportedBatch",
        "RequestEvent",
        "RetryEvent",
        "Server",
        "ServerFault",
        "SignatureCheck",
        "SignatureState",
        "SignedCheckpoint",
        "Standing",
        "StandingKey",
        "StatedInquiries",
        "Submission",
        "SubmissionDetails",
    ),
    *("TallystickError", "TokenProofFalse", "Unavailable", "Verdict", "Violation", "WatchResult", "Withdrawal", "WithdrawalReason"),
    "due_notices",
]


def test_the_public_names_are_frozen() -> None:
    assert sorted(tallystick.client.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(tallystick.client, name).__doc__

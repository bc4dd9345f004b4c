"""Tallystick's SDK: report accounts, query credit histories, and verify the exchange that answers.

    from tallystick.client import Exchange, Identity, Purpose

    with Exchange.from_profile("bank-a") as exchange:
        result = exchange.query(Identity.resident_id("…"), Purpose.LOAN_APPROVAL, "consent-2025-0417")

What `__all__` names is the public API; a test freezes it. Each name is loaded when it is first used: the command imports this
package before it can say what Ctrl-C during that means.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallystick.client.analysis.book import analyse
    from tallystick.client.analysis.figures import BookAnalysis
    from tallystick.client.async_exchange import AsyncExchange
    from tallystick.client.exceptions import (
        AnswerMalformed,
        CheckpointFalse,
        Conflict,
        ConnectionNotSecure,
        DeadlineExceeded,
        DetailsFalse,
        EpochRolledBack,
        FileInvalid,
        IdentityInvalid,
        InclusionFalse,
        InputInvalid,
        Invalid,
        LimitExceeded,
        NotAllowed,
        NotAnExchange,
        NotAuthenticated,
        NotFound,
        NotReached,
        NotTrusted,
        NotUsable,
        Overloaded,
        ProfileError,
        ReceiptFalse,
        ReceiptMissing,
        Refused,
        ServerFault,
        TallystickError,
        TokenProofFalse,
        Unavailable,
    )
    from tallystick.client.exchange import Exchange
    from tallystick.client.flows.auditing import AuditEntry, DisclosedSubject, EntryFilter, OpenedEntry
    from tallystick.client.flows.checkpoints import SignedCheckpoint
    from tallystick.client.flows.completeness import CompleteList
    from tallystick.client.flows.counting import CountFilter, Dimension, EntryCount, EntryCounts
    from tallystick.client.flows.differences import Difference, DifferenceKind
    from tallystick.client.flows.inquiries import Inquiry, InquiryOutcome, QueriedBatch, QueryResult
    from tallystick.client.flows.member_keys import KeyRegistration, RegisteredKey
    from tallystick.client.flows.monitoring import AccountWatch, Acknowledged, Pulled, WatchResult
    from tallystick.client.flows.reporting import (
        Report,
        ReportedBatch,
        ReportResult,
        Submission,
        SubmissionDetails,
        Verdict,
        Withdrawal,
    )
    from tallystick.client.flows.scorecards import ListedScorecard
    from tallystick.client.flows.servicing import AccountEvent, EventResult
    from tallystick.client.flows.signatures import SignatureCheck, SignatureState
    from tallystick.client.flows.standing import QuotaStanding, Standing, StandingKey
    from tallystick.client.flows.stated import StatedInquiries
    from tallystick.client.flows.verification import InclusionReport, LogReport
    from tallystick.client.identities import Identity
    from tallystick.client.profile.profile import PinnedTokenKey, Profile
    from tallystick.client.profile.servers import Server
    from tallystick.client.protocol.events import AnswerEvent, EventHooks, RequestEvent, RetryEvent
    from tallystick.client.protocol.receipts import KeptReceipt
    from tallystick.client.protocol.retrying import Patience
    from tallystick.client.session import Options
    from tallystick.contract.violations import Violation
    from tallystick.credit.enums import Purpose, ReportOutcome, Section, WithdrawalReason
    from tallystick.credit.rating import Scorecard, read_scorecard
    from tallystick.credit.ratings import Rating, RatingReason
    from tallystick.credit.reminders import BookEntry, DueNotice, NoticeKind, due_notices

__all__ = [
    "AccountEvent",
    "AccountWatch",
    "Acknowledged",
    "AnswerEvent",
    "AnswerMalformed",
    "AsyncExchange",
    "AuditEntry",
    "BookAnalysis",
    "BookEntry",
    "CheckpointFalse",
    "CompleteList",
    "Conflict",
    "ConnectionNotSecure",
    "CountFilter",
    "DeadlineExceeded",
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
    "KeyRegistration",
    "LimitExceeded",
    "ListedScorecard",
    "LogReport",
    "NotAllowed",
    "NotAnExchange",
    "NotAuthenticated",
    "NotFound",
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
    "ProfileError",
    "Pulled",
    "Purpose",
    "QueriedBatch",
    "QueryResult",
    "QuotaStanding",
    "Rating",
    "RatingReason",
    "ReceiptFalse",
    "ReceiptMissing",
    "Refused",
    "RegisteredKey",
    "Report",
    "ReportOutcome",
    "ReportResult",
    "ReportedBatch",
    "RequestEvent",
    "RetryEvent",
    "Scorecard",
    "Section",
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
    "TallystickError",
    "TokenProofFalse",
    "Unavailable",
    "Verdict",
    "Violation",
    "WatchResult",
    "Withdrawal",
    "WithdrawalReason",
    "analyse",
    "due_notices",
    "read_scorecard",
]

_HOMES = {
    "tallystick.client.analysis.book": ("analyse",),
    "tallystick.client.analysis.figures": ("BookAnalysis",),
    "tallystick.client.async_exchange": ("AsyncExchange",),
    "tallystick.client.flows.auditing": (
        "AuditEntry",
        "DisclosedSubject",
        "EntryFilter",
        "OpenedEntry",
    ),
    "tallystick.client.profile.servers": ("Server",),
    "tallystick.client.flows.checkpoints": ("SignedCheckpoint",),
    "tallystick.client.exceptions": (
        "AnswerMalformed",
        "CheckpointFalse",
        "Conflict",
        "ConnectionNotSecure",
        "DeadlineExceeded",
        "DetailsFalse",
        "EpochRolledBack",
        "FileInvalid",
        "IdentityInvalid",
        "InclusionFalse",
        "InputInvalid",
        "Invalid",
        "LimitExceeded",
        "NotAllowed",
        "NotAnExchange",
        "NotAuthenticated",
        "NotFound",
        "NotReached",
        "NotTrusted",
        "NotUsable",
        "Overloaded",
        "ProfileError",
        "ReceiptFalse",
        "ReceiptMissing",
        "Refused",
        "ServerFault",
        "TallystickError",
        "TokenProofFalse",
        "Unavailable",
    ),
    "tallystick.client.exchange": ("Exchange",),
    "tallystick.client.flows.inquiries": (
        "Inquiry",
        "InquiryOutcome",
        "QueriedBatch",
        "QueryResult",
    ),
    "tallystick.client.flows.member_keys": (
        "KeyRegistration",
        "RegisteredKey",
    ),
    "tallystick.client.profile.profile": (
        "PinnedTokenKey",
        "Profile",
    ),
    "tallystick.client.protocol.receipts": ("KeptReceipt",),
    "tallystick.client.flows.reporting": (
        "Report",
        "ReportResult",
        "ReportedBatch",
        "Submission",
        "SubmissionDetails",
        "Verdict",
        "Withdrawal",
    ),
    "tallystick.client.flows.monitoring": ("AccountWatch", "Acknowledged", "Pulled", "WatchResult"),
    "tallystick.client.flows.scorecards": ("ListedScorecard",),
    "tallystick.client.flows.servicing": ("AccountEvent", "EventResult"),
    "tallystick.client.protocol.events": ("AnswerEvent", "EventHooks", "RequestEvent", "RetryEvent"),
    "tallystick.client.protocol.retrying": ("Patience",),
    "tallystick.client.session": ("Options",),
    "tallystick.client.identities": ("Identity",),
    "tallystick.client.flows.completeness": ("CompleteList",),
    "tallystick.client.flows.counting": ("CountFilter", "Dimension", "EntryCount", "EntryCounts"),
    "tallystick.client.flows.signatures": ("SignatureCheck", "SignatureState"),
    "tallystick.client.flows.standing": ("QuotaStanding", "Standing", "StandingKey"),
    "tallystick.client.flows.stated": ("StatedInquiries",),
    "tallystick.client.flows.differences": ("Difference", "DifferenceKind"),
    "tallystick.client.flows.verification": (
        "InclusionReport",
        "LogReport",
    ),
    "tallystick.credit.enums": (
        "Purpose",
        "ReportOutcome",
        "Section",
        "WithdrawalReason",
    ),
    "tallystick.credit.rating": ("Scorecard", "read_scorecard"),
    "tallystick.credit.ratings": ("Rating", "RatingReason"),
    "tallystick.credit.reminders": ("BookEntry", "DueNotice", "NoticeKind", "due_notices"),
    "tallystick.contract.violations": ("Violation",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

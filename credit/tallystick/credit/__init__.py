"""The credit trade, pure: code lists, validation, merging, overdue, screening; it knows no network and no database.

What `__all__` names is public and frozen by a test.
"""

from tallystick.contract.violations import Violation
from tallystick.credit.decisions import Decision, PolicyError, Reason, Screening
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
    Disposition,
    HistoryOutcome,
    ObligorRole,
    Purpose,
    ReportOutcome,
    SpecialTransactionType,
    SubjectKind,
    WithdrawalReason,
)
from tallystick.credit.history import (
    Account,
    AccountMonth,
    CreditHistory,
    CurrencyAmount,
    HistoryError,
    InquirySummary,
    OverdueSummary,
    OverdueWindow,
    PastInquiry,
    RelatedObligor,
    ReportedAccount,
    RunningOverdue,
    SpecialTransaction,
    credit_history_from_message,
)
from tallystick.credit.merging import AccountState, Merged, has_overdue, merge_report, merge_withdrawal
from tallystick.credit.overdue import is_overdue, summarise
from tallystick.credit.screening import ScreeningPolicy
from tallystick.credit.validation import (
    MAX_VIOLATIONS_PER_REPORT,
    validate_account,
    validate_inquiry,
    validate_report,
    validate_subject,
    validate_withdrawal,
)

__all__ = [
    "MAX_VIOLATIONS_PER_REPORT",
    "Account",
    "AccountMonth",
    "AccountState",
    "AccountType",
    "AnnotationType",
    "AssetQuality",
    "CollectionStage",
    "CreditHistory",
    "CurrencyAmount",
    "Decision",
    "Disposition",
    "HistoryError",
    "HistoryOutcome",
    "InquirySummary",
    "Merged",
    "ObligorRole",
    "OverdueSummary",
    "OverdueWindow",
    "PastInquiry",
    "PolicyError",
    "Purpose",
    "Reason",
    "RelatedObligor",
    "ReportOutcome",
    "ReportedAccount",
    "RunningOverdue",
    "Screening",
    "ScreeningPolicy",
    "SpecialTransaction",
    "SpecialTransactionType",
    "SubjectKind",
    "Violation",
    "WithdrawalReason",
    "credit_history_from_message",
    "has_overdue",
    "is_overdue",
    "merge_report",
    "merge_withdrawal",
    "summarise",
    "validate_account",
    "validate_inquiry",
    "validate_report",
    "validate_subject",
    "validate_withdrawal",
]

"""The public names of the package, frozen: a change here is a change for everyone who uses them."""

import subprocess
import sys

import tallystick.credit

PUBLIC = """
MAX_VIOLATIONS_PER_REPORT Account AccountMonth AccountState AccountType AnnotationType AssetQuality CollectionStage CreditHistory
CurrencyAmount Decision Disposition HistoryError HistoryOutcome InquirySummary Merged ObligorRole OverdueSummary OverdueWindow
PastInquiry PolicyError Purpose Reason RelatedObligor ReportOutcome ReportedAccount RunningOverdue Screening ScreeningPolicy
SpecialTransaction SpecialTransactionType SubjectKind Violation WithdrawalReason credit_history_from_message has_overdue is_overdue
Channel EventOutcome PlanKind RepaymentPlan ServicingEvent ServicingEventType
Alert Band EarlyWarning ListedWatch MonitoringMessage PortfolioDigest TriggerType WarningClass WarningPolicy Watch WatchEnded
WatchState WatchStateReason
merge_report merge_withdrawal summarise validate_account validate_inquiry validate_report validate_subject validate_withdrawal
"""


def test_the_public_names_are_these() -> None:
    assert sorted(tallystick.credit.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(tallystick.credit, name) for name in tallystick.credit.__all__)


def test_the_trade_knows_neither_network_nor_database() -> None:
    names = "{'grpc', 'sqlalchemy', 'psycopg2', 'asyncio'}"
    code = f"import sys, tallystick.credit.screening, tallystick.credit.validation; print(sorted({names} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

"""The trade's code lists as Python enums, with the names and numbers of codes.proto, which has the meanings."""

from enum import IntEnum


class SubjectKind(IntEnum):
    """What a subject is."""

    UNSPECIFIED = 0
    PERSON = 1
    ORGANISATION = 2


class Purpose(IntEnum):
    """The agreed purpose of an inquiry; the number is the trade's code, 90 and above have none."""

    UNSPECIFIED = 0
    POST_LOAN_MANAGEMENT = 1
    LOAN_APPROVAL = 2
    CREDIT_CARD_APPROVAL = 3
    GUARANTOR_QUALIFICATION = 8
    JUDICIAL_INVESTIGATION = 9
    PROVIDENT_FUND_WITHDRAWAL = 16
    INDEX_FUTURES_ACCOUNT = 18
    MERCHANT_REAL_NAME_CHECK = 19
    PRE_GUARANTEE_REVIEW = 20
    POST_GUARANTEE_MANAGEMENT = 21
    OFFICER_REVIEW = 22
    CUSTOMER_ADMISSION = 23
    FINANCING_APPROVAL = 24
    CREDIT_STANDING_REVIEW = 25
    LIMIT_APPROVAL = 26
    OWN_QUERY = 90
    OBJECTION_HANDLING = 91


class AccountType(IntEnum):
    """What kind of account a record is about; the names are the trade's codes."""

    UNSPECIFIED = 0
    D1 = 1
    R1 = 2
    R2 = 3
    R3 = 4
    R4 = 5
    C1 = 6
    D2 = 7


class AssetQuality(IntEnum):
    """Five-class asset quality; UNSPECIFIED is "not known"."""

    UNSPECIFIED = 0
    NORMAL = 1
    SPECIAL_MENTION = 2
    SUBSTANDARD = 3
    DOUBTFUL = 4
    LOSS = 5
    UNCLASSIFIED = 9


class Disposition(IntEnum):
    """How an account stood at the end of one month. The numbers are no order: see codes.OVERDUE_DISPOSITIONS."""

    UNSPECIFIED = 0
    OVERDUE_1 = 1
    OVERDUE_2 = 2
    OVERDUE_3 = 3
    OVERDUE_4 = 4
    OVERDUE_5 = 5
    OVERDUE_6 = 6
    OVERDUE_7 = 7
    PAID_AS_AGREED = 10
    NOTHING_DUE = 11
    PAID_LATE_IN_MONTH = 12
    GUARANTOR_PAID = 13
    ASSET_FOR_DEBT = 14
    BAD_DEBT = 15
    SETTLED = 16
    ENDED_OTHERWISE = 17
    NO_BILL = 18
    UNKNOWN = 19
    NOT_OPENED = 20


class SpecialTransactionType(IntEnum):
    """What happened to an account outside its ordinary schedule."""

    UNSPECIFIED = 0
    EXTENSION = 1
    THIRD_PARTY_COMPENSATION = 2
    ASSET_FOR_DEBT = 3
    PREPAYMENT = 4
    EARLY_SETTLEMENT = 5
    FORCED_LIQUIDATION_OPEN = 6
    FORCED_LIQUIDATION_SETTLED = 7
    JUDICIAL_RECOVERY = 8
    OTHER = 9
    DEBT_RELIEF = 11
    ASSET_CARVE_OUT = 12
    ASSET_TRANSFER = 13
    PERSONALISED_INSTALMENTS = 14
    BANK_DEFERRAL = 16
    FORCED_LIQUIDATION = 17


class ObligorRole(IntEnum):
    """In what role a party answers for an account."""

    UNSPECIFIED = 0
    CO_BORROWER = 1
    GUARANTOR = 2
    BILL_ACCEPTOR = 3
    RECEIVABLE_DEBTOR = 4
    SUPPLY_CHAIN_CORE = 5
    OTHER = 9
    BORROWER = 10


class CollectionStage(IntEnum):
    """How far the collection of an overdue debt has gone; UNSPECIFIED is "not known"."""

    UNSPECIFIED = 0
    NONE = 1
    REMINDER = 2
    FIELD = 3
    AGENCY = 4
    LEGAL = 5
    WRITTEN_OFF = 6


class AnnotationType(IntEnum):
    """A note that accompanies a record."""

    UNSPECIFIED = 0
    DISPUTE = 1
    SPECIAL = 2
    SUBJECT_STATEMENT = 3
    INSTITUTION_NOTE = 4
    BUREAU_NOTE = 5


class HistoryOutcome(IntEnum):
    """Whether anything is known of a subject."""

    UNSPECIFIED = 0
    FOUND = 1
    NO_RECORD = 2


class ReportOutcome(IntEnum):
    """What became of one report."""

    UNSPECIFIED = 0
    ACCEPTED = 1
    SUPERSEDED = 2
    REJECTED = 3


class WithdrawalReason(IntEnum):
    """Why an account is withdrawn."""

    UNSPECIFIED = 0
    REPORTED_IN_ERROR = 1
    WRONG_SUBJECT = 2
    FRAUD = 3
    RETENTION_EXPIRED = 4
    TRANSFERRED = 5


class ServicingEventType(IntEnum):
    """What an institution did after the loan, for one of its accounts."""

    UNSPECIFIED = 0
    RETURN_VISIT = 1
    CONTACT = 2
    REMINDER = 3
    DEMAND_LETTER = 4
    COLLECTION_VISIT = 5
    AGENCY_PLACEMENT = 6
    LAWYER_LETTER = 7
    LAWSUIT = 8
    ENFORCEMENT = 9
    BAD_RECORD_NOTICE = 10
    PLAN_OFFERED = 11
    PLAN_AGREED = 12
    PLAN_BROKEN = 13
    PLAN_KEPT = 14
    FUND_USE_CHECK = 15
    SATISFACTION_ASKED = 16


class Channel(IntEnum):
    """By which way an institution turned to its borrower."""

    UNSPECIFIED = 0
    MESSAGE = 1
    TELEPHONE = 2
    LETTER = 3
    EMAIL = 4
    APP = 5
    IN_PERSON = 6
    COURT = 7


class EventOutcome(IntEnum):
    """What came of a servicing event."""

    UNSPECIFIED = 0
    REACHED = 1
    NOT_REACHED = 2
    PROMISE_TO_PAY = 3
    PAID = 4
    DISPUTES_DEBT = 5
    HARDSHIP = 6
    REFUSES = 7
    FUNDS_AS_AGREED = 8
    FUNDS_MISUSED = 9


class PlanKind(IntEnum):
    """What a repayment plan changes."""

    UNSPECIFIED = 0
    EXTENSION = 1
    INSTALMENTS = 2
    GRACE = 3
    RATE = 4
    PARTIAL_RELIEF = 5
    REFINANCING = 6
    COLLATERAL = 7


class TriggerType(IntEnum):
    """What a watch tells of."""

    UNSPECIFIED = 0
    OVERDUE_BEGAN = 1
    OVERDUE_WORSENED = 2
    OVERDUE_CURED = 3
    NON_PERFORMING = 4
    SHARE_OVER_90_DAYS = 5
    RESTRUCTURED = 6
    COLLECTION_STAGE = 7
    COMPENSATED = 8
    ACCOUNTS_OPENED = 9
    DEBT_GREW = 10
    INQUIRY_BURST = 11
    RATING_FELL = 12


class WatchState(IntEnum):
    """Whether a watch tells of anything."""

    UNSPECIFIED = 0
    ACTIVE = 1
    PAUSED = 2
    ENDED = 3


class WatchStateReason(IntEnum):
    """Why a watch is not active."""

    UNSPECIFIED = 0
    BY_MEMBER = 1
    ACCOUNT_NOT_LIVING = 2
    ACCOUNT_WITHDRAWN = 3
    DATE = 4
    REPORT_STALE = 5
    PURPOSE_NOT_ALLOWED = 6


class RatingOutcome(IntEnum):
    """Whether a subject was rated, and if not, why: no record is no low score."""

    UNSPECIFIED = 0
    RATED = 1
    NO_RECORD = 2
    TOO_THIN = 3
    TOO_OLD = 4


class Section(IntEnum):
    """A part of an answer that is given on request alone."""

    UNSPECIFIED = 0
    RATING = 1

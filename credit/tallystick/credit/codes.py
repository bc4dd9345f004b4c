"""The trade's lists: the statuses of each account type, the dispositions that mean overdue, and names for people.

The numbers follow the second-generation credit report of the People's Bank of China, as its public readers know it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from iso4217 import raw_table

from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    Channel,
    CollectionStage,
    Disposition,
    EventOutcome,
    ObligorRole,
    PlanKind,
    Purpose,
    ServicingEventType,
    SpecialTransactionType,
    TriggerType,
    WatchState,
    WatchStateReason,
    WithdrawalReason,
)

_LOAN: Final = {1: "normal", 2: "overdue", 3: "settled", 4: "bad debt"}
_CARD: Final = {
    1: "normal",
    2: "frozen",
    3: "stopped",
    31: "stopped by the bank",
    4: "closed",
    5: "bad debt",
    6: "not activated",
    8: "judicial recovery",
}

ACCOUNT_STATUSES: Final[Mapping[AccountType, Mapping[int, str]]] = MappingProxyType(
    {
        AccountType.D1: {
            **_LOAN,
            5: "transferred out",
            6: "collateral short",
            7: "forced liquidation",
            8: "judicial recovery",
        },
        AccountType.R1: {**_LOAN, 5: "stopped by the bank", 6: "collateral short", 8: "judicial recovery"},
        AccountType.R2: _CARD,
        AccountType.R3: _CARD,
        AccountType.R4: {**_LOAN, 6: "collateral short", 8: "judicial recovery"},
        AccountType.C1: {1: "in collection", 2: "ended"},
        # The public readers list no codes for discounting: taken as those that every loan type shares.
        AccountType.D2: _LOAN,
    }
)
"""The status codes of each account type; the same number means different things for different types."""

BAD_DEBT_STATUSES: Final[Mapping[AccountType, frozenset[int]]] = MappingProxyType(
    {
        account_type: frozenset(code for code, name in statuses.items() if name == "bad debt")
        for account_type, statuses in ACCOUNT_STATUSES.items()
    }
)
"""Which status of each account type says that the institution counts the debt as bad."""

SETTLED_STATUSES: Final[Mapping[AccountType, frozenset[int]]] = MappingProxyType(
    {
        account_type: frozenset(code for code, name in statuses.items() if name in {"settled", "closed", "ended"})
        for account_type, statuses in ACCOUNT_STATUSES.items()
    }
)
"""Which status of each account type says that nothing is owed any more."""

LENDING_PURPOSES: Final = frozenset(
    map(int, (Purpose.LOAN_APPROVAL, Purpose.CREDIT_CARD_APPROVAL, Purpose.FINANCING_APPROVAL, Purpose.LIMIT_APPROVAL))
)
"""Purposes for which an institution asks in order to lend."""

PURPOSES_WITHOUT_CREDIT: Final = frozenset(
    map(int, (Purpose.PROVIDENT_FUND_WITHDRAWAL, Purpose.INDEX_FUTURES_ACCOUNT, Purpose.MERCHANT_REAL_NAME_CHECK))
)
"""Purposes for which nobody decides of a credit: there is no rating for them."""

REVOLVING_TYPES: Final = frozenset({AccountType.R1, AccountType.R2, AccountType.R3})
"""Accounts with a limit that is drawn and paid back at will."""

GUARANTEE_ROLES: Final = frozenset(
    {ObligorRole.GUARANTOR, ObligorRole.BILL_ACCEPTOR, ObligorRole.SUPPLY_CHAIN_CORE, ObligorRole.OTHER}
)
"""Roles in which the subject answers for another's debt."""

ORGANISATION_ONLY_ACCOUNT_TYPES: Final = frozenset({AccountType.D2})

OVERDUE_DISPOSITIONS: Final[Mapping[Disposition, int]] = MappingProxyType(
    {
        disposition: rank
        for rank, disposition in enumerate(
            (
                Disposition.OVERDUE_1,
                Disposition.OVERDUE_2,
                Disposition.OVERDUE_3,
                Disposition.OVERDUE_4,
                Disposition.OVERDUE_5,
                Disposition.OVERDUE_6,
                Disposition.OVERDUE_7,
                Disposition.GUARANTOR_PAID,
                Disposition.ASSET_FOR_DEBT,
                Disposition.BAD_DEBT,
            ),
            start=1,
        )
    }
)
"""The dispositions that mean overdue, each with its rank: 1 is the mildest.

D and Z count, above every delay: the debtor did not pay, somebody or something else did. B is worst: the institution
gave up. G (ended otherwise) does not count: it says that the account ended without being settled, as by transfer to
another institution, and not that anything was due; a policy can look for it by itself.
"""

MAX_DAYS_PAST_DUE: Final = 36_525
"""A hundred years: more is a mistake."""

DAYS_PAST_DUE_RANGES: Final[Mapping[Disposition, tuple[int, int]]] = MappingProxyType(
    {
        Disposition.OVERDUE_1: (1, 30),
        Disposition.OVERDUE_2: (31, 60),
        Disposition.OVERDUE_3: (61, 90),
        Disposition.OVERDUE_4: (91, 120),
        Disposition.OVERDUE_5: (121, 150),
        Disposition.OVERDUE_6: (151, 180),
        Disposition.OVERDUE_7: (181, MAX_DAYS_PAST_DUE),
        Disposition.PAID_AS_AGREED: (0, 0),
        Disposition.NOTHING_DUE: (0, 0),
        Disposition.SETTLED: (0, 0),
        Disposition.NOT_OPENED: (0, 0),
    }
)
"""The days past due that a disposition allows, both ends included; one that is not here allows any."""

_DISPOSITION_CODES: Final = {
    **{Disposition(n): str(n) for n in range(1, 8)},
    Disposition.PAID_AS_AGREED: "N",
    Disposition.NOTHING_DUE: "*",
    Disposition.PAID_LATE_IN_MONTH: "M",
    Disposition.GUARANTOR_PAID: "D",
    Disposition.ASSET_FOR_DEBT: "Z",
    Disposition.BAD_DEBT: "B",
    Disposition.SETTLED: "C",
    Disposition.ENDED_OTHERWISE: "G",
    Disposition.NO_BILL: "A",
    Disposition.UNKNOWN: "#",
    Disposition.NOT_OPENED: "/",
}
_DISPOSITIONS: Final = {code: disposition for disposition, code in _DISPOSITION_CODES.items()}

_DISPOSITION_NAMES: Final[Mapping[int, str]] = {
    Disposition.OVERDUE_1: "1–30 days past due",
    Disposition.OVERDUE_2: "31–60 days past due",
    Disposition.OVERDUE_3: "61–90 days past due",
    Disposition.OVERDUE_4: "91–120 days past due",
    Disposition.OVERDUE_5: "121–150 days past due",
    Disposition.OVERDUE_6: "151–180 days past due",
    Disposition.OVERDUE_7: "more than 180 days past due",
    Disposition.PAID_AS_AGREED: "paid as agreed",
    Disposition.NOTHING_DUE: "nothing due",
    Disposition.PAID_LATE_IN_MONTH: "paid late, within the month",
    Disposition.GUARANTOR_PAID: "a guarantor paid",
    Disposition.ASSET_FOR_DEBT: "an asset was taken for the debt",
    Disposition.BAD_DEBT: "bad debt",
    Disposition.SETTLED: "settled",
    Disposition.ENDED_OTHERWISE: "ended otherwise than by settlement",
    Disposition.NO_BILL: "no bill: the billing day changed",
    Disposition.UNKNOWN: "unknown",
    Disposition.NOT_OPENED: "not yet open",
}

_ACCOUNT_TYPE_NAMES: Final[Mapping[int, str]] = {
    AccountType.D1: "non-revolving loan",
    AccountType.R1: "revolving loan",
    AccountType.R2: "credit card",
    AccountType.R3: "quasi-credit card",
    AccountType.R4: "sub-account under a credit line",
    AccountType.C1: "collection account",
    AccountType.D2: "discounting",
}


_PURPOSE_NAMES: Final[Mapping[int, str]] = {
    purpose: purpose.name.lower().replace("_", " ") if purpose else "not stated" for purpose in Purpose
}
_PURPOSE_MEANINGS: Final[Mapping[int, str]] = {
    Purpose.POST_LOAN_MANAGEMENT: "an account that you have is watched",
    Purpose.LOAN_APPROVAL: "the subject applies for a loan",
    Purpose.CREDIT_CARD_APPROVAL: "the subject applies for a credit card",
    Purpose.GUARANTOR_QUALIFICATION: "the subject is to guarantee another's debt",
    Purpose.JUDICIAL_INVESTIGATION: "a court or another authority investigates",
    Purpose.PROVIDENT_FUND_WITHDRAWAL: "the subject withdraws from its provident fund",
    Purpose.INDEX_FUTURES_ACCOUNT: "the subject opens an account for index futures",
    Purpose.MERCHANT_REAL_NAME_CHECK: "a merchant's real name is checked",
    Purpose.PRE_GUARANTEE_REVIEW: "you are asked to guarantee the subject's debt",
    Purpose.POST_GUARANTEE_MANAGEMENT: "a guarantee that you gave is watched",
    Purpose.OFFICER_REVIEW: "the subject is an applicant's legal representative or officer",
    Purpose.CUSTOMER_ADMISSION: "the subject is to become a customer",
    Purpose.FINANCING_APPROVAL: "the subject applies for other financing",
    Purpose.CREDIT_STANDING_REVIEW: "the subject's credit standing is reviewed",
    Purpose.LIMIT_APPROVAL: "a limit is granted or raised",
    Purpose.OWN_QUERY: "the subject itself asks",
    Purpose.OBJECTION_HANDLING: "an objection of the subject is handled",
}
_WITHDRAWAL_REASON_NAMES: Final[Mapping[int, str]] = {
    WithdrawalReason.REPORTED_IN_ERROR: "it was reported by mistake",
    WithdrawalReason.WRONG_SUBJECT: "it was reported under the wrong subject",
    WithdrawalReason.FRAUD: "it was opened by fraud",
    WithdrawalReason.RETENTION_EXPIRED: "its retention period is over",
    WithdrawalReason.TRANSFERRED: "it moved to another institution, which reports it now",
}
_STATUS_NAMES: Final[Mapping[int, Mapping[int, str]]] = {
    int(account_type): names for account_type, names in ACCOUNT_STATUSES.items()
}


def describe_disposition(disposition: int) -> str:
    """What a month's disposition means, for a person to read."""
    return _DISPOSITION_NAMES.get(disposition, "not stated" if disposition == 0 else f"unknown code {disposition}")


def describe_purpose(purpose: int) -> str:
    """The purpose of an inquiry with the trade's code, if it has one, such as "02 loan approval"."""
    if purpose not in _PURPOSE_NAMES:
        return f"unknown code {purpose}"
    name = _PURPOSE_NAMES[purpose]
    return f"{purpose:02d} {name}" if 0 < purpose < Purpose.OWN_QUERY else name


def purpose_meaning(purpose: Purpose) -> str:
    """When a purpose is the right one to give, such as "the subject applies for a loan"."""
    return _PURPOSE_MEANINGS[purpose]


def describe_withdrawal_reason(reason: int) -> str:
    """Why an account was withdrawn, for a person to read."""
    return _WITHDRAWAL_REASON_NAMES.get(reason, "not stated" if reason == 0 else f"unknown code {reason}")


def describe_account_type(account_type: int) -> str:
    """The account type's code and name, such as "R2 credit card"."""
    if account_type not in _ACCOUNT_TYPE_NAMES:
        return "not stated" if account_type == 0 else f"unknown code {account_type}"
    return f"{AccountType(account_type).name} {_ACCOUNT_TYPE_NAMES[account_type]}"


def describe_status(account_type: int, status: int) -> str:
    """What a status means for that type of account; "unknown" if the type has no such status."""
    return _STATUS_NAMES.get(account_type, {}).get(status, "unknown")


def describe(
    code: AssetQuality
    | SpecialTransactionType
    | ObligorRole
    | CollectionStage
    | AnnotationType
    | ServicingEventType
    | Channel
    | EventOutcome
    | PlanKind
    | TriggerType
    | WatchState
    | WatchStateReason,
) -> str:
    """The name of any other code, in words, such as "special mention"."""
    return code.name.lower().replace("_", " ")


def disposition_code(disposition: int) -> str:
    """The trade's character for a disposition ("N", "*", "1" …); "" for the unspecified one. Raises ValueError."""
    return _DISPOSITION_CODES.get(Disposition(disposition), "")


def disposition_from_code(code: str) -> Disposition:
    """The disposition of one of the trade's codes. Raises ValueError for a code that is not on the list."""
    try:
        return _DISPOSITIONS[code]
    except KeyError:
        raise ValueError(f"no disposition has this code; the codes are {' '.join(_DISPOSITIONS)}") from None


# Codes without a minor unit (gold, test codes, "no currency") cannot carry an amount in minor units.
_MINOR_UNITS: Final[Mapping[str, int]] = {
    str(code): int(str(entry["CcyMnrUnts"])) for code, entry in raw_table.items() if code and str(entry["CcyMnrUnts"]).isdigit()
}


def is_currency(code: str) -> bool:
    """Whether this is an ISO 4217 alphabetic code of a currency in use that has a minor unit."""
    return code in _MINOR_UNITS


def minor_units(currency: str) -> int:
    """How many decimal digits the currency's minor unit has: 2 for CNY, 0 for JPY. ValueError if not in ISO 4217."""
    try:
        return _MINOR_UNITS[currency]
    except KeyError:
        raise ValueError("not an ISO 4217 code of a currency with a minor unit") from None


def format_amount(currency: str, amount: int) -> str:
    """An amount in minor units as people write it, such as "1,234.50 CNY"."""
    if currency not in _MINOR_UNITS:
        # Another party's list may be newer than this one; where the decimal point goes is then not known.
        return f"{amount:,} minor units of {currency}"
    digits = _MINOR_UNITS[currency]
    whole, fraction = divmod(abs(amount), 10**digits)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole:,}{f'.{fraction:0{digits}d}' if digits else ''} {currency}"

"""The rules that an account must keep to be taken: each field by itself, and fields against each other.

All values come from outside. Codes are open enums on the wire, so every one is looked up; the lookups are plain sets of
numbers, because a batch holds a thousand accounts and runs on the hot path.
"""

from datetime import datetime
from typing import Final

from tallystick.contract.violations import Violation
from tallystick.credit.codes import (
    ACCOUNT_STATUSES,
    MAX_DAYS_PAST_DUE,
    ORGANISATION_ONLY_ACCOUNT_TYPES,
    SETTLED_STATUSES,
    is_currency,
)
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
    ObligorRole,
    SpecialTransactionType,
    SubjectKind,
)
from tallystick.credit.field_rules import (
    MAX_AMOUNT,
    MAX_VIOLATIONS_PER_REPORT,
    Horizon,
    check_amount,
    check_day,
    check_instant,
    code_violation,
    horizon_at,
    members,
    seconds_of,
)
from tallystick.credit.month_columns import MonthColumns
from tallystick.credit.month_rules import check_months, days_violation
from tallystick.v1.account_pb2 import Account, RelatedObligor, SpecialTransaction

MAX_SPECIAL_TRANSACTIONS: Final = 100
MAX_RELATED_OBLIGORS: Final = 50
MAX_ANNOTATIONS: Final = 10
MAX_MONTHS_CHANGED: Final = 600
"""Fifty years: more is a mistake."""

_SUBJECT_KINDS: Final = members(SubjectKind)
_ACCOUNT_TYPES: Final = members(AccountType)
_ASSET_QUALITIES: Final = members(AssetQuality) | {0}
_ROLES: Final = members(ObligorRole)
_COLLECTION_STAGES: Final = members(CollectionStage) | {0}
_ANNOTATION_TYPES: Final = members(AnnotationType)
_SPECIAL_TRANSACTION_TYPES: Final = members(SpecialTransactionType)
_ORGANISATION_ONLY: Final = frozenset(int(account_type) for account_type in ORGANISATION_ONLY_ACCOUNT_TYPES)
_PERSON: Final = int(SubjectKind.PERSON)
_BORROWER: Final = int(ObligorRole.BORROWER)
_STATUSES: Final = {int(account_type): frozenset(codes) for account_type, codes in ACCOUNT_STATUSES.items()}
_SETTLED: Final = {int(account_type): codes for account_type, codes in SETTLED_STATUSES.items()}


def check_account(account: Account, now: datetime, field: str, found: list[Violation]) -> MonthColumns | None:
    """Appends what is wrong with an account; stops soon after MAX_VIOLATIONS_PER_REPORT. Returns its months as they were read, if
    they were."""
    now_seconds = seconds_of(now)
    as_of = check_instant(account.HasField("as_of"), account.as_of, now_seconds, f"{field}.as_of", found)
    horizon = horizon_at(now_seconds if as_of is None else min(as_of, now_seconds))
    _check_codes(account, field, found)
    _check_amounts(account, field, found)
    opened = check_day(account.opened_date, horizon, f"{field}.opened_date", found)
    if account.closed_date:
        _check_closed(account, opened, horizon, field, found)
    months = check_months(account, opened, horizon, field, found) if account.months else None
    if account.HasField("running_overdue"):
        _check_running_overdue(account, opened, horizon, f"{field}.running_overdue", found)
    if account.special_transactions:
        _check_special_transactions(account, horizon, f"{field}.special_transactions", found)
    if account.related_obligors:
        _check_related_obligors(account, f"{field}.related_obligors", found)
    if account.annotations:
        _check_annotations(account, f"{field}.annotations", found)
    return months


def _check_codes(account: Account, field: str, found: list[Violation]) -> None:
    account_type = account.account_type
    subject_kind = account.subject_kind
    if subject_kind not in _SUBJECT_KINDS:
        found.append(code_violation(f"{field}.subject_kind", subject_kind))
    if account_type not in _ACCOUNT_TYPES:
        found.append(code_violation(f"{field}.account_type", account_type))
    else:
        if account_type in _ORGANISATION_ONLY and subject_kind == _PERSON:
            description = "is a type that only organisations have; check it against subject_kind"
            found.append(Violation(f"{field}.account_type", "FIELDS_INCONSISTENT", description))
        if account.status not in _STATUSES[account_type]:
            found.append(_status_violation(f"{field}.status", account_type, account.status))
    if account.asset_quality not in _ASSET_QUALITIES:
        found.append(code_violation(f"{field}.asset_quality", account.asset_quality))
    if account.role not in _ROLES:
        found.append(code_violation(f"{field}.role", account.role))


def _status_violation(field: str, account_type: int, status: int) -> Violation:
    allowed = ", ".join(str(code) for code in ACCOUNT_STATUSES[AccountType(account_type)])
    type_name = AccountType(account_type).name
    if status == 0:
        return Violation(field, "FIELD_REQUIRED", f"is missing; an account of type {type_name} has one of {allowed}")
    description = f"an account of type {type_name} cannot have status {status}; it has one of {allowed}"
    return Violation(field, "FIELDS_INCONSISTENT", description)


def _check_amounts(account: Account, field: str, found: list[Violation]) -> None:
    currency = account.currency
    if not is_currency(currency):
        found.append(_currency_violation(f"{field}.currency", currency))
    # An absent amount reads as 0, which is in range.
    if not 0 <= account.credit_limit <= MAX_AMOUNT:
        check_amount(account.credit_limit, f"{field}.credit_limit", found)
    if not 0 <= account.balance <= MAX_AMOUNT:
        check_amount(account.balance, f"{field}.balance", found)
    if account.HasField("liability_amount"):
        check_amount(account.liability_amount, f"{field}.liability_amount", found)
        if account.role == _BORROWER:
            description = "is for other roles than borrower, who answers for the whole; leave it out or correct the role"
            found.append(Violation(f"{field}.liability_amount", "FIELDS_INCONSISTENT", description))


def _currency_violation(field: str, currency: str) -> Violation:
    if not currency:
        return Violation(field, "FIELD_REQUIRED", "is missing; give the ISO 4217 code of the amounts, such as CNY")
    if len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper():
        description = "is not in ISO 4217 as a currency with a minor unit; give a code that is, such as CNY"
        return Violation(field, "CODE_UNKNOWN", description)
    return Violation(field, "FIELD_MALFORMED", "must be three upper-case letters, an ISO 4217 code such as CNY")


def _check_closed(account: Account, opened: int, horizon: Horizon, field: str, found: list[Violation]) -> None:
    closed = check_day(account.closed_date, horizon, f"{field}.closed_date", found)
    if closed and closed < opened:
        description = "lies before opened_date; correct one of the two, or give 0 while the account is open"
        found.append(Violation(f"{field}.closed_date", "FIELDS_INCONSISTENT", description))


def _check_running_overdue(account: Account, opened: int, horizon: Horizon, field: str, found: list[Violation]) -> None:
    overdue = account.running_overdue
    if account.status in _SETTLED.get(account.account_type, ()):
        description = "cannot run on an account whose status says that nothing is owed any more; correct one of the two"
        found.append(Violation(field, "FIELDS_INCONSISTENT", description))
    since = check_day(overdue.since_date, horizon, f"{field}.since_date", found)
    days = overdue.days_past_due
    if not days:
        description = "must be 1 or more; leave the whole running_overdue out when nothing is overdue"
        found.append(Violation(f"{field}.days_past_due", "FIELD_OUT_OF_RANGE", description))
    elif days > MAX_DAYS_PAST_DUE:
        found.append(days_violation(f"{field}.days_past_due", (1, MAX_DAYS_PAST_DUE), days))
    elif since and days > horizon.ordinal - since + 1:
        # Fewer days are possible: an older instalment was paid while a younger one had become overdue. The day more is
        # for institutions that count the first day as one.
        description = "is more than the days from since_date to as_of; correct one of the three"
        found.append(Violation(f"{field}.days_past_due", "FIELDS_INCONSISTENT", description))
    # A collection account opens when the debt is taken over, which was overdue before.
    if 0 < since < opened and account.account_type != int(AccountType.C1):
        description = "lies before opened_date; correct one of the two"
        found.append(Violation(f"{field}.since_date", "FIELDS_INCONSISTENT", description))
    check_amount(overdue.amount, f"{field}.amount", found)
    if overdue.collection_stage not in _COLLECTION_STAGES:
        found.append(code_violation(f"{field}.collection_stage", overdue.collection_stage))


def _too_many(field: str, count: int, limit: int) -> Violation:
    return Violation(field, "FIELD_OUT_OF_RANGE", f"has {count} items; give {limit} at the most")


def _check_special_transactions(account: Account, horizon: Horizon, field: str, found: list[Violation]) -> None:
    transactions = account.special_transactions
    if len(transactions) > MAX_SPECIAL_TRANSACTIONS:
        found.append(_too_many(field, len(transactions), MAX_SPECIAL_TRANSACTIONS))
        return
    for index, transaction in enumerate(transactions):
        _check_special_transaction(transaction, horizon, f"{field}[{index}]", found)
        if len(found) >= MAX_VIOLATIONS_PER_REPORT:
            return


def _check_special_transaction(transaction: SpecialTransaction, horizon: Horizon, field: str, found: list[Violation]) -> None:
    if transaction.type not in _SPECIAL_TRANSACTION_TYPES:
        found.append(code_violation(f"{field}.type", transaction.type))
    check_day(transaction.date, horizon, f"{field}.date", found)
    check_amount(transaction.amount, f"{field}.amount", found)
    if abs(transaction.months_changed) > MAX_MONTHS_CHANGED:
        description = f"must lie between -{MAX_MONTHS_CHANGED} and {MAX_MONTHS_CHANGED}"
        found.append(Violation(f"{field}.months_changed", "FIELD_OUT_OF_RANGE", description))


def _check_related_obligors(account: Account, field: str, found: list[Violation]) -> None:
    obligors = account.related_obligors
    if len(obligors) > MAX_RELATED_OBLIGORS:
        found.append(_too_many(field, len(obligors), MAX_RELATED_OBLIGORS))
        return
    for index, obligor in enumerate(obligors):
        _check_related_obligor(obligor, account.role, f"{field}[{index}]", found)
        if len(found) >= MAX_VIOLATIONS_PER_REPORT:
            return


def _check_related_obligor(obligor: RelatedObligor, subject_role: int, field: str, found: list[Violation]) -> None:
    if obligor.role not in _ROLES:
        found.append(code_violation(f"{field}.role", obligor.role))
    elif obligor.role == _BORROWER and subject_role == _BORROWER:
        description = "is borrower, as the subject's own role is; another borrower is a co-borrower"
        found.append(Violation(f"{field}.role", "FIELDS_INCONSISTENT", description))
    if obligor.kind not in _SUBJECT_KINDS:
        found.append(code_violation(f"{field}.kind", obligor.kind))
    check_amount(obligor.liability_amount, f"{field}.liability_amount", found)


def _check_annotations(account: Account, field: str, found: list[Violation]) -> None:
    annotations = account.annotations
    if len(annotations) > MAX_ANNOTATIONS:
        found.append(_too_many(field, len(annotations), MAX_ANNOTATIONS))
        return
    seen = set()
    for index, annotation in enumerate(annotations):
        if annotation not in _ANNOTATION_TYPES:
            found.append(code_violation(f"{field}[{index}]", annotation))
        elif annotation in seen:
            found.append(Violation(f"{field}[{index}]", "FIELDS_INCONSISTENT", "is in the list twice; give it once"))
        seen.add(annotation)

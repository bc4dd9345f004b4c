"""Validation of what members send: pure, bounded, and in terms of the field that is wrong."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from tallystick.contract.violations import Violation
from tallystick.credit.account_rules import check_account
from tallystick.credit.codes import PURPOSES_WITHOUT_CREDIT
from tallystick.credit.enums import Purpose, Section, WithdrawalReason
from tallystick.credit.field_rules import (
    MAX_VIOLATIONS_PER_REPORT,
    check_instant,
    check_length,
    code_violation,
    members,
    seconds_of,
)
from tallystick.credit.month_columns import MonthColumns
from tallystick.credit.notices import check_notice_date
from tallystick.crypto import ElementError, check_element
from tallystick.v1.account_pb2 import Account, AccountReference
from tallystick.v1.inquiry_service_pb2 import Inquiry
from tallystick.v1.reporting_service_pb2 import AccountReport, WithdrawAccountRequest
from tallystick.v1.subject_pb2 import SubjectToken

__all__ = [
    "MAX_VIOLATIONS_PER_REPORT",
    "CheckedReport",
    "check_reference",
    "check_report",
    "check_subject",
    "section_violations",
    "stated_violations",
    "validate_account",
    "validate_inquiry",
    "validate_report",
    "validate_subject",
    "validate_withdrawal",
]

ELEMENT_LENGTH: Final = 32
EPOCH_ID_LENGTH: Final = 20
SECRET_ID_LENGTH: Final = 8
DIGEST_LENGTH: Final = 32

_PURPOSES: Final = members(Purpose)
_SECTIONS: Final = members(Section)
_WITHDRAWAL_REASONS: Final = members(WithdrawalReason)
_CONSENT_REFERENCE: Final = re.compile(r"[\x21-\x7e]{1,64}")


def validate_report(
    report: AccountReport, now: datetime, field: str = "report", *, epoch_id: bytes | None = None
) -> list[Violation]:
    """What is wrong with one report: its token, its account reference, its account; empty if it can be taken.

    `now` carries a time zone. With `epoch_id`, a token of another key epoch is a violation TOKEN_EPOCH_MISMATCH.
    """
    return check_report(report, now, field, epoch_id=epoch_id).violations


class CheckedReport(NamedTuple):
    """What was found of one report."""

    violations: list[Violation]
    """What is wrong with it; empty if it can be taken."""
    months: MonthColumns | None
    """The months of its account, for who merges it; None where there are none, or something is wrong."""


def check_report(report: AccountReport, now: datetime, field: str, *, epoch_id: bytes | None = None) -> CheckedReport:
    """As validate_report."""
    found: list[Violation] = []
    months = None
    check_subject(report.HasField("subject"), report.subject, f"{field}.subject", epoch_id, found)
    check_reference(report.account_reference, f"{field}.account_reference", found)
    if report.HasField("account"):
        months = check_account(report.account, now, f"{field}.account", found)
        check_notice_date(report, f"{field}.", found)
    else:
        found.append(Violation(f"{field}.account", "FIELD_REQUIRED", "is missing; give the account's state"))
    return CheckedReport(found[:MAX_VIOLATIONS_PER_REPORT], None if found else months)


def validate_account(account: Account, now: datetime, field: str = "account") -> list[Violation]:
    """What is wrong with one account state; empty if it can be taken. `now` carries a time zone."""
    found: list[Violation] = []
    check_account(account, now, field, found)
    return found[:MAX_VIOLATIONS_PER_REPORT]


def validate_inquiry(inquiry: Inquiry, field: str = "inquiry", *, epoch_id: bytes | None = None) -> list[Violation]:
    """What is wrong with one inquiry: its token, its purpose, its consent. `epoch_id` as in validate_report."""
    found: list[Violation] = []
    check_subject(inquiry.HasField("subject"), inquiry.subject, f"{field}.subject", epoch_id, found)
    found += stated_violations(inquiry.purpose, inquiry.consent_reference, f"{field}.")
    return found + section_violations(inquiry.purpose, inquiry.sections, f"{field}.")


def stated_violations(purpose: int, consent_reference: str, prefix: str = "") -> list[Violation]:
    """What is wrong with what an inquiry states: its purpose, and its reference to the subject's consent."""
    found: list[Violation] = []
    if purpose not in _PURPOSES:
        found.append(code_violation(f"{prefix}purpose", purpose))
    if not _CONSENT_REFERENCE.fullmatch(consent_reference):
        found.append(_consent_violation(f"{prefix}consent_reference", consent_reference))
    return found


def section_violations(purpose: int, sections: Sequence[int], prefix: str = "") -> list[Violation]:
    """What is wrong with the sections that an inquiry asks for."""
    field = f"{prefix}sections"
    if any(each not in _SECTIONS for each in sections):
        return [Violation(field, "CODE_UNKNOWN", "holds a code that is not on the list, or the one for unspecified")]
    if len(set(sections)) != len(sections):
        return [Violation(field, "FIELDS_INCONSISTENT", "holds a section twice; give each once")]
    if Section.RATING in sections and purpose in PURPOSES_WITHOUT_CREDIT:
        return [Violation(field, "FIELDS_INCONSISTENT", "this purpose decides of no credit: ask without the rating")]
    return []


def validate_withdrawal(request: WithdrawAccountRequest, now: datetime, *, epoch_id: bytes | None = None) -> list[Violation]:
    """What is wrong with a withdrawal, but for its request_id, which is checked where all requests' are."""
    found: list[Violation] = []
    check_subject(request.HasField("subject"), request.subject, "subject", epoch_id, found)
    check_reference(request.account_reference, "account_reference", found)
    check_instant(request.HasField("as_of"), request.as_of, seconds_of(now), "as_of", found)
    if request.reason not in _WITHDRAWAL_REASONS:
        found.append(code_violation("reason", request.reason))
    return found


def validate_subject(subject: SubjectToken, field: str = "subject", *, epoch_id: bytes | None = None) -> list[Violation]:
    """What is wrong with a token: its lengths, and whether it is in the group. `epoch_id` as in validate_report."""
    found: list[Violation] = []
    check_subject(True, subject, field, epoch_id, found)
    return found


def check_subject(given: bool, subject: SubjectToken, field: str, epoch_id: bytes | None, found: list[Violation]) -> None:
    """A token that must be there. `epoch_id` as in validate_report."""
    if not given:
        found.append(Violation(field, "FIELD_REQUIRED", "is missing; give the subject's token"))
        return
    right_length = check_length(subject.epoch_id, EPOCH_ID_LENGTH, "the id of the token's key epoch", f"{field}.epoch_id", found)
    if right_length and epoch_id is not None and subject.epoch_id != epoch_id:
        description = "is of another key epoch than the one in force; have the token made again"
        found.append(Violation(f"{field}.epoch_id", "TOKEN_EPOCH_MISMATCH", description))
    if check_length(subject.element, ELEMENT_LENGTH, "the token's element", f"{field}.element", found):
        try:
            check_element(subject.element)
        except ElementError:
            description = "is no canonical element of ristretto255 other than the identity; have the token made again"
            found.append(Violation(f"{field}.element", "ELEMENT_INVALID", description))


def check_reference(reference: AccountReference, field: str, found: list[Violation]) -> None:
    """A reference to an account of the sender's own."""
    # An absent reference reads as an empty one: both parts are then missing, which is what its sender needs to hear.
    check_length(reference.secret_id, SECRET_ID_LENGTH, "the id of the account secret", f"{field}.secret_id", found)
    check_length(reference.digest, DIGEST_LENGTH, "the account number's digest", f"{field}.digest", found)


def _consent_violation(field: str, consent_reference: str) -> Violation:
    if not consent_reference:
        description = "is missing; give your reference to the subject's written consent"
        return Violation(field, "FIELD_REQUIRED", description)
    return Violation(field, "FIELD_MALFORMED", "must be 1 to 64 printable ASCII characters without spaces")

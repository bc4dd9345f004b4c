"""Valid messages of the trade, for tests to change one thing at a time."""

import datetime as dt

import pytest

from tallystick.crypto import blind
from tallystick.v1 import codes_pb2
from tallystick.v1.account_pb2 import Account, AccountMonth, AccountReference
from tallystick.v1.inquiry_service_pb2 import Inquiry
from tallystick.v1.reporting_service_pb2 import (
    WITHDRAWAL_REASON_REPORTED_IN_ERROR,
    AccountReport,
    WithdrawAccountRequest,
)
from tallystick.v1.subject_pb2 import SUBJECT_KIND_ORGANISATION, SUBJECT_KIND_PERSON, SubjectToken

OVERDUE_1 = codes_pb2.DISPOSITION_OVERDUE_1
OVERDUE_2 = codes_pb2.DISPOSITION_OVERDUE_2
AGREED = codes_pb2.DISPOSITION_PAID_AS_AGREED

NOW = dt.datetime(2025, 9, 20, 12, tzinfo=dt.UTC)
AS_OF = int(dt.datetime(2025, 9, 19, 23, 0, tzinfo=dt.UTC).timestamp())
EPOCH_ID = b"\0\0\0\1" + b"e" * 16
ELEMENT = blind(b"somebody").element


@pytest.fixture
def now() -> dt.datetime:
    """The instant at which reports are judged."""
    return NOW


@pytest.fixture
def epoch_id() -> bytes:
    """The key epoch of the valid messages' tokens."""
    return EPOCH_ID


@pytest.fixture
def account() -> Account:
    """A valid credit card, overdue now."""
    message = Account(
        account_type=codes_pb2.ACCOUNT_TYPE_R2,
        status=1,
        asset_quality=codes_pb2.ASSET_QUALITY_NORMAL,
        currency="CNY",
        credit_limit=5_000_000,
        balance=1_234_500,
        opened_date=20200115,
        subject_kind=SUBJECT_KIND_PERSON,
        role=codes_pb2.OBLIGOR_ROLE_BORROWER,
        annotations=[codes_pb2.ANNOTATION_TYPE_SUBJECT_STATEMENT],
    )
    message.as_of.seconds = AS_OF
    message.months.extend(
        [
            AccountMonth(month=20250901, disposition=OVERDUE_2, days_past_due=45, overdue_amount=20_000, billed_amount=-5),
            AccountMonth(month=20250801, disposition=OVERDUE_1, days_past_due=14, overdue_amount=10_000, paid_amount=10),
            AccountMonth(month=20250701, disposition=AGREED, days_past_due=0, overdue_amount=0),
        ]
    )
    message.running_overdue.since_date = 20250805
    message.running_overdue.days_past_due = 45
    message.running_overdue.amount = 20_000
    message.running_overdue.collection_stage = codes_pb2.COLLECTION_STAGE_REMINDER
    message.special_transactions.add(type=codes_pb2.SPECIAL_TRANSACTION_TYPE_EXTENSION, date=20250110, amount=100, months_changed=3)
    message.related_obligors.add(role=codes_pb2.OBLIGOR_ROLE_GUARANTOR, kind=SUBJECT_KIND_ORGANISATION, liability_amount=100)
    return message


@pytest.fixture
def subject() -> SubjectToken:
    """A token that is an element of the group."""
    return SubjectToken(element=ELEMENT, epoch_id=EPOCH_ID)


@pytest.fixture
def report(account: Account, subject: SubjectToken) -> AccountReport:
    """A valid report."""
    reference = AccountReference(secret_id=b"s" * 8, digest=b"d" * 32)
    return AccountReport(subject=subject, account_reference=reference, account=account)


@pytest.fixture
def inquiry(subject: SubjectToken) -> Inquiry:
    """A valid inquiry."""
    return Inquiry(subject=subject, purpose=codes_pb2.PURPOSE_LOAN_APPROVAL, consent_reference="C-2025/000123")


@pytest.fixture
def withdrawal(subject: SubjectToken) -> WithdrawAccountRequest:
    """A valid withdrawal."""
    reference = AccountReference(secret_id=b"s" * 8, digest=b"d" * 32)
    message = WithdrawAccountRequest(subject=subject, account_reference=reference, reason=WITHDRAWAL_REASON_REPORTED_IN_ERROR)
    message.as_of.seconds = AS_OF
    return message

"""Requests: their messages, and their signatures, made before the clock starts."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from tallystick.client import Profile
from tallystick.client.profile.profile import Endpoint
from tallystick.crypto import oprf, sign_request
from tallystick.v1 import account_pb2, codes_pb2, inquiry_service_pb2, reporting_service_pb2, subject_pb2
from tallystick.v1 import subject_token_service_pb2 as token_pb2

QUERY = "/tallystick.v1.InquiryService/QueryCreditHistory"
BATCH_QUERY = "/tallystick.v1.InquiryService/BatchQueryCreditHistories"
REPORT = "/tallystick.v1.ReportingService/SubmitReports"
EVALUATE = "/tallystick.v1.SubjectTokenService/EvaluateTokens"
TIMEOUT = 60.0

Signed = tuple[bytes, Sequence[tuple[str, str]]]


def sign(profile: Profile, endpoint: Endpoint, path: str, messages: Sequence[bytes]) -> list[Signed]:
    """Each message with its signature headers, good for a minute from now."""
    created = int(time.time())
    key, audience = profile.signer.key, endpoint.counterpart.origin
    return [
        (message, sign_request(key, path=path, message=message, audience=audience, created=created).metadata)
        for message in messages
    ]


def random_tokens(count: int) -> list[bytes]:
    """Group elements such as tokens are: the exchange cannot tell them from any others."""
    return [oprf.blind(secrets.token_bytes(16)).element for _ in range(count)]


def query(element: bytes, epoch_id: bytes, *, consent: str = "benchmark-consent") -> bytes:
    """A query of one subject; without a consent the exchange refuses it."""
    return inquiry_service_pb2.QueryCreditHistoryRequest(
        request_id=secrets.token_bytes(16), inquiry=_inquiry(element, epoch_id, consent)
    ).SerializeToString()


def batch_query(elements: Sequence[bytes], epoch_id: bytes) -> bytes:
    """A query of many subjects."""
    return inquiry_service_pb2.BatchQueryCreditHistoriesRequest(
        request_id=secrets.token_bytes(16), inquiries=[_inquiry(element, epoch_id) for element in elements]
    ).SerializeToString()


def _inquiry(element: bytes, epoch_id: bytes, consent: str = "benchmark-consent") -> inquiry_service_pb2.Inquiry:
    return inquiry_service_pb2.Inquiry(
        subject=subject_pb2.SubjectToken(element=element, epoch_id=epoch_id),
        purpose=codes_pb2.PURPOSE_LOAN_APPROVAL,
        consent_reference=consent,
    )


def plain_query(element: bytes) -> bytes:
    """The same query as the peer takes it."""
    return json.dumps(
        {"member": "bank-a", "subject": element.hex(), "purpose": 2, "consent_reference": "benchmark-consent"}
    ).encode()


def report(accounts: Sequence[tuple[bytes, int]], epoch_id: bytes, months: int) -> bytes:
    """A batch of account states; each is the number-th account of a subject."""
    return reporting_service_pb2.SubmitReportsRequest(
        request_id=secrets.token_bytes(16),
        reports=[
            reporting_service_pb2.AccountReport(
                subject=subject_pb2.SubjectToken(element=element, epoch_id=epoch_id),
                account_reference=account_pb2.AccountReference(secret_id=b"bench-id", digest=element[:31] + bytes([number])),
                account=account(months),
            )
            for element, number in accounts
        ],
    ).SerializeToString()


def evaluation(elements: Sequence[bytes], epoch_id: bytes) -> bytes:
    """A batch of blinded elements to evaluate."""
    return token_pb2.EvaluateTokensRequest(
        request_id=secrets.token_bytes(16), epoch_id=epoch_id, blinded_elements=elements
    ).SerializeToString()


def account(months: int) -> account_pb2.Account:
    """A credit card, paid as agreed for so many months up to the last one."""
    built = account_pb2.Account(
        account_type=codes_pb2.ACCOUNT_TYPE_R2,
        status=1,
        currency="CNY",
        balance=123_400,
        credit_limit=2_000_000,
        opened_date=20150105,
        subject_kind=subject_pb2.SUBJECT_KIND_PERSON,
        role=codes_pb2.OBLIGOR_ROLE_BORROWER,
        months=[
            account_pb2.AccountMonth(
                month=month, disposition=codes_pb2.DISPOSITION_PAID_AS_AGREED, billed_amount=100_000, paid_amount=100_000
            )
            for month in month_numbers(months)
        ],
    )
    built.as_of.seconds = int(time.time()) - 1
    return built


def month_numbers(count: int) -> list[int]:
    """The last `count` months before this one as first-of-month dates of eight digits, newest first."""
    today = datetime.now(UTC)
    newest = today.year * 12 + today.month - 2
    return [(newest - back) // 12 * 10_000 + ((newest - back) % 12 + 1) * 100 + 1 for back in range(count)]

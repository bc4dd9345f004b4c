"""Requests as a member would make them, to be spoilt one field at a time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tallystick.crypto import Identity, blind, evaluate, normalise, resident_id_check_digit, unblind
from tallystick.server.installation.key_folder import TokenPrivateKey
from tallystick.v1 import (
    account_pb2,
    codes_pb2,
    inquiry_service_pb2,
    monitoring_service_pb2,
    rating_service_pb2,
    reporting_service_pb2,
    servicing_service_pb2,
    subject_pb2,
)

QUERY = "InquiryService/QueryCreditHistory"
BATCH_QUERY = "InquiryService/BatchQueryCreditHistories"
SUBMIT = "ReportingService/SubmitReports"
WITHDRAW = "ReportingService/WithdrawAccount"
LIST_SUBMISSIONS = "ReportingService/ListSubmissions"
GET_SUBMISSION = "ReportingService/GetSubmission"
RECORD_EVENTS = "ServicingService/RecordServicingEvents"
LIST_EVENTS = "ServicingService/ListServicingEvents"
EVALUATE = "SubjectTokenService/EvaluateTokens"
LIST_ENTRIES = "AuditService/ListAuditEntries"
GET_ENTRY = "AuditService/GetAuditEntry"
EXPORT = "AuditService/ExportAuditEntries"
ERASE = "AuditService/EraseSubject"
CREATE_MEMBER = "MembershipService/CreateMember"
UPDATE_MEMBER = "MembershipService/UpdateMember"
LIST_MEMBERS = "MembershipService/ListMembers"
PUT_WATCHES = "MonitoringService/PutWatches"
END_WATCHES = "MonitoringService/EndWatches"
LIST_WATCHES = "MonitoringService/ListWatches"
PULL = "MonitoringService/PullMessages"
ACKNOWLEDGE = "MonitoringService/AcknowledgeMessages"
DIGEST = "MonitoringService/GetPortfolioDigest"
SWEEP = "MonitoringService/SweepWatches"
LIST_SCORECARDS = "RatingService/ListScorecards"
INSTALL = "RatingService/InstallScorecard"
STANDING = "MembershipService/GetStanding"
ADD_KEY = "MembershipService/AddMemberKey"
REVOKE_KEY = "MembershipService/RevokeMemberKey"

LOAN_APPROVAL = codes_pb2.PURPOSE_LOAN_APPROVAL
_serial = iter(range(10**9))


def resident_number(serial: int) -> str:
    """A valid and artificial resident ID; a million different ones."""
    first17 = f"110101{1950 + serial // 12_000 % 60}{serial // 1000 % 12 + 1:02d}01{serial % 1000:03d}"
    return first17 + resident_id_check_digit(first17)


def resident(serial: int) -> Identity:
    """Its identity, normalised."""
    return normalise("person", "10", "CN", resident_number(serial))


class TokenMint:
    """Makes tokens as the authority would, without asking it: quick, and nothing of it is in a log."""

    def __init__(self, key: TokenPrivateKey) -> None:
        self._key = key

    @property
    def epoch_id(self) -> bytes:
        """The epoch of its tokens."""
        return self._key.epoch_id

    def token(self, identity: Identity) -> subject_pb2.SubjectToken:
        """An identity's token."""
        blinded = blind(identity.canonical_bytes())
        (evaluated,), _ = evaluate(self._key.private_key, self._key.public_key, [blinded.element])
        return subject_pb2.SubjectToken(element=unblind(blinded.blind, evaluated), epoch_id=self._key.epoch_id)

    def stranger(self) -> subject_pb2.SubjectToken:
        """The token of somebody whom no other test knows."""
        return self.token(normalise("person", "X", "CN", f"STRANGER{next(_serial)}"))


def now() -> datetime:
    """This second."""
    return datetime.now(UTC).replace(microsecond=0)


def request_id() -> bytes:
    """A fresh one."""
    return secrets.token_bytes(16)


def inquiry(subject: subject_pb2.SubjectToken, purpose: int = LOAN_APPROVAL, consent: str = "consent-1") -> Any:
    """One inquiry. `purpose` may be any number."""
    message: Any = inquiry_service_pb2.Inquiry(subject=subject, consent_reference=consent)
    message.purpose = purpose
    return message


def query(subject: subject_pb2.SubjectToken, purpose: int = LOAN_APPROVAL, consent: str = "consent-1") -> Any:
    """A request to query one subject."""
    return inquiry_service_pb2.QueryCreditHistoryRequest(request_id=request_id(), inquiry=inquiry(subject, purpose, consent))


def batch_query(inquiries: Iterable[Any]) -> Any:
    """A request to query several."""
    return inquiry_service_pb2.BatchQueryCreditHistoriesRequest(request_id=request_id(), inquiries=inquiries)


def account(*, as_of: datetime | None = None, months: Sequence[Any] = (), **changes: Any) -> Any:
    """A good account; `changes` are fields that are set to something else."""
    message: Any = account_pb2.Account(
        account_type=codes_pb2.ACCOUNT_TYPE_R2,
        status=1,
        currency="CNY",
        balance=120_000,
        opened_date=20200101,
        subject_kind=subject_pb2.SUBJECT_KIND_PERSON,
        role=codes_pb2.OBLIGOR_ROLE_BORROWER,
        months=months,
    )
    message.as_of.FromDatetime((as_of or now()).replace(microsecond=0))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def month(number: int, disposition: int = codes_pb2.DISPOSITION_PAID_AS_AGREED, **fields: int) -> Any:
    """One month of an account."""
    message: Any = account_pb2.AccountMonth(month=number)
    for name, value in {"disposition": disposition, **fields}.items():
        setattr(message, name, value)
    return message


def months_back(count: int) -> list[int]:
    """The last `count` months, this one included, newest first."""
    today = now().date()
    numbers = [today.year * 12 + today.month - 1 - back for back in range(count)]
    return [number // 12 * 10_000 + (number % 12 + 1) * 100 + 1 for number in numbers]


def next_month() -> int:
    """The month after this one."""
    today = now().date()
    following = date(today.year + today.month // 12, today.month % 12 + 1, 1)
    return int(f"{following:%Y%m%d}")


def reference(number: int | None = None) -> account_pb2.AccountReference:
    """An account reference: the same for the same number, a new one without."""
    digest = secrets.token_bytes(32) if number is None else number.to_bytes(32, "big")
    return account_pb2.AccountReference(secret_id=b"secretid", digest=digest)


def report(
    subject: subject_pb2.SubjectToken, state: Any | None = None, of: account_pb2.AccountReference | None = None
) -> reporting_service_pb2.AccountReport:
    """One report."""
    return reporting_service_pb2.AccountReport(
        subject=subject, account_reference=of or reference(), account=account() if state is None else state
    )


def submission(reports: Iterable[reporting_service_pb2.AccountReport]) -> Any:
    """A request to take reports."""
    return reporting_service_pb2.SubmitReportsRequest(request_id=request_id(), reports=reports)


def withdrawal(subject: subject_pb2.SubjectToken, of: account_pb2.AccountReference, as_of: datetime) -> Any:
    """A request to withdraw an account."""
    message = reporting_service_pb2.WithdrawAccountRequest(
        request_id=request_id(),
        subject=subject,
        account_reference=of,
        reason=reporting_service_pb2.WITHDRAWAL_REASON_REPORTED_IN_ERROR,
    )
    message.as_of.FromDatetime(as_of.replace(microsecond=0))
    return message


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for something that another process is about to do."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def event(of: Any, **changes: Any) -> Any:
    """A good servicing event of the account of a report; `changes` are fields that are set to something else."""
    message: Any = servicing_service_pb2.ServicingEvent(
        event_id=secrets.token_bytes(16),
        subject=of.subject,
        account_reference=of.account_reference,
        type=codes_pb2.SERVICING_EVENT_TYPE_RETURN_VISIT,
        date=20251103,
        channel=codes_pb2.CHANNEL_IN_PERSON,
        outcome=codes_pb2.EVENT_OUTCOME_REACHED,
        next_date=20260203,
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def plan(**changes: Any) -> Any:
    """A good repayment plan."""
    message: Any = servicing_service_pb2.RepaymentPlan(
        kind=codes_pb2.PLAN_KIND_INSTALMENTS, first_due_date=20251201, instalments=12, instalment_amount=50_000
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def plan_event(of: Any, **changes: Any) -> Any:
    """A good event that a plan was agreed; `changes` are of the plan."""
    message = event(of, type=codes_pb2.SERVICING_EVENT_TYPE_PLAN_AGREED)
    message.plan.CopyFrom(plan(**changes))
    return message


def recording(events: Iterable[Any]) -> Any:
    """A request to record events."""
    return servicing_service_pb2.RecordServicingEventsRequest(request_id=request_id(), events=events)


def events_of(of: Any, **page: Any) -> Any:
    """A request to list the events of the account of a report."""
    return servicing_service_pb2.ListServicingEventsRequest(subject=of.subject, account_reference=of.account_reference, **page)


def watch(of: Any, triggers: Sequence[tuple[int, int]] = (), **changes: Any) -> Any:
    """A good watch on the ground of the account of a report; `triggers` are types with thresholds."""
    message: Any = monitoring_service_pb2.Watch(
        subject=of.subject,
        account_reference=of.account_reference,
        purpose=codes_pb2.PURPOSE_POST_LOAN_MANAGEMENT,
        consent_reference="contract-1",
    )
    for type_, threshold in triggers:
        message.triggers.add(type=codes_pb2.TriggerType.ValueType(type_), threshold=threshold)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def put(watches: Iterable[Any]) -> Any:
    """A request to put watches."""
    return monitoring_service_pb2.PutWatchesRequest(request_id=request_id(), watches=watches)


def ending(watch_ids: Iterable[bytes]) -> Any:
    """A request to end watches."""
    return monitoring_service_pb2.EndWatchesRequest(request_id=request_id(), watch_ids=watch_ids)


def pull(cursor: str = "", **fields: int) -> Any:
    """A request for messages."""
    return monitoring_service_pb2.PullMessagesRequest(cursor=cursor, **fields)


def acknowledgement(cursor: str) -> Any:
    """A request to acknowledge messages."""
    return monitoring_service_pb2.AcknowledgeMessagesRequest(cursor=cursor)


def sweeping(max_watches: int = 0) -> Any:
    """A request for a step of the sweep."""
    return monitoring_service_pb2.SweepWatchesRequest(request_id=request_id(), max_watches=max_watches)


def scorecard(*, days: int = 3, **changes: str) -> bytes:
    """A scorecard of a new name, in force in so many days."""
    values = {"name": f"house-{request_id().hex()[:8]}", "subject_kind": "person"} | changes
    return f"""\
name = "{values["name"]}"
subject_kind = "{values["subject_kind"]}"
start_date = {(datetime.now(UTC) + timedelta(days=days)).date()}
validated = false
base_points = 400
[[characteristics]]
characteristic = "worst_status"
window = 13
reason = "R01"
bins = [{{ up_to = 0, points = 100 }}, {{ points = 0 }}]
[[grades]]
grade = 1
from_score = 450
[[grades]]
grade = 2
from_score = 300
""".encode()


def installing(toml: bytes) -> Any:
    """A request that installs a scorecard."""
    return rating_service_pb2.InstallScorecardRequest(request_id=request_id(), toml=toml)


def rated_query(subject: subject_pb2.SubjectToken, purpose: int = LOAN_APPROVAL) -> Any:
    """A query that asks for the rating."""
    asked = query(subject, purpose)
    asked.inquiry.sections.append(inquiry_service_pb2.SECTION_RATING)
    return asked

"""Reporting: sending account states, taking them back, and looking at what became of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.client.exceptions import AnswerMalformed, IdentityInvalid, InputInvalid, LimitExceeded, ProfileError
from tallystick.client.flows.inquiries import new_or_own, receipt_of
from tallystick.client.flows.tokens import Tokeniser
from tallystick.client.identities import AnyIdentity, Identity, canonical, input_invalid
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.contract.violations import Violation
from tallystick.credit.account_rules import check_account
from tallystick.credit.dates import number_of_day
from tallystick.credit.enums import ReportOutcome, WithdrawalReason
from tallystick.credit.history import Account
from tallystick.credit.notices import check_notice_date
from tallystick.crypto import Identity as CanonicalIdentity
from tallystick.crypto import IdentityError, account_reference, identity_faults, normalise_account_number, subject_leaf
from tallystick.v1 import account_pb2, errors_pb2, reporting_service_pb2

GET_SUBMISSION = Method.of(methods.GET_SUBMISSION)
LIST_SUBMISSIONS = Method.of(methods.LIST_SUBMISSIONS)
SUBMIT_REPORTS = Method.of(methods.SUBMIT_REPORTS)
WITHDRAW_ACCOUNT = Method.of(methods.WITHDRAW_ACCOUNT)

MAX_BATCH_BYTES = 3_500_000
"""Serialised reports in one request; the server refuses messages above 4 MiB."""
REPORT_OVERHEAD = 160
"""Bytes of a report beside its account: token, epoch, reference and their tags (133), rounded up."""


@dataclass(frozen=True, slots=True)
class Report:
    """One account as your books showed it."""

    identity: AnyIdentity
    account_number: str
    """Your own number, with or without spaces; only a keyed hash of it is sent."""
    account: Account
    bad_record_notice_date: date | None = None
    """The day (UTC) on which you told the person that the overdue would be reported, 1 to 90 days before `as_of`. The report that
    first makes a person's account bad says it; nobody who queries is told."""

    @property
    def was_referred_to_otherwise(self) -> bool:
        """Whether the number is spelled in a way that was an account of its own before numbers were normalised."""
        return normalise_account_number(self.account_number) != self.account_number


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What became of one report."""

    report: Report
    outcome: ReportOutcome
    violations: tuple[Violation, ...] = ()
    """For a rejected report: what is wrong. Fields are paths in the report, such as "account.months[3].month"."""
    warnings: tuple[Violation, ...] = field(default=(), kw_only=True)
    """For a report that was taken: what it should have said and did not."""
    receipt: KeptReceipt | None = None
    """None for a report that was rejected here and never sent."""
    request_id: uuid.UUID | None = None
    """The submission's; the reports of one batch share it, and its receipt."""

    @property
    def accepted(self) -> bool:
        """Whether the exchange took it, even if everything in it was older than what is known."""
        return self.outcome in (ReportOutcome.ACCEPTED, ReportOutcome.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class ReportedBatch:
    """What became of one batch of a run."""

    number: int
    """Counted from where the run began."""
    results: tuple[ReportResult, ...]
    """In the order of the reports."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal did."""

    withdrawn: bool
    """Whether an account that was visible has gone; False when there was none that was."""
    receipt: KeptReceipt
    request_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Submission:
    """An earlier submission in short."""

    request_id: uuid.UUID
    create_time: datetime
    accepted_count: int
    """Of those that changed what the exchange knows; with the superseded ones where those are not known."""
    rejected_count: int
    entry_index: int
    """Index of its entry in the log."""
    superseded_count: int | None = None
    """How many changed nothing; None for a submission of before the exchange counted them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one report of an earlier submission, in that submission's order."""

    outcome: ReportOutcome
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class SubmissionDetails:
    """An earlier submission with its verdicts."""

    submission: Submission
    verdicts: tuple[Verdict, ...]
    receipt: KeptReceipt


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A report that is fit to be sent, but for its token."""

    place: int
    identity: CanonicalIdentity
    report: reporting_service_pb2.AccountReport
    """But for its subject."""


NumberedReports = tuple[int, list[Report]]
"""A batch of a run, with its number."""


class Reporting:
    """The flows of ReportingService."""

    def __init__(self, tokeniser: Tokeniser, account_secret: bytes | None) -> None:
        self._tokeniser = tokeniser
        self._account_secret = account_secret

    def submit(self, reports: Sequence[Report], request_id: uuid.UUID | None = None) -> Flow[list[ReportResult]]:
        """One batch, within the limits of `cut`; each report is accepted or rejected by itself. A batch that was sent before, under
        the same `request_id`, is answered as it was then."""
        request_id = new_or_own(request_id)
        results: list[ReportResult | None] = [None] * len(reports)
        prepared = []
        for place, report in enumerate(reports):
            require_report(report)
            try:
                prepared.append(self._prepare(place, report))
            except InputInvalid as error:
                results[place] = _rejected_here(report, error)
        if prepared:
            yield from self._send(reports, prepared, results, request_id)
        return [result for result in results if result is not None]

    def submit_numbered(self, run: uuid.UUID) -> Callable[[NumberedReports], Flow[list[ReportedBatch]]]:
        """How a numbered batch of a run is submitted: under a request_id that follows from both."""

        def submit(numbered: NumberedReports) -> Flow[list[ReportedBatch]]:
            number, reports = numbered
            results = yield from self.submit(reports, request_id_of(run, number))
            return [ReportedBatch(number, tuple(results))]

        return submit

    def _send(
        self,
        reports: Sequence[Report],
        prepared: Sequence[_Prepared],
        results: list[ReportResult | None],
        request_id: uuid.UUID,
    ) -> Flow[None]:
        found, shortage = yield from self._tokeniser.tokens_that_fit([each.identity for each in prepared])
        if shortage is not None:
            for each, token in zip(prepared, found, strict=True):
                if token is None:
                    results[each.place] = _rejected_here(reports[each.place], without_token(shortage))
            prepared = [each for each, token in zip(prepared, found, strict=True) if token is not None]
            if not prepared:
                return
            # The same batch may have more tokens another time: it is another request then.
            request_id = uuid.uuid5(request_id, " ".join(str(each.place) for each in prepared))
        elements = [token for token in found if token is not None]
        request = reporting_service_pb2.SubmitReportsRequest(request_id=request_id.bytes)
        for each, element in zip(prepared, elements, strict=True):
            each.report.subject.CopyFrom(self._tokeniser.subject(element))
            request.reports.append(each.report)
        leaves = tuple(subject_leaf(self._tokeniser.epoch_id, element, 0, "") for element in elements)
        answered = yield from ask(Call(SUBMIT_REPORTS, request.SerializeToString(), leaves))
        verdicts = answered.message.verdicts
        if len(verdicts) != len(prepared):
            raise AnswerMalformed(f"{len(prepared)} reports were sent, and {len(verdicts)} verdicts came")
        receipt = receipt_of(answered)
        for position, (each, message) in enumerate(zip(prepared, verdicts, strict=True)):
            verdict = read_verdict(message)
            violations, warnings = (own_fields(each, f"reports[{position}].") for each in (verdict.violations, verdict.warnings))
            results[each.place] = ReportResult(
                reports[each.place], verdict.outcome, violations, receipt, request_id, warnings=warnings
            )

    def _prepare(self, place: int, report: Report) -> _Prepared:
        identity = canonical(report.identity)
        try:
            message = _message_of(report)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputInvalid("account", "FIELD_OUT_OF_RANGE", f"cannot be sent: {error}") from None
        if message.ByteSize() + REPORT_OVERHEAD > MAX_BATCH_BYTES:
            raise InputInvalid("account", "FIELD_OUT_OF_RANGE", "is larger than a whole batch may be")
        message.account_reference.CopyFrom(reference_of(self._account_secret, report.account_number))
        return _Prepared(place, identity, message)

    def withdraw(
        self,
        identity: AnyIdentity,
        account_number: str,
        reason: WithdrawalReason,
        as_of: datetime,
        *,
        as_spelled: bool = False,
        request_id: uuid.UUID | None = None,
    ) -> Flow[Withdrawal]:
        """Withdraws one account as of an instant."""
        request_id = new_or_own(request_id)
        elements = yield from self._tokeniser.tokens([canonical(identity)])
        request = reporting_service_pb2.WithdrawAccountRequest(
            request_id=request_id.bytes,
            subject=self._tokeniser.subject(elements[0]),
            account_reference=reference_of(self._account_secret, account_number, as_spelled=as_spelled),
            as_of=to_timestamp(as_of.replace(microsecond=0), "as_of"),
            reason=int(reason),  # type: ignore[arg-type]  # the stubs want the enum's own NewType
        )
        leaf = subject_leaf(self._tokeniser.epoch_id, elements[0], 0, "")
        answered = yield from ask(Call(WITHDRAW_ACCOUNT, request.SerializeToString(), (leaf,)))
        return Withdrawal(answered.message.withdrawn, receipt_of(answered), request_id)

    def get_submission(self, request_id: uuid.UUID) -> Flow[SubmissionDetails]:
        """An earlier submission of one's own."""
        request = reporting_service_pb2.GetSubmissionRequest(submission_request_id=request_id.bytes)
        answered = yield from ask(Call(GET_SUBMISSION, request.SerializeToString()))
        verdicts = tuple(read_verdict(message) for message in answered.message.verdicts)
        return SubmissionDetails(_submission(answered.message.submission), verdicts, receipt_of(answered))

    def submissions_page(self, page_token: str) -> Flow[tuple[list[Submission], str]]:
        """A page of one's own submissions, newest first, and the token of the next."""
        request = reporting_service_pb2.ListSubmissionsRequest(page_size=1_000, page_token=page_token)
        answered = yield from ask(Call(LIST_SUBMISSIONS, request.SerializeToString()))
        return [_submission(each) for each in answered.message.submissions], answered.message.next_page_token


def _message_of(report: Report) -> reporting_service_pb2.AccountReport:
    """Without its subject and its reference. Raises ValueError, TypeError or OverflowError for what a message cannot hold."""
    notice = report.bad_record_notice_date
    return reporting_service_pb2.AccountReport(
        account=report.account.to_message(), bad_record_notice_date=0 if notice is None else number_of_day(notice)
    )


def reference_of(account_secret: bytes | None, account_number: str, *, as_spelled: bool = False) -> account_pb2.AccountReference:
    """Of an account by its normalised number; `as_spelled` is how accounts were referred to before numbers were normalised."""
    if account_secret is None:
        raise ProfileError("member.toml: account_secret: missing, and without it accounts cannot be referred to")
    try:
        number = account_number if as_spelled else normalise_account_number(account_number)
        secret_id, digest = account_reference(account_secret, number)
    except IdentityError as error:
        raise input_invalid(error) from None
    return account_pb2.AccountReference(secret_id=secret_id, digest=digest)


def require_report(report: object) -> None:
    """Raises InputInvalid for what is no report: a caller without a type checker."""
    if not isinstance(report, Report):
        raise InputInvalid("report", "FIELD_MALFORMED", f"give a Report, not a value of type {type(report).__name__}")
    if not isinstance(report.account, Account):
        raise InputInvalid("account", "FIELD_MALFORMED", f"give an Account, not a value of type {type(report.account).__name__}")


def request_id_of(run: uuid.UUID, number: int) -> uuid.UUID:
    """The request_id of the number-th batch of a run: whoever goes on with the run sends it under the same."""
    return uuid.uuid5(run, str(number))


def to_timestamp(instant: datetime, field: str) -> Timestamp:
    """The instant as a message; raises InputInvalid for one without a time zone, which could be any instant."""
    if instant.tzinfo is None:
        raise InputInvalid(field, "FIELD_MALFORMED", "must have a time zone: use datetime.now(UTC), or a datetime with tzinfo")
    message = Timestamp()
    message.FromDatetime(instant.astimezone(UTC))
    return message


def faults_of(report: Report) -> list[Violation]:
    """All that is wrong with a report that is not sent, by the rules of the exchange too; its fields are paths in the report."""
    found: list[Violation] = []
    identity = report.identity
    if isinstance(identity, Identity | CanonicalIdentity):
        faults = identity_faults(identity.kind, identity.type, identity.country, identity.number)
        found += [Violation(f"identity.{each.field}", each.reason, each.description) for each in faults]
    try:
        normalise_account_number(report.account_number)
    except IdentityError as error:
        found.append(Violation(error.field, error.reason, error.description))
    try:
        message = _message_of(report)
        check_account(message.account, datetime.now(UTC), "account", found)
        check_notice_date(message, "", found)
    except (ValueError, TypeError, OverflowError) as error:
        found.append(Violation("account", "FIELD_OUT_OF_RANGE", f"cannot be sent: {error}"))
    return found


def _rejected_here(report: Report, error: InputInvalid) -> ReportResult:
    field = f"identity.{error.field}" if isinstance(error, IdentityInvalid) else error.field
    first = Violation(field, error.reason, error.description)
    others = [] if field == "identity" else [each for each in faults_of(report) if each.field != field]
    return ReportResult(report, ReportOutcome.REJECTED, (first, *others))


def without_token(shortage: LimitExceeded) -> IdentityInvalid:
    """Why a report, or an event, is not sent for which the member has no evaluation left."""
    text = "no token: the member's evaluations of this day (UTC) are used up; send it again tomorrow, or ask the operator for more"
    return IdentityInvalid("number", shortage.reason, text)


def own_fields(violations: Iterable[Violation], prefix: str) -> tuple[Violation, ...]:
    """The violations with their fields as paths in an item of a batch, without `prefix`, the item's place in it."""
    return tuple(Violation(each.field.removeprefix(prefix), each.reason, each.description) for each in violations)


def read_verdict(message: reporting_service_pb2.ReportVerdict) -> Verdict:
    """Reads a verdict. Raises AnswerMalformed."""
    try:
        outcome = ReportOutcome(message.outcome)
    except ValueError:
        raise AnswerMalformed("a verdict has an outcome that this version does not know") from None
    if outcome is ReportOutcome.UNSPECIFIED:
        raise AnswerMalformed("a verdict states no outcome")
    return Verdict(outcome, tuple(map(_violation, message.violations)), tuple(map(_violation, message.warnings)))


def _violation(message: errors_pb2.FieldViolation) -> Violation:
    return Violation(message.field, message.reason, message.description)


def _submission(message: reporting_service_pb2.Submission) -> Submission:
    if message.superseded_count > message.accepted_count:
        raise AnswerMalformed("a submission has more superseded reports than accepted ones, of which they are some")
    try:
        return Submission(
            uuid.UUID(bytes=message.request_id),
            message.create_time.ToDatetime(UTC),
            message.accepted_count - message.superseded_count,
            message.rejected_count,
            message.entry_index,
            message.superseded_count if message.HasField("superseded_count") else None,
        )
    except (ValueError, OverflowError):
        raise AnswerMalformed("a submission cannot be read") from None

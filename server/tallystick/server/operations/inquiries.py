"""Inquiries: what all members reported of a subject, and who else asked (tallystick.v1.InquiryService)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tallystick.credit.overdue import summarise
from tallystick.credit.validation import validate_inquiry
from tallystick.credit.violations import Violation
from tallystick.server.operations.operation import FULL_BATCH, Operation, Subject, Work
from tallystick.server.operations.splicing import submessage
from tallystick.server.refusals import Refusal, refuse_violations
from tallystick.server.storage.connection import Connection
from tallystick.v1 import account_pb2, codes_pb2, inquiry_service_pb2
from tallystick.v1 import errors_pb2 as errors
from tallystick.v1.membership_service_pb2 import ROLE_INQUIRER

SERVICE = "/tallystick.v1.InquiryService/"
MAX_INQUIRIES = 200
MAX_ACCOUNTS = 500
MAX_LISTED_INQUIRIES = 100
MAX_FOOTPRINTS = 1000
"""Most inquiries by others that one answer counts."""
FOOTPRINT_AGE = timedelta(days=731)
ONE_MONTH = timedelta(days=30)
SIX_MONTHS = timedelta(days=182)

_ACCOUNTS = """
SELECT asked.subject, account.member, account.record, account.overdue
FROM unnest(%s::bytea[]) AS asked (subject)
CROSS JOIN LATERAL (
  SELECT member, record, overdue FROM account WHERE account.subject = asked.subject AND record IS NOT NULL LIMIT %s
) AS account
"""

_FOOTPRINTS = """
SELECT asked.subject, asked.member, past.member, past.purpose, past.create_time
FROM unnest(%s::bytea[], %s::bigint[]) AS asked (subject, member)
CROSS JOIN LATERAL (
  SELECT member, purpose, create_time FROM audit_subject
  WHERE audit_subject.subject = asked.subject AND footprint AND audit_subject.member <> asked.member AND create_time > %s
  ORDER BY entry_index DESC LIMIT %s
) AS past
"""

# What institution is which number must not be told by the order of the database's rows, nor be guessable.
_random = random.SystemRandom()


@dataclass(slots=True)
class _Known:
    """What the database holds of one subject."""

    accounts: list[tuple[int, bytes, bool]] = field(default_factory=list)
    """Member, record, whether it holds any overdue."""
    footprints: dict[int, list[tuple[int, int, datetime]]] = field(default_factory=lambda: defaultdict(list))
    """For each asking member: inquiries by others as member, purpose, time; newest first."""


class InquiryAnswers:
    """What both methods share: the tokens that are good here, and the answer to one inquiry."""

    def __init__(self, epoch_id: bytes) -> None:
        self._epoch_id = epoch_id

    def violations(self, inquiry: inquiry_service_pb2.Inquiry, name: str) -> list[Violation]:
        """What is wrong with an inquiry, a token of another key epoch included."""
        return validate_inquiry(inquiry, name, epoch_id=self._epoch_id)

    async def answer(self, connection: Connection, works: Sequence[Work], clock: datetime) -> list[list[bytes]]:
        """Serialised credit histories for each work's subjects; a work that may not ask, or asks for too much, is refused."""
        for work in works:
            work.refusal = _purpose_refusal(work)
        asking = [work for work in works if work.refusal is None]
        known = await _read(connection, asking, clock)
        histories: list[list[bytes]] = []
        for work in works:
            if work.refusal is None:
                work.refusal = _size_refusal(work, known)
            if work.refusal is not None:
                histories.append([])
                continue
            work.footprint = True
            histories.append([_history(known[key], work.caller.member, clock) for key in work.subject_keys])
        return histories


class QueryCreditHistory(Operation):
    """One subject."""

    method = SERVICE + "QueryCreditHistory"
    roles = frozenset({int(ROLE_INQUIRER)})

    def __init__(self, answers: InquiryAnswers) -> None:
        self._answers = answers

    def decode(self, raw: bytes) -> inquiry_service_pb2.QueryCreditHistoryRequest:
        return inquiry_service_pb2.QueryCreditHistoryRequest.FromString(raw)

    def request_id(self, message: Any) -> bytes:
        return bytes(message.request_id)

    def subjects(self, message: Any) -> Sequence[Subject]:
        return (_subject(message.inquiry),)

    def validate(self, message: Any, now: datetime) -> None:
        if violations := self._answers.violations(message.inquiry, "inquiry"):
            raise refuse_violations(violations)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work, histories in zip(works, await self._answers.answer(connection, works, clock), strict=True):
            if work.refusal is None:
                work.answer = submessage(1, histories[0])


class BatchQueryCreditHistories(Operation):
    """Many subjects; one faulty inquiry refuses them all."""

    method = SERVICE + "BatchQueryCreditHistories"
    cost = FULL_BATCH // 8
    roles = frozenset({int(ROLE_INQUIRER)})

    def __init__(self, answers: InquiryAnswers) -> None:
        self._answers = answers

    def decode(self, raw: bytes) -> inquiry_service_pb2.BatchQueryCreditHistoriesRequest:
        return inquiry_service_pb2.BatchQueryCreditHistoriesRequest.FromString(raw)

    def request_id(self, message: Any) -> bytes:
        return bytes(message.request_id)

    def subjects(self, message: Any) -> Sequence[Subject] | None:
        return [_subject(inquiry) for inquiry in message.inquiries] if len(message.inquiries) <= MAX_INQUIRIES else None

    def validate(self, message: Any, now: datetime) -> None:
        if not message.inquiries:
            raise Refusal.of_field(errors.ERROR_REASON_FIELD_REQUIRED, "inquiries", "give at least one")
        if len(message.inquiries) > MAX_INQUIRIES:
            raise Refusal.of_field(
                errors.ERROR_REASON_BATCH_TOO_LARGE, "inquiries", f"at most {MAX_INQUIRIES} at once; split the batch"
            )
        violations = [
            violation
            for i, inquiry in enumerate(message.inquiries)
            for violation in self._answers.violations(inquiry, f"inquiries[{i}]")
        ]
        if violations:
            raise refuse_violations(violations)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work, histories in zip(works, await self._answers.answer(connection, works, clock), strict=True):
            if work.refusal is None:
                work.answer = b"".join(submessage(1, history) for history in histories)


def _subject(inquiry: inquiry_service_pb2.Inquiry) -> Subject:
    return Subject(inquiry.subject.epoch_id, inquiry.subject.element, inquiry.purpose, inquiry.consent_reference)


def _purpose_refusal(work: Work) -> Refusal | None:
    for i, subject in enumerate(work.subjects):
        if subject.purpose not in work.caller.purposes:
            name = codes_pb2.Purpose.Name(codes_pb2.Purpose.ValueType(subject.purpose)).removeprefix("PURPOSE_")
            single = isinstance(work.message, inquiry_service_pb2.QueryCreditHistoryRequest)
            where = "inquiry.purpose" if single else f"inquiries[{i}].purpose"
            return Refusal.of_field(
                errors.ERROR_REASON_PURPOSE_NOT_ALLOWED,
                where,
                f"this member may not query for {name}; ask the operator",
            )
    return None


def _size_refusal(work: Work, known: dict[bytes, _Known]) -> Refusal | None:
    if any(len(known[key].accounts) > MAX_ACCOUNTS for key in work.subject_keys):
        return Refusal(
            errors.ERROR_REASON_ANSWER_TOO_LARGE,
            f"a subject has more than {MAX_ACCOUNTS} accounts; ask the operator for its history",
        )
    return None


async def _read(connection: Connection, works: Sequence[Work], clock: datetime) -> dict[bytes, _Known]:
    pairs = sorted({(key, work.caller.member) for work in works for key in work.subject_keys})
    known = {key: _Known() for key, _ in pairs}
    if not pairs:
        return known
    # One subject over the limit is enough to know that it is over.
    for subject, member, record, overdue in await connection.fetch(_ACCOUNTS, (list(known), MAX_ACCOUNTS + 1)):
        known[bytes(subject)].accounts.append((member, bytes(record), overdue))
    oldest = clock - FOOTPRINT_AGE
    parameters = ([key for key, _ in pairs], [member for _, member in pairs], oldest, MAX_FOOTPRINTS)
    for subject, asker, member, purpose, time in await connection.fetch(_FOOTPRINTS, parameters):
        known[bytes(subject)].footprints[asker].append((member, purpose, time))
    return known


def _history(known: _Known, caller: int, clock: datetime) -> bytes:
    """A serialised CreditHistory. Accounts without any overdue are copied unread."""
    history = inquiry_service_pb2.CreditHistory(
        outcome=inquiry_service_pb2.HISTORY_OUTCOME_FOUND if known.accounts else inquiry_service_pb2.HISTORY_OUTCOME_NO_RECORD,
        overdue_summary=summarise(
            (account_pb2.Account.FromString(record) for _, record, overdue in known.accounts if overdue), clock.date()
        ),
        inquiry_summary=_inquiry_summary(known.footprints.get(caller, ()), clock),
    )
    history.as_of.FromDatetime(clock)
    return history.SerializeToString() + b"".join(_reported_accounts(known.accounts, caller))


def _reported_accounts(accounts: Iterable[tuple[int, bytes, bool]], caller: int) -> list[bytes]:
    """Each as a field of CreditHistory, institutions numbered and accounts ordered at random."""
    shuffled = list(accounts)
    _random.shuffle(shuffled)
    numbers: dict[int, int] = {}
    fields = []
    for member, record, _ in shuffled:
        number = numbers.setdefault(member, len(numbers) + 1)
        head = inquiry_service_pb2.ReportedAccount(institution=number, own=member == caller).SerializeToString()
        fields.append(submessage(3, head + submessage(3, record)))
    return fields


def _inquiry_summary(footprints: Sequence[tuple[int, int, datetime]], clock: datetime) -> inquiry_service_pb2.InquirySummary:
    recent = [member for member, _, time in footprints if time > clock - SIX_MONTHS]
    return inquiry_service_pb2.InquirySummary(
        inquiries=[
            inquiry_service_pb2.PastInquiry(date=_day(time), purpose=codes_pb2.Purpose.ValueType(purpose))
            for _, purpose, time in footprints[:MAX_LISTED_INQUIRIES]
        ],
        count_1_month=sum(time > clock - ONE_MONTH for _, _, time in footprints),
        count_6_months=len(recent),
        institutions_6_months=len(set(recent)),
    )


def _day(time: datetime) -> int:
    day = time.astimezone(UTC)
    return day.year * 10_000 + day.month * 100 + day.day

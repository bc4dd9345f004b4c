"""The servicing record: what an institution did after the loan, for one of its own accounts. Its values and their rules.

The rules concern an event by itself; whether the institution has such an account only the exchange can tell.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tallystick.contract.limits import MAX_ACCOUNT_EVENTS, MAX_EVENTS
from tallystick.contract.refusals import Refusal, refuse_violations
from tallystick.contract.request_fields import check_page_size
from tallystick.contract.violations import Violation
from tallystick.credit.account_rules import MAX_MONTHS_CHANGED
from tallystick.credit.dates import number_of_day, ordinal_of_number
from tallystick.credit.enums import Channel, EventOutcome, PlanKind, ServicingEventType
from tallystick.credit.field_rules import (
    MAX_VIOLATIONS_PER_REPORT,
    Horizon,
    check_amount,
    check_length,
    code_violation,
    day_violation,
    horizon_at,
    members,
    seconds_of,
)
from tallystick.credit.records import HistoryError, read_code, read_day
from tallystick.credit.validation import check_reference, check_subject
from tallystick.v1 import errors_pb2, reporting_service_pb2, servicing_service_pb2

EVENT_ID_LENGTH: Final = 16
COMMITMENT_LENGTH: Final = 32
MAX_INSTALMENTS: Final = 600
"""Fifty years of months: more is a mistake."""

TYPES_WITH_PLAN: Final = frozenset({ServicingEventType.PLAN_OFFERED, ServicingEventType.PLAN_AGREED})
"""Of these the plan is a part; what was broken or kept is the plan that was agreed before."""

_TYPES: Final = members(ServicingEventType)
_CHANNELS: Final = members(Channel) | {0}
_OUTCOMES: Final = members(EventOutcome) | {0}
_PLAN_KINDS: Final = members(PlanKind)
_WITH_PLAN: Final = frozenset(map(int, TYPES_WITH_PLAN))


@dataclass(frozen=True, slots=True, kw_only=True)
class RepaymentPlan:
    """A repayment plan, as offered or agreed."""

    kind: PlanKind
    first_due_date: dt.date
    instalments: int
    instalment_amount: int = 0
    """In minor units of the account's currency; 0 where the instalments differ, or it is not known."""
    months_changed: int = 0
    """By how many months it moves the end of the loan; negative for sooner."""
    financial_difficulty: bool = False
    """Whether the borrower's financial difficulty is its cause: the loan is then a restructured one."""

    def to_message(self) -> servicing_service_pb2.RepaymentPlan:
        """The message to send. Raises ValueError for a number that it cannot hold."""
        message: Any = servicing_service_pb2.RepaymentPlan(
            first_due_date=number_of_day(self.first_due_date),
            instalments=self.instalments,
            instalment_amount=self.instalment_amount,
            months_changed=self.months_changed,
            financial_difficulty=self.financial_difficulty,
        )
        message.kind = int(self.kind)
        plan: servicing_service_pb2.RepaymentPlan = message
        return plan

    @classmethod
    def from_message(cls, message: servicing_service_pb2.RepaymentPlan) -> Self:
        """Reads a message. Raises HistoryError."""
        return cls(
            kind=read_code(PlanKind, message.kind, "plan.kind"),
            first_due_date=read_day(message.first_due_date, "plan.first_due_date"),
            instalments=message.instalments,
            instalment_amount=message.instalment_amount,
            months_changed=message.months_changed,
            financial_difficulty=message.financial_difficulty,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicingEvent:
    """One thing that an institution did after the loan; which account it was for is said beside it."""

    event_id: uuid.UUID
    """The institution's own name of the event; random, so that it says nothing."""
    type: ServicingEventType
    date: dt.date
    channel: Channel = Channel.UNSPECIFIED
    outcome: EventOutcome = EventOutcome.UNSPECIFIED
    next_date: dt.date | None = None
    """The day of the next step; None where none is set."""
    plan: RepaymentPlan | None = None
    """Of PLAN_OFFERED and PLAN_AGREED, and of no other type."""
    text_commitment: bytes = b""
    """A keyed digest (32 bytes) of notes that the institution keeps; empty where there are none."""

    def to_message(self) -> servicing_service_pb2.ServicingEvent:
        """The message to send, but for the account. Raises ValueError for a number that it cannot hold."""
        message: Any = servicing_service_pb2.ServicingEvent(
            event_id=self.event_id.bytes,
            date=number_of_day(self.date),
            next_date=number_of_day(self.next_date) if self.next_date is not None else 0,
            plan=self.plan.to_message() if self.plan is not None else None,
            text_commitment=self.text_commitment,
        )
        # The stubs want the enums' own NewTypes.
        message.type, message.channel, message.outcome = int(self.type), int(self.channel), int(self.outcome)
        event: servicing_service_pb2.ServicingEvent = message
        return event

    @classmethod
    def from_message(cls, message: servicing_service_pb2.ServicingEvent) -> Self:
        """Reads a message. Raises HistoryError, naming the field, for what this version cannot read."""
        return cls(
            event_id=_read_event_id(message.event_id),
            type=read_code(ServicingEventType, message.type, "type"),
            date=read_day(message.date, "date"),
            channel=read_code(Channel, message.channel, "channel"),
            outcome=read_code(EventOutcome, message.outcome, "outcome"),
            next_date=read_day(message.next_date, "next_date") if message.next_date else None,
            plan=RepaymentPlan.from_message(message.plan) if message.HasField("plan") else None,
            text_commitment=message.text_commitment,
        )


def _read_event_id(value: bytes) -> uuid.UUID:
    try:
        return uuid.UUID(bytes=value)
    except ValueError:
        raise HistoryError("event_id", "is no UUID") from None


def checked_events(
    message: servicing_service_pb2.RecordServicingEventsRequest, now: dt.datetime, *, epoch_id: bytes
) -> Iterator[list[Violation]]:
    """What is wrong with each event of a batch, one after the other. Raises Refusal for what is wrong with the batch."""
    if not message.events:
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_REQUIRED, "events", "give at least one")
    if len(message.events) > MAX_EVENTS:
        raise Refusal.of_field(errors_pb2.ERROR_REASON_BATCH_TOO_LARGE, "events", f"at most {MAX_EVENTS} at once; split the batch")
    seen: set[bytes] = set()
    for i, event in enumerate(message.events):
        where = f"events[{i}]"
        found: list[Violation] = []
        check_subject(event.HasField("subject"), event.subject, f"{where}.subject", epoch_id, found)
        check_reference(event.account_reference, f"{where}.account_reference", found)
        check_event(event, now, f"{where}.", found)
        if event.event_id in seen:
            description = "is that of another event of this batch; send each event once, under an id of its own"
            found.append(Violation(f"{where}.event_id", "FIELDS_INCONSISTENT", description))
        elif event.event_id:
            seen.add(event.event_id)
        yield found[:MAX_VIOLATIONS_PER_REPORT]


def check_event(event: servicing_service_pb2.ServicingEvent, now: dt.datetime, prefix: str, found: list[Violation]) -> None:
    """Adds what is wrong with an event, but for the account that it is of. `now` carries a time zone."""
    check_length(event.event_id, EVENT_ID_LENGTH, "a UUID of this event's own", f"{prefix}event_id", found)
    for name, value, known in (
        ("type", event.type, _TYPES),
        ("channel", event.channel, _CHANNELS),
        ("outcome", event.outcome, _OUTCOMES),
    ):
        if value not in known:
            found.append(code_violation(f"{prefix}{name}", value))
    ordinal = _check_date(event.date, horizon_at(seconds_of(now)), f"{prefix}date", found)
    if event.next_date:
        _check_later(event.next_date, ordinal, f"{prefix}next_date", found)
    if len(event.text_commitment) not in (0, COMMITMENT_LENGTH):
        description = f"has {len(event.text_commitment)} bytes; give a keyed digest of your notes, 32 bytes, or leave it out"
        found.append(Violation(f"{prefix}text_commitment", "FIELD_MALFORMED", description))
    if event.HasField("plan"):
        if event.type in _TYPES and event.type not in _WITH_PLAN:
            description = "goes with plan_offered and plan_agreed alone; leave it out, or correct the type"
            found.append(Violation(f"{prefix}plan", "FIELDS_INCONSISTENT", description))
        _check_plan(event.plan, ordinal, f"{prefix}plan", found)
    elif event.type in _WITH_PLAN:
        found.append(Violation(f"{prefix}plan", "FIELD_REQUIRED", "is missing; give the plan that was offered or agreed"))


def _check_plan(plan: servicing_service_pb2.RepaymentPlan, ordinal: int, field: str, found: list[Violation]) -> None:
    if plan.kind not in _PLAN_KINDS:
        found.append(code_violation(f"{field}.kind", plan.kind))
    _check_later(plan.first_due_date, ordinal, f"{field}.first_due_date", found)
    if not 1 <= plan.instalments <= MAX_INSTALMENTS:
        found.append(Violation(f"{field}.instalments", "FIELD_OUT_OF_RANGE", f"must be 1 to {MAX_INSTALMENTS}"))
    check_amount(plan.instalment_amount, f"{field}.instalment_amount", found)
    if abs(plan.months_changed) > MAX_MONTHS_CHANGED:
        description = f"must lie between -{MAX_MONTHS_CHANGED} and {MAX_MONTHS_CHANGED}"
        found.append(Violation(f"{field}.months_changed", "FIELD_OUT_OF_RANGE", description))


def _check_date(number: int, horizon: Horizon, field: str, found: list[Violation]) -> int:
    """The day of an event, which has begun somewhere on earth; returns its ordinal, or 0 if it is not usable."""
    ordinal = ordinal_of_number(number)
    if not ordinal:
        found.append(day_violation(field, number))
    elif ordinal > horizon.ordinal:
        description = "lies in the future; give the day on which it was done, and a day to come as next_date"
        found.append(Violation(field, "FIELD_OUT_OF_RANGE", description))
        return 0
    return ordinal


def _check_later(number: int, date: int, field: str, found: list[Violation]) -> None:
    """A day that must not lie before that of the event, whose ordinal is `date`; 0 where that is not usable."""
    ordinal = ordinal_of_number(number)
    if not ordinal:
        found.append(day_violation(field, number))
    elif ordinal < date:
        found.append(Violation(field, "FIELDS_INCONSISTENT", "lies before the event's date; correct one of the two"))


def content_of(event: servicing_service_pb2.ServicingEvent) -> bytes:
    """What is kept of an event under its account and event_id: all else. Equal events give equal bytes."""
    kept = servicing_service_pb2.ServicingEvent()
    kept.CopyFrom(event)
    for name in ("event_id", "subject", "account_reference"):
        kept.ClearField(name)
    return kept.SerializeToString(deterministic=True)


@dataclass(slots=True)
class Recorded:
    """What is recorded of one account, as far as it matters for the events that come."""

    count: int = 0
    events: dict[bytes, bytes] = field(default_factory=dict)
    """The content of those whose event_id is asked about."""

    def take(self, event: servicing_service_pb2.ServicingEvent) -> bytes | None:
        """Notes an event that is accepted; returns its content, or None if it is recorded already."""
        if event.event_id in self.events:
            return None
        content = self.events[event.event_id] = content_of(event)
        self.count += 1
        return content


def judge_event(place: int, event: servicing_service_pb2.ServicingEvent, account: Recorded | None) -> list[Violation]:
    """Why an event that is good by itself is not taken, if it is not. `account` is None where there is no such account."""
    if account is None:
        description = "you report no such account of this subject, or have withdrawn it; report the account first"
        return [Violation(f"events[{place}].account_reference", "NOT_FOUND", description)]
    stored = account.events.get(event.event_id)
    if stored is not None:
        description = "is recorded with other content, and what is recorded stays; record the correction as an event of its own"
        same = stored == content_of(event)
        return [] if same else [Violation(f"events[{place}].event_id", "ALREADY_EXISTS", description)]
    if account.count >= MAX_ACCOUNT_EVENTS:
        description = f"has {MAX_ACCOUNT_EVENTS} recorded events, which is the limit; it frees as the oldest are forgotten"
        return [Violation(f"events[{place}].account_reference", "FIELD_OUT_OF_RANGE", description)]
    return []


def accepted() -> reporting_service_pb2.ReportVerdict:
    """The verdict on an event that is taken, or was before."""
    return reporting_service_pb2.ReportVerdict(outcome=reporting_service_pb2.REPORT_OUTCOME_ACCEPTED)


def check_listing(message: servicing_service_pb2.ListServicingEventsRequest, *, epoch_id: bytes) -> None:
    """Raises Refusal for what is wrong with a request for an account's events."""
    found: list[Violation] = []
    check_subject(message.HasField("subject"), message.subject, "subject", epoch_id, found)
    check_reference(message.account_reference, "account_reference", found)
    if violations := [*found, *check_page_size(message.page_size)]:
        raise refuse_violations(violations)

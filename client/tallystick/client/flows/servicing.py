"""Servicing: recording what was done after the loan for one's own accounts, and reading it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tallystick.client.exceptions import AnswerMalformed, IdentityInvalid, InputInvalid
from tallystick.client.flows.inquiries import new_or_own, receipt_of
from tallystick.client.flows.reporting import own_fields, read_verdict, reference_of, without_token
from tallystick.client.flows.tokens import Tokeniser
from tallystick.client.identities import AnyIdentity, canonical
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.contract.violations import Violation
from tallystick.credit.enums import ReportOutcome
from tallystick.credit.records import HistoryError
from tallystick.credit.servicing import ServicingEvent, check_event
from tallystick.crypto import Identity as CanonicalIdentity
from tallystick.crypto import subject_leaf
from tallystick.v1 import servicing_service_pb2

LIST_SERVICING_EVENTS = Method.of(methods.LIST_SERVICING_EVENTS)
RECORD_SERVICING_EVENTS = Method.of(methods.RECORD_SERVICING_EVENTS)

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """One thing that was done for one of your accounts."""

    identity: AnyIdentity
    account_number: str
    """Your own number, as you reported it; only a keyed hash of it is sent."""
    event: ServicingEvent


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event."""

    event: AccountEvent
    accepted: bool
    violations: tuple[Violation, ...] = ()
    """For a rejected event: what is wrong. Fields are paths in the event, such as "plan.instalments"."""
    receipt: KeptReceipt | None = None
    """None for an event that was rejected here and never sent."""
    request_id: uuid.UUID | None = None
    """The request's; the events of one batch share it, and its receipt."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An event that is fit to be sent, but for its token."""

    place: int
    identity: CanonicalIdentity
    message: servicing_service_pb2.ServicingEvent


class Servicing:
    """The flows of ServicingService."""

    def __init__(self, tokeniser: Tokeniser, account_secret: bytes | None) -> None:
        self._tokeniser = tokeniser
        self._account_secret = account_secret

    def record(self, events: Sequence[AccountEvent], request_id: uuid.UUID | None = None) -> Flow[list[EventResult]]:
        """One batch of at most 1,000; each event is accepted or rejected by itself."""
        request_id = new_or_own(request_id)
        results: list[EventResult | None] = [None] * len(events)
        prepared = []
        for place, event in enumerate(events):
            _require_event(event)
            try:
                prepared.append(self._prepare(place, event))
            except InputInvalid as error:
                results[place] = _rejected_here(event, error)
        if prepared:
            yield from self._send(events, prepared, results, request_id)
        return [result for result in results if result is not None]

    def _send(
        self,
        events: Sequence[AccountEvent],
        prepared: Sequence[_Prepared],
        results: list[EventResult | None],
        request_id: uuid.UUID,
    ) -> Flow[None]:
        found, shortage = yield from self._tokeniser.tokens_that_fit([each.identity for each in prepared])
        request = servicing_service_pb2.RecordServicingEventsRequest(request_id=request_id.bytes)
        sent, leaves = [], []
        for each, element in zip(prepared, found, strict=True):
            if element is not None:
                each.message.subject.CopyFrom(self._tokeniser.subject(element))
                request.events.append(each.message)
                leaves.append(subject_leaf(self._tokeniser.epoch_id, element, 0, ""))
                sent.append(each)
            elif shortage is not None:
                results[each.place] = _rejected_here(events[each.place], without_token(shortage))
        if not sent:
            return
        answered = yield from ask(Call(RECORD_SERVICING_EVENTS, request.SerializeToString(), tuple(leaves)))
        verdicts = answered.message.verdicts
        if len(verdicts) != len(sent):
            raise AnswerMalformed(f"{len(sent)} events were sent, and {len(verdicts)} verdicts came")
        receipt = receipt_of(answered)
        for position, (each, message) in enumerate(zip(sent, verdicts, strict=True)):
            verdict = read_verdict(message)
            violations = own_fields(verdict.violations, f"events[{position}].")
            accepted = verdict.outcome is not ReportOutcome.REJECTED
            results[each.place] = EventResult(events[each.place], accepted, violations, receipt, request_id)

    def _prepare(self, place: int, event: AccountEvent) -> _Prepared:
        identity = canonical(event.identity)
        reference = reference_of(self._account_secret, event.account_number)
        message = _message(event.event)
        message.account_reference.CopyFrom(reference)
        return _Prepared(place, identity, message)

    def events_page(self, identity: AnyIdentity, account_number: str, page_token: str) -> Flow[tuple[list[ServicingEvent], str]]:
        """A page of one's own events of one account, the last recorded first, and the token of the next."""
        reference = reference_of(self._account_secret, account_number)
        (element,) = yield from self._tokeniser.tokens([canonical(identity)])
        request = servicing_service_pb2.ListServicingEventsRequest(
            subject=self._tokeniser.subject(element), account_reference=reference, page_size=_PAGE, page_token=page_token
        )
        leaf = subject_leaf(self._tokeniser.epoch_id, element, 0, "")
        answered = yield from ask(Call(LIST_SERVICING_EVENTS, request.SerializeToString(), (leaf,)))
        try:
            events = [ServicingEvent.from_message(each) for each in answered.message.events]
        except HistoryError as error:
            raise AnswerMalformed(f"an event cannot be read: {error}") from None
        return events, answered.message.next_page_token


def faults_of(event: ServicingEvent) -> list[Violation]:
    """What is wrong with an event by the rules of the exchange; its fields are paths in the event."""
    found: list[Violation] = []
    try:
        check_event(_message(event), datetime.now(UTC), "", found)
    except InputInvalid as error:
        found.append(Violation(error.field, error.reason, error.description))
    return found


def _message(event: ServicingEvent) -> servicing_service_pb2.ServicingEvent:
    if not isinstance(event.event_id, uuid.UUID):
        raise InputInvalid("event_id", "FIELD_MALFORMED", "give a uuid.UUID, such as uuid.uuid4()")
    try:
        return event.to_message()
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise InputInvalid("event", "FIELD_OUT_OF_RANGE", f"cannot be sent: {error}") from None


def _require_event(event: Any) -> None:
    if not isinstance(event, AccountEvent):
        raise InputInvalid("event", "FIELD_MALFORMED", f"give an AccountEvent, not a value of type {type(event).__name__}")
    if not isinstance(event.event, ServicingEvent):
        raise InputInvalid("event", "FIELD_MALFORMED", f"give a ServicingEvent, not a value of type {type(event.event).__name__}")


def _rejected_here(event: AccountEvent, error: InputInvalid) -> EventResult:
    """With all else that is wrong with it: it will not come to the exchange, which would have said so."""
    field = f"identity.{error.field}" if isinstance(error, IdentityInvalid) else error.field
    others = [] if field in ("event", "event_id") else faults_of(event.event)
    return EventResult(event, accepted=False, violations=(Violation(field, error.reason, error.description), *others))

"""Inquiries: asking what is known of one subject, or of many, and what comes back."""

from __future__ import annotations

import itertools
import re
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from tallystick.client.exceptions import AnswerMalformed, InputInvalid, Refused, TallystickError
from tallystick.client.flows.tokens import Tokeniser
from tallystick.client.identities import AnyIdentity, canonical
from tallystick.client.protocol.calls import Answered, Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.contract.violations import Violation
from tallystick.credit.enums import Purpose, Section
from tallystick.credit.history import CreditHistory, credit_history_from_message
from tallystick.credit.validation import section_violations, stated_violations
from tallystick.crypto import subject_leaf
from tallystick.v1 import inquiry_service_pb2

BATCH_QUERY_CREDIT_HISTORIES = Method.of(methods.BATCH_QUERY_CREDIT_HISTORIES)
QUERY_CREDIT_HISTORY = Method.of(methods.QUERY_CREDIT_HISTORY)

_NAMED_ITEM = re.compile(r"inquiries\[(\d{1,4})\]")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The subject of a query, its purpose, and the consent that permits it."""

    identity: AnyIdentity
    purpose: Purpose
    consent_reference: str
    """Your reference to the subject's written consent: 1 to 64 printable ASCII characters without spaces; nothing personal."""
    applicant_id: str = ""
    """Your own reference to the applicant; it is never sent."""
    sections: Collection[Section] = ()
    """What the answer is to hold beside the accounts, such as a policy's `sections`."""

    def __post_init__(self) -> None:
        """Keeps the sections as a tuple, whatever they were given in; what they cannot be is said when it is to be sent."""
        if isinstance(self.sections, Iterable) and not isinstance(self.sections, tuple):
            sections = sorted(self.sections, key=str) if isinstance(self.sections, Set) else self.sections
            object.__setattr__(self, "sections", tuple(sections))


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What is known of one subject, and the proof that you were told so."""

    history: CreditHistory
    receipt: KeptReceipt
    request_id: uuid.UUID
    """The request's; the inquiries of one batch share it, and its receipt."""


@dataclass(frozen=True, slots=True)
class InquiryOutcome:
    """What became of one inquiry of many: a result, or the error that concerns this one alone."""

    inquiry: Inquiry
    result: QueryResult | None = None
    error: TallystickError | None = None

    @property
    def receipt(self) -> KeptReceipt | None:
        """Of the answer, or of the refusal where that is logged; None for what was never sent."""
        return self.result.receipt if self.result is not None else getattr(self.error, "receipt", None)

    def unwrap(self) -> QueryResult:
        """The result; raises the error if there is none."""
        if self.result is None:
            raise self.error or AnswerMalformed("an inquiry has neither a result nor an error")
        return self.result


@dataclass(frozen=True, slots=True)
class QueriedBatch:
    """What became of one batch of a run."""

    number: int
    """Counted from where the run began."""
    outcomes: tuple[InquiryOutcome, ...]
    """In the order of the inquiries."""


NumberedInquiries = tuple[int, list[Inquiry]]
"""A batch of a run, with its number."""
_Items = list[tuple[int, Inquiry, bytes]]
"""What is to be sent of a batch: each inquiry with its place there, and its token."""


class Inquiries:
    """The flows of InquiryService."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        self._tokeniser = tokeniser

    def query(self, inquiry: Inquiry, request_id: uuid.UUID | None = None) -> Flow[QueryResult]:
        """One subject."""
        request_id = new_or_own(request_id)
        _check_sendable(inquiry)
        elements = yield from self._tokeniser.tokens([canonical(inquiry.identity)])
        request = inquiry_service_pb2.QueryCreditHistoryRequest(
            request_id=request_id.bytes, inquiry=self._message(inquiry, elements[0])
        )
        call = Call(QUERY_CREDIT_HISTORY, request.SerializeToString(), (self._leaf(inquiry, elements[0]),))
        answered = yield from ask(call)
        return QueryResult(read_history(answered.message.credit_history), receipt_of(answered), request_id)

    def query_numbered(self, run: uuid.UUID) -> Callable[[NumberedInquiries], Flow[list[QueriedBatch]]]:
        """How a numbered batch of a run is queried: under request_ids that follow from both."""

        def query(numbered: NumberedInquiries) -> Flow[list[QueriedBatch]]:
            number, inquiries = numbered
            parts = itertools.count()
            outcomes = yield from self.query_batch(inquiries, lambda: uuid.uuid5(run, f"{number}.{next(parts)}"))
            return [QueriedBatch(number, tuple(outcomes))]

        return query

    def query_batch(
        self, inquiries: Sequence[Inquiry], new_request_id: Callable[[], uuid.UUID] = uuid.uuid4
    ) -> Flow[list[InquiryOutcome]]:
        """At most MAX_INQUIRIES subjects; what is wrong with one of them is in its outcome and stops no other."""
        outcomes: list[InquiryOutcome | None] = [None] * len(inquiries)
        places, identities = [], []
        for place, inquiry in enumerate(inquiries):
            try:
                _check_sendable(inquiry)
                identities.append(canonical(inquiry.identity))
                places.append(place)
            except InputInvalid as error:
                outcomes[place] = InquiryOutcome(inquiry, error=error)
        elements, shortage = (yield from self._tokeniser.tokens_that_fit(identities)) if identities else ([], None)
        items: _Items = []
        for place, element in zip(places, elements, strict=True):
            if element is None:
                outcomes[place] = InquiryOutcome(inquiries[place], error=shortage)
            else:
                items.append((place, inquiries[place], element))
        waiting = _once_each(items)
        while waiting:
            items = waiting.pop()
            if items:
                request_id = new_request_id()
                if shortage is not None:
                    # The same batch may have more tokens another time: it is another request then.
                    request_id = uuid.uuid5(request_id, " ".join(str(place) for place, _, _ in items))
                waiting.extend((yield from self._send(items, outcomes, request_id)))
        return [outcome for outcome in outcomes if outcome is not None]

    def _send(self, items: _Items, outcomes: list[InquiryOutcome | None], request_id: uuid.UUID) -> Flow[list[_Items]]:
        """Sends one batch and fills the outcomes in; returns what must be sent again, as batches."""
        request = inquiry_service_pb2.BatchQueryCreditHistoriesRequest(
            request_id=request_id.bytes, inquiries=[self._message(inquiry, element) for _, inquiry, element in items]
        )
        leaves = tuple(self._leaf(inquiry, element) for _, inquiry, element in items)
        try:
            answered = yield from ask(Call(BATCH_QUERY_CREDIT_HISTORIES, request.SerializeToString(), leaves))
        except Refused as refusal:
            return _without_faulty(items, refusal, outcomes)
        histories = answered.message.credit_histories
        if len(histories) != len(items):
            raise AnswerMalformed(f"{len(items)} subjects were asked about, and {len(histories)} histories came")
        receipt = receipt_of(answered)
        for (place, inquiry, _), history in zip(items, histories, strict=True):
            outcomes[place] = InquiryOutcome(inquiry, QueryResult(read_history(history), receipt, request_id))
        return []

    def _message(self, inquiry: Inquiry, element: bytes) -> inquiry_service_pb2.Inquiry:
        return inquiry_service_pb2.Inquiry(
            subject=self._tokeniser.subject(element),
            purpose=int(inquiry.purpose),  # type: ignore[arg-type]  # the stubs want the enum's own NewType
            consent_reference=inquiry.consent_reference,
            sections=[int(each) for each in inquiry.sections],  # type: ignore[misc]  # the stubs want the enum's own NewType
        )

    def _leaf(self, inquiry: Inquiry, element: bytes) -> bytes:
        return subject_leaf(self._tokeniser.epoch_id, element, int(inquiry.purpose), inquiry.consent_reference)


def _once_each(items: _Items) -> list[_Items]:
    """As batches in which no subject occurs twice: the exchange takes none that does. A subject that two applications are about
    is asked about in two."""
    batches: list[_Items] = [[]]
    times: Counter[bytes] = Counter()
    for item in items:
        element = item[2]
        if times[element] == len(batches):
            batches.append([])
        batches[times[element]].append(item)
        times[element] += 1
    return batches[::-1]


def _check_sendable(inquiry: Inquiry) -> None:
    """Raises InputInvalid for what the exchange would refuse of anybody; which purposes are this member's is its own to say."""
    if not isinstance(inquiry, Inquiry):
        raise InputInvalid("inquiry", "FIELD_MALFORMED", f"give an Inquiry, not a value of type {type(inquiry).__name__}")
    if not isinstance(inquiry.purpose, int) or not 0 <= inquiry.purpose < 2**31:
        raise InputInvalid("purpose", "CODE_UNKNOWN", "give a Purpose, such as Purpose.LOAN_APPROVAL")
    if not isinstance(inquiry.consent_reference, str):
        raise InputInvalid("consent_reference", "FIELD_MALFORMED", "give your reference to the written consent as a text")
    if not isinstance(inquiry.sections, tuple) or not all(isinstance(each, int) for each in inquiry.sections):
        raise InputInvalid("sections", "CODE_UNKNOWN", "give Sections, such as (Section.RATING,)")
    for violation in (
        *stated_violations(inquiry.purpose, inquiry.consent_reference),
        *section_violations(inquiry.purpose, inquiry.sections),
    ):
        raise InputInvalid(violation.field, violation.reason, violation.description)


def _without_faulty(items: _Items, refusal: Refused, outcomes: list[InquiryOutcome | None]) -> list[_Items]:
    """Maps a refusal of a batch back to the items that it names, and returns the others; one that names none is raised."""
    if refusal.reason == "ANSWER_TOO_LARGE" and len(items) > 1:
        half = len(items) // 2
        return [items[half:], items[:half]]
    faulty = faulty_items(refusal.violations, len(items))
    if not faulty and len(items) == 1 and refusal.reason == "ANSWER_TOO_LARGE":
        faulty = {0: []}
    if not faulty:
        raise refusal
    for position, violations in faulty.items():
        place, inquiry, _ = items[position]
        outcomes[place] = InquiryOutcome(inquiry, error=_for_item(refusal, violations))
    return [[item for position, item in enumerate(items) if position not in faulty]]


def faulty_items(violations: Iterable[Violation], count: int) -> dict[int, list[Violation]]:
    """Which items of a batch the violations name, each with its own."""
    faulty: dict[int, list[Violation]] = {}
    for violation in violations:
        named = _NAMED_ITEM.match(violation.field)
        if named and int(named[1]) < count:
            faulty.setdefault(int(named[1]), []).append(violation)
    return faulty


def _for_item(refusal: Refused, violations: Sequence[Violation]) -> Refused:
    """The refusal as it concerns one item: its fields are the item's own, without its place in the batch."""
    own = [Violation(_NAMED_ITEM.sub("inquiry", v.field, count=1), v.reason, v.description) for v in violations]
    text = own[0].description if own else "the answer would be larger than 4 MiB"
    reason = own[0].reason if own and own[0].reason else refusal.reason
    return type(refusal)(text, reason=reason, violations=own, receipt=refusal.receipt)


def read_history(message: inquiry_service_pb2.CreditHistory) -> CreditHistory:
    """The history for the caller; raises AnswerMalformed for what this version cannot read."""
    try:
        return credit_history_from_message(message)
    except (ValueError, OverflowError) as error:
        raise AnswerMalformed(f"a credit history cannot be read; a newer package may be needed: {error}") from None


def new_or_own(request_id: uuid.UUID | None) -> uuid.UUID:
    """The caller's own request_id, or a new one. Raises InputInvalid for what is no UUID."""
    if request_id is None:
        return uuid.uuid4()
    if not isinstance(request_id, uuid.UUID):
        text = "give a uuid.UUID; uuid.uuid5 makes one of a text of your own"
        raise InputInvalid("request_id", "FIELD_MALFORMED", text)
    return request_id


def receipt_of(answered: Answered[Any]) -> KeptReceipt:
    """The receipt of a signed call, which `Conversation.conclude` never leaves out."""
    if answered.receipt is None:
        raise AnswerMalformed("a signed call was concluded without a receipt")
    return answered.receipt

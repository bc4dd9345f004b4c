"""Monitoring: watches over one's own borrowers, and the messages that come of them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tallystick.client.exceptions import AnswerMalformed, IdentityInvalid, InputInvalid
from tallystick.client.flows.inquiries import new_or_own, receipt_of
from tallystick.client.flows.reporting import own_fields, reference_of, without_token
from tallystick.client.flows.tokens import Tokeniser
from tallystick.client.identities import AnyIdentity, canonical
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.contract.limits import MAX_PULL_SECONDS, MAX_WATCHES
from tallystick.contract.violations import Violation
from tallystick.credit.dates import number_of_day
from tallystick.credit.enums import WatchState
from tallystick.credit.monitoring import ListedWatch, MonitoringMessage, PortfolioDigest, Watch, watch_faults
from tallystick.credit.records import HistoryError
from tallystick.crypto import Identity as CanonicalIdentity
from tallystick.crypto import subject_leaf
from tallystick.v1 import monitoring_service_pb2 as pb

PUT_WATCHES = Method.of(methods.PUT_WATCHES)
END_WATCHES = Method.of(methods.END_WATCHES)
LIST_WATCHES = Method.of(methods.LIST_WATCHES)
PULL_MESSAGES = Method.of(methods.PULL_MESSAGES)
ACKNOWLEDGE_MESSAGES = Method.of(methods.ACKNOWLEDGE_MESSAGES)
GET_PORTFOLIO_DIGEST = Method.of(methods.GET_PORTFOLIO_DIGEST)

_PAGE = 1_000
LONGEST_WAIT = dt.timedelta(seconds=MAX_PULL_SECONDS)
"""For how long one pull waits at the most."""
_ON_THE_WAY = dt.timedelta(seconds=5)
"""What an answer needs beside the wait."""
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class AccountWatch:
    """A watch over one of your borrowers, on the ground of one account."""

    identity: AnyIdentity
    account_number: str
    """Your own number, as you reported it; only a keyed hash of it is sent."""
    watch: Watch


@dataclass(frozen=True, slots=True)
class WatchResult:
    """What became of one watch."""

    watch: AccountWatch
    accepted: bool
    watch_id: bytes = b""
    """16 bytes; empty for one that was rejected."""
    violations: tuple[Violation, ...] = ()
    """For a rejected watch: what is wrong. Fields are paths in the watch, such as "consent_reference"."""
    receipt: KeptReceipt | None = None
    """Nothing is missed that others report in later entries than this one. None for a watch that was never sent."""
    request_id: uuid.UUID | None = None
    """The request's; the watches of one batch share it, and its receipt."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """Some messages, and where they end."""

    messages: tuple[MonitoringMessage, ...]
    next_cursor: str
    """Where the next ones begin, and what acknowledges these."""
    receipt: KeptReceipt


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Up to where messages are acknowledged."""

    cursor: str
    waiting: int
    """How many are released and wait behind it; counted up to 10,000."""
    receipt: KeptReceipt


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A watch that is fit to be sent, but for its token."""

    place: int
    identity: CanonicalIdentity
    message: pb.Watch


class Monitoring:
    """The flows of MonitoringService."""

    def __init__(self, tokeniser: Tokeniser, account_secret: bytes | None, timeout: float) -> None:
        """`timeout` is that of one attempt, in seconds: no pull waits beyond it."""
        self._tokeniser = tokeniser
        self._account_secret = account_secret
        attempt = dt.timedelta(seconds=min(timeout, 2 * MAX_PULL_SECONDS))
        self._longest_wait = min(LONGEST_WAIT, max(attempt - _ON_THE_WAY, attempt / 2))

    def put(self, watches: Sequence[AccountWatch], request_id: uuid.UUID | None = None) -> Flow[list[WatchResult]]:
        """One batch of at most 1,000; each watch is accepted or rejected by itself."""
        request_id = new_or_own(request_id)
        results: list[WatchResult | None] = [None] * len(watches)
        prepared = []
        for place, watch in enumerate(watches):
            _require_watch(watch)
            try:
                prepared.append(self._prepare(place, watch))
            except InputInvalid as error:
                results[place] = _rejected_here(watch, error)
        if prepared:
            yield from self._send(watches, prepared, results, request_id)
        return [result for result in results if result is not None]

    def _prepare(self, place: int, watch: AccountWatch) -> _Prepared:
        identity = canonical(watch.identity)
        message = _message(watch.watch)
        message.account_reference.CopyFrom(reference_of(self._account_secret, watch.account_number))
        return _Prepared(place, identity, message)

    def _send(
        self,
        watches: Sequence[AccountWatch],
        prepared: Sequence[_Prepared],
        results: list[WatchResult | None],
        request_id: uuid.UUID,
    ) -> Flow[None]:
        found, shortage = yield from self._tokeniser.tokens_that_fit([each.identity for each in prepared])
        request = pb.PutWatchesRequest(request_id=request_id.bytes)
        sent, leaves = [], []
        for each, element in zip(prepared, found, strict=True):
            if element is not None:
                each.message.subject.CopyFrom(self._tokeniser.subject(element))
                request.watches.append(each.message)
                leaf = subject_leaf(self._tokeniser.epoch_id, element, each.message.purpose, each.message.consent_reference)
                leaves.append(leaf)
                sent.append(each)
            elif shortage is not None:
                results[each.place] = _rejected_here(watches[each.place], without_token(shortage))
        if not sent:
            return
        answered = yield from ask(Call(PUT_WATCHES, request.SerializeToString(), tuple(leaves)))
        verdicts = answered.message.verdicts
        if len(verdicts) != len(sent):
            raise AnswerMalformed(f"{len(sent)} watches were sent, and {len(verdicts)} verdicts came")
        receipt = receipt_of(answered)
        for position, (each, verdict) in enumerate(zip(sent, verdicts, strict=True)):
            named = tuple(Violation(one.field, one.reason, one.description) for one in verdict.violations)
            violations = own_fields(named, f"watches[{position}].")
            watch_id = verdict.watch_id if verdict.accepted else b""
            results[each.place] = WatchResult(watches[each.place], verdict.accepted, watch_id, violations, receipt, request_id)

    def end(self, watch_ids: Sequence[bytes], request_id: uuid.UUID | None = None) -> Flow[list[int]]:
        """Ends at most 1,000; how many had not ended before."""
        request = pb.EndWatchesRequest(request_id=new_or_own(request_id).bytes, watch_ids=watch_ids)
        answered = yield from ask(Call(END_WATCHES, request.SerializeToString()))
        return [answered.message.ended_count]

    def watches_page(self, state: WatchState, page_token: str) -> Flow[tuple[list[ListedWatch], str]]:
        """A page of one's own watches, and the token of the next."""
        message: Any = pb.ListWatchesRequest(page_size=_PAGE, page_token=page_token)
        message.state = int(state)
        answered = yield from ask(Call(LIST_WATCHES, message.SerializeToString()))
        try:
            watches = [ListedWatch.from_message(each) for each in answered.message.watches]
        except HistoryError as error:
            raise AnswerMalformed(f"a watch cannot be read: {error}") from None
        return watches, answered.message.next_page_token

    def references(self, account_numbers: Sequence[str]) -> dict[bytes, str]:
        """Which of your account numbers a reference stands for. Raises InputInvalid for what is none."""
        references = {}
        for number in account_numbers:
            reference = reference_of(self._account_secret, number)
            references[reference.secret_id + reference.digest] = number
        return references

    def pull(self, cursor: str, page_size: int, wait: dt.timedelta) -> Flow[Pulled]:
        """What is told from a cursor on."""
        seconds = -(-min(wait, self._longest_wait) // dt.timedelta(seconds=1))
        if seconds < 0:
            raise InputInvalid("wait", "FIELD_OUT_OF_RANGE", "must not be negative")
        try:
            request = pb.PullMessagesRequest(cursor=cursor, page_size=page_size, wait_seconds=seconds)
        except (ValueError, TypeError) as error:
            raise InputInvalid("pull", "FIELD_OUT_OF_RANGE", f"cannot be sent: {error}") from None
        answered = yield from ask(Call(PULL_MESSAGES, request.SerializeToString()))
        try:
            messages = tuple(MonitoringMessage.from_message(each) for each in answered.message.messages)
        except HistoryError as error:
            raise AnswerMalformed(f"a message cannot be read: {error}") from None
        return Pulled(messages, answered.message.next_cursor, receipt_of(answered))

    def acknowledge(self, cursor: str) -> Flow[Acknowledged]:
        """Says that everything up to a cursor is safe."""
        request = pb.AcknowledgeMessagesRequest(cursor=cursor)
        answered = yield from ask(Call(ACKNOWLEDGE_MESSAGES, request.SerializeToString()))
        answer = answered.message
        return Acknowledged(answer.acknowledged_cursor, answer.waiting_count, receipt_of(answered))

    def digest(self, month: dt.date) -> Flow[PortfolioDigest]:
        """What was told in a month; any of its days names it."""
        if not isinstance(month, dt.date):
            raise InputInvalid("month", "FIELD_MALFORMED", "give a datetime.date of the month")
        first = dt.date(month.year, month.month, 1)
        request = pb.GetPortfolioDigestRequest(month=number_of_day(first))
        answered = yield from ask(Call(GET_PORTFOLIO_DIGEST, request.SerializeToString()))
        try:
            return PortfolioDigest.from_message(first, answered.message)
        except HistoryError as error:
            raise AnswerMalformed(f"a digest cannot be read: {error}") from None


class Recent:
    """The messages that a run was given of late: what comes again is not given again."""

    def __init__(self) -> None:
        self._ids: dict[uuid.UUID, None] = {}

    def is_new(self, message: MonitoringMessage) -> bool:
        """Whether it comes for the first time; it is remembered."""
        if message.message_id in self._ids:
            return False
        self._ids[message.message_id] = None
        if len(self._ids) > _REMEMBERED:
            del self._ids[next(iter(self._ids))]
        return True


def faults_of(watch: Watch) -> list[Violation]:
    """What is wrong with a watch by the rules of the exchange; its fields are paths in the watch."""
    try:
        return watch_faults(_message(watch), dt.datetime.now(dt.UTC))
    except InputInvalid as error:
        return [Violation(error.field, error.reason, error.description)]


def _message(watch: Watch) -> pb.Watch:
    try:
        return watch.to_message()
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise InputInvalid("watch", "FIELD_OUT_OF_RANGE", f"cannot be sent: {error}") from None


def _require_watch(watch: Any) -> None:
    if not isinstance(watch, AccountWatch):
        raise InputInvalid("watch", "FIELD_MALFORMED", f"give an AccountWatch, not a value of type {type(watch).__name__}")
    if not isinstance(watch.watch, Watch):
        raise InputInvalid("watch", "FIELD_MALFORMED", f"give a Watch, not a value of type {type(watch.watch).__name__}")


def _rejected_here(watch: AccountWatch, error: InputInvalid) -> WatchResult:
    """With all else that is wrong with it: it will not come to the exchange, which would have said so."""
    field = f"identity.{error.field}" if isinstance(error, IdentityInvalid) else error.field
    others = [] if field == "watch" else faults_of(watch.watch)
    return WatchResult(watch, accepted=False, violations=(Violation(field, error.reason, error.description), *others))


def check_ids(watch_ids: Sequence[Any]) -> list[bytes]:
    """Ids as the exchange gave them. Raises InputInvalid for what is no bytes."""
    for each in watch_ids:
        if not isinstance(each, bytes):
            raise InputInvalid("watch_ids", "FIELD_MALFORMED", f"give a watch_id as bytes, not a {type(each).__name__}")
    return list(watch_ids)


__all__ = [
    "LONGEST_WAIT",
    "MAX_WATCHES",
    "AccountWatch",
    "Acknowledged",
    "Monitoring",
    "Pulled",
    "Recent",
    "WatchResult",
    "check_ids",
    "faults_of",
]

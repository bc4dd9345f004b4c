"""The blocking exchange: the SDK's public face for ordinary code."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import tenacity
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.client.exceptions import NotUsable, TallystickError
from tallystick.client.flows.auditing import AuditEntry, EntryFilter, OpenedEntry
from tallystick.client.flows.checkpoints import SignedCheckpoint
from tallystick.client.flows.inquiries import Inquiry, InquiryOutcome, QueryResult
from tallystick.client.flows.member_keys import KeyRegistration, RegisteredKey
from tallystick.client.flows.reporting import (
    Report,
    ReportResult,
    Submission,
    SubmissionDetails,
    Withdrawal,
    batches,
)
from tallystick.client.flows.verification import InclusionReport, LogReport
from tallystick.client.identities import AnyIdentity
from tallystick.client.profile.profile import PinnedTokenKey, Profile
from tallystick.client.protocol.calls import Answered, Call, Clock, Finished, Flow, PageStream, RawFailure, Server, advance
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.client.protocol.retrying import is_retryable
from tallystick.client.protocol.transport import Transport
from tallystick.client.session import Options, Session
from tallystick.contract.limits import MAX_ELEMENTS, MAX_INQUIRIES
from tallystick.credit.enums import Purpose, WithdrawalReason

R = TypeVar("R")
T = TypeVar("T")


class Exchange:
    """One member at one exchange. Safe to use from several threads; close it, or use it in a `with` statement.

    Every method raises NotTrusted when an answer's receipt does not hold, NotReached when no answer comes, Refused when the
    exchange says no, and NotUsable for what cannot be sent. See tallystick.client.exceptions.
    """

    def __init__(
        self,
        profile: Profile,
        options: Options | None = None,
        *,
        transports: Mapping[Server, Transport] | None = None,
        clock: Clock = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Opens no connection yet. `transports` takes the place of gRPC, `clock` and `sleep` of the machine's."""
        self._session = Session(profile, options or Options(), clock)
        self._transports = dict(transports or {})
        self._sleep = sleep
        self._closed = False
        self._lock = threading.Lock()
        self._workers: ThreadPoolExecutor | None = None

    @classmethod
    def from_profile(cls, folder: Path | str | None = None, options: Options | None = None) -> Self:
        """An exchange as a profile folder describes it; without one, the folder that TALLYSTICK_PROFILE names.

        Raises ProfileError, which names the file and the key that is wrong.
        """
        return cls(Profile.load(folder), options)

    @property
    def profile(self) -> Profile:
        """The profile."""
        return self._session.profile

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Saves the token cache and closes the connections; nothing can be sent afterwards."""
        self._closed = True
        self._session.save()
        with self._lock:
            workers, self._workers = self._workers, None
            transports, self._transports = list(self._transports.values()), {}
        if workers is not None:
            workers.shutdown(cancel_futures=True)
        for transport in transports:
            transport.close()

    # --- Inquiries --------------------------------------------------------------------------------------------------------------

    def query(self, identity: AnyIdentity, purpose: Purpose, consent_reference: str) -> QueryResult:
        """What all members reported of one subject. "No record" is an answer, not an error."""
        return self._run(self._session.inquiries.query(Inquiry(identity, purpose, consent_reference)))

    def query_many(self, inquiries: Iterable[Inquiry]) -> Iterator[InquiryOutcome]:
        """Queries many subjects in batches; outcomes come in the order of the inquiries, which are taken as they are needed.

        What is wrong with one inquiry stands in its outcome's `error`; what concerns all of them is raised.
        """
        flows = map(self._session.inquiries.query_batch, _chunks(inquiries, MAX_INQUIRIES))
        return self._in_order(flows)

    # --- Reports ----------------------------------------------------------------------------------------------------------------

    def report(self, report: Report) -> ReportResult:
        """Reports one account. A rejection is a result, not an exception: look at its `outcome`."""
        return self._run(self._session.reporting.submit([report]))[0]

    def report_many(self, reports: Iterable[Report]) -> Iterator[ReportResult]:
        """Reports many accounts in batches; results come in the order of the reports, which are taken as they are needed."""
        return self._in_order(map(self._session.reporting.submit, batches(reports)))

    def withdraw(
        self,
        identity: AnyIdentity,
        account_number: str,
        reason: WithdrawalReason,
        as_of: datetime | None = None,
    ) -> Withdrawal:
        """Withdraws one account: it disappears from every later answer. Reports as of `as_of` (now) or earlier stay dead."""
        return self._run(self._session.reporting.withdraw(identity, account_number, reason, as_of or datetime.now(UTC)))

    def get_submission(self, request_id: uuid.UUID) -> SubmissionDetails:
        """The verdicts of an earlier submission of one's own."""
        return self._run(self._session.reporting.get_submission(request_id))

    def list_submissions(self) -> Iterator[Submission]:
        """One's own submissions, newest first."""
        return self._pages(self._session.reporting.submissions_page)

    # --- Audit ------------------------------------------------------------------------------------------------------------------

    def audit_list(self, wanted: EntryFilter | None = None, *, server: Server = Server.EXCHANGE) -> Iterator[AuditEntry]:
        """Entries of the log, newest first: all for an auditor, else one's own. Each page read is an entry itself."""
        chosen = wanted or EntryFilter()
        return self._pages(lambda token: self._session.auditing.entries_page(chosen, server, token))

    def audit_show(self, index: int, *, server: Server = Server.EXCHANGE) -> OpenedEntry:
        """One entry, its details opened; raises DetailsFalse unless they are what the entry commits to."""
        return self._run(self._session.auditing.open_entry(index, server))

    def audit_verify(
        self,
        receipts: Iterable[KeptReceipt] = (),
        *,
        read_entries: bool = True,
        server: Server = Server.EXCHANGE,
    ) -> LogReport:
        """Verifies the log against its signed checkpoint and the last one that was verified, and names what differs.

        Reading the entries needs the auditor's role; without it (`read_entries=False`) the checkpoint's signature, its consistency
        with the last one, and the inclusion of `receipts` are verified. A receipt past the log's end is a difference: the exchange
        gave it for an entry that the log had, and the checkpoint is fetched afterwards. Raises FileInvalid as verify_included.
        """
        flow = self._session.verification.verify_log(server, list(receipts), read_entries=read_entries)
        return self._run(flow)

    def checkpoint(self, *, server: Server = Server.EXCHANGE) -> SignedCheckpoint:
        """The log's checkpoint now, its signature verified."""
        return self._run(self._session.checkpoints.fetch(server))

    def verify_included(
        self, receipts: Iterable[KeptReceipt], checkpoint: SignedCheckpoint, *, server: Server = Server.EXCHANGE
    ) -> InclusionReport:
        """What became of the receipts in the log of a checkpoint that was fetched before.

        It may be older than a receipt, which is then `pending`. A receipt cannot be newer than a checkpoint that is fetched after
        it was given, and audit_verify fetches its own: there nothing is pending.

        Raises FileInvalid for a receipt that proves nothing: of another log, or neither in this one nor signed by the pinned
        receipt key. The line that it names counts the receipts given, from 1.
        """
        return self._run(self._session.verification.included(server, list(receipts), checkpoint))

    def tokenise(self, identities: Iterable[AnyIdentity]) -> Iterator[bytes]:
        """The tokens of many identities, in their order; later calls find them in the cache. Batched as query_many is.

        Raises IdentityInvalid at the first document that does not hold.
        """
        return self._in_order(map(self._session.tokeniser.tokens_of, _chunks(identities, MAX_ELEMENTS)))

    def check_token_key(self) -> PinnedTokenKey:
        """Compares the pinned token key with the authority's; raises EpochRolledBack or ProfileError where they differ."""
        return self._run(self._session.tokeniser.check_token_key())

    # --- Keys -------------------------------------------------------------------------------------------------------------------

    def key_registration(self, new_key: Ed25519PrivateKey, *, server: Server = Server.EXCHANGE) -> KeyRegistration:
        """What an operator needs to register a key of this member. Nothing is sent."""
        return self._session.member_keys.registration(new_key, server)

    def register_key(self, new_key: Ed25519PrivateKey, *, server: Server = Server.EXCHANGE) -> RegisteredKey:
        """Registers this member's next key under the one in use, which stays good until it is revoked."""
        return self._run(self._session.member_keys.register(new_key, server))

    # --- Driving flows ----------------------------------------------------------------------------------------------------------

    def _require_open(self) -> None:
        """Raises NotUsable. A connection opened after the end would be one that nobody closes."""
        if self._closed:
            raise NotUsable("this exchange is closed (its `with` has ended): open another one")

    def _run(self, flow: Flow[R]) -> R:
        """Drives a flow to its result: carries out each call that it yields."""
        self._require_open()
        step = advance(flow)
        while not isinstance(step, Finished):
            try:
                answered = self._carry_out(step)
            except TallystickError as error:
                step = advance(flow, error=error)
            else:
                step = advance(flow, answered)
        return step.result

    def _carry_out(self, step: Call[Any] | PageStream) -> Answered[Any] | None:
        if isinstance(step, Call):
            return self._call(step)
        self._stream(step)
        return None

    def _call(self, call: Call[Any]) -> Answered[Any]:
        conversation = self._session.conversation(call.method.server)
        transport = self._transport(call.method.server)
        timeout = self._session.options.patience.timeout

        def once() -> Answered[Any]:
            attempt = conversation.attempt(call)
            raw = transport.unary(call.method.path, call.message, attempt.metadata, timeout)
            return conversation.conclude(call, attempt, raw)

        return self._retrying(is_retryable)(once)

    def _stream(self, stream: PageStream) -> None:
        call = stream.call
        conversation = self._session.conversation(call.method.server)
        transport = self._transport(call.method.server)
        timeout = self._session.options.patience.stream_timeout
        begun = False

        def once() -> None:
            nonlocal begun
            attempt = conversation.attempt(call)
            for raw in transport.stream(call.method.path, call.message, attempt.metadata, timeout):
                if isinstance(raw, RawFailure):
                    raise conversation.failure(call, attempt, raw)
                begun = True
                stream.take(conversation.open_page(stream, attempt, raw))

        # Once a page was taken only the flow knows where to go on.
        self._retrying(lambda error: is_retryable(error) and not begun)(once)

    def _retrying(self, predicate: Callable[[BaseException], bool]) -> tenacity.Retrying:
        patience = self._session.options.patience
        return tenacity.Retrying(
            sleep=self._sleep,
            stop=patience.stop(),
            wait=patience.wait(),
            retry=tenacity.retry_if_exception(predicate),
            reraise=True,
        )

    def _in_order(self, flows: Iterator[Flow[list[T]]]) -> Iterator[T]:
        """Drives a bounded number of flows at once and yields what they return, in their order."""
        with self._lock:
            self._require_open()
            if self._workers is None:
                self._workers = ThreadPoolExecutor(self._session.options.in_flight, "tallystick")
            workers = self._workers
        running: deque[Future[list[T]]] = deque()
        try:
            for flow in flows:
                running.append(workers.submit(self._run, flow))
                while running and (len(running) >= self._session.options.in_flight or running[0].done()):
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def _pages(self, page: Callable[[str], Flow[tuple[list[T], str]]]) -> Iterator[T]:
        token = ""
        while True:
            items, token = self._run(page(token))
            yield from items
            if not token:
                return

    def _transport(self, server: Server) -> Transport:
        with self._lock:
            transport = self._transports.get(server)
            if transport is None:
                from tallystick.client.protocol.grpc_transport import GrpcTransport  # late: see its docstring

                transport = self._transports[server] = GrpcTransport(self._session.endpoint(server).address)
            return transport


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk

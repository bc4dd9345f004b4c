"""The asynchronous exchange: the public interface of the SDK on asyncio."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.client.async_watches import AsyncWatching
from tallystick.client.drivers.tasks import TaskDriver, chunks, cut, iterate
from tallystick.client.flows.auditing import AuditEntry, EntryFilter, OpenedEntry
from tallystick.client.flows.checkpoints import SignedCheckpoint
from tallystick.client.flows.completeness import CompleteList
from tallystick.client.flows.counting import CountFilter, Dimension, EntryCounts
from tallystick.client.flows.inquiries import Inquiry, InquiryOutcome, NumberedInquiries, QueriedBatch, QueryResult
from tallystick.client.flows.member_keys import KeyRegistration, RegisteredKey
from tallystick.client.flows.reporting import (
    NumberedReports,
    Report,
    ReportedBatch,
    ReportResult,
    Submission,
    SubmissionDetails,
    Withdrawal,
)
from tallystick.client.flows.scorecards import ListedScorecard, scorecards
from tallystick.client.flows.servicing import AccountEvent, EventResult
from tallystick.client.flows.standing import Standing, standing
from tallystick.client.flows.verification import InclusionReport, LogReport
from tallystick.client.identities import AnyIdentity
from tallystick.client.profile.profile import PinnedTokenKey, Profile
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Clock
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.client.protocol.transport import AsyncTransport
from tallystick.client.session import Options, Session
from tallystick.contract.limits import MAX_ELEMENTS, MAX_EVENTS, MAX_INQUIRIES
from tallystick.credit.enums import Purpose, Section, WithdrawalReason
from tallystick.credit.servicing import ServicingEvent


class AsyncServicingRecord:
    """What this member did after the loan, for its own accounts: the methods of `AsyncExchange.servicing`."""

    def __init__(self, session: Session, driver: TaskDriver) -> None:
        self._session = session
        self._driver = driver

    def record(
        self, events: Iterable[AccountEvent] | AsyncIterable[AccountEvent], *, timeout: float | None = None
    ) -> AsyncGenerator[EventResult]:
        """Records events in batches; results come in the order of the events, which are taken as they are needed.

        A rejection is a result, not an exception. An event that is recorded already, with the same content, changes nothing.
        """
        return self._driver.in_order(self._session.servicing.record, chunks(events, MAX_EVENTS), timeout)

    def list(self, identity: AnyIdentity, account_number: str, *, timeout: float | None = None) -> AsyncGenerator[ServicingEvent]:
        """One's own events of one account, the last recorded first."""
        page = self._session.servicing.events_page
        return self._driver.pages(lambda token: page(identity, account_number, token), timeout)


class AsyncExchange:
    """One member at one exchange. For one event loop; close it, or use it in an `async with` statement.

    Every method raises NotTrusted when an answer's receipt does not hold, NotReached when no answer comes, Refused when the
    exchange says no, and NotUsable for what cannot be sent. See tallystick.client.exceptions.

    `timeout`, where a method takes it, is how many seconds the caller waits in all, with every attempt and the waits between them;
    DeadlineExceeded then says that the time is over, not that nothing was done. Without it Options.patience decides: 30 seconds an
    attempt, 120 in all. An iteration takes it for each batch or page.

    `request_id` is the caller's own idempotency key, a UUID (uuid.uuid5 makes one of any text that is your own, such as the number
    of an application): a call that is repeated under it, with the same content, has no second effect; with other content it is
    refused (Conflict).
    """

    def __init__(
        self,
        profile: Profile,
        options: Options | None = None,
        *,
        transports: Mapping[Server, AsyncTransport] | None = None,
        clock: Clock = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Opens no connection yet. `transports` takes the place of gRPC, `clock` and `sleep` of the machine's."""
        self._session = Session(profile, options or Options(), clock)
        self._driver = TaskDriver(self._session, transports, sleep)
        self.servicing = AsyncServicingRecord(self._session, self._driver)
        """What this member did after the loan."""
        self.monitoring = AsyncWatching(self._session, self._driver)
        """Watches over this member's own borrowers, and what they tell."""

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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Saves the token cache and closes the connections; nothing can be sent afterwards."""
        await self._driver.close()

    # --- Inquiries --------------------------------------------------------------------------------------------------------------

    async def query(
        self,
        identity: AnyIdentity,
        purpose: Purpose,
        consent_reference: str,
        *,
        sections: Collection[Section] = (),
        request_id: uuid.UUID | None = None,
        timeout: float | None = None,
    ) -> QueryResult:
        """What all members reported of one subject. "No record" is an answer, not an error.

        With Section.RATING among `sections` the answer holds a rating: `history.rating`."""
        inquiry = Inquiry(identity, purpose, consent_reference, sections=sections)
        flow = self._session.inquiries.query(inquiry, request_id)
        return await self._driver.run(flow, timeout)

    async def scorecards(self, *, timeout: float | None = None) -> list[ListedScorecard]:
        """Every scorecard of this exchange, with when it is in force. Public: it leaves no entry in the log."""
        return await self._driver.run(scorecards(), timeout)

    def query_many(
        self, inquiries: Iterable[Inquiry] | AsyncIterable[Inquiry], *, timeout: float | None = None
    ) -> AsyncGenerator[InquiryOutcome]:
        """Queries many subjects in batches; outcomes come in the order of the inquiries, which are taken as they are needed.

        What is wrong with one inquiry is in its outcome's `error`; what concerns all of them is raised.
        """
        return self._driver.in_order(self._session.inquiries.query_batch, chunks(inquiries, MAX_INQUIRIES), timeout)

    def query_batches(
        self,
        batches: Iterable[NumberedInquiries] | AsyncIterable[NumberedInquiries],
        *,
        run: uuid.UUID,
        timeout: float | None = None,
    ) -> AsyncGenerator[QueriedBatch]:
        """Queries numbered batches of at most 200 under the request_ids of a run, so that the run can be gone on with.

        A batch that was sent before, with the same inquiries, leaves no second footprint.
        """
        return self._driver.in_order(self._session.inquiries.query_numbered(run), iterate(batches), timeout)

    # --- Reports ----------------------------------------------------------------------------------------------------------------

    async def report(self, report: Report, *, request_id: uuid.UUID | None = None, timeout: float | None = None) -> ReportResult:
        """Reports one account. A rejection is a result, not an exception: look at its `outcome`."""
        results = await self._driver.run(self._session.reporting.submit([report], request_id), timeout)
        return results[0]

    def report_many(
        self, reports: Iterable[Report] | AsyncIterable[Report], *, timeout: float | None = None
    ) -> AsyncGenerator[ReportResult]:
        """Reports many accounts in batches; results come in the order of the reports, which are taken as they are needed."""
        return self._driver.in_order(self._session.reporting.submit, cut(reports), timeout)

    def report_batches(
        self,
        batches: Iterable[NumberedReports] | AsyncIterable[NumberedReports],
        *,
        run: uuid.UUID,
        timeout: float | None = None,
    ) -> AsyncGenerator[ReportedBatch]:
        """Reports numbered batches under the request_ids of a run, so that the run can be gone on with.

        A batch that was sent before, with the same reports, is answered as it was then.
        """
        return self._driver.in_order(self._session.reporting.submit_numbered(run), iterate(batches), timeout)

    async def withdraw(
        self,
        identity: AnyIdentity,
        account_number: str,
        reason: WithdrawalReason,
        as_of: datetime | None = None,
        *,
        as_spelled: bool = False,
        request_id: uuid.UUID | None = None,
        timeout: float | None = None,
    ) -> Withdrawal:
        """Withdraws one account: it disappears from every later answer. Reports as of `as_of` (now) or earlier stay dead.

        `as_spelled` names it by its number exactly as given, as accounts were before numbers were normalised. With a request_id of
        your own give `as_of` too: "now" is another content each time.
        """
        instant = as_of or datetime.now(UTC)
        reporting = self._session.reporting
        flow = reporting.withdraw(identity, account_number, reason, instant, as_spelled=as_spelled, request_id=request_id)
        return await self._driver.run(flow, timeout)

    async def get_submission(self, request_id: uuid.UUID, *, timeout: float | None = None) -> SubmissionDetails:
        """The verdicts of an earlier submission of one's own."""
        return await self._driver.run(self._session.reporting.get_submission(request_id), timeout)

    def list_submissions(self, *, timeout: float | None = None) -> AsyncGenerator[Submission]:
        """One's own submissions, newest first."""
        return self._driver.pages(self._session.reporting.submissions_page, timeout)

    # --- Audit ------------------------------------------------------------------------------------------------------------------

    def audit_list(
        self, wanted: EntryFilter | None = None, *, server: Server = Server.EXCHANGE, timeout: float | None = None
    ) -> AsyncGenerator[AuditEntry]:
        """Entries of the log, newest first: all for an auditor, else one's own. Each page read is an entry itself."""
        chosen = wanted or EntryFilter()
        return self._driver.pages(lambda token: self._session.auditing.entries_page(chosen, server, token), timeout)

    async def audit_list_complete(
        self, wanted: EntryFilter | None = None, *, server: Server = Server.EXCHANGE, timeout: float | None = None
    ) -> CompleteList:
        """The entries that a filter means, read from the signed log itself: a list that the server cannot cut. For auditors.

        The whole log is read; with a subject, each entry of the period is opened, which is a call and an entry each. Give a period.
        """
        return await self._driver.run(
            self._session.completeness.complete_list(wanted or EntryFilter(), server, datetime.now(UTC)), timeout
        )

    async def audit_count(
        self,
        dimensions: Sequence[Dimension],
        wanted: CountFilter,
        *,
        server: Server = Server.EXCHANGE,
        timeout: float | None = None,
    ) -> EntryCounts:
        """Counts of requests and of distinct subjects, in groups by these dimensions; for auditors.

        They come from the server's index, which it could cut. Raises LimitExceeded when the period is too much to count at once.
        """
        return await self._driver.run(self._session.counting.count(dimensions, wanted, server), timeout)

    async def audit_show(self, index: int, *, server: Server = Server.EXCHANGE, timeout: float | None = None) -> OpenedEntry:
        """One entry, its details opened; raises DetailsFalse unless they are what the entry commits to.

        Where the request is shown, its own signature is verified too: look at `signature_check`. The registry of members is read
        for that, when a key is not known yet.
        """
        return await self._driver.run(self._session.auditing.open_entry(index, server), timeout)

    async def audit_verify(
        self,
        receipts: Iterable[KeptReceipt] = (),
        *,
        read_entries: bool = True,
        server: Server = Server.EXCHANGE,
        timeout: float | None = None,
    ) -> LogReport:
        """Verifies the log against its signed checkpoint and the last one that was verified, and names what differs.

        Reading the entries needs the auditor's role; without it (`read_entries=False`) the checkpoint's signature, its consistency
        with the last one, and the inclusion of `receipts` are verified. A receipt past the log's end is a difference: the exchange
        gave it for an entry that the log had, and the checkpoint is fetched afterwards. Raises FileInvalid as verify_included.
        """
        flow = self._session.verification.verify_log(server, list(receipts), read_entries=read_entries, now=datetime.now(UTC))
        return await self._driver.run(flow, timeout)

    async def checkpoint(self, *, server: Server = Server.EXCHANGE, timeout: float | None = None) -> SignedCheckpoint:
        """The log's checkpoint now, its signature verified."""
        return await self._driver.run(self._session.checkpoints.fetch(server), timeout)

    async def verify_included(
        self,
        receipts: Iterable[KeptReceipt],
        checkpoint: SignedCheckpoint,
        *,
        server: Server = Server.EXCHANGE,
        timeout: float | None = None,
    ) -> InclusionReport:
        """What became of the receipts in the log of a checkpoint that was fetched before.

        It may be older than a receipt, which is then `pending`. A receipt cannot be newer than a checkpoint that is fetched after
        it was given, and audit_verify fetches its own: there nothing is pending.

        Raises FileInvalid for a receipt that proves nothing: of another log, or neither in this one nor signed by the pinned
        receipt key. The line that it names counts the receipts given, from 1.
        """
        return await self._driver.run(self._session.verification.included(server, list(receipts), checkpoint), timeout)

    def tokenise(
        self, identities: Iterable[AnyIdentity] | AsyncIterable[AnyIdentity], *, timeout: float | None = None
    ) -> AsyncGenerator[bytes]:
        """The tokens of many identities, in their order; later calls find them in the cache. Batched as query_many is.

        Raises IdentityInvalid at the first document that does not hold.
        """
        return self._driver.in_order(self._session.tokeniser.tokens_of, chunks(identities, MAX_ELEMENTS), timeout)

    async def check_token_key(self, *, timeout: float | None = None) -> PinnedTokenKey:
        """Compares the pinned token key with the authority's; raises EpochRolledBack or ProfileError where they differ."""
        return await self._driver.run(self._session.tokeniser.check_token_key(), timeout)

    # --- This member ------------------------------------------------------------------------------------------------------------

    async def standing(self, *, server: Server = Server.EXCHANGE, timeout: float | None = None) -> Standing:
        """How a server sees this member: roles, purposes, keys, what is used of its quotas, and the server's clock."""
        return await self._driver.run(standing(server), timeout)

    # --- Keys -------------------------------------------------------------------------------------------------------------------

    def key_registration(self, new_key: Ed25519PrivateKey, *, server: Server = Server.EXCHANGE) -> KeyRegistration:
        """What an operator needs to register a key of this member. Nothing is sent."""
        return self._session.member_keys.registration(new_key, server)

    async def register_key(
        self, new_key: Ed25519PrivateKey, *, server: Server = Server.EXCHANGE, timeout: float | None = None
    ) -> RegisteredKey:
        """Registers this member's next key under the one in use, which stays good until it is revoked."""
        return await self._driver.run(self._session.member_keys.register(new_key, server), timeout)

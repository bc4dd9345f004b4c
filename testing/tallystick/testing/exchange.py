"""The in-memory exchange: what a member's own tests talk to, and what they can have happen to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.client import AsyncExchange, Exchange, Identity, Options, Profile, Server
from tallystick.client.profile.servers import Signer
from tallystick.contract.instants import microseconds
from tallystick.contract.methods import BATCH_QUERY_CREDIT_HISTORIES, GET_TOKEN_KEY, LIST_SCORECARDS, QUERY_CREDIT_HISTORY, Method
from tallystick.credit.enums import Purpose
from tallystick.credit.history import Account
from tallystick.credit.notices import NoticeRule
from tallystick.credit.validation import validate_account
from tallystick.crypto import resident_id_check_digit
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.testing.audit import Reading
from tallystick.testing.clock import Clock
from tallystick.testing.faults import Faults
from tallystick.testing.history import KnownAccount
from tallystick.testing.inquiries import MAX_INQUIRIES, Footprint, Histories
from tallystick.testing.log import Log
from tallystick.testing.membership import membership
from tallystick.testing.profiles import in_memory_profile, served, write_profile
from tallystick.testing.reporting import Accounts
from tallystick.testing.requests import ALL_PURPOSES, Caller
from tallystick.testing.servers import InMemoryServer
from tallystick.testing.servicing import ServicingRecord
from tallystick.testing.tokens import TokenKey
from tallystick.testing.transports import AsyncTransportOver
from tallystick.testing.values import code_of, whole_of
from tallystick.v1.membership_service_pb2 import ROLE_AUDITOR, ROLE_INQUIRER, ROLE_REPORTER, ROLE_TOKEN_REQUESTER
from tallystick.v1.reporting_service_pb2 import AccountReport

_QUERIES: dict[str, Method[Any, Any]] = {each.name: each for each in (QUERY_CREDIT_HISTORY, BATCH_QUERY_CREDIT_HISTORIES)}


@dataclass(frozen=True, slots=True)
class AskedInquiry:
    """One inquiry as it reached the exchange, whatever became of it."""

    purpose: Purpose
    consent_reference: str
    request_id: UUID
    """The request's: an attempt that is made again has the same."""


class InMemoryExchange(Faults):
    """An exchange and its token authority in this process, with one member: the one whose code is tested.

    What the SDK does with it is what it does with real ones: it signs, and verifies receipts and token proofs. What a real exchange
    refuses, this one refuses, with the same reason and fields. No port is opened and nothing is written, unless a test asks for a
    profile's folder. See docs/testing.md for what it does not do.
    """

    def __init__(
        self,
        *,
        member_id: str = "bank-under-test",
        now: dt.datetime | None = None,
        may_report: bool = True,
        may_inquire: bool = True,
        may_audit: bool = False,
        purposes: Iterable[Purpose] | None = None,
        require_notice: str = "warn",
    ) -> None:
        """`now` makes the clock stand there; else it is the machine's. `purposes` are those agreed for the member: all, if not
        given. `require_notice` is that setting of the exchange: off, warn or reject."""
        self.clock = Clock(now)
        roles = {ROLE_TOKEN_REQUESTER: True, ROLE_REPORTER: may_report, ROLE_INQUIRER: may_inquire, ROLE_AUDITOR: may_audit}
        self._member = Caller(
            member_id,
            frozenset(role for role, held in roles.items() if held),
            ALL_PURPOSES if purposes is None else _purposes(purposes),
        )
        self._signer = Signer(member_id, Ed25519PrivateKey.generate())
        self._admitted = self.clock.now()
        self._token_key = TokenKey()
        self._accounts = Accounts(self._token_key, notices=NoticeRule(require_notice))
        self._histories = Histories(self._accounts)
        servicing = ServicingRecord(self._accounts)
        operations = {**self._accounts.operations(), **self._histories.operations(), **servicing.operations()}
        self._exchange = self._server("exchange.test/log", operations)
        self._authority = self._server("tokens.test/log", self._token_key.operations())
        self._authority.public_methods[GET_TOKEN_KEY.path] = self._token_key.published
        self._exchange.public_methods[LIST_SCORECARDS.path] = self._histories.scorecards
        super().__init__(self._exchange, self._authority)
        self._folder: Path | None = None

    def _server(self, origin: str, operations: Any) -> InMemoryServer:
        log = Log(origin)
        reading = Reading(log, self._signer.key, self._member.member_id)
        own = {**membership(self._signer, self._admitted), **operations}
        return InMemoryServer(log, reading, self._member, self._signer.key, self.clock, own)

    # --- What the code under test is given --------------------------------------------------------------------------------------

    @property
    def profile(self) -> Profile:
        """The member's profile: read from its folder, once there is one."""
        if self._folder is not None:
            return Profile.load(self._folder)
        return in_memory_profile(self._signer, self._exchange.log, self._authority.log, self._token_key)

    def exchange(self, options: Options | None = None) -> Exchange:
        """The SDK's own Exchange, as a member has it. What it would keep between runs it keeps once there is a folder."""
        return Exchange(self.profile, self._options(options), **self._blocking())

    def async_exchange(self, options: Options | None = None) -> AsyncExchange:
        """The same for asyncio."""
        return AsyncExchange(self.profile, self._options(options), **self._awaited())

    def write_profile(self, folder: Path | str) -> Path:
        """Writes the member's profile into a folder, for what reads one. Inside `serving` it leads here."""
        self._folder = Path(folder)
        write_profile(self._folder, self._signer, self._exchange.log, self._authority.log, self._token_key)
        return self._folder

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Inside, an Exchange or AsyncExchange that anybody makes of this member's profile in this process is served in memory: for
        code that calls `Exchange.from_profile`, and for the command."""
        with served(raw_public_key(self._exchange.log.receipt_key), self._blocking(), self._awaited()):
            yield

    def _blocking(self) -> dict[str, Any]:
        transports = {Server.EXCHANGE: self._exchange, Server.TOKEN_AUTHORITY: self._authority}
        return {"transports": transports, "clock": self.clock, "sleep": self.clock.sleep}

    def _awaited(self) -> dict[str, Any]:
        servers = ((Server.EXCHANGE, self._exchange), (Server.TOKEN_AUTHORITY, self._authority))
        transports = {name: AsyncTransportOver(server) for name, server in servers}
        return {"transports": transports, "clock": self.clock, "sleep": self.clock.sleep_async}

    def _options(self, options: Options | None) -> Options:
        given = options or Options()
        return given if self._folder is not None else replace(given, keep_state=False)

    # --- What is known ----------------------------------------------------------------------------------------------------------

    def known(self, identity: Identity, *accounts: KnownAccount | Account) -> None:
        """Has other institutions report accounts of a subject. An Account is taken as it is, and as another institution's.

        Raises ValueError for an account that a real exchange would reject, with the field and what is wrong."""
        element = self._element(identity)
        now = self.clock.now()
        for place, each in enumerate(accounts):
            if not isinstance(each, KnownAccount | Account):
                raise ValueError(f"accounts[{place}]: give account(…) or an Account, not a {type(each).__name__}")
            institution, record = (each.institution, each.on(now)) if isinstance(each, KnownAccount) else ("another-bank", each)
            if institution == self._member.member_id:
                raise ValueError("known: is for what others reported; report the member's own accounts through the SDK")
            message = record.to_message()
            if violations := validate_account(message, now, f"accounts[{place}]"):
                raise ValueError("; ".join(f"{each.field}: {each.description}" for each in violations))
            reference = len(self._accounts.states.get(element, ())).to_bytes(40, "big")
            report = AccountReport(account=message)
            verdict = self._accounts.merge(element, (institution, reference), report, microseconds(now), place, NoticeRule.OFF)
            if verdict.violations:
                raise ValueError(f"known: {institution} reports as many accounts of this subject as one member may")

    def asked_about(
        self, identity: Identity, *, by: str = "another-bank", days_ago: int = 1, purpose: Purpose = Purpose.LOAN_APPROVAL
    ) -> None:
        """Has another institution have asked about a subject."""
        purpose = code_of(Purpose, purpose, "purpose")
        whole_of(days_ago, "days_ago")
        footprints = self._histories.footprints.setdefault(self._element(identity), [])
        if by == self._member.member_id or len(footprints) >= MAX_INQUIRIES:
            raise ValueError(f"asked_about: is for at most {MAX_INQUIRIES} inquiries by others about one subject")
        footprints.append(Footprint(self.clock.now() - dt.timedelta(days=days_ago), by, int(purpose)))

    # --- What was asked and reported --------------------------------------------------------------------------------------------

    def inquiries(self, identity: Identity | None = None) -> list[AskedInquiry]:
        """The inquiries that reached the exchange, of one subject or of all, in their order; an attempt made again counts again."""
        element = None if identity is None else self._element(identity)
        return [
            AskedInquiry(Purpose(inquiry.purpose), inquiry.consent_reference, UUID(bytes=request.request_id))
            for name, message, _ in self._exchange.calls
            if name in _QUERIES
            for request in [_QUERIES[name].request.FromString(message)]
            for inquiry in ([request.inquiry] if name == QUERY_CREDIT_HISTORY.name else request.inquiries)
            if element is None or inquiry.subject.element == element
        ]

    def reported(self, identity: Identity) -> list[Account]:
        """The member's own accounts of a subject as the exchange has them now, in the order of their first reports."""
        live = self._accounts.live(self._element(identity))
        return [Account.from_message(record) for institution, record in live if institution == self._member.member_id]

    @property
    def attempts(self) -> list[str]:
        """The methods called at the exchange, in their order: "QueryCreditHistory", "SubmitReports" …"""
        return [name for name, _, _ in self._exchange.calls]

    @property
    def token_requests(self) -> int:
        """How often the token authority was asked for tokens."""
        return sum(name == "EvaluateTokens" for name, _, _ in self._authority.calls)

    @property
    def waits(self) -> list[float]:
        """For how many seconds the SDK waited before it tried again, each time; no time passed for it."""
        return self.clock.waits

    def advance(self, passed: dt.timedelta) -> None:
        """Lets time pass, for the exchange and for the SDK."""
        if not isinstance(passed, dt.timedelta):
            raise ValueError(f"passed: give a timedelta, such as timedelta(days=3), not a {type(passed).__name__}")
        self.clock.advance(passed)

    def _element(self, identity: Identity) -> bytes:
        if not isinstance(identity, Identity):
            raise ValueError(f"identity: give an Identity, such as person(), not a {type(identity).__name__}")
        return self._token_key.element(identity.normalised())


def _purposes(purposes: Iterable[Purpose]) -> frozenset[int]:
    if isinstance(purposes, str) or not isinstance(purposes, Iterable):
        raise ValueError("purposes: give a list of purposes")
    return frozenset(int(code_of(Purpose, each, "purposes")) for each in purposes)


def person(serial: int = 0) -> Identity:
    """An artificial person, another for each number: a resident ID of region 999999, which no province has, born in the 1850s.
    It passes every check that a real one passes."""
    if not 0 <= whole_of(serial, "serial") < 3_000_000:
        raise ValueError("serial: must be 0 to 2,999,999")
    days, order = divmod(serial, 1_000)
    first17 = f"999999{dt.date(1850, 1, 1) + dt.timedelta(days):%Y%m%d}{order:03d}"
    return Identity.resident_id(first17 + resident_id_check_digit(first17))

"""Everybody and everything that takes part in a contract test, and what must hold whenever a request is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message
from tests.contract import requests
from tests.contract.database_view import DatabaseView
from tests.contract.installation import Installation, Worker, public_bytes, write_profile
from tests.contract.raw_caller import RawCaller, Reply, path

from tallystick.contract.reasons import BY_NAME, Logged
from tallystick.crypto import key_statement
from tallystick.v1 import log_pb2
from tallystick.v1 import membership_service_pb2 as membership

REPORTER, INQUIRER, AUDITOR, OPERATOR, TOKEN_REQUESTER, SYSTEM = 1, 2, 3, 4, 5, 8


@dataclass
class Running:
    """A server, its first worker, and its database."""

    installation: Installation
    worker: Worker
    database_view: DatabaseView

    def caller(self, member_id: str, key: Ed25519PrivateKey) -> RawCaller:
        """A member that calls this server by hand."""
        return RawCaller(self.installation, self.worker.address, member_id, key)

    def operator(self) -> RawCaller:
        """The operator."""
        return self.caller(self.installation.settings.operator, self.installation.keys.operator_key)


@dataclass
class Member:
    """A member at both servers."""

    member_id: str
    key: Ed25519PrivateKey
    folder: Path
    """Its profile, for the SDK."""
    exchange: RawCaller
    authority: RawCaller


def admit(
    operator: RawCaller,
    member_id: str,
    key: Ed25519PrivateKey,
    roles: list[int],
    purposes: tuple[int, ...] = (),
    daily_evaluations: int = 0,
) -> None:
    """Admits a member and its first key at one server."""
    member: Any = membership.Member(member_id=member_id, display_name=member_id, daily_evaluations=daily_evaluations)
    member.roles.extend(roles)
    member.purposes.extend(purposes)
    member.state = membership.MEMBER_STATE_ACTIVE
    create = membership.CreateMemberRequest(request_id=requests.request_id(), member=member)
    assert operator.call(requests.CREATE_MEMBER, create).message.member.member_id == member_id
    add_key(operator, member_id, key)


def add_key(operator: RawCaller, member_id: str, key: Ed25519PrivateKey, endorsed_by: Ed25519PrivateKey | None = None) -> bytes:
    """Registers a key of a member; its keyid."""
    statement = key_statement(operator.server.origin, member_id, public_bytes(key))
    add = membership.AddMemberKeyRequest(
        request_id=requests.request_id(),
        member_id=member_id,
        public_key=public_bytes(key),
        possession_signature=key.sign(statement),
        endorsement_signature=endorsed_by.sign(statement) if endorsed_by else b"",
    )
    return bytes(operator.call(requests.ADD_KEY, add).message.key.keyid)


class System:
    """Both servers and all members."""

    def __init__(self, authority: Running, exchange: Running, folder: Path) -> None:
        self.authority = authority
        self.exchange = exchange
        self.mint = requests.TokenMint(authority.installation.token_key)
        self._folder = folder
        self._operators = (authority.operator(), exchange.operator())
        self.members: dict[str, Member] = {}
        self.admit("bank-a", [REPORTER, INQUIRER], (1, 2, 3, 21))
        self.admit("bank-b", [REPORTER, INQUIRER], (1, 2, 3))
        self.admit("lender-c", [INQUIRER], (2,))
        self.admit("reporter-d", [REPORTER])
        self.admit("auditor", [AUDITOR])

    @property
    def operator(self) -> RawCaller:
        """The operator of the exchange."""
        return self._operators[1]

    def __getitem__(self, member_id: str) -> Member:
        return self.members[member_id]

    def admit(self, member_id: str, roles: list[int], purposes: tuple[int, ...] = ()) -> Member:
        """Admits a member at both servers; an auditor at both, everybody for tokens."""
        key = Ed25519PrivateKey.generate()
        admit(self._operators[0], member_id, key, [TOKEN_REQUESTER, *(role for role in roles if role == AUDITOR)])
        admit(self._operators[1], member_id, key, roles, purposes)
        folder = self._folder / member_id
        servers = {
            "exchange": (self.exchange.installation, self.exchange.worker.address),
            "token-authority": (self.authority.installation, self.authority.worker.address),
        }
        write_profile(folder, member_id, key, servers)
        callers = (self.exchange.caller(member_id, key), self.authority.caller(member_id, key))
        self.members[member_id] = Member(member_id, key, folder, *callers)
        return self.members[member_id]

    def admit_caller(self, member_id: str, roles: list[int], purposes: tuple[int, ...] = ()) -> RawCaller:
        """Admits a member at the exchange alone."""
        return self.admit(member_id, roles, purposes).exchange

    def close(self) -> None:
        """Closes every connection."""
        for caller in self._operators:
            caller.close()
        for member in self.members.values():
            member.exchange.close()
            member.authority.close()

    def database_view(self, caller: RawCaller) -> DatabaseView:
        """The database of the server that the caller calls."""
        return self.exchange.database_view if caller.server is self.exchange.installation else self.authority.database_view

    def expect_refusal(
        self,
        caller: RawCaller,
        method: str,
        message: Message | bytes,
        code: grpc.StatusCode,
        reason: str,
        *fields: str,
        logged: bool = True,
        **signing: Any,
    ) -> Reply:
        """Signs and sends a request that must be refused: see expect_refused."""
        return self.expect_refused(caller, lambda: caller.call(method, message, **signing), code, reason, *fields, logged=logged)

    def expect_refused(
        self,
        caller: RawCaller,
        send: Callable[[], Reply],
        code: grpc.StatusCode,
        reason: str,
        *fields: str,
        logged: bool = True,
    ) -> Reply:
        """Asserts all that holds of a refusal: its code, reason and fields; that nothing but the log has changed, and the log
        by one entry with its receipt, or not at all; and that the server goes on."""
        stored = self.database_view(caller)
        state, size = stored.state(), stored.size
        reply = send()
        assert (reply.code, reply.reason) == (code, reason), f"{reply.code.name} {reply.reason}: {reply.text}"
        assert [field for field, _ in reply.violations[: len(fields)]] == list(fields), reply.violations
        assert stored.state() == state
        if logged and BY_NAME[reason].logged is Logged.SPARINGLY and reply.receipt is None:
            # It was refused for this within the last minute, and had its entry then.
            logged = False
        if logged:
            self.expect_entry(caller, reply, size, refused=True)
        else:
            assert reply.receipt is None
        assert stored.size == size + logged
        self.expect_service(caller)
        return reply

    def expect_entry(self, caller: RawCaller, reply: Reply, index: int, *, refused: bool) -> None:
        """The log has the request at that index, and the reply's receipt proves it."""
        entry = self.database_view(caller).entry(index)
        assert (entry.member_id, entry.method) == (caller.member_id, path(reply.method))
        assert entry.outcome == (log_pb2.ENTRY_OUTCOME_REFUSED if refused else log_pb2.ENTRY_OUTCOME_OK)
        kept = caller.verified_receipt(reply)
        assert kept.index == index
        assert reply.logged.entry == entry.SerializeToString()
        assert log_pb2.Envelope.FromString(reply.logged.envelope).reason == reply.reason

    def expect_service(self, caller: RawCaller) -> None:
        """The next good request of another member is carried out, by the same server."""
        if caller.server is self.exchange.installation:
            reply = self["bank-b"].exchange.call(requests.QUERY, requests.query(self.mint.stranger()))
            assert reply.message.credit_history.outcome == 2
        else:
            reply = self["bank-b"].authority.call(requests.LIST_ENTRIES, b"")
            assert reply.ok

"""Administration from the command line: requests signed with the operator's key, on the same path as everybody's, in process.

The registry itself begins with `bootstrap`: the operator's own member and key, written together with the two entries that say so.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from tallystick.contract.methods import ADD_MEMBER_KEY, CREATE_MEMBER
from tallystick.crypto import key_statement, parse_request_signature, sign_request
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.server.composition import compose
from tallystick.server.errors import Problem, Refusal
from tallystick.server.installation.key_folder import ServerKeys
from tallystick.server.installation.settings import Settings
from tallystick.server.ledger.transaction import Transactor
from tallystick.server.log.append import LogWriter
from tallystick.server.log.evidence import EvidenceBox
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import Request
from tallystick.server.service import Service
from tallystick.server.services.membership import registry
from tallystick.server.storage.connection import Connection
from tallystick.v1 import errors_pb2
from tallystick.v1 import membership_service_pb2 as pb

Response = TypeVar("Response", bound=Message)
SERVICE = "/tallystick.v1.MembershipService/"


async def administer(
    settings: Settings, keys: ServerKeys, dsn: str, method: str, message: Message, response_type: type[Response]
) -> Response:
    """Carries out one request of the operator's, logged like any other; raises Refusal."""
    async with in_process(settings, keys, dsn) as service:
        return await carry_out(service, signed(settings, keys.operator_key, method, message, int(time.time())), response_type)


@asynccontextmanager
async def in_process(settings: Settings, keys: ServerKeys, dsn: str) -> AsyncIterator[Service]:
    """A service that serves nobody but the caller, until the context ends."""
    service = compose(settings, keys, dsn)
    service.ledger.start()
    try:
        yield service
    finally:
        await service.close()


async def carry_out(service: Service, call: Call, response_type: type[Response]) -> Response:
    """Carries out one signed call; raises Refusal."""
    answer = await service.handle(call)
    if answer.refusal is not None:
        raise answer.refusal
    return response_type.FromString(answer.message)


async def bootstrap(settings: Settings, keys: ServerKeys, dsn: str) -> bool:
    """Admits the operator and its key when the registry is empty; returns whether it was.

    Rows and entries commit together: after a crash the registry is empty, and this runs again."""
    connection = await Connection.open(dsn)
    try:
        await connection.execute("BEGIN")
        await registry.lock_registry(connection)
        if await connection.fetch("SELECT 1 FROM member LIMIT 1"):
            await connection.execute("ROLLBACK")
            return False
        requests = await _first_requests(connection, settings, keys)
        writer = LogWriter(settings.origin, keys.receipt_key, EvidenceBox(keys.evidence))
        transactor = Transactor(writer, keys.request_secret)
        # The transaction is open already: its BEGIN in there is a warning in the database's log, and no more.
        batch = await transactor.carry_out(connection, requests)
        for refusal in batch.refusals:
            raise refusal
        await transactor.commit(connection, batch)
        return True
    finally:
        connection.close()


async def _first_requests(connection: Connection, settings: Settings, keys: ServerKeys) -> list[Request]:
    """Writes the operator's rows; returns the requests that say so, signed by the key that they register."""
    ((clock,),) = await connection.fetch("SELECT clock_timestamp()")
    public_key = raw_public_key(keys.operator_key)
    member = pb.Member(member_id=settings.operator, display_name="Operator", roles=[pb.ROLE_OPERATOR], state=pb.MEMBER_STATE_ACTIVE)
    row = await registry.insert_member(connection, member, clock)
    assert row is not None
    key = await registry.insert_key(connection, row.id, public_key, clock)
    assert key is not None
    create = pb.CreateMemberRequest(request_id=secrets.token_bytes(16), member=member)
    add = pb.AddMemberKeyRequest(
        request_id=secrets.token_bytes(16),
        member_id=settings.operator,
        public_key=public_key,
        possession_signature=keys.operator_key.sign(key_statement(settings.origin, settings.operator, public_key)),
    )
    created = pb.CreateMemberResponse(member=registry.member_message(row, ()))
    added = pb.AddMemberKeyResponse(key=registry.key_message(key))
    service = compose(settings, keys, "")
    # The database's clock will judge the signatures, whatever this machine's says.
    now = int(clock.timestamp())
    return [
        _settled(service, signed(settings, keys.operator_key, SERVICE + "CreateMember", create, now), settings.operator, created),
        _settled(service, signed(settings, keys.operator_key, SERVICE + "AddMemberKey", add, now), settings.operator, added),
    ]


def _settled(service: Service, call: Call, member_id: str, answer: Message) -> Request:
    request = service.request(call, parse_request_signature(call.metadata), member_id)
    return replace(request, answer=answer.SerializeToString())


def signed(settings: Settings, key: Ed25519PrivateKey, method: str, message: Message, now: int) -> Call:
    """A call as the holder of `key` makes it, at `now` in seconds since 1970."""
    content = message.SerializeToString()
    request = sign_request(key, path=method, message=content, audience=settings.origin, created=now)
    return Call(method=method, metadata=request.metadata, message=content, certificate_member=None)


class NameTakenProblem(Problem):
    """Another member has the name of the exchange's own."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"{settings.system_member} is a member without the role system: set system_member to a name that nobody has"
        )


async def register_system(settings: Settings, keys: ServerKeys, service: Service) -> None:
    """Admits the exchange's own member with its key, by the operator's; does what of it is not done yet.

    Raises Refusal, and NameTakenProblem when another member has its name."""
    now = int(time.time())
    member = pb.Member(
        member_id=settings.system_member, display_name="This exchange", roles=[pb.ROLE_SYSTEM], state=pb.MEMBER_STATE_ACTIVE
    )
    create = pb.CreateMemberRequest(request_id=secrets.token_bytes(16), member=member)
    public_key = raw_public_key(keys.system_key)
    add = pb.AddMemberKeyRequest(
        request_id=secrets.token_bytes(16),
        member_id=settings.system_member,
        public_key=public_key,
        possession_signature=keys.system_key.sign(key_statement(settings.origin, settings.system_member, public_key)),
    )
    try:
        create_call = signed(settings, keys.operator_key, CREATE_MEMBER.path, create, now)
        await carry_out(service, create_call, pb.CreateMemberResponse)
    except Refusal as refusal:
        if refusal.reason != errors_pb2.ERROR_REASON_ALREADY_EXISTS:
            raise
        # Who has the name is this member, of an attempt that ended here; or another, which must not be given this key.
        named = await service.reader.read(lambda connection: registry.find_member(connection, settings.system_member))
        if named is None or pb.ROLE_SYSTEM not in named.roles:
            raise NameTakenProblem(settings) from None
        keys_there = await service.reader.read(lambda connection: registry.keys_of(connection, [named.id]))
        if any(key.public_key == public_key and key.revoke_time is None for key in keys_there.get(named.id, ())):
            return
    await carry_out(service, signed(settings, keys.operator_key, ADD_MEMBER_KEY.path, add, now), pb.AddMemberKeyResponse)

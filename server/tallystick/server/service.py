"""The service: authentication, then the ledger. The same for calls from the network and from the command line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tallystick.contract.steps import Steps, at_once
from tallystick.crypto import RequestSignature
from tallystick.server.errors import Refusal
from tallystick.server.ledger.authentication import Authenticator, RegisteredKey
from tallystick.server.ledger.ledger import Ledger
from tallystick.server.ledger.quotas import Quotas
from tallystick.server.requests.calls import Answer, Call
from tallystick.server.requests.operation import Operation, Request
from tallystick.server.requests.reading import read_in_steps
from tallystick.server.requests.turns import Turns
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.reader import Reader

LARGE = 16 * 1024
"""Bytes from which on a message is read in turns with what else there is to do: below, that takes a millisecond."""
TURN_SECONDS = 0.005
"""How long one call's reading keeps all others waiting; longer only where a single step, such as parsing, takes longer."""
REFUSAL_SECONDS = 1.0
"""How long a call beyond its member's quota waits for its refusal."""

PublicMethod = Callable[[bytes], Awaitable[bytes]]
"""A method that is neither signed nor logged: bytes in, bytes out; raises Refusal or DecodeError."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a worker serves."""

    authenticator: Authenticator
    ledger: Ledger
    reader: Reader
    """For key look-ups and health."""
    public_reader: Reader
    waiting_reader: Reader
    """For calls that wait before they go to the ledger."""
    operations: Mapping[str, Operation]
    public_methods: Mapping[str, PublicMethod]
    subject_secret: bytes
    epoch_id: bytes
    """The key epoch whose tokens are good here; empty at a token authority, where there are none."""
    quotas: Quotas
    _large: Turns = field(default_factory=Turns)

    async def handle(self, call: Call) -> Answer:
        """Carries one call out; raises Refusal for what is not logged."""
        request = await self._authenticated(call)
        if request.invalid is None and (waits := request.operation.waits) is not None:
            await waits.wait(self.waiting_reader, request)
        return await self.ledger.submit(request)

    async def handle_stream(self, call: Call) -> AsyncIterator[Answer]:
        """Carries a streaming call out page by page. The pages share one signature; each is an entry and a transaction itself."""
        request = await self._authenticated(call)
        while True:
            answer = await self.ledger.submit(request)
            yield answer
            if answer.next_page is None:
                return
            request = replace(request, cursor=answer.next_page)

    def stop_waiting(self) -> None:
        """Ends what waits for something to happen: nobody may be kept from shutting down by it."""
        for operation in self.operations.values():
            if operation.waits is not None:
                operation.waits.stop()

    async def close(self) -> None:
        """Finishes what is queued and closes the connections."""
        self.stop_waiting()
        await self.ledger.close()
        for reader in (self.reader, self.public_reader, self.waiting_reader):
            reader.close()

    async def _authenticated(self, call: Call) -> Request:
        signature, key = await self.authenticator.authenticate(call)
        request = await self._read(call, signature, key.member_id)
        try:
            self.quotas.charge(request)
        except Refusal:
            # Who does not wait is made to: a refusal a second for each place that it has.
            await asyncio.sleep(REFUSAL_SECONDS)
            raise
        return request

    async def _read(self, call: Call, signature: RequestSignature, member_id: str) -> Request:
        reading = self._reading(call, signature, member_id)
        # Parsed, a message takes many times the room of its bytes: not before there is a place for it.
        if len(call.message) < LARGE:
            self.ledger.require_room(len(call.message))
            return at_once(reading)
        async with self._large.turn(member_id):
            # And only one at a time.
            self.ledger.require_room(len(call.message))
            return await in_turns(reading)

    async def settle_quotas(self) -> None:
        """Brings what this process counted and what all counted together; raises Refusal when the database is away."""
        await self.reader.read(self.quotas.settle)

    def request(self, call: Call, signature: RequestSignature, member_id: str) -> Request:
        """An authenticated call as the ledger takes it."""
        return at_once(self._reading(call, signature, member_id))

    def _reading(self, call: Call, signature: RequestSignature, member_id: str) -> Steps[Request]:
        return read_in_steps(
            call,
            self.operations[call.method],
            signature,
            member_id,
            subject_secret=self.subject_secret,
            epoch_id=self.epoch_id,
            now=datetime.now(UTC),
        )


async def in_turns(reading: Steps[Request]) -> Request:
    """The request; whoever else waits for this process has a turn whenever TURN_SECONDS are over."""
    until = time.perf_counter() + TURN_SECONDS
    while True:
        try:
            next(reading)
        except StopIteration as done:
            request: Request = done.value
            return request
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + TURN_SECONDS


async def find_key(connection: Connection, keyid: bytes) -> RegisteredKey | None:
    """A registered key, revoked or not."""
    rows = await connection.fetch(
        "SELECT key.public_key, member.member_id FROM member_key AS key JOIN member ON member.id = key.member WHERE keyid = %s",
        (keyid,),
    )
    return RegisteredKey(bytes(rows[0][0]), rows[0][1]) if rows else None

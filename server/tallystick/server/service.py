"""The service: authentication, then the ledger. The same for calls from the network and from the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tallystick.crypto import RequestSignature
from tallystick.server.errors import Refusal
from tallystick.server.ledger.authentication import Authenticator, RegisteredKey
from tallystick.server.ledger.ledger import Ledger
from tallystick.server.ledger.quotas import Quotas
from tallystick.server.requests.calls import Answer, Call
from tallystick.server.requests.operation import Operation, Request
from tallystick.server.requests.reading import read_request
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.reader import Reader

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
    operations: Mapping[str, Operation]
    public_methods: Mapping[str, PublicMethod]
    subject_secret: bytes
    epoch_id: bytes
    """The key epoch whose tokens are good here; empty at a token authority, where there are none."""
    quotas: Quotas

    async def handle(self, call: Call) -> Answer:
        """Carries one call out; raises Refusal for what is not logged."""
        return await self.ledger.submit(await self._authenticated(call))

    async def handle_stream(self, call: Call) -> AsyncIterator[Answer]:
        """Carries a streaming call out page by page. The pages share one signature; each is an entry and a transaction itself."""
        request = await self._authenticated(call)
        while True:
            answer = await self.ledger.submit(request)
            yield answer
            if answer.next_page is None:
                return
            request = replace(request, cursor=answer.next_page)

    async def close(self) -> None:
        """Finishes what is queued and closes the connections."""
        await self.ledger.close()
        self.reader.close()
        self.public_reader.close()

    async def _authenticated(self, call: Call) -> Request:
        signature, key = await self.authenticator.authenticate(call)
        # Parsed, a message takes many times the room of its bytes: not before there is a place for it.
        self.ledger.require_room(len(call.message))
        request = self.request(call, signature, key.member_id)
        try:
            self.quotas.charge(request)
        except Refusal:
            # Who does not wait is made to: a refusal a second for each place that it has.
            await asyncio.sleep(REFUSAL_SECONDS)
            raise
        return request

    async def settle_quotas(self) -> None:
        """Brings what this process counted and what all counted together; raises Refusal when the database is away."""
        await self.reader.read(self.quotas.settle)

    def request(self, call: Call, signature: RequestSignature, member_id: str) -> Request:
        """An authenticated call as the ledger takes it."""
        return read_request(
            call,
            self.operations[call.method],
            signature,
            member_id,
            subject_secret=self.subject_secret,
            epoch_id=self.epoch_id,
            now=datetime.now(UTC),
        )


async def find_key(connection: Connection, keyid: bytes) -> RegisteredKey | None:
    """A registered key, revoked or not."""
    rows = await connection.fetch(
        "SELECT key.public_key, member.member_id FROM member_key AS key JOIN member ON member.id = key.member WHERE keyid = %s",
        (keyid,),
    )
    return RegisteredKey(bytes(rows[0][0]), rows[0][1]) if rows else None

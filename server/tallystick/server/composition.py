"""The composition root: a service, wired from the capabilities of its role."""

from __future__ import annotations

from typing import Any

from tallystick.contract.quota_texts import parse_quota
from tallystick.server.errors import Refusal
from tallystick.server.installation.key_folder import ServerKeys
from tallystick.server.installation.settings import Settings
from tallystick.server.ledger.authentication import Authenticator
from tallystick.server.ledger.ledger import Ledger
from tallystick.server.ledger.queue import RequestQueue
from tallystick.server.ledger.quotas import Quotas
from tallystick.server.ledger.transaction import Transactor
from tallystick.server.log.append import LogWriter
from tallystick.server.requests.operation import FULL_BATCH
from tallystick.server.roles import Foundation, capabilities
from tallystick.server.service import PublicMethod, Service, find_key
from tallystick.server.services import capability
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.reader import Reader
from tallystick.v1 import errors_pb2


def compose(settings: Settings, keys: ServerKeys, dsn: str) -> Service:
    """A service ready to be started; nothing is connected yet. Raises KeyFolderProblem when the role's key is missing."""

    async def connect() -> Connection:
        return await Connection.open(dsn)

    # Public methods have a reader of their own: anybody may call them, and must not delay key look-ups or the health check.
    # So have those who wait: one look for all of them must not delay anybody either.
    reader, public_reader, waiting_reader = Reader(connect), Reader(connect), Reader(connect)

    async def lookup(keyid: bytes) -> Any:
        return await reader.read(lambda connection: find_key(connection, keyid))

    foundation = Foundation.of(settings, keys, dsn)
    parts = capabilities(foundation)
    ledger = Ledger(
        connect,
        Transactor(LogWriter(settings.origin, keys.receipt_key, foundation.box), keys.request_secret),
        RequestQueue(length=settings.queue_size, batch_size=settings.batch_size, batch_weight=FULL_BATCH),
        linger=settings.linger_ms / 1000,
    )
    return Service(
        authenticator=Authenticator(settings.origin, lookup),
        ledger=ledger,
        reader=reader,
        public_reader=public_reader,
        waiting_reader=waiting_reader,
        operations={operation.method: operation for part in parts for operation in part.operations},
        public_methods={
            method.contract.path: _public_method(method, public_reader) for part in parts for method in part.public_methods
        },
        subject_secret=keys.subject_secret,
        epoch_id=foundation.epoch_id,
        quotas=Quotas([parse_quota(each) for each in settings.quotas]),
    )


def _public_method(method: capability.PublicMethod, reader: Reader) -> PublicMethod:
    async def answer(message: bytes) -> bytes:
        if len(message) > method.contract.max_bytes:
            text = f"the message is larger than the {method.contract.max_bytes} bytes that this method takes"
            raise Refusal(errors_pb2.ERROR_REASON_MESSAGE_TOO_LARGE, text)
        request = method.contract.request.FromString(message)
        return (await method.answer(reader, request)).SerializeToString()

    return answer

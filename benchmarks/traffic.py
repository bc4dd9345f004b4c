"""Traffic: requests signed beforehand, sent by many callers at once, each on a connection of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc

from tallystick.client import Profile
from tallystick.client.profile.profile import Endpoint
from tallystick.crypto import oprf, sign_request
from tallystick.v1 import account_pb2, codes_pb2, inquiry_service_pb2, reporting_service_pb2, subject_pb2
from tallystick.v1 import subject_token_service_pb2 as token_pb2

QUERY = "/tallystick.v1.InquiryService/QueryCreditHistory"
BATCH_QUERY = "/tallystick.v1.InquiryService/BatchQueryCreditHistories"
REPORT = "/tallystick.v1.ReportingService/SubmitReports"
EVALUATE = "/tallystick.v1.SubjectTokenService/EvaluateTokens"
TIMEOUT = 60.0

Signed = tuple[bytes, Sequence[tuple[str, str]]]
Send = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one stretch of traffic took."""

    calls: int
    seconds: float
    latencies: Sequence[float]
    """Seconds, ascending."""

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that `share` of the calls did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


async def drive(senders: Sequence[Send], work: Sequence[Any]) -> Measured:
    """Lets each sender take the next piece of work until none is left."""
    pending: Iterator[Any] = iter(work)
    latencies: list[float] = []

    async def caller(send: Send) -> None:
        for piece in pending:
            began = time.perf_counter()
            await send(piece)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller(send) for send in senders))
    return Measured(len(work), time.perf_counter() - began, sorted(latencies))


async def send_signed(profile: Profile, endpoint: Endpoint, path: str, callers: int, work: Sequence[bytes]) -> Measured:
    """Signs the messages and sends them from `callers` connections."""
    signed = sign(profile, endpoint, path, work)
    address = endpoint.address
    credentials = address.credentials()
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 8 << 20)]
    channels = [grpc.aio.secure_channel(address.target, credentials, options=options) for _ in range(callers)]
    try:
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        return await drive([_sender(channel, path) for channel in channels], signed)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


def _sender(channel: grpc.aio.Channel, path: str) -> Send:
    call: Callable[..., Awaitable[bytes]] = channel.unary_unary(path)

    async def send(signed: Signed) -> None:
        message, metadata = signed
        await call(message, metadata=tuple(metadata), timeout=TIMEOUT)

    return send


def sign(profile: Profile, endpoint: Endpoint, path: str, messages: Sequence[bytes]) -> list[Signed]:
    """Each message with its signature headers, good for a minute from now."""
    created = int(time.time())
    key, audience = profile.signer.key, endpoint.counterpart.origin
    return [
        (message, sign_request(key, path=path, message=message, audience=audience, created=created).metadata)
        for message in messages
    ]


async def send_plain(port: int, callers: int, work: Sequence[bytes]) -> Measured:
    """Posts JSON bodies to the peer from `callers` kept-alive connections, with as little work on this side as can be."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(callers)]

    def sender(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Send:
        async def send(body: bytes) -> None:
            head = f"POST /query HTTP/1.1\r\nHost: peer\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer[:20]:
                raise RuntimeError(f"the peer answered {answer[:40]!r}")
            await reader.readexactly(int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0]))

        return send

    try:
        return await drive([sender(reader, writer) for reader, writer in connections], work)
    finally:
        for _, writer in connections:
            writer.close()


def random_tokens(count: int) -> list[bytes]:
    """Group elements such as tokens are: the exchange cannot tell them from any others."""
    return [oprf.blind(secrets.token_bytes(16)).element for _ in range(count)]


def query(element: bytes, epoch_id: bytes) -> bytes:
    """A query of one subject."""
    return inquiry_service_pb2.QueryCreditHistoryRequest(
        request_id=secrets.token_bytes(16), inquiry=_inquiry(element, epoch_id)
    ).SerializeToString()


def batch_query(elements: Sequence[bytes], epoch_id: bytes) -> bytes:
    """A query of many subjects."""
    return inquiry_service_pb2.BatchQueryCreditHistoriesRequest(
        request_id=secrets.token_bytes(16), inquiries=[_inquiry(element, epoch_id) for element in elements]
    ).SerializeToString()


def _inquiry(element: bytes, epoch_id: bytes) -> inquiry_service_pb2.Inquiry:
    return inquiry_service_pb2.Inquiry(
        subject=subject_pb2.SubjectToken(element=element, epoch_id=epoch_id),
        purpose=codes_pb2.PURPOSE_LOAN_APPROVAL,
        consent_reference="benchmark-consent",
    )


def plain_query(element: bytes) -> bytes:
    """The same query as the peer takes it."""
    return json.dumps(
        {"member": "bank-a", "subject": element.hex(), "purpose": 2, "consent_reference": "benchmark-consent"}
    ).encode()


def report(accounts: Sequence[tuple[bytes, int]], epoch_id: bytes, months: int) -> bytes:
    """A batch of account states; each is the number-th account of a subject."""
    return reporting_service_pb2.SubmitReportsRequest(
        request_id=secrets.token_bytes(16),
        reports=[
            reporting_service_pb2.AccountReport(
                subject=subject_pb2.SubjectToken(element=element, epoch_id=epoch_id),
                account_reference=account_pb2.AccountReference(secret_id=b"bench-id", digest=element[:31] + bytes([number])),
                account=account(months),
            )
            for element, number in accounts
        ],
    ).SerializeToString()


def evaluation(elements: Sequence[bytes], epoch_id: bytes) -> bytes:
    """A batch of blinded elements to evaluate."""
    return token_pb2.EvaluateTokensRequest(
        request_id=secrets.token_bytes(16), epoch_id=epoch_id, blinded_elements=elements
    ).SerializeToString()


def account(months: int) -> account_pb2.Account:
    """A credit card, paid as agreed for so many months up to the last one."""
    built = account_pb2.Account(
        account_type=codes_pb2.ACCOUNT_TYPE_R2,
        status=1,
        currency="CNY",
        balance=123_400,
        credit_limit=2_000_000,
        opened_date=20150105,
        subject_kind=subject_pb2.SUBJECT_KIND_PERSON,
        role=codes_pb2.OBLIGOR_ROLE_BORROWER,
        months=[
            account_pb2.AccountMonth(
                month=month, disposition=codes_pb2.DISPOSITION_PAID_AS_AGREED, billed_amount=100_000, paid_amount=100_000
            )
            for month in month_numbers(months)
        ],
    )
    built.as_of.seconds = int(time.time()) - 1
    return built


def month_numbers(count: int) -> list[int]:
    """The last `count` months before this one as first-of-month dates of eight digits, newest first."""
    today = datetime.now(UTC)
    newest = today.year * 12 + today.month - 2
    return [(newest - back) // 12 * 10_000 + ((newest - back) % 12 + 1) * 100 + 1 for back in range(count)]

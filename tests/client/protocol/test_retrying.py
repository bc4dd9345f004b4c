"""Retries: only what is safe, the same bytes under a new signature, no sooner than the server asked, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.client import (
    ConnectionNotSecure,
    DeadlineExceeded,
    Exchange,
    Identity,
    LimitExceeded,
    NotAnExchange,
    NotAuthenticated,
    Options,
    Overloaded,
    Patience,
    Purpose,
    ServerFault,
    Unavailable,
)
from tallystick.client.protocol.calls import RawFailure
from tallystick.crypto import parse_request_signature

SUBJECT = Identity.passport("DE", "C01X00T47")


def query(exchange: Any) -> Any:
    return exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")


def refusing(system: Any, times: int, *arguments: Any, **options: Any) -> None:
    left = [times]

    def refuse(method: str, request: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise system.refusal(*arguments, logged=False, **options)

    system.exchange.refuse = refuse


def test_a_retry_sends_the_same_bytes_under_a_new_signature(system: Any) -> None:
    system.exchange.faults = [lambda: RawFailure("UNAVAILABLE", "connection refused")] * 2
    system.exchange.lost_answers = 1
    with system.open() as exchange:
        query(exchange)
    assert system.methods() == ["QueryCreditHistory"] * 4
    assert len({message for _, message, _ in system.exchange.calls}) == 1
    nonces = {parse_request_signature(metadata).nonce for _, _, metadata in system.exchange.calls}
    assert len(nonces) == 4
    assert len(system.waits) == 3
    assert all(0 < wait <= 1 for wait in system.waits)


@pytest.mark.parametrize(
    ("code", "reason", "retry_after"),
    [
        ("UNAVAILABLE", "DATABASE_UNAVAILABLE", None),
        ("UNAVAILABLE", "SHUTTING_DOWN", None),
        ("DEADLINE_EXCEEDED", "DEADLINE_PASSED", None),
        ("RESOURCE_EXHAUSTED", "QUEUE_FULL", 0.2),
    ],
)
def test_what_is_safe_is_tried_again(system: Any, code: str, reason: str, retry_after: float | None) -> None:
    refusing(system, 2, code, reason, retry_after=retry_after)
    with system.open() as exchange:
        query(exchange)
    assert len(system.exchange.calls) == 3


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("RESOURCE_EXHAUSTED", "QUEUE_FULL", Overloaded),  # without RetryInfo
        ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE", LimitExceeded),
        ("UNAUTHENTICATED", "KEY_UNKNOWN", NotAuthenticated),
        ("INTERNAL", "INTERNAL", ServerFault),
    ],
)
def test_what_is_not_safe_is_not(system: Any, code: str, reason: str, kind: type[Exception]) -> None:
    refusing(system, 99, code, reason)
    with system.open() as exchange, pytest.raises(kind):
        query(exchange)
    assert len(system.exchange.calls) == 1
    assert system.waits == []


def test_the_server_is_not_asked_sooner_than_it_said(system: Any) -> None:
    refusing(system, 3, "RESOURCE_EXHAUSTED", "QUEUE_FULL", retry_after=7.5)
    with system.open() as exchange:
        query(exchange)
    assert len(system.waits) == 3
    assert min(system.waits) >= 7.5


def test_a_wait_beyond_all_patience_is_not_begun(system: Any) -> None:
    refusing(system, 9, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", retry_after=40_000.0)
    with system.open() as exchange, pytest.raises(Overloaded) as caught:
        query(exchange)
    assert caught.value.retry_after == 40_000.0
    assert (len(system.exchange.calls), system.waits) == (1, [])


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (RawFailure("UNAVAILABLE", "failed to connect to all addresses"), Unavailable),
        (RawFailure("UNAVAILABLE", "Handshake read failed (recvmsg:Connection reset by peer (104))"), Unavailable),
        (RawFailure("DEADLINE_EXCEEDED", "Deadline Exceeded"), DeadlineExceeded),
        (RawFailure("CANCELLED", "RPC cancelled"), Unavailable),
        (RawFailure("RESOURCE_EXHAUSTED", "Concurrent RPC limit exceeded!"), Overloaded),
    ],
)
def test_patience_has_an_end(system: Any, failure: RawFailure, kind: type[Exception]) -> None:
    system.exchange.faults = [lambda: failure] * 99
    with system.open(Options(patience=Patience(attempts=4))) as exchange, pytest.raises(kind):
        query(exchange)
    assert len(system.exchange.calls) == 4


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (RawFailure("UNAVAILABLE", "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED"), ConnectionNotSecure),
        (RawFailure("UNIMPLEMENTED", "Method not found!"), NotAnExchange),
        (RawFailure("RESOURCE_EXHAUSTED", "CLIENT: Sent message larger than max (5 vs. 4)"), LimitExceeded),
        (RawFailure("RESOURCE_EXHAUSTED", "received metadata size exceeds hard limit (70000 vs. 65536)"), LimitExceeded),
        (RawFailure("UNKNOWN", "Stream removed", [("grpc-status-details-bin", b"\xff\xff")]), NotAnExchange),
    ],
)
def test_what_will_not_get_better_is_told_at_once(system: Any, failure: RawFailure, kind: type[Exception]) -> None:
    system.exchange.faults = [lambda: failure] * 99
    with system.open() as exchange, pytest.raises(kind) as caught:
        query(exchange)
    assert len(system.exchange.calls) == 1
    assert "\n" not in str(caught.value)


async def test_the_asynchronous_exchange_has_the_same_patience(system: Any) -> None:
    system.exchange.faults = [lambda: RawFailure("UNAVAILABLE", "connection refused")] * 3
    async with system.open_async() as exchange:
        await exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")
    assert len(system.exchange.calls) == 4
    assert len(system.waits) == 3


def test_a_server_that_is_not_there_is_not_reached(system: Any) -> None:
    with (
        Exchange.from_profile(system.folder, Options(patience=Patience(attempts=2, timeout=5))) as exchange,
        pytest.raises(Unavailable),
    ):
        query(exchange)

"""Requests that are larger than what they say: refused by size, by unknown fields, by repetition; and nothing of them is kept."""

from __future__ import annotations

import grpc
import pytest
from tests.contract import requests
from tests.contract.requests import BATCH_QUERY, EVALUATE, QUERY, SUBMIT
from tests.contract.system import System

from tallystick.contract.limits import BATCH_REQUEST, SMALL_REQUEST
from tallystick.v1 import inquiry_service_pb2

UNKNOWN = 1000
"""The number of a field that no message has."""


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field as it is on the wire."""

    def varint(value: int) -> bytes:
        low = value & 0x7F
        return bytes([low]) if value < 0x80 else bytes([low | 0x80]) + varint(value >> 7)

    return varint(number << 3 | 2) + varint(len(content)) + content


def evidence_bytes(system: System) -> int:
    ((size,),) = system.exchange.database_view.rows("SELECT sum(octet_length(sealed)) FROM evidence")
    return int(size)


@pytest.mark.parametrize("size", [1, 5_000])
@pytest.mark.parametrize("nested", [False, True])
def test_an_unknown_field_is_refused_and_not_kept(system: System, size: int, nested: bool) -> None:
    caller, subject = system["bank-a"].exchange, system.mint.stranger()
    padding = field(UNKNOWN, bytes(size))
    message = requests.query(subject).SerializeToString() + padding
    if nested:
        message = field(1, requests.request_id()) + field(2, requests.inquiry(subject).SerializeToString() + padding)
    before = evidence_bytes(system)
    system.expect_refusal(caller, QUERY, message, grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_MALFORMED")
    assert evidence_bytes(system) - before < 1_500


def test_what_is_said_again_and_again_is_refused_and_not_kept(system: System) -> None:
    caller = system["bank-a"].exchange
    said = requests.submission([requests.report(system.mint.stranger())])
    # The last one counts: all but sixteen bytes of these are parsed away.
    message = field(1, bytes(16)) * 200_000 + said.SerializeToString()
    before = evidence_bytes(system)
    system.expect_refusal(caller, SUBMIT, message, grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_MALFORMED")
    assert evidence_bytes(system) - before < 1_500


def test_another_encoder_may_be_a_little_wordier(system: System) -> None:
    query = requests.query(system.mint.stranger())
    twice = field(2, query.inquiry.SerializeToString())
    assert inquiry_service_pb2.QueryCreditHistoryRequest.FromString(twice + query.SerializeToString()) == query
    assert system["bank-a"].exchange.call(QUERY, twice + query.SerializeToString()).ok


@pytest.mark.parametrize(("method", "limit"), [(QUERY, SMALL_REQUEST), (BATCH_QUERY, BATCH_REQUEST), (EVALUATE, BATCH_REQUEST)])
def test_each_method_takes_what_it_needs(system: System, method: str, limit: int) -> None:
    member = system["bank-a"]
    caller = member.authority if method == EVALUATE else member.exchange
    stored = system.authority.database_view if method == EVALUATE else system.exchange.database_view
    size = stored.size
    refused = caller.call(method, field(UNKNOWN, bytes(limit)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert stored.size == size
    assert caller.call(method, field(UNKNOWN, bytes(limit - 100))).reason == "MESSAGE_MALFORMED"


def test_a_public_method_takes_little(system: System) -> None:
    caller = system["bank-a"].exchange
    refused = caller.send("AuditService/GetCheckpoint", field(UNKNOWN, bytes(SMALL_REQUEST)), ())
    assert refused.reason == "MESSAGE_TOO_LARGE"
    assert caller.send("AuditService/GetCheckpoint", b"", ()).ok


def test_the_largest_batches_still_fit(system: System) -> None:
    inquiries = [requests.inquiry(system.mint.stranger(), 2, "c" * 64) for _ in range(200)]
    batch = requests.batch_query(inquiries)
    assert batch.ByteSize() < BATCH_REQUEST / 5
    assert system["bank-a"].exchange.call(BATCH_QUERY, batch).ok

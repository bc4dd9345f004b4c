"""What is pure of the endurance measurements."""

import io
import time
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import pytest
from benchmarks.endurance.filling import place_of
from benchmarks.endurance.found import Found
from benchmarks.endurance.memory import KINDS, failing
from benchmarks.ratios import Owed
from benchmarks.traffic.requests import QUERY, query
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import DecodeError
from rich.console import Console

from tallystick.client import Profile
from tallystick.crypto import SignatureVerificationError, parse_request_signature, sign_request, verify_request
from tallystick.v1 import codes_pb2, inquiry_service_pb2


@pytest.mark.parametrize(("known", "subjects"), [(1, 1), (14_000, 14_000), (14_000, 14_001), (14_000, 1_499_000)])
def test_known_subjects_are_evenly_among_all_and_none_is_twice(known: int, subjects: int) -> None:
    places = [place_of(nth, known, subjects) for nth in range(known)]
    assert len(set(places)) == known
    assert 0 == places[0] <= places[-1] < subjects
    gaps = {later - earlier for earlier, later in pairwise(places)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_ratio_is_the_median_with_its_rounds_and_what_is_owed() -> None:
    found = Found("some")
    found.figure("calls", [3.0, 1.0, 2.0])
    found.ratio(Owed("memory", 1.05, less_is_better=True), [1.3, 1.0, 1.1])
    found.ratio(Owed("goodput", 0.9), [0.95, 0.8, 0.91])
    assert found.figures == {"calls": 2.0}
    assert found.ratios == {
        "memory": {"value": 1.1, "low": 1.0, "high": 1.3, "owed": 1.05},
        "goodput": {"value": 0.91, "low": 0.8, "high": 0.95, "owed": 0.9},
    }
    printed = io.StringIO()
    found.show(Console(file=printed, width=120))
    memory, goodput = (next(line for line in printed.getvalue().splitlines() if name in line) for name in found.ratios)
    assert "≤ 1.05" in memory
    assert "missed" in memory
    assert "≥ 0.9" in goodput
    assert "held" in goodput


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_must_fail_has_the_one_fault_that_its_kind_says(kind: str) -> None:
    key = Ed25519PrivateKey.generate()
    exchange = SimpleNamespace(counterpart=SimpleNamespace(origin="exchange.example/log"))
    profile = cast("Profile", SimpleNamespace(signer=SimpleNamespace(key=key), exchange=exchange))
    good, other = query(bytes(32), bytes(20)), query(bytes(32), bytes(20))
    signed = sign_request(key, path=QUERY, message=other, audience="exchange.example/log", created=int(time.time()))
    message, metadata = failing(profile, kind, good, (other, signed.metadata))
    assert _faults(key, message, metadata) == {kind}


def _faults(key: Ed25519PrivateKey, message: bytes, metadata: object) -> set[str]:
    faults = set()
    signature = parse_request_signature(cast("list[tuple[str, str]]", metadata))
    try:
        verify_request(signature, public_key=key.public_key().public_bytes_raw(), path=QUERY, message=message)
    except SignatureVerificationError:
        faults.add("wrong signature")
    if signature.expires <= time.time():
        faults.add("expired")
    try:
        inquiry = inquiry_service_pb2.QueryCreditHistoryRequest.FromString(message).inquiry
    except DecodeError:
        return faults | {"malformed"}
    if inquiry.purpose not in codes_pb2.Purpose.values():
        faults.add("unknown purpose")
    if not inquiry.consent_reference:
        faults.add("no consent")
    return faults

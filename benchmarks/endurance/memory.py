"""Memory: what 200,000 calls leave behind in an exchange's workers, when one in ten of them fails.

Failures come in turn: a signature that is another request's, one that has expired, a purpose that nobody knows, a consent that is
missing, bytes that are no message. Who fails too often before it is authenticated is barred: past 500 calls, and 100 a second, at
one worker. So eight members share the calls: six in a hundred of each one's fail like that, a dozen a second.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import uvloop
from benchmarks import parties, ratios, traffic
from benchmarks.endurance.found import Found
from benchmarks.endurance.place import Place, exchange
from benchmarks.traffic.closed import connections
from benchmarks.traffic.lean import CallFailed, Connection, Prepared, prepare
from benchmarks.traffic.requests import Signed
from rich.console import Console

from tallystick.client import Profile
from tallystick.crypto import sign_request
from tallystick.v1 import inquiry_service_pb2

MEMBERS = 8
CALLERS = 64
SUBJECTS = 2000
CALLS = 200_000
STEPS = 10
"""Stretches of calls; memory is read after each, and the first is what the others are held against."""
AT_ONCE = 4000
"""Calls that are signed before they are sent: signatures are good for a minute, however slow the machine is."""
FAILING = 10
"""One call in so many fails."""
KINDS = ("wrong signature", "expired", "unknown purpose", "no consent", "malformed")
EXPIRED_SECONDS = 300
UNKNOWN_PURPOSE = 9999
SETTLED_SECONDS = 2.0

MEMORY = ratios.OWED[ratios.MEMORY]


def failing(profile: Profile, kind: str, good: bytes, other: Signed) -> Signed:
    """A request that must fail, of such a kind; `other` is one that was signed."""
    now = int(time.time())
    message, created = good, now
    if kind == "expired":
        created = now - EXPIRED_SECONDS
    elif kind == "unknown purpose":
        request = inquiry_service_pb2.QueryCreditHistoryRequest.FromString(good)
        request.inquiry.purpose = UNKNOWN_PURPOSE  # type: ignore[assignment]
        message = request.SerializeToString()
    elif kind == "no consent":
        request = inquiry_service_pb2.QueryCreditHistoryRequest.FromString(good)
        request.inquiry.consent_reference = ""
        message = request.SerializeToString()
    elif kind == "malformed":
        message = b"\xff" * 40
    audience = profile.exchange.counterpart.origin
    signed = sign_request(profile.signer.key, path=traffic.QUERY, message=message, audience=audience, created=created)
    metadata = list(signed.metadata)
    if kind == "wrong signature":
        metadata[-1] = (metadata[-1][0], dict(other[1])[metadata[-1][0]])
    return message, metadata


def requests(place: Place, profile: Profile, tokens: Sequence[bytes], count: int, source: random.Random) -> list[Signed]:
    """A member's requests, one in ten of which must fail."""
    messages = [traffic.query(source.choice(tokens), place.epoch_id) for _ in range(count)]
    signed = traffic.sign(profile, profile.exchange, traffic.QUERY, messages)
    for number, at in enumerate(range(FAILING - 1, count, FAILING)):
        signed[at] = failing(profile, KINDS[number % len(KINDS)], messages[at], signed[at - 1])
    return signed


async def _send(place: Place, work: list[list[Prepared]]) -> Counter[str]:
    failures: Counter[str] = Counter()

    async def caller(connection: Connection, pending: Iterator[Prepared]) -> None:
        for prepared in pending:
            try:
                await connection.call(prepared)
            except CallFailed as failed:
                failures[failed.status] += 1

    lines = [await connections(address, CALLERS // MEMBERS) for address in place.addresses]
    pending = [iter(each) for each in work]
    await asyncio.gather(*(caller(connection, mine) for line, mine in zip(lines, pending, strict=True) for connection in line))
    for connection in (each for line in lines for each in line):
        connection.close()
    return failures


def resident(server: psutil.Process) -> float:
    """Bytes that the workers hold and share with nobody."""
    time.sleep(SETTLED_SECONDS)
    return float(sum(worker.memory_full_info().uss for worker in parties.workers(server)))


def measure(folder: Path, console: Console, *, quick: bool) -> Found:
    """Sends all calls, and reads the workers' memory on the way."""
    calls = (CALLS // 10 if quick else CALLS) // STEPS
    source = random.Random(1)
    tokens = traffic.random_tokens(SUBJECTS + 1)
    memory, failures = [], Counter[str]()
    with exchange(folder / "memory", MEMBERS, tokens[0]) as place:
        place.report(tokens[1:])
        for step in range(STEPS):
            for begin in range(0, calls, AT_ONCE):
                each = min(AT_ONCE, calls - begin) // MEMBERS
                signed = [requests(place, profile, tokens[1:], each, source) for profile in place.profiles]
                failures += uvloop.run(_send(place, [prepare(traffic.QUERY, place.running.port, mine) for mine in signed]))
            memory.append(resident(place.running.process))
            console.print(f"{calls * (step + 1):,} calls: {memory[-1] / 2**20:.1f} MiB; failed, by gRPC status: {dict(failures)}")
    found = Found("memory of two workers")
    owed = calls * STEPS // FAILING
    if failures.total() != owed:
        raise RuntimeError(f"{owed} calls should have failed, and {failures.total()} did")
    found.figure("workers' memory after a tenth, MiB", [memory[0] / 2**20])
    found.figure("workers' memory after all calls, MiB", [memory[-1] / 2**20])
    found.figure("calls", [calls * STEPS])
    found.figure("calls that failed", [failures.total()])
    since = [each / memory[0] for each in memory[1:]]
    found.ratio(MEMORY, since[-1:])
    # It is one run, without rounds: what is between is what was read on the way.
    found.ratios[MEMORY.name].update(low=min(since), high=max(since))
    return found

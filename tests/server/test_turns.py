"""While one call's message is read, others have their turns: nothing that one caller sends keeps all others waiting for long."""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.holds import EPOCH, family

from tallystick.contract.methods import EVALUATE_TOKENS, SUBMIT_REPORTS, Method
from tallystick.contract.steps import Steps, at_once
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import Operation, Request
from tallystick.server.requests.reading import read_in_steps
from tallystick.server.service import LARGE, Service, in_turns
from tallystick.server.services.inquiries.queries import BatchQueryCreditHistories, InquiryAnswers
from tallystick.server.services.reporting.reports import SubmitReports

SHORT = 0.05
"""Processor seconds that are no matter."""
LARGEST_PART = 0.75
"""No step takes more than this part of what takes longer. Parsing millions of parts takes six tenths, and nothing can stop it."""


def _reading(method: Method[Any, Any], data: bytes) -> Steps[Request]:
    unsigned: Any = None
    unobserved: Any = None
    operation: Operation = SubmitReports(EPOCH, unobserved) if method is SUBMIT_REPORTS else BatchQueryCreditHistories(_answers())
    call = Call(method.path, (), data, None)
    return read_in_steps(call, operation, unsigned, "bank-a", subject_secret=bytes(32), epoch_id=EPOCH, now=datetime.now(UTC))


def _answers() -> InquiryAnswers:
    nobody: Any = None
    return InquiryAnswers(EPOCH, nobody)


def _spent(steps: Steps[Request]) -> list[float]:
    """Processor seconds of each step, but for the collector of garbage, which has all of this process to look through."""
    spent: list[float] = []
    gc.collect()
    gc.disable()
    while True:
        began = time.thread_time()
        try:
            next(steps)
        except StopIteration:
            gc.enable()
            return spent
        finally:
            spent.append(time.thread_time() - began)


def test_no_step_takes_most_of_the_time() -> None:
    messages = [each for each in family() if each[1] is not EVALUATE_TOKENS]  # which no validation goes through item by item
    spent = {name: _spent(_reading(method, data)) for name, method, _, data in messages}
    assert {name: max(steps) for name, steps in spent.items() if max(steps) > max(SHORT, LARGEST_PART * sum(steps))} == {}


async def test_a_worker_reads_large_messages_in_turns_and_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `Service` does with what it has authenticated: small messages pass while a large one is read."""
    anything: Any = SimpleNamespace(require_room=lambda size: None)
    service = Service(
        anything,
        anything,
        anything,
        anything,
        anything,
        {SUBMIT_REPORTS.path: SubmitReports(EPOCH, anything)},
        {},
        b"",
        EPOCH,
        anything,
    )
    done: list[str] = []

    def reading(_: Service, call: Call, *__: object) -> Steps[str]:
        for _step in range(3):
            done.append(call.method)
            # Each step is a turn by itself.
            time.sleep(0.006)
            yield
        return call.method

    monkeypatch.setattr(Service, "_reading", reading)
    unsigned: Any = None
    calls = [Call(name, (), bytes(size), None) for name, size in (("large", LARGE), ("another", LARGE), ("small", LARGE - 1))]
    await asyncio.gather(*(service._read(call, unsigned, "bank-a") for call in calls))
    assert done == ["large", "small", "small", "small", "large", "large", "another", "another", "another"]


async def test_others_have_their_turns_while_a_batch_is_read() -> None:
    _, method, _, data = next(iter(family()))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    try:
        read = await in_turns(_reading(method, data))
    finally:
        task.cancel()
    # Of some tens of milliseconds each holds TURN_SECONDS and one step more.
    assert turns >= 3
    assert read.prepared == at_once(_reading(method, data)).prepared
    assert len(read.subject_keys) == 1000

"""While one call's message is read, others have their turns: nothing that one caller sends keeps all others waiting for long."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks.holds import EPOCH, family

from tallystick.contract.methods import SUBMIT_REPORTS, Method
from tallystick.contract.steps import Steps, at_once
from tallystick.server.requests.calls import Call
from tallystick.server.requests.operation import Operation, Request
from tallystick.server.requests.reading import read_in_steps
from tallystick.server.service import in_turns
from tallystick.server.services.inquiries.queries import BatchQueryCreditHistories, InquiryAnswers
from tallystick.server.services.reporting.reports import SubmitReports

LONGEST_STEP = 0.3
"""Processor seconds: some times what any step of them takes, so that a busy machine is no reason to fail."""


def _reading(method: Method[Any, Any], data: bytes) -> Steps[Request]:
    unsigned: Any = None
    operation: Operation = SubmitReports(EPOCH) if method is SUBMIT_REPORTS else BatchQueryCreditHistories(_answers())
    call = Call(method.path, (), data, None)
    return read_in_steps(call, operation, unsigned, "bank-a", subject_secret=bytes(32), epoch_id=EPOCH, now=datetime.now(UTC))


def _answers() -> InquiryAnswers:
    nobody: Any = None
    return InquiryAnswers(EPOCH, nobody)


def _longest_step(steps: Steps[Request]) -> float:
    longest = 0.0
    while True:
        began = time.thread_time()
        try:
            next(steps)
        except StopIteration:
            return longest
        finally:
            longest = max(longest, time.thread_time() - began)


def test_no_step_takes_long() -> None:
    longest = {name: _longest_step(_reading(method, data)) for name, method, _, data in family()}
    assert {name: seconds for name, seconds in longest.items() if seconds > LONGEST_STEP} == {}


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

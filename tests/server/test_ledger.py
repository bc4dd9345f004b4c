"""The ledger as a task: it must not end unseen while callers wait for it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tallystick.server.ledger.ledger import Ledger
from tallystick.server.ledger.operation import FULL_BATCH
from tallystick.server.ledger.queue import Line, Ticket
from tallystick.server.ledger.request import Request
from tallystick.server.ledger.transaction import Transactor


class FailingLine(Line):
    """A line that fails as nothing but a fault of the program or the machine would."""

    def take(self) -> list[Ticket]:
        raise OSError("no space left for metrics")


async def test_a_ledger_that_fails_ends_and_says_why() -> None:
    async def connect() -> Any:
        raise AssertionError("nothing is run")

    line = FailingLine(length=10, batch_size=8, batch_weight=FULL_BATCH)
    ledger = Ledger(connect, cast("Transactor", None), line, linger=0)
    task = ledger.start()
    fields: dict[str, Any] = {"message": b"", "identity": None, "deadline": None}
    waiting = asyncio.create_task(ledger.submit(cast("Request", SimpleNamespace(**fields))))
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done == {task}
    with pytest.raises(OSError, match="no space left"):
        await ledger.close()
    waiting.cancel()

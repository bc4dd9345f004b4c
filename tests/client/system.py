"""A member's profile folder and the in-memory exchange (tallystick.testing) that it names, as the SDK's own tests have them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tallystick.client import AsyncExchange, Exchange, Options
from tallystick.contract.methods import COUNT_AUDIT_ENTRIES
from tallystick.testing import InMemoryExchange
from tallystick.testing.refusals import AnyRefusal
from tallystick.testing.requests import Operation
from tallystick.testing.servers import InMemoryServer
from tallystick.testing.tokens import TokenKey
from tallystick.v1 import audit_service_pb2

MEMBER = "bank-a"


@dataclass
class Counts:
    """What the exchange counts, which no in-memory one does by itself; `asked` is what it was asked last."""

    answer: audit_service_pb2.CountAuditEntriesResponse = field(default_factory=audit_service_pb2.CountAuditEntriesResponse)
    asked: Any = None

    def operation(self) -> Operation:
        """CountAuditEntries."""

        def run(request: Any) -> audit_service_pb2.CountAuditEntriesResponse:
            self.asked = request.message
            return self.answer

        return Operation(run)


@dataclass
class System:
    """A member, who is an auditor too, with its profile folder; and both servers, to be spoilt."""

    memory: InMemoryExchange
    folder: Path
    counts: Counts = field(default_factory=Counts)
    refusal: type[AnyRefusal] = AnyRefusal

    def __post_init__(self) -> None:
        self.exchange.operations[COUNT_AUDIT_ENTRIES.path] = self.counts.operation()
        # Small, so that what is read by pages needs several.
        self.exchange.reading.page_size = self.authority.reading.page_size = 4

    @property
    def exchange(self) -> InMemoryServer:
        """The exchange."""
        return self.memory._exchange

    @property
    def authority(self) -> InMemoryServer:
        """The token authority."""
        return self.memory._authority

    @property
    def token_key(self) -> TokenKey:
        """The authority's."""
        return self.memory._token_key

    @property
    def submissions(self) -> Collection[bytes]:
        """The request_ids of the submissions that the exchange has taken."""
        return self.memory._accounts.submissions

    @property
    def waits(self) -> list[float]:
        """For how long the SDK waited, each time."""
        return self.memory.waits

    def open(self, options: Options | None = None) -> Exchange:
        """A new Exchange of the profile."""
        return self.memory.exchange(options)

    def open_async(self, options: Options | None = None) -> AsyncExchange:
        """The same for asyncio."""
        return self.memory.async_exchange(options)

    def methods(self) -> list[str]:
        """The methods called at the exchange, in order."""
        return self.memory.attempts


def new_system(folder: Path) -> System:
    """A fresh member, with its profile in `folder`, at two fresh servers."""
    memory = InMemoryExchange(member_id=MEMBER, may_audit=True)
    return System(memory, memory.write_profile(folder))

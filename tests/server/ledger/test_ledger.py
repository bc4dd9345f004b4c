"""The ledger: batches that run again, commits that are lost, refusals that cannot be logged, batches that are split, its own end.

The transactor is a double that fails as told; what the ledger makes of it is the ledger's own code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg2
import pytest

from tallystick.server.errors import ConcurrentChangeError, Refusal
from tallystick.server.ledger.ledger import MAX_RERUNS, Ledger
from tallystick.server.ledger.queue import RequestQueue, Ticket
from tallystick.server.ledger.transaction import Batch, Transactor
from tallystick.server.log.append import Appended, CommitFailedError
from tallystick.server.requests.calls import Answer, Call
from tallystick.server.requests.operation import FULL_BATCH


@dataclass
class FakeOperation:
    method: str = "/tallystick.v1.InquiryService/QueryCreditHistory"
    cost: int = 0
    item_cost: int = 0
    locks: str = ""


@dataclass
class FakeRequest:
    """What the ledger and its queue look at."""

    name: str
    member_id: str = "bank-a"
    invalid: Refusal | None = None
    call: Call = field(default_factory=lambda: Call("", (), b"message", None))
    identity: None = None
    operation: FakeOperation = field(default_factory=FakeOperation)
    items: int = 0


@dataclass
class FakeConnection:
    """A connection that the test may lose. It knows which batches stand in the log."""

    committed: bool = False
    closed: bool = False
    statements: list[str] = field(default_factory=list)

    async def execute(self, sql: str, _parameters: object = None) -> None:
        self.statements.append(sql)

    async def fetch(self, _sql: str, _parameters: object = None) -> list[tuple[bytes]]:
        return [(b"leaf hash",)] if self.committed else []

    def close(self) -> None:
        self.closed = True


Fault = Callable[[FakeConnection, Sequence[FakeRequest]], None]


@dataclass
class FakeTransactor:
    """Answers each request with its name, after the faults that are still due for it."""

    faults: list[Fault] = field(default_factory=list)
    at_commit: list[Fault] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)

    async def carry_out(self, connection: FakeConnection, requests: Sequence[FakeRequest]) -> Batch:
        self.batches.append([request.name for request in requests])
        if self.faults:
            self.faults.pop(0)(connection, requests)
        return cast("Batch", _FakeBatch(requests))

    async def commit(self, connection: FakeConnection, batch: Any) -> list[Answer]:
        if self.at_commit:
            try:
                self.at_commit.pop(0)(connection, batch.works)
            except psycopg2.Error as error:
                raise CommitFailedError(Appended(0, [b"leaf"], [b"leaf hash"])) from error
        return self.answers(batch, None)

    def answers(self, batch: Any, _appended: Appended | None) -> list[Answer]:
        return [Answer(request.name.encode(), b"receipt", request.invalid) for request in batch.works]


@dataclass
class _FakeBatch:
    works: Sequence[FakeRequest]

    def __len__(self) -> int:
        return len(self.works)


@dataclass
class Bench:
    """A ledger over doubles."""

    transactor: FakeTransactor
    connections: list[FakeConnection]
    ledger: Ledger

    async def ask(self, *names: str) -> list[Answer | BaseException]:
        calls = [self.ledger.submit(cast("Any", FakeRequest(name))) for name in names]
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)


@asynccontextmanager
async def bench(*, faults: Sequence[Fault] = (), at_commit: Sequence[Fault] = (), committed: bool = False) -> AsyncIterator[Bench]:
    connections: list[FakeConnection] = []

    async def connect() -> Any:
        connections.append(FakeConnection(committed=committed))
        return connections[-1]

    transactor = FakeTransactor(list(faults), list(at_commit))
    queue = RequestQueue(length=100, batch_size=8, batch_weight=FULL_BATCH)
    ledger = Ledger(connect, cast("Any", transactor), queue, linger=0)
    ledger.start()
    yield Bench(transactor, connections, ledger)
    await ledger.close()


def raising(error: BaseException, *, of: str = "") -> Fault:
    """A fault of every batch, or of those that hold one request."""

    def fault(_connection: FakeConnection, requests: Sequence[FakeRequest]) -> None:
        if not of or any(request.name == of and request.invalid is None for request in requests):
            raise error

    return fault


def losing(connection: FakeConnection, _requests: Sequence[FakeRequest]) -> None:
    connection.closed = True
    raise psycopg2.OperationalError("server closed the connection unexpectedly")


def messages(results: Sequence[Answer | BaseException]) -> list[bytes]:
    assert all(isinstance(result, Answer) and result.receipt == b"receipt" for result in results), results
    return [result.message for result in results if isinstance(result, Answer)]


class CodedError(psycopg2.Error):
    """An error of the database with an SQLSTATE; one that psycopg2 did not make itself has none."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("an error")
        self._sqlstate = sqlstate

    @property
    def pgcode(self) -> str:  # type: ignore[override] # a plain attribute in the stubs
        return self._sqlstate


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "23505", "55P03", ""])
async def test_a_batch_that_met_another_s_change_runs_again(sqlstate: str) -> None:
    error = CodedError(sqlstate) if sqlstate else ConcurrentChangeError()
    async with bench(faults=[raising(error)] * 2) as made:
        assert messages(await made.ask("a")) == [b"a"]
    assert made.transactor.batches == [["a"]] * 3
    assert made.connections[0].statements == ["ROLLBACK"] * 2


async def test_an_error_of_the_request_s_own_does_not_run_again() -> None:
    async with bench(faults=[raising(CodedError("22003"))]) as made:
        (result,) = await made.ask("a")
    assert isinstance(result, Answer)
    assert result.refusal is not None
    assert made.transactor.batches == [["a"], ["a"]]  # the second logs the refusal


@pytest.mark.parametrize("sqlstate", ["53100", "53200", "53300", "57P01", "57P03", "58030", "25006"])
async def test_a_database_that_can_write_nothing_is_unavailable_and_no_fault_of_a_request(sqlstate: str) -> None:
    async with bench(faults=[raising(CodedError(sqlstate))]) as made:
        results = await made.ask("a", "b")
        assert [result.reason_name for result in results if isinstance(result, Refusal)] == ["DATABASE_UNAVAILABLE"] * 2
        assert messages(await made.ask("c")) == [b"c"]
    assert made.transactor.batches == [["a", "b"], ["c"]]


async def test_reruns_have_an_end_and_the_caller_is_told() -> None:
    async with bench(faults=[raising(ConcurrentChangeError())] * MAX_RERUNS) as made:
        (result,) = await made.ask("a")
    assert isinstance(result, Answer)
    assert result.refusal is not None
    assert result.refusal.reason_name == "INTERNAL"


async def test_a_lost_commit_that_took_effect_is_answered_with_receipts() -> None:
    async with bench(at_commit=[losing], committed=True) as made:
        assert messages(await made.ask("a", "b")) == [b"a", b"b"]
    assert made.transactor.batches == [["a", "b"]]
    assert len(made.connections) == 2


async def test_a_lost_commit_that_took_no_effect_is_never_run_again() -> None:
    async with bench(at_commit=[losing]) as made:
        results = await made.ask("a", "b")
    assert [result.reason_name for result in results if isinstance(result, Refusal)] == ["DATABASE_UNAVAILABLE"] * 2
    assert made.transactor.batches == [["a", "b"]]


async def test_a_commit_that_failed_on_a_standing_connection_is_certain_and_the_batch_is_split() -> None:
    failing = raising(psycopg2.DataError("a value that no column takes"), of="bad")
    async with bench(at_commit=[failing, failing, failing, failing]) as made:
        results = await made.ask("good", "bad", "fine")
    assert [result.message for result in results if isinstance(result, Answer)] == [b"good", b"bad", b"fine"]
    assert [result.refusal.reason_name for result in results if isinstance(result, Answer) and result.refusal] == ["INTERNAL"]
    assert made.transactor.batches[0] == ["good", "bad", "fine"]
    assert made.transactor.batches[1:] == [["good"], ["bad", "fine"], ["bad"], ["bad"], ["fine"]]


async def test_of_a_large_batch_that_fails_few_requests_run_more_than_a_few_times() -> None:
    fault = raising(ValueError("a fault of the program"), of="7")
    names = [str(number) for number in range(8)]
    async with bench(faults=[fault] * 100) as made:
        results = await made.ask(*names)
    assert [result.message.decode() for result in results if isinstance(result, Answer)] == names
    assert [len(batch) for batch in made.transactor.batches] == [8, 4, 4, 2, 2, 1, 1, 1]


async def test_one_request_s_fault_fails_no_neighbour() -> None:
    fault = raising(ValueError("a fault of the program"), of="bad")
    async with bench(faults=[fault] * 5) as made:
        results = await made.ask("good", "bad", "fine")
    assert [result.refusal.reason_name if isinstance(result, Answer) and result.refusal else "" for result in results] == [
        "",
        "INTERNAL",
        "",
    ]


async def test_a_refusal_that_cannot_be_logged_is_told_without_a_receipt() -> None:
    fault = raising(psycopg2.DataError("no entry can be written"))
    async with bench(faults=[fault] * 3) as made:
        (result,) = await made.ask("a")
    assert isinstance(result, Refusal)
    assert result.reason_name == "INTERNAL"


async def test_a_refusal_that_an_operation_raised_late_is_logged() -> None:
    refusal = Refusal.of_field(43, "field", "too much")  # type: ignore[arg-type] # FIELD_OUT_OF_RANGE
    async with bench(faults=[raising(refusal, of="a")]) as made:
        (result,) = await made.ask("a")
    assert isinstance(result, Answer)
    assert (result.refusal, result.receipt) == (refusal, b"receipt")
    assert made.transactor.batches == [["a"], ["a"]]


async def test_a_connection_that_died_while_idle_is_replaced_before_anybody_hears_of_it() -> None:
    async with bench(faults=[lambda *_: None, losing]) as made:
        assert messages(await made.ask("a")) == [b"a"]
        assert messages(await made.ask("b")) == [b"b"]
    assert made.transactor.batches == [["a"], ["b"], ["b"]]
    assert len(made.connections) == 2


class FailingQueue(RequestQueue):
    """A line that fails as nothing but a fault of the program or the machine would."""

    def take(self) -> list[Ticket]:
        raise OSError("no space left for metrics")


async def test_a_ledger_that_fails_ends_and_says_why() -> None:
    async def connect() -> Any:
        raise AssertionError("nothing is run")

    queue = FailingQueue(length=10, batch_size=8, batch_weight=FULL_BATCH)
    ledger = Ledger(connect, cast("Transactor", None), queue, linger=0)
    task = ledger.start()
    waiting = asyncio.create_task(ledger.submit(cast("Any", FakeRequest("never run"))))
    done, _ = await asyncio.wait({task}, timeout=60)
    assert done == {task}
    with pytest.raises(OSError, match="no space left"):
        await ledger.close()
    waiting.cancel()

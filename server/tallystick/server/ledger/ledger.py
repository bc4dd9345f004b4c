"""The ledger of one worker: it takes what is waiting, runs it as one transaction, and releases all callers after the commit.

Group commit: while one transaction runs, the next requests gather. A request that finds the ledger idle starts at once; after a
full house the ledger lingers a moment, since the callers it has just released are about to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import psycopg2
import structlog
from psycopg2 import errorcodes

from tallystick.server.errors import ConcurrentChangeError, Refusal
from tallystick.server.ledger.queue import RequestQueue, Ticket
from tallystick.server.ledger.transaction import Batch, Transactor
from tallystick.server.log.append import Appended, CommitFailedError, is_committed
from tallystick.server.requests.calls import Answer
from tallystick.server.requests.operation import Request
from tallystick.server.storage.connection import UNUSABLE_STATEMENT_STATES, Connection
from tallystick.server.telemetry.metrics import BATCH_SIZE, RERUNS, UNCERTAIN_COMMITS
from tallystick.v1 import errors_pb2

events = structlog.get_logger()

MAX_RERUNS = 5
RECOVERY_TIMEOUT = 10.0
"""Seconds within which a lost connection must be replaced for its last commit to be looked up."""
_RERUN_STATES = frozenset(
    {
        errorcodes.SERIALIZATION_FAILURE,
        errorcodes.DEADLOCK_DETECTED,
        errorcodes.UNIQUE_VIOLATION,  # the same request_id, or the same new account, at another server
        errorcodes.LOCK_NOT_AVAILABLE,
    }
    | UNUSABLE_STATEMENT_STATES  # the connection prepares them anew
)
_UNABLE_STATES = ("53", "57P", "58", "25006")
"""Beginnings of the SQLSTATEs of a database that can do nothing for anybody now, whatever it is asked: resources that are used up
(a full disk), an operator's intervention, a failure of its system, and a standby. That is no fault of a request."""


class Ledger:
    """Admits requests to one connection to the database, in batches."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], transactor: Transactor, queue: RequestQueue, *, linger: float
    ) -> None:
        self._connect = connect
        self.transactor = transactor
        self._queue = queue
        self._linger = linger
        self._arrived = asyncio.Event()
        self._closing = False
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begins to work. The task ends when the ledger is closed; if it ends before, nothing would ever be answered again."""
        self._task = asyncio.create_task(self._work(), name="ledger")
        return self._task

    async def close(self) -> None:
        """Takes nothing more, finishes what is queued, and closes the connection."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        if self._connection is not None:
            self._connection.close()

    def require_room(self, size: int) -> None:
        """Raises Refusal when a message of `size` bytes could not be taken now."""
        if self._closing:
            raise Refusal(errors_pb2.ERROR_REASON_SHUTTING_DOWN, "the server is shutting down; ask another")
        self._queue.require_room(size)

    async def submit(self, request: Request) -> Answer:
        """Waits until the request is committed; raises Refusal when it was not carried out and is not in the log either."""
        self.require_room(len(request.call.message))
        future = self._queue.join(request)
        self._arrived.set()
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        last = 0
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._gather(last)
            batch = self._queue.take()
            last = len(batch)
            if batch:
                BATCH_SIZE.observe(len(batch))
                began = loop.time()
                await self._run(batch)
                self._queue.charge(batch, loop.time() - began)
            elif self._queue:
                await self._wait(self._queue.ready_in())

    async def _wait(self, seconds: float) -> None:
        """Until something new arrives, or somebody's turn comes."""
        self._arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()

    async def _gather(self, last: int) -> None:
        """Waits a moment for the callers that the batch before released, if there were several."""
        until = asyncio.get_running_loop().time() + self._linger
        while len(self._queue) < last and not self._closing:
            if (left := until - asyncio.get_running_loop().time()) <= 0:
                return
            await asyncio.sleep(min(left, self._linger / 4))

    async def _run(self, batch: Sequence[Ticket]) -> None:
        """Runs a batch; if it fails for a reason of its own, runs each half by itself, down to the request that it fails for."""
        results = await self._attempt([ticket.request for ticket in batch])
        if results is not None:
            for ticket, result in zip(batch, results, strict=True):
                ticket.settle(result)
            return
        if len(batch) == 1:
            batch[0].settle(await self._refuse(batch[0].request, _internal()))
            return
        half = len(batch) // 2
        await self._run(batch[:half])
        await self._run(batch[half:])

    async def _attempt(self, requests: Sequence[Request]) -> Sequence[Answer | Refusal] | None:
        """Answers of a batch, or the same refusal for all when the database is gone, or None when it fails for its own reason."""
        for _ in range(MAX_RERUNS):
            reused = self._connection is not None
            try:
                return await self._transact(requests)
            except Refusal as refusal:
                # An operation found out too late to take its writes back.
                return [await self._refuse(requests[0], refusal)] if len(requests) == 1 else None
            except ConcurrentChangeError:
                RERUNS.inc()
            except psycopg2.Error as error:
                if self._connection is None:
                    if reused:
                        # It may have died while idle. Nothing was sent on it to be committed: a new one may run the batch.
                        continue
                    events.error("database_lost", error=type(error).__name__, requests=len(requests))
                    return [_unavailable()] * len(requests)
                if (error.pgcode or "").startswith(_UNABLE_STATES):
                    events.error("database_unable", sqlstate=error.pgcode, requests=len(requests))
                    return [_unavailable()] * len(requests)
                if error.pgcode not in _RERUN_STATES:
                    events.error("transaction_failed", sqlstate=error.pgcode, requests=len(requests))
                    return None
                RERUNS.inc()
            except Exception:  # noqa: BLE001 - a fault of one request's code must not stop the ledger for all
                events.exception("operation_failed", methods=sorted({r.operation.method for r in requests}))
                return None
        events.error("reruns_exhausted", requests=len(requests))
        return None

    async def _refuse(self, request: Request, refusal: Refusal) -> Answer | Refusal:
        """Logs a refusal that is known beforehand. If even that fails, the caller is told without a receipt."""
        try:
            (answer,) = await self._transact([replace(request, invalid=refusal)])
        except psycopg2.Error as error:
            # Its text may repeat a row's values.
            events.error("refusal_not_logged", reason=refusal.reason_name, sqlstate=error.pgcode)
            return refusal
        except Exception:  # noqa: BLE001 - the caller is owed an answer, whatever went wrong
            events.exception("refusal_not_logged", reason=refusal.reason_name)
            return refusal
        return answer

    async def _transact(self, requests: Sequence[Request]) -> Sequence[Answer | Refusal]:
        connection = await self._connected()
        try:
            batch = await self.transactor.carry_out(connection, requests)
            return await self.transactor.commit(connection, batch)
        except CommitFailedError as failed:
            if not connection.closed:
                await self._roll_back(connection)
            return await self._look_up(batch, failed)
        except BaseException:
            await self._roll_back(connection)
            raise

    async def _look_up(self, batch: Batch, failed: CommitFailedError) -> Sequence[Answer | Refusal]:
        """The append did not come back as it should: looks whether it took effect after all, and guesses nothing.

        If the connection holds and it did not, the failure is raised, as one that is certain. If the connection was lost and it
        did not, or the database stays away, nothing is run again here: the lost session may still be about to commit. The callers
        hear UNAVAILABLE and ask again with a new nonce; their request_id tells what happened."""
        lost = self._connection is None or self._connection.closed
        try:
            async with asyncio.timeout(RECOVERY_TIMEOUT):
                committed = await self._find(failed.appended)
        except TimeoutError:
            # What the statement under way would still answer must not meet the next one.
            self._drop()
            committed, lost = False, True
        if lost:
            UNCERTAIN_COMMITS.inc()
            events.warning("commit_looked_up", committed=committed, requests=len(batch))
        if committed:
            return self.transactor.answers(batch, failed.appended)
        if lost:
            return [_unavailable()] * len(batch)
        raise failed.__cause__ or failed

    async def _find(self, appended: Appended) -> bool:
        """Whether a batch is in the log; asks until the database answers."""
        while True:
            try:
                return await is_committed(await self._connected(), appended)
            except psycopg2.Error:
                self._drop()
                await asyncio.sleep(0.1)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._drop()
            self._connection = await self._connect()
        return self._connection

    async def _roll_back(self, connection: Connection) -> None:
        if connection.closed:
            self._drop()
            return
        try:
            await connection.execute("ROLLBACK")
        except psycopg2.Error:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _unavailable() -> Refusal:
    return Refusal(
        errors_pb2.ERROR_REASON_DATABASE_UNAVAILABLE,
        "the database cannot be reached or cannot write; try again with the same request_id",
    )


def _internal() -> Refusal:
    return Refusal(errors_pb2.ERROR_REASON_INTERNAL, "a fault of the server; nothing was done")

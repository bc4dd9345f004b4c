"""One transaction: a batch of requests admitted, carried out, logged and committed together.

In this order, which is also the order in which locks are taken:

1. the batch is admitted: nonces are spent, and each request is authorised by the registry (tallystick.server.ledger.admission);
2. the operations run, kind by kind;
3. commitments are made and evidence is sealed;
4. the head of the log is locked, all entries are appended, and the transaction commits, unless the registry of members has changed
   since step 1: then all is undone and runs again.

request_ids are claimed in step 4, under the head's lock, where no two transactions can be at once: a race between two servers shows
as a unique violation there, and the loser runs again and finds the winner's answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from tallystick.contract.refusals import encode_status
from tallystick.server.errors import Refusal
from tallystick.server.ledger.admission import admit
from tallystick.server.ledger.sparing import Sparing
from tallystick.server.log.append import Appended, LogWriter, Outcome, Prepared, RegistryVersion
from tallystick.server.log.evidence import evidence_month
from tallystick.server.requests.calls import Answer
from tallystick.server.requests.operation import Operation, Request, Work
from tallystick.server.storage.connection import Connection
from tallystick.v1 import errors_pb2, log_pb2


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that were carried out in the open transaction and are ready to be appended."""

    prepared: Sequence[Prepared]
    month: date
    registry: RegistryVersion
    clock: datetime
    spared: Mapping[int, Refusal] = field(default_factory=dict)
    """Refusals that are told and not logged, by their place among the requests."""

    def __len__(self) -> int:
        return len(self.prepared) + len(self.spared)

    @property
    def refusals(self) -> list[Refusal]:
        """Of those that are refused."""
        works = [prepared.outcome.work for prepared in self.prepared]
        return [work.refusal for work in works if work.refusal is not None]

    def answers(self, receipts: Sequence[bytes]) -> list[Answer | Refusal]:
        """What the callers get once the batch is committed, in the order of the requests."""
        outcomes = [prepared.outcome for prepared in self.prepared]
        logged = (
            Answer(outcome.message, receipt, outcome.work.refusal, outcome.work.next_page)
            for outcome, receipt in zip(outcomes, receipts, strict=True)
        )
        return [self.spared[place] if place in self.spared else next(logged) for place in range(len(self))]


class Transactor:
    """Carries batches of requests out on a connection, one transaction each."""

    def __init__(self, writer: LogWriter, request_secret: bytes) -> None:
        self._writer = writer
        self._request_secret = request_secret
        self._sparing = Sparing()

    async def carry_out(self, connection: Connection, requests: Sequence[Request]) -> Batch:
        """Steps 1 to 3, in a transaction that it begins. Raises what the database or an operation raised."""
        admitted = await admit(connection, requests, self._request_secret)
        await _run_operations(connection, admitted.works, admitted.clock)
        month = evidence_month(admitted.clock)
        spared = self._sparing.spared(admitted.works, admitted.clock)
        logged = [work for place, work in enumerate(admitted.works) if place not in spared]
        prepared = [self._writer.prepare(self._outcome(work), month) for work in logged]
        changed = any(work.request.operation.changes_registry and work.refusal is None for work in admitted.works)
        return Batch(prepared, month, RegistryVersion(admitted.registry_version, changed), admitted.clock, spared)

    async def commit(self, connection: Connection, batch: Batch) -> list[Answer | Refusal]:
        """Step 4. Raises CommitFailedError when the outcome is not known, or known to be bad."""
        if not batch.prepared:
            # Nothing is to be logged, and so nothing is to be written to disk.
            await connection.execute("ROLLBACK")
            return batch.answers(())
        return self._told(batch, await self._writer.append_and_commit(connection, batch.prepared, batch.month, batch.registry))

    def answers(self, batch: Batch, appended: Appended) -> list[Answer | Refusal]:
        """The answers of a batch that was found committed after its connection was lost."""
        return self._told(batch, self._writer.receipts(batch.prepared, appended))

    def _told(self, batch: Batch, receipts: Sequence[bytes]) -> list[Answer | Refusal]:
        for prepared in batch.prepared:
            self._sparing.note(prepared.outcome.work, batch.clock)
        return batch.answers(receipts)

    def _outcome(self, work: Work) -> Outcome:
        request = work.request
        message = _encode(work)
        envelope = log_pb2.Envelope(
            request_digest=hashlib.sha256(request.call.message).digest(),
            signature_params=request.signature.signature_params,
            signature=request.signature.signature,
            answer_digest=hashlib.sha256(message).digest(),
            reason=work.refusal.reason_name if work.refusal else "",
        )
        claims = request.request_id is not None and work.takes_effect
        claim = request.digest(self._request_secret) if claims else None
        return Outcome(work, message, envelope.SerializeToString(), claim)


async def _run_operations(connection: Connection, works: Sequence[Work], clock: datetime) -> None:
    """Runs what is not settled yet, kind by kind, in the one order in which every transaction takes its locks."""
    waiting: dict[str, tuple[Operation, list[Work]]] = {}
    for work in works:
        if work.refusal is None and work.answer is None:
            operation = work.request.operation
            waiting.setdefault(operation.method, (operation, []))[1].append(work)
    for _, (operation, batch) in sorted(waiting.items()):
        await operation.run(connection, batch, clock)


def _encode(work: Work) -> bytes:
    """The bytes that the caller gets, and whose digest the log holds."""
    if work.refusal is not None:
        return encode_status(work.refusal)
    if work.answer is None:
        raise TypeError("an operation left a request without an answer")
    limit = work.request.operation.max_answer
    if len(work.answer) > limit:
        raise Refusal(errors_pb2.ERROR_REASON_ANSWER_TOO_LARGE, f"the answer is larger than {limit} bytes; ask for less at once")
    return work.answer

"""One transaction: a batch of requests admitted, carried out, logged and committed together.

In this order, which is also the order in which locks are taken:

1. admission: one statement spends the nonces, and reads for every request the database's clock, its key, its member, and whether
   its request_id had an effect before;
2. each request is authorised by what came back (`_authorise`);
3. the operations run, kind by kind;
4. commitments are made and evidence is sealed;
5. the head of the log is locked, all entries are appended, and the transaction commits, unless the registry of members has changed
   since step 1: then all is undone and runs again.

request_ids are claimed in step 5, under the head's lock, where no two transactions can be at once: a race between two servers shows
as a unique violation there, and the loser runs again and finds the winner's answer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tallystick.server.errors import Refusal
from tallystick.server.ledger.calls import Answer
from tallystick.server.ledger.operation import Caller, Operation, Work
from tallystick.server.ledger.request import Request
from tallystick.server.ledger.status import encode_status
from tallystick.server.log.append import Appended, LogWriter, Outcome, Prepared, RegistryVersion, RequestClaim
from tallystick.server.log.evidence import evidence_month
from tallystick.server.storage.connection import Connection
from tallystick.v1 import errors_pb2 as errors
from tallystick.v1 import log_pb2
from tallystick.v1.membership_service_pb2 import MEMBER_STATE_ACTIVE, Role

MAX_AGE = 60
"""Seconds that `created` may lie back."""
MAX_AHEAD = 10
"""Seconds that `created` may lie ahead."""
MAX_KEPT_OF_BARRED = 16 * 1024
"""Most bytes that are kept of a request whose sender may not make it: a query has a few hundred."""

# Each look-up is a lateral one with a limit, which leaves the planner nothing but the index: it knows nothing of a table that has
# grown since it was last analysed, and would read all of it for every transaction.
_ADMIT = """
WITH clock AS MATERIALIZED (
  SELECT clock_timestamp() AS now
), asked AS MATERIALIZED (
  SELECT ordinal, keyid, nonce, created, spends, request_id,
         created >= extract(epoch FROM now) - %s AND created <= extract(epoch FROM now) + %s
           AND expires >= extract(epoch FROM now)
           AND created / 60 > (SELECT minute FROM replay_horizon WHERE singleton) AS fresh
  FROM unnest(%s::int[], %s::bytea[], %s::bytea[], %s::bigint[], %s::bigint[], %s::boolean[], %s::bytea[])
         AS row (ordinal, keyid, nonce, created, expires, spends, request_id), clock
), spent AS (
  INSERT INTO nonce (minute, keyid, nonce)
  SELECT created / 60, keyid, nonce FROM asked WHERE fresh AND spends ORDER BY 1, 2, 3
  ON CONFLICT DO NOTHING
  RETURNING keyid, nonce
)
SELECT asked.ordinal, clock.now, asked.fresh,
       EXISTS (SELECT FROM spent WHERE spent.keyid = asked.keyid AND spent.nonce = asked.nonce),
       known.revoked, known.id, known.state, known.roles, known.purposes, known.daily_evaluations,
       prior.method, prior.digest, prior.answer, (SELECT registry_version FROM log_head WHERE singleton)
FROM asked
CROSS JOIN clock
CROSS JOIN LATERAL (
  SELECT key.revoke_time IS NOT NULL AS revoked, member.id, state, roles, purposes, daily_evaluations
  FROM member_key AS key JOIN member ON member.id = key.member
  WHERE key.keyid = asked.keyid LIMIT 1
) AS known
LEFT JOIN LATERAL (
  SELECT method, digest, answer FROM request
  WHERE request.member = known.id AND request.request_id = asked.request_id LIMIT 1
) AS prior ON true
"""


@dataclass(frozen=True, slots=True)
class Admission:
    """What the database said of a request before anything was done for it."""

    caller: Caller
    fresh: bool
    spent: bool
    revoked: bool
    active: bool
    prior_method: str | None
    prior_digest: bytes | None
    prior_answer: bytes | None


@dataclass(slots=True)
class Batch:
    """Requests that were carried out in the open transaction and are ready to be appended."""

    works: Sequence[Work]
    messages: Sequence[bytes]
    prepared: Sequence[Prepared]
    month: date
    registry: RegistryVersion

    def answers(self, receipts: Sequence[bytes]) -> list[Answer]:
        """What the callers get once the batch is committed."""
        return [
            Answer(message, receipt, work.refusal, work.next_page)
            for work, message, receipt in zip(self.works, self.messages, receipts, strict=True)
        ]


class Transactor:
    """Carries batches of requests out on a connection, one transaction each."""

    def __init__(self, writer: LogWriter, request_secret: bytes) -> None:
        self._writer = writer
        self._request_secret = request_secret

    async def carry_out(self, connection: Connection, requests: Sequence[Request]) -> Batch:
        """Steps 1 to 4, in a transaction that it begins. Raises what the database or an operation raised."""
        clock, registry_version, admissions = await _admit(connection, requests)
        works = [self._judge(request, admission) for request, admission in zip(requests, admissions, strict=True)]
        await _run_operations(connection, requests, works, clock)
        messages = [_encode(work, request.operation.max_answer) for request, work in zip(requests, works, strict=True)]
        month = evidence_month(clock)
        prepared = [
            self._writer.prepare(self._outcome(request, admission, work, message), month)
            for request, admission, work, message in zip(requests, admissions, works, messages, strict=True)
        ]
        changed = any(r.operation.changes_registry and w.refusal is None for r, w in zip(requests, works, strict=True))
        return Batch(works, messages, prepared, month, RegistryVersion(registry_version, changed))

    async def commit(self, connection: Connection, batch: Batch) -> list[Answer]:
        """Step 5. Raises CommitFailedError when the outcome is not known, or known to be bad."""
        return batch.answers(await self._writer.append_and_commit(connection, batch.prepared, batch.month, batch.registry))

    def answers(self, batch: Batch, appended: Appended) -> list[Answer]:
        """The answers of a batch that was found committed after its connection was lost."""
        return batch.answers(self._writer.receipts(batch.prepared, appended))

    def _judge(self, request: Request, admission: Admission) -> Work:
        work = Work(
            message=request.parsed,
            caller=admission.caller,
            subjects=request.subjects,
            subject_keys=request.subject_keys,
            request_digest=hashlib.sha256(request.message).digest(),
            prepared=request.prepared,
            cursor=request.cursor,
            answer=request.answer,
        )
        work.refusal = _authorise(request, admission) or request.invalid
        if work.refusal is None and admission.prior_digest is not None:
            same = admission.prior_method == request.operation.method and hmac.compare_digest(
                admission.prior_digest, request.digest(self._request_secret)
            )
            if same:
                work.repeated, work.answer = True, admission.prior_answer
            else:
                work.refusal = Refusal.of_field(
                    errors.ERROR_REASON_REQUEST_ID_REUSED,
                    "request_id",
                    "was used for another request; make a new random one",
                )
        return work

    def _outcome(self, request: Request, admission: Admission, work: Work, message: bytes) -> Outcome:
        refusal = work.refusal
        envelope = log_pb2.Envelope(
            request_digest=work.request_digest,
            signature_params=request.signature.signature_params,
            signature=request.signature.signature,
            answer_digest=hashlib.sha256(message).digest(),
            reason=refusal.reason_name if refusal else "",
        )
        claim = None
        if request.request_id is not None and refusal is None and not work.repeated:
            answer = message if work.keep_answer else None
            claim = RequestClaim(request.request_id, request.digest(self._request_secret), answer, work.submission)
        return Outcome(
            member=admission.caller.member,
            member_id=admission.caller.member_id,
            keyid=request.signature.keyid,
            method=request.operation.method,
            refused=refusal is not None,
            envelope=envelope.SerializeToString(),
            subjects=request.subjects,
            subject_keys=request.subject_keys,
            footprint=work.footprint and refusal is None and not work.repeated,
            message=request.message if _is_kept(request, admission) else None,
            keeps_envelope=request.operation.keeps_request,
            claim=claim,
        )


async def _admit(connection: Connection, requests: Sequence[Request]) -> tuple[datetime, int, list[Admission]]:
    spending: set[tuple[bytes, bytes]] = set()
    spends = []
    for request in requests:
        pair = (request.signature.keyid, request.signature.nonce)
        # The second of two equal nonces in one batch spends nothing, and so is refused like any other replay.
        spends.append(request.cursor is None and pair not in spending)
        spending.add(pair)
    signatures = [request.signature for request in requests]
    rows = await connection.fetch(
        "BEGIN;" + _ADMIT,
        (
            MAX_AGE,
            MAX_AHEAD,
            list(range(len(requests))),
            [s.keyid for s in signatures],
            [s.nonce for s in signatures],
            [s.created for s in signatures],
            [s.expires for s in signatures],
            spends,
            [request.request_id for request in requests],
        ),
    )
    rows.sort(key=lambda row: int(row[0]))
    if len(rows) != len(requests):
        raise RegistryError("a key that signed a request is no longer in the registry")
    admissions = [_admission(row, request, spent=spent) for row, request, spent in zip(rows, requests, spends, strict=True)]
    return rows[0][1], rows[0][-1], admissions


class RegistryError(Exception):
    """The registry of members lost something that is never deleted."""


def _admission(row: Sequence[Any], request: Request, *, spent: bool) -> Admission:
    _, _, fresh, in_table, revoked, member, state, roles, purposes, daily_evaluations, method, digest, answer, _ = row
    later_page = request.cursor is not None
    return Admission(
        caller=Caller(member, request.member_id, frozenset(roles), frozenset(purposes), daily_evaluations),
        fresh=later_page or fresh,
        spent=later_page or (spent and in_table),
        revoked=revoked,
        active=state == MEMBER_STATE_ACTIVE,
        prior_method=method,
        prior_digest=None if digest is None else bytes(digest),
        prior_answer=None if answer is None else bytes(answer),
    )


def _authorise(request: Request, admission: Admission) -> Refusal | None:
    """Authorisation. Runs before message validation, so that callers learn nothing they are not allowed to know."""
    roles = request.operation.roles
    if request.certificate_mismatch:
        return Refusal(
            errors.ERROR_REASON_CERTIFICATE_MISMATCH,
            "the client certificate names another member than the signing key's",
        )
    if not admission.fresh:
        return Refusal(
            errors.ERROR_REASON_SIGNATURE_STALE,
            f"created must lie within {MAX_AGE} seconds back and {MAX_AHEAD} ahead of the server's clock, and expires after it; "
            "check this machine's clock",
        )
    if not admission.spent:
        return Refusal(errors.ERROR_REASON_NONCE_REPLAYED, "this key used this nonce before; sign each attempt anew")
    if admission.revoked:
        return Refusal(errors.ERROR_REASON_KEY_REVOKED, "the signing key was revoked")
    if not admission.active:
        return Refusal(errors.ERROR_REASON_MEMBER_SUSPENDED, "the member is suspended; ask the operator")
    if roles and not roles & admission.caller.roles:
        needed = " or ".join(sorted(Role.Name(Role.ValueType(role)).removeprefix("ROLE_") for role in roles))
        return Refusal(errors.ERROR_REASON_ROLE_MISSING, f"this method needs the role {needed}; ask the operator")
    return None


def _is_kept(request: Request, admission: Admission) -> bool:
    """Whether the request goes into the evidence. What nobody could find to erase does not; nor, but for a little, what comes from
    somebody who may not send it at all, and could otherwise fill the disk."""
    if not (request.operation.keeps_request and request.traceable):
        return False
    return len(request.message) <= MAX_KEPT_OF_BARRED or _authorise(request, admission) is None


async def _run_operations(connection: Connection, requests: Sequence[Request], works: Sequence[Work], clock: datetime) -> None:
    """Runs what is not settled yet, kind by kind, in the one order in which every transaction takes its locks."""
    waiting: dict[str, tuple[Operation, list[Work]]] = {}
    for request, work in zip(requests, works, strict=True):
        if work.refusal is None and work.answer is None:
            waiting.setdefault(request.operation.method, (request.operation, []))[1].append(work)
    for _, (operation, batch) in sorted(waiting.items()):
        await operation.run(connection, batch, clock)


def _encode(work: Work, limit: int) -> bytes:
    """The bytes that the caller gets, and whose digest the log holds."""
    if work.refusal is not None:
        return encode_status(work.refusal)
    if work.answer is None:
        raise TypeError("an operation left a request without an answer")
    if len(work.answer) > limit:
        raise Refusal(errors.ERROR_REASON_ANSWER_TOO_LARGE, f"the answer is larger than {limit} bytes; ask for less at once")
    return work.answer

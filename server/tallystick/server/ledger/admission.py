"""Admission: what the database says of a batch of requests before anything is done for it, and who may make which.

One statement spends the nonces (replay) and reads for every request the database's clock (freshness), its key (revocation), its
member (state, roles), and whether its request_id had an effect before. `authorise` judges by what came back.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallystick.contract.admission import Standing, authorise, request_id_reused
from tallystick.contract.limits import MAX_AGE, MAX_AHEAD
from tallystick.server.requests.operation import Caller, Request, Work
from tallystick.server.storage.array_literals import booleans, integers
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1.membership_service_pb2 import MEMBER_STATE_ACTIVE

# Each look-up is a lateral one with a limit, which leaves the planner nothing but the index: it knows nothing of a table that has
# grown since it was last analysed, and would read all of it for every transaction.
_ADMIT = Statement(
    "admit",
    {
        "max_age": "integer",
        "max_ahead": "integer",
        "keyids": "bytea[]",
        "nonces": "bytea[]",
        "created": "bigint[]",
        "expires": "bigint[]",
        "spends": "boolean[]",
        "request_ids": "bytea[]",
    },
    """
WITH clock AS MATERIALIZED (
  SELECT clock_timestamp() AS now
), asked AS MATERIALIZED (
  SELECT ordinal, keyid, nonce, created, spends, request_id,
         created >= extract(epoch FROM now) - %(max_age)s AND created <= extract(epoch FROM now) + %(max_ahead)s
           AND expires >= extract(epoch FROM now)
           AND created / 60 > (SELECT minute FROM replay_horizon WHERE singleton) AS fresh
  FROM unnest(%(keyids)s, %(nonces)s, %(created)s, %(expires)s, %(spends)s, %(request_ids)s) WITH ORDINALITY
         AS row (keyid, nonce, created, expires, spends, request_id, ordinal), clock
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
""",
)


class RegistryError(Exception):
    """The registry of members lost something that is never deleted."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A batch at the beginning of its transaction: the database's clock, the registry it was judged by, and each request's work."""

    clock: datetime
    registry_version: int
    works: Sequence[Work]


async def admit(connection: Connection, requests: Sequence[Request], request_secret: bytes) -> Admitted:
    """Begins the transaction and judges each request; a refused one has its refusal set. Raises RegistryError."""
    spending: set[tuple[bytes, bytes]] = set()
    spends = []
    for request in requests:
        pair = (request.signature.keyid, request.signature.nonce)
        # The second of two equal nonces in one batch spends nothing, and so is refused like any other replay.
        spends.append(request.cursor is None and pair not in spending)
        spending.add(pair)
    signatures = [request.signature for request in requests]
    rows = await connection.run(
        "BEGIN",
        _ADMIT(
            max_age=MAX_AGE,
            max_ahead=MAX_AHEAD,
            keyids=[s.keyid for s in signatures],
            nonces=[s.nonce for s in signatures],
            created=integers(s.created for s in signatures),
            expires=integers(s.expires for s in signatures),
            spends=booleans(spends),
            request_ids=[request.request_id for request in requests],
        ),
    )
    rows.sort(key=lambda row: int(row[0]))
    if len(rows) != len(requests):
        raise RegistryError("a key that signed a request is no longer in the registry")
    works = [_work(row, request, request_secret, spent=spent) for row, request, spent in zip(rows, requests, spends, strict=True)]
    return Admitted(rows[0][1], rows[0][-1], works)


def _work(row: Sequence[Any], request: Request, request_secret: bytes, *, spent: bool) -> Work:
    _, clock, fresh, in_table, revoked, member, state, roles, purposes, daily_evaluations, method, digest, answer, _ = row
    later_page = request.cursor is not None
    standing = Standing(
        certificate_mismatch=request.certificate_mismatch,
        fresh=later_page or fresh,
        spent=later_page or (spent and in_table),
        revoked=revoked,
        active=state == MEMBER_STATE_ACTIVE,
        created=request.signature.created,
        clock=clock,
    )
    caller = Caller(member, request.member_id, frozenset(roles), frozenset(purposes), daily_evaluations)
    barred = authorise(standing, request.operation.roles, caller.roles)
    work = Work(request, caller, barred=barred is not None, answer=request.answer, refusal=barred or request.invalid)
    if work.refusal is None and digest is not None:
        same = method == request.operation.method and hmac.compare_digest(bytes(digest), request.digest(request_secret))
        if same:
            work.repeated, work.answer = True, None if answer is None else bytes(answer)
        else:
            work.refusal = request_id_reused()
    return work

"""Admission: what the database says of a batch of requests before anything is done for it, and who may make which.

One statement spends the nonces (replay) and reads for every request the database's clock (freshness), its key (revocation), its
member (state, roles), and whether its request_id had an effect before. `_authorise` judges by what came back.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tallystick.contract.durations import in_words
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Caller, Request, Work
from tallystick.server.storage.connection import Connection
from tallystick.v1 import errors_pb2
from tallystick.v1.membership_service_pb2 import MEMBER_STATE_ACTIVE, Role

MAX_AGE = 60
"""Seconds that `created` may lie back."""
MAX_AHEAD = 10
"""Seconds that `created` may lie ahead."""
_LONGEST = 1_000 * 365 * 86_400
"""Seconds above which nobody wants to know by how much a clock is wrong."""

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


class RegistryError(Exception):
    """The registry of members lost something that is never deleted."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A batch at the beginning of its transaction: the database's clock, the registry it was judged by, and each request's work."""

    clock: datetime
    registry_version: int
    works: Sequence[Work]


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the database knows a request's key, nonce and member."""

    fresh: bool
    spent: bool
    revoked: bool
    active: bool


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
    works = [_work(row, request, request_secret, spent=spent) for row, request, spent in zip(rows, requests, spends, strict=True)]
    return Admitted(rows[0][1], rows[0][-1], works)


def _work(row: Sequence[Any], request: Request, request_secret: bytes, *, spent: bool) -> Work:
    _, clock, fresh, in_table, revoked, member, state, roles, purposes, daily_evaluations, method, digest, answer, _ = row
    later_page = request.cursor is not None
    standing = _Standing(
        fresh=later_page or fresh,
        spent=later_page or (spent and in_table),
        revoked=revoked,
        active=state == MEMBER_STATE_ACTIVE,
    )
    caller = Caller(member, request.member_id, frozenset(roles), frozenset(purposes), daily_evaluations)
    barred = _authorise(request, standing, caller, clock)
    work = Work(request, caller, barred=barred is not None, answer=request.answer, refusal=barred or request.invalid)
    if work.refusal is None and digest is not None:
        same = method == request.operation.method and hmac.compare_digest(bytes(digest), request.digest(request_secret))
        if same:
            work.repeated, work.answer = True, None if answer is None else bytes(answer)
        else:
            reason = errors_pb2.ERROR_REASON_REQUEST_ID_REUSED
            work.refusal = Refusal.of_field(reason, "request_id", "was used for another request; make a new random one")
    return work


def _stale(created: int, clock: datetime) -> str:
    """By how much a signature misses the time of this server: its signer cannot know."""
    says = f"the server's clock, which says {clock.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if (seconds := int(clock.timestamp()) - created) in range(-MAX_AHEAD, MAX_AGE + 1):
        return f"the signature expired, or was used before, by {says}; sign each attempt anew"
    which = "behind" if seconds > 0 else "ahead of"
    # No timedelta of what came from outside: it may be too large for one.
    apart = in_words(timedelta(seconds=min(abs(seconds), _LONGEST)))
    return (
        f"created is {apart} {which} {says}; it must lie within {MAX_AGE} seconds back and {MAX_AHEAD} ahead of it: set this"
        " machine's clock"
    )


def _authorise(request: Request, standing: _Standing, caller: Caller, clock: datetime) -> Refusal | None:
    """Authorisation. Runs before message validation, so that callers learn nothing they are not allowed to know."""
    roles = request.operation.roles
    if request.certificate_mismatch:
        return Refusal(
            errors_pb2.ERROR_REASON_CERTIFICATE_MISMATCH,
            "the client certificate names another member than the signing key's",
        )
    if not standing.fresh:
        return Refusal(errors_pb2.ERROR_REASON_SIGNATURE_STALE, _stale(request.signature.created, clock))
    if not standing.spent:
        return Refusal(errors_pb2.ERROR_REASON_NONCE_REPLAYED, "this key used this nonce before; sign each attempt anew")
    if standing.revoked:
        return Refusal(errors_pb2.ERROR_REASON_KEY_REVOKED, "the signing key was revoked")
    if not standing.active:
        return Refusal(errors_pb2.ERROR_REASON_MEMBER_SUSPENDED, "the member is suspended; ask the operator")
    if roles and not roles & caller.roles:
        needed = " or ".join(sorted(Role.Name(Role.ValueType(role)).removeprefix("ROLE_") for role in roles))
        return Refusal(errors_pb2.ERROR_REASON_ROLE_MISSING, f"this method needs the role {needed}; ask the operator")
    return None

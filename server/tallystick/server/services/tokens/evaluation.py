"""Tokens: blinded identities evaluated under the authority's key, and metered (tallystick.v1.SubjectTokenService)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from tallystick.contract.evaluations import check_evaluation, evaluated
from tallystick.contract.limits import MAX_ELEMENTS
from tallystick.contract.methods import EVALUATE_TOKENS
from tallystick.server.errors import Refusal
from tallystick.server.installation.key_folder import TokenPrivateKey
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.server.storage.array_literals import integers
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import errors_pb2
from tallystick.v1 import subject_token_service_pb2 as pb

_USED = Statement(
    "evaluations_of_members",
    {"day": "date", "members": "bigint[]"},
    "SELECT member, evaluations FROM token_meter WHERE day = %(day)s AND member = ANY(%(members)s)",
)

_METER = Statement(
    "meter_evaluations",
    {"day": "date", "members": "bigint[]", "evaluations": "bigint[]"},
    """
INSERT INTO token_meter (member, day, evaluations)
SELECT member, %(day)s, evaluations FROM unnest(%(members)s, %(evaluations)s) AS used (member, evaluations) ORDER BY member
ON CONFLICT (member, day) DO UPDATE SET evaluations = token_meter.evaluations + excluded.evaluations
RETURNING member, evaluations
""",
)


class EvaluateTokens(Operation):
    """A batch of blinded elements. A retry is evaluated again, under the same key to the same result, and metered once."""

    contract = EVALUATE_TOKENS
    item_cost = FULL_BATCH // 4 // MAX_ELEMENTS

    def __init__(self, key: TokenPrivateKey) -> None:
        self._key = key

    def validate(self, message: Any, now: datetime) -> None:
        check_evaluation(message, epoch_id=self._key.epoch_id, sequence=self._key.sequence)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        today = clock.date()
        await self._refuse_over_quota(connection, works, today)
        # Out of the event loop: libsodium releases the interpreter's lock, and a full batch takes tens of milliseconds.
        for work in works:
            if work.refusal is None:
                try:
                    work.answer = await asyncio.to_thread(self._evaluate, list(work.message.blinded_elements))
                except Refusal as refusal:
                    work.refusal = refusal
        await _meter(connection, works, today)

    async def _refuse_over_quota(self, connection: Connection, works: Sequence[Work], today: date) -> None:
        """Refuses before the work is done what would go beyond a member's quota, as far as can be seen without a lock."""
        limited = sorted({work.caller.member for work in works if work.caller.daily_evaluations})
        if not limited:
            return
        used: dict[int, int] = defaultdict(int, await connection.run(_USED(day=today, members=limited)))
        for work in works:
            limit = work.caller.daily_evaluations
            if not limit or work.repeated:
                continue
            if used[work.caller.member] + len(work.message.blinded_elements) > limit:
                work.refusal = _over_quota(limit, used[work.caller.member])
            else:
                used[work.caller.member] += len(work.message.blinded_elements)

    def _evaluate(self, elements: list[bytes]) -> bytes:
        answers, proof = evaluated(self._key.private_key, self._key.public_key, elements)
        return pb.EvaluateTokensResponse(evaluated_elements=answers, proof=proof).SerializeToString()


async def _meter(connection: Connection, works: Sequence[Work], today: date) -> None:
    """Counts what was evaluated. Here the member's row is locked, so here a quota holds against all servers at once."""
    counts: dict[int, int] = defaultdict(int)
    limits = {}
    for work in works:
        if work.refusal is None and not work.repeated:
            counts[work.caller.member] += len(work.message.blinded_elements)
            limits[work.caller.member] = work.caller.daily_evaluations
    if not counts:
        return
    for member, total in await connection.run(_METER(day=today, members=integers(counts), evaluations=integers(counts.values()))):
        if limits[member] and total > limits[member]:
            # Another server counted in between. What is written must go: the ledger runs each request by itself.
            raise _over_quota(limits[member], total - counts[member])


def _over_quota(limit: int, used: int) -> Refusal:
    left = max(0, limit - used)
    text = f"of the member's {limit} evaluations of this day (UTC) {left} are left; ask for no more, or try tomorrow"
    return Refusal(errors_pb2.ERROR_REASON_EVALUATION_QUOTA_EXCEEDED, text, left=left)

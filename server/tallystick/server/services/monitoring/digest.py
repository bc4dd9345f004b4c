"""The digest: how much of what was told to a member in a month. Counts only, and none for a few borrowers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tallystick.contract.methods import GET_PORTFOLIO_DIGEST
from tallystick.credit.dates import day_of_number
from tallystick.credit.monitoring import check_digest
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import codes_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

FEWEST_WATCHED = 50
"""Of fewer borrowers counts would be about some of them."""

_WATCHED = Statement(
    "count_watched",
    {"member": "bigint", "today": "date"},
    """
SELECT count(*), count(DISTINCT subject) FROM watch WHERE member = %(member)s AND end_reason = 0 AND end_date >= %(today)s
""",
)

_COUNTS = Statement(
    "count_alerts",
    {"member": "bigint", "start": "timestamptz", "end": "timestamptz"},
    """
SELECT type, before, after, count(*) + sum(repeats), count(DISTINCT subject) FROM message
WHERE member = %(member)s AND release_time >= %(start)s AND release_time < %(end)s AND type > 0
GROUP BY type, before, after ORDER BY type, before, after
""",
)


class GetPortfolioDigest(Operation):
    """Counts by type and transition."""

    contract = GET_PORTFOLIO_DIGEST
    # Whatever a member watches and was told in a month is looked at.
    cost = 512 * 1024

    def validate(self, message: Any, now: datetime) -> None:
        check_digest(message, now)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            member = work.caller.member
            ((watches, subjects),) = await connection.run(_WATCHED(member=member, today=clock.date()))
            answer = pb.GetPortfolioDigestResponse(watched_count=watches, too_small=subjects < FEWEST_WATCHED)
            if not answer.too_small:
                start = datetime.combine(day_of_number(work.message.month), datetime.min.time(), clock.tzinfo)
                end = (start + timedelta(days=31)).replace(day=1)
                for type_, before, after, alerts, of_subjects in await connection.run(_COUNTS(member=member, start=start, end=end)):
                    trigger = codes_pb2.TriggerType.ValueType(type_)
                    answer.rows.add(type=trigger, before=before, after=after, alert_count=alerts, subject_count=of_subjects)
            work.answer = answer.SerializeToString()

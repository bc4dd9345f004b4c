"""Listing watches: a member reads its own, each with the state that it is in now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tallystick.contract.methods import LIST_WATCHES
from tallystick.contract.request_fields import page_size
from tallystick.credit.dates import number_of_day
from tallystick.credit.monitoring import Triggers, check_watch_listing
from tallystick.crypto.references import SECRET_ID_BYTES
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.services.monitoring.states import Grounds, state_of
from tallystick.server.services.page_tokens import PageTokens
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import account_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

_LIST = Statement(
    "list_watches",
    {"member": "bigint", "after": "bytea", "count": "bigint"},
    """
SELECT watch_id, account_reference, purpose, consent_reference, triggers, end_reason, end_date, account.update_time
FROM (
  SELECT * FROM watch WHERE watch.member = %(member)s AND watch_id > %(after)s ORDER BY watch_id LIMIT %(count)s
) AS watch
LEFT JOIN LATERAL (
  SELECT update_time FROM account
  WHERE (account.subject, account.member, account.account_reference) = (watch.subject, watch.member, watch.account_reference)
    AND live
  LIMIT 1
) AS account ON true
ORDER BY watch_id
""",
)


class ListWatches(Operation):
    """The caller's own watches, without their subjects."""

    contract = LIST_WATCHES

    def __init__(self, page_secret: bytes) -> None:
        self._tokens = PageTokens(page_secret, self.method)

    def validate(self, message: Any, now: datetime) -> None:
        check_watch_listing(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            try:
                position = self._tokens.position(work)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            size = page_size(work.message.page_size)
            rows = await connection.run(_LIST(member=work.caller.member, after=position or b"", count=size + 1))
            listed = [_listed(row, work.caller.purposes, clock) for row in rows[:size]]
            wanted = work.message.state
            answer = pb.ListWatchesResponse(watches=[each for each in listed if wanted in (0, each.state)])
            if len(rows) > size:
                answer.next_page_token = self._tokens.issue(work, bytes(rows[size - 1][0]))
            work.answer = answer.SerializeToString()


def _listed(row: Sequence[Any], purposes: frozenset[int], clock: datetime) -> pb.ListedWatch:
    watch_id, reference, purpose, consent_reference, triggers, end_reason, end_date, report_time = row
    state, reason = state_of(Grounds(end_reason, end_date, purpose, report_time), purposes, clock)
    listed: Any = pb.ListedWatch(
        watch_id=bytes(watch_id),
        account_reference=reference_of(bytes(reference)),
        consent_reference=consent_reference,
        triggers=Triggers.from_bytes(bytes(triggers)).to_messages(),
        end_date=number_of_day(end_date),
    )
    # The stubs want the enums' own NewTypes.
    listed.purpose, listed.state, listed.reason = purpose, int(state), int(reason)
    watch: pb.ListedWatch = listed
    return watch


def reference_of(stored: bytes) -> account_pb2.AccountReference:
    """A stored account reference as it is sent."""
    return account_pb2.AccountReference(secret_id=stored[:SECRET_ID_BYTES], digest=stored[SECRET_ID_BYTES:])

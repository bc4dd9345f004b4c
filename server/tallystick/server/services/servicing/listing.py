"""Listing servicing events: a member reads its own of one account, the last recorded first (tallystick.v1.ServicingService)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tallystick.contract.instants import EPOCH, microseconds
from tallystick.contract.methods import LIST_SERVICING_EVENTS
from tallystick.contract.request_fields import page_size
from tallystick.credit.servicing import EVENT_ID_LENGTH, check_listing
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.services.page_tokens import PageTokens
from tallystick.server.storage.connection import Connection
from tallystick.v1 import servicing_service_pb2 as pb

# An account has MAX_ACCOUNT_EVENTS at the most, so they are sorted without an index of their own.
_LIST = """
SELECT event_id, event, create_time FROM servicing_event
WHERE subject = %s AND member = %s AND account_reference = %s AND (create_time, event_id) < (%s, %s)
ORDER BY create_time DESC, event_id DESC
LIMIT %s
"""
_POSITION = struct.Struct(f">Q{EVENT_ID_LENGTH}s")


class ListServicingEvents(Operation):
    """The caller's own events of one account."""

    contract = LIST_SERVICING_EVENTS

    def __init__(self, page_secret: bytes, epoch_id: bytes) -> None:
        self._tokens = PageTokens(page_secret, self.method)
        self._epoch_id = epoch_id

    def validate(self, message: Any, now: datetime) -> None:
        check_listing(message, epoch_id=self._epoch_id)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            try:
                position = self._tokens.position(work)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            # What was recorded later than the first page was read is on no page of it.
            before, last = (microseconds(clock) + 10**6, b"") if position is None else _POSITION.unpack(position)
            size = page_size(work.message.page_size)
            reference = work.message.account_reference
            rows = await connection.fetch(
                _LIST,
                (
                    work.request.subject_keys[0],
                    work.caller.member,
                    reference.secret_id + reference.digest,
                    EPOCH + timedelta(microseconds=before),
                    last,
                    size + 1,
                ),
            )
            answer = pb.ListServicingEventsResponse(events=[_event(event_id, event) for event_id, event, _ in rows[:size]])
            if len(rows) > size:
                event_id, _, create_time = rows[size - 1]
                answer.next_page_token = self._tokens.issue(work, _POSITION.pack(microseconds(create_time), bytes(event_id)))
            work.answer = answer.SerializeToString()


def _event(event_id: bytes, stored: bytes) -> pb.ServicingEvent:
    event = pb.ServicingEvent.FromString(bytes(stored))
    event.event_id = bytes(event_id)
    return event

"""Delivery: a member pulls its messages by cursor, and says up to where it has them safe.

Whether a message may be told is judged when it is told: the purpose must still be allowed to the member, and its account still be
reported. A message that may not is passed over, and the cursor with it. What is told is complete up to the cursor: released is only
what no entry can come before any more (the head's last time and its fence).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import structlog

from tallystick.contract.limits import MAX_WAITING_COUNT
from tallystick.contract.methods import ACKNOWLEDGE_MESSAGES, PULL_MESSAGES
from tallystick.contract.request_fields import page_size
from tallystick.contract.subjects import Subject
from tallystick.credit.dates import number_of_day
from tallystick.credit.enums import WatchState
from tallystick.credit.monitoring import check_acknowledgement, check_pull
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Operation, Waits, Work
from tallystick.server.services.monitoring.listing import reference_of
from tallystick.server.services.monitoring.outbox import WATCH_ENDED
from tallystick.server.services.monitoring.positions import BEFORE_ALL, Cursors, Position
from tallystick.server.services.monitoring.sealed_tokens import TokenBox
from tallystick.server.services.monitoring.states import Grounds, state_of
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.server.telemetry.metrics import MESSAGES_TOLD
from tallystick.v1 import codes_pb2, errors_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

events = structlog.get_logger()

POSITION = {"release_time": "timestamptz", "subject_order": "bytea", "entry_index": "bigint", "ordinal": "integer"}
KEY = "(release_time, subject_order, entry_index, ordinal)"
GIVEN = "(%(release_time)s, %(subject_order)s, %(entry_index)s, %(ordinal)s)"

ACKNOWLEDGED = Statement(
    "acknowledged_position",
    {"member": "bigint"},
    "SELECT release_time, subject_order, entry_index, ordinal FROM message_cursor WHERE member = %(member)s",
)

# The head is read before the messages: of what is released by then nothing is still to be committed.
_COMPLETE = Statement("complete_until", {}, "SELECT greatest(last_time, fence_time) FROM log_head WHERE singleton")

_PULL = Statement(
    "pull_messages",
    {"member": "bigint", "complete": "timestamptz", "count": "bigint"} | POSITION,
    f"""
SELECT release_time, subject_order, entry_index, ordinal, message_id, message.subject, message.account_reference, type, before,
       after, band, repeats, watch_id, purpose, consent_reference, sealed_token, end_reason, end_date, account.update_time
FROM (
  SELECT * FROM message
  WHERE message.member = %(member)s AND {KEY} > {GIVEN} AND release_time <= %(complete)s
  ORDER BY release_time, subject_order, entry_index, ordinal LIMIT %(count)s
) AS message
LEFT JOIN LATERAL (
  SELECT * FROM watch
  WHERE (watch.subject, watch.member, watch.account_reference) = (message.subject, message.member, message.account_reference)
  LIMIT 1
) AS watch ON true
LEFT JOIN LATERAL (
  SELECT update_time FROM account
  WHERE (account.subject, account.member, account.account_reference)
      = (message.subject, message.member, message.account_reference) AND live LIMIT 1
) AS account ON true
ORDER BY release_time, subject_order, entry_index, ordinal
""",  # noqa: S608 - the inserted texts are constants of this module
)

_ACKNOWLEDGE = Statement(
    "acknowledge_messages",
    {"member": "bigint"} | POSITION,
    f"""
INSERT INTO message_cursor AS cursor (member, release_time, subject_order, entry_index, ordinal, crowded)
VALUES (%(member)s, %(release_time)s, %(subject_order)s, %(entry_index)s, %(ordinal)s, false)
ON CONFLICT (member) DO UPDATE
SET release_time = excluded.release_time, subject_order = excluded.subject_order, entry_index = excluded.entry_index,
    ordinal = excluded.ordinal
WHERE (cursor.release_time, cursor.subject_order, cursor.entry_index, cursor.ordinal) < {GIVEN}
""",  # noqa: S608 - the inserted text is a constant of this module
)

_WAITING = Statement(
    "count_waiting_messages",
    {"member": "bigint", "complete": "timestamptz", "count": "bigint"} | POSITION,
    f"""
SELECT count(*) FROM (
  SELECT FROM message WHERE member = %(member)s AND {KEY} > {GIVEN} AND release_time <= %(complete)s
  ORDER BY release_time, subject_order, entry_index, ordinal LIMIT %(count)s
) AS waiting
""",  # noqa: S608 - the inserted texts are constants of this module
)


class _Row(NamedTuple):
    """A message with its watch; nulls where that is gone."""

    release_time: datetime
    subject_order: bytes
    entry_index: int
    ordinal: int
    message_id: bytes
    subject: bytes
    account_reference: bytes
    type: int
    before: int
    after: int
    band: bytes
    repeats: int
    watch_id: bytes | None
    purpose: int
    consent_reference: str
    sealed_token: bytes
    end_reason: int
    end_date: date
    report_time: datetime | None

    @property
    def position(self) -> Position:
        return Position(self.release_time, bytes(self.subject_order), self.entry_index, self.ordinal)


def cursor_invalid() -> Refusal:
    """For a cursor that was not made here for this member."""
    text = "is none of your cursors: give a next_cursor as you received it, or none to begin after what you acknowledged last"
    return Refusal.of_field(errors_pb2.ERROR_REASON_CURSOR_INVALID, "cursor", text)


async def acknowledged_position(connection: Connection, member: int) -> Position:
    """Up to where a member has acknowledged its messages."""
    rows = await connection.run(ACKNOWLEDGED(member=member))
    if not rows:
        return BEFORE_ALL
    release_time, order, index, ordinal = rows[0]
    return Position(release_time, bytes(order), index, ordinal)


class PullMessages(Operation):
    """Messages of the caller's own, in their order."""

    contract = PULL_MESSAGES
    # Per page: a look at a hundred messages, a hundred leaves.
    cost = 16 * 1024

    def __init__(self, cursors: Cursors, box: TokenBox, waits: Waits) -> None:
        self._cursors = cursors
        self._box = box
        self.waits = waits

    def validate(self, message: Any, now: datetime) -> None:
        check_pull(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        ((complete,),) = await connection.run(_COMPLETE())
        for work in works:
            await self._pull(connection, work, clock, complete)

    async def _pull(self, connection: Connection, work: Work, clock: datetime, complete: datetime) -> None:
        cursor, member = work.message.cursor, work.caller.member
        if cursor:
            packed = self._cursors.read(work.caller.member_id, cursor)
            if packed is None:
                work.refusal = cursor_invalid()
                return
            begin = Position.from_bytes(packed)
        else:
            begin = await acknowledged_position(connection, member)
        size = page_size(work.message.page_size)
        rows = await connection.run(_PULL(member=member, complete=complete, count=size, **begin._asdict()))
        found = [_Row(*row) for row in rows]
        end = found[-1].position if found else begin
        answer = pb.PullMessagesResponse(next_cursor="" if end == BEFORE_ALL else self._issue(work, end))
        told = []
        for row in found:
            message = self._message(row, work.caller.purposes, clock)
            if message is not None:
                answer.messages.append(message)
                stated = Subject(message.subject.epoch_id, message.subject.element, message.purpose, message.consent_reference)
                told.append((bytes(row.subject), stated))
        MESSAGES_TOLD.inc(len(told))
        work.told = told
        work.answer = answer.SerializeToString()

    def _issue(self, work: Work, position: Position) -> str:
        return self._cursors.issue(work.caller.member_id, position.to_bytes())

    def _message(self, row: _Row, purposes: frozenset[int], clock: datetime) -> pb.Message | None:
        """The message, if it may be told now."""
        if row.watch_id is None:
            return None
        state, _ = state_of(Grounds(row.end_reason, row.end_date, row.purpose, row.report_time), purposes, clock)
        if row.type == WATCH_ENDED:
            # Of a watch that was put again nobody is told that it ended.
            allowed = state == WatchState.ENDED and row.purpose in purposes
        else:
            allowed = state == WatchState.ACTIVE
        if not allowed:
            return None
        watch_id, subject = bytes(row.watch_id), bytes(row.subject)
        token = self._box.open(bytes(row.sealed_token), watch_id=watch_id, subject_key=subject)
        if token is None:
            events.error("watch_token_unreadable")
            return None
        message: Any = pb.Message(
            message_id=bytes(row.message_id),
            subject=token,
            consent_reference=row.consent_reference,
            watch_id=watch_id,
            account_reference=reference_of(bytes(row.account_reference)),
            date=number_of_day(row.release_time.date()),
        )
        message.purpose = row.purpose
        _set_content(message, row)
        told: pb.Message = message
        return told


def _set_content(message: pb.Message, row: _Row) -> None:
    if row.type == WATCH_ENDED:
        reason = codes_pb2.WatchStateReason.ValueType(row.before)
        message.watch_ended.CopyFrom(pb.WatchEnded(reason=reason, discarded_count=row.after))
        return
    alert = pb.Alert(type=codes_pb2.TriggerType.ValueType(row.type), before=row.before, after=row.after, repeats=row.repeats)
    if row.band:
        alert.amount.MergeFromString(bytes(row.band))
    message.alert.CopyFrom(alert)


class AcknowledgeMessages(Operation):
    """Moves the caller's own cursor forward."""

    contract = ACKNOWLEDGE_MESSAGES

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def validate(self, message: Any, now: datetime) -> None:
        check_acknowledgement(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        ((complete,),) = await connection.run(_COMPLETE())
        # Rows are locked in the order of their members.
        for work in sorted(works, key=lambda each: each.caller.member):
            packed = self._cursors.read(work.caller.member_id, work.message.cursor)
            if packed is None:
                work.refusal = cursor_invalid()
                continue
            member, given = work.caller.member, Position.from_bytes(packed)
            await connection.run(_ACKNOWLEDGE(member=member, **given._asdict()))
            reached = await acknowledged_position(connection, member)
            waiting = _WAITING(member=member, complete=complete, count=MAX_WAITING_COUNT, **reached._asdict())
            ((count,),) = await connection.run(waiting)
            work.answer = pb.AcknowledgeMessagesResponse(
                acknowledged_cursor=self._cursors.issue(work.caller.member_id, reached.to_bytes()), waiting_count=count
            ).SerializeToString()

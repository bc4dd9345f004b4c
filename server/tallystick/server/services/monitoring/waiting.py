"""Waiting for messages: pulls that have nothing to tell yet wait before the ledger, all of a worker behind one look a moment.

Who waits holds no connection and no place in the ledger's queue. A look finds the members for whom something is due. Where the log
stands still it also moves the fence, before which no entry can be any more: without it what is due could not be told before
somebody asks something.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Request, Waits
from tallystick.server.services.monitoring.positions import Cursors, Position
from tallystick.server.storage.array_literals import integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.reader import Reader
from tallystick.server.storage.statements import Statement

LOOK_SECONDS = 0.25
"""Seconds between two looks."""

# The last one that is due: the fence has to pass it, and all before it are complete then.
_DUE = Statement(
    "due_messages",
    {
        "numbers": "integer[]",
        "member_ids": "text[]",
        "given": "boolean[]",
        "release_times": "timestamptz[]",
        "orders": "bytea[]",
        "indices": "bigint[]",
        "ordinals": "integer[]",
    },
    """
SELECT asked.number, due.release_time, greatest(head.last_time, head.fence_time)
FROM (SELECT last_time, fence_time FROM log_head WHERE singleton) AS head
CROSS JOIN unnest(%(numbers)s, %(member_ids)s, %(given)s, %(release_times)s, %(orders)s, %(indices)s, %(ordinals)s)
  AS asked (number, member_id, given, release_time, subject_order, entry_index, ordinal)
JOIN member USING (member_id)
LEFT JOIN message_cursor AS cursor ON cursor.member = member.id AND NOT asked.given
CROSS JOIN LATERAL (
  SELECT message.release_time FROM message
  WHERE message.member = member.id
    AND (message.release_time, message.subject_order, message.entry_index, message.ordinal)
      > (coalesce(cursor.release_time, asked.release_time), coalesce(cursor.subject_order, asked.subject_order),
         coalesce(cursor.entry_index, asked.entry_index), coalesce(cursor.ordinal, asked.ordinal))
    AND message.release_time <= clock_timestamp()
  ORDER BY message.release_time DESC, message.subject_order DESC, message.entry_index DESC, message.ordinal DESC LIMIT 1
) AS due
""",
)

# Whoever has the head's lock has committed before, or is later than the fence.
_FENCE = Statement(
    "raise_fence",
    {"time": "timestamptz"},
    "UPDATE log_head SET fence_time = greatest(fence_time, %(time)s) WHERE singleton AND %(time)s <= clock_timestamp()",
)


@dataclass(slots=True, eq=False)
class _Waiter:
    """One pull that waits."""

    member_id: str
    given: bool
    """Whether it names its place; otherwise it begins after what is acknowledged."""
    begin: Position
    due: asyncio.Event = field(default_factory=asyncio.Event)


class MessageWaits(Waits):
    """The waits of one worker."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self._waiters: set[_Waiter] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    async def wait(self, reader: Reader, request: Request) -> None:
        """Until something is due for the caller, or its time is over. Without time one look is taken: what is due is then told."""
        message = request.message
        packed = self._cursors.read(request.member_id, message.cursor) if message.cursor else b""
        if packed is None or self._stopped:
            return
        waiter = _Waiter(request.member_id, bool(packed), Position.from_bytes(packed))
        if not message.wait_seconds:
            with suppress(Refusal):
                await _look(reader, [waiter])
            return
        self._waiters.add(waiter)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(reader), name="message waits")
        try:
            async with asyncio.timeout(message.wait_seconds):
                await waiter.due.wait()
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)

    def stop(self) -> None:
        self._stopped = True
        for waiter in self._waiters:
            waiter.due.set()

    async def _watch(self, reader: Reader) -> None:
        """Looks for all who wait, as long as somebody does."""
        while self._waiters and not self._stopped:
            # A database that is away is the ledger's to tell of; who waits goes on waiting for its time.
            with suppress(Refusal):
                await _look(reader, list(self._waiters))
            await asyncio.sleep(LOOK_SECONDS)


async def _look(reader: Reader, waiters: list[_Waiter]) -> None:
    """Wakes those for whom something is due and complete."""

    async def due(connection: Connection) -> list[tuple[int, datetime, datetime]]:
        look = _DUE(
            numbers=integers(range(len(waiters))),
            member_ids=[each.member_id for each in waiters],
            given=[each.given for each in waiters],
            release_times=[each.begin.release_time for each in waiters],
            orders=short_bytes(each.begin.subject_order for each in waiters),
            indices=integers(each.begin.entry_index for each in waiters),
            ordinals=integers(each.begin.ordinal for each in waiters),
        )
        found = [(number, release_time, complete) for number, release_time, complete in await connection.run(look)]
        if open_until := [release_time for _, release_time, complete in found if release_time > complete]:
            await connection.run(_FENCE(time=max(open_until)))
        return found

    for number, _, _ in await reader.read(due):
        waiters[number].due.set()

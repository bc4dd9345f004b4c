"""Recording servicing events: each is taken if the caller reports its account (tallystick.v1.ServicingService)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tallystick.contract.methods import RECORD_SERVICING_EVENTS
from tallystick.contract.steps import Steps
from tallystick.contract.violations import Violation
from tallystick.credit.requests import rejection
from tallystick.credit.servicing import Recorded, accepted, checked_events, judge_event
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.services.servicing.events import AccountKey, add_events, lock_accounts
from tallystick.server.storage.connection import Connection
from tallystick.v1 import reporting_service_pb2
from tallystick.v1 import servicing_service_pb2 as pb

Added = dict[tuple[AccountKey, bytes], tuple[bytes, datetime]]


class RecordServicingEvents(Operation):
    """A batch of events, each accepted or rejected by itself."""

    contract = RECORD_SERVICING_EVENTS
    locks = "accounts"

    def __init__(self, epoch_id: bytes) -> None:
        self._epoch_id = epoch_id

    def validate(self, message: Any, now: datetime) -> list[list[Violation]]:
        """What is wrong with each event by itself."""
        return list(checked_events(message, now, epoch_id=self._epoch_id))

    def validate_in_steps(self, message: Any, now: datetime) -> Steps[object]:
        found = []
        for violations in checked_events(message, now, epoch_id=self._epoch_id):
            found.append(violations)
            yield
        return found

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        asked: dict[AccountKey, set[bytes]] = {}
        for work in works:
            for event, key, violations in zip(work.message.events, _keys(work), work.request.prepared, strict=True):
                if not violations:
                    asked.setdefault(key, set()).add(event.event_id)
        known = await lock_accounts(connection, asked)
        added: Added = {}
        for work in works:
            verdicts = _verdicts(work, known, added, clock)
            work.answer = pb.RecordServicingEventsResponse(verdicts=verdicts).SerializeToString()
            work.keep_answer = True
        await add_events(connection, added)


def _keys(work: Work) -> list[AccountKey]:
    return [
        (subject_key, work.caller.member, event.account_reference.secret_id + event.account_reference.digest)
        for event, subject_key in zip(work.message.events, work.request.subject_keys, strict=True)
    ]


def _verdicts(
    work: Work, known: Mapping[AccountKey, Recorded], added: Added, clock: datetime
) -> list[reporting_service_pb2.ReportVerdict]:
    """A verdict for each event; those that are taken are noted in `known`, and what is new among them in `added`."""
    verdicts = []
    for place, (event, key) in enumerate(zip(work.message.events, _keys(work), strict=True)):
        violations = work.request.prepared[place] or judge_event(place, event, known.get(key))
        if not violations and (content := known[key].take(event)) is not None:
            # Each adds a microsecond to the time of arrival: the later one is listed before.
            added[key, event.event_id] = content, clock + timedelta(microseconds=len(added))
        verdicts.append(rejection(violations) if violations else accepted())
    return verdicts

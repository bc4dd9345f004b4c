"""The servicing record in memory: judged by tallystick.credit, as the exchange does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.message import Message

from tallystick.contract.methods import LIST_SERVICING_EVENTS, RECORD_SERVICING_EVENTS
from tallystick.contract.request_fields import page_size
from tallystick.contract.violations import Violation
from tallystick.credit.requests import rejection
from tallystick.credit.servicing import Recorded, accepted, check_listing, checked_events, judge_event
from tallystick.testing.pages import position, token
from tallystick.testing.reporting import Accounts, Key, reference_of
from tallystick.testing.requests import Operation, Request
from tallystick.v1 import servicing_service_pb2 as pb

AccountOf = tuple[bytes, Key]
"""Whose account it is, and which."""


@dataclass
class ServicingRecord:
    """The caller's events, by account in the order of their recording."""

    accounts: Accounts
    recorded: dict[AccountOf, Recorded] = field(default_factory=dict)

    def operations(self) -> dict[str, Operation]:
        """The methods of ServicingService."""
        return {
            RECORD_SERVICING_EVENTS.path: Operation(self._record, self._check_recording, keeps_answer=True),
            LIST_SERVICING_EVENTS.path: Operation(self._list, self._check_list),
        }

    def _check_recording(self, message: pb.RecordServicingEventsRequest, now: datetime) -> list[list[Violation]]:
        return list(checked_events(message, now, epoch_id=self.accounts.token_key.epoch_id))

    def _check_list(self, message: pb.ListServicingEventsRequest, _now: datetime) -> None:
        check_listing(message, epoch_id=self.accounts.token_key.epoch_id)

    def _record(self, request: Request) -> Message:
        answer = pb.RecordServicingEventsResponse()
        for place, event in enumerate(request.message.events):
            key = request.caller.member_id, reference_of(event.account_reference)
            state = self.accounts.states.get(event.subject.element, {}).get(key)
            account = None
            if state is not None and state.content is not None:
                account = self.recorded.setdefault((event.subject.element, key), Recorded())
            violations = request.prepared[place] or judge_event(place, event, account)
            if not violations and account is not None:
                account.take(event)
            answer.verdicts.append(rejection(violations) if violations else accepted())
        return answer

    def _list(self, request: Request) -> Message:
        message = request.message
        key = request.caller.member_id, reference_of(message.account_reference)
        events = list(self.recorded.get((message.subject.element, key), Recorded()).events.items())
        before, size = position(message), page_size(message.page_size)
        last = len(events) if before is None else before
        first = max(0, last - size)
        answer = pb.ListServicingEventsResponse(next_page_token=token(message, first) if first else "")
        for event_id, content in reversed(events[first:last]):
            event = answer.events.add()
            event.MergeFromString(content)
            event.event_id = event_id
        return answer

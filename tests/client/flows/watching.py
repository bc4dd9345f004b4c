"""What an exchange has to tell, beside the in-memory one, which does not watch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from tallystick.contract.methods import (
    ACKNOWLEDGE_MESSAGES,
    END_WATCHES,
    GET_PORTFOLIO_DIGEST,
    LIST_WATCHES,
    PULL_MESSAGES,
    PUT_WATCHES,
)
from tallystick.contract.violations import Violation
from tallystick.credit.enums import Purpose, TriggerType
from tallystick.testing.requests import Operation, Request
from tallystick.v1 import account_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

REFERENCE = account_pb2.AccountReference(secret_id=b"s" * 8, digest=b"d" * 32)


def message(number: int) -> pb.Message:
    """The message of a number, always the same."""
    made: Any = pb.Message(
        message_id=number.to_bytes(16, "big"),
        watch_id=b"w" * 16,
        account_reference=REFERENCE,
        date=20260310,
        consent_reference=f"clause-{number}",
        alert=pb.Alert(after=number % 7 + 1),
    )
    made.subject.epoch_id, made.subject.element = b"e" * 20, number.to_bytes(32, "big")
    made.purpose, made.alert.type = int(Purpose.POST_LOAN_MANAGEMENT), int(TriggerType.OVERDUE_BEGAN)
    told: pb.Message = made
    return told


@dataclass
class Outbox:
    """Messages in their order; a cursor is the number of those passed."""

    messages: list[pb.Message] = field(default_factory=list)
    acknowledged: int = 0
    page: int = 2
    pulls: list[pb.PullMessagesRequest] = field(default_factory=list)
    put: list[pb.PutWatchesRequest] = field(default_factory=list)
    ended: list[pb.EndWatchesRequest] = field(default_factory=list)
    listed: list[pb.ListedWatch] = field(default_factory=list)
    digest: pb.GetPortfolioDigestResponse = field(default_factory=pb.GetPortfolioDigestResponse)
    months: list[int] = field(default_factory=list)

    def serve(self, system: Any) -> Outbox:
        """Has the exchange of a test serve monitoring from here."""
        for method, run in (
            (PUT_WATCHES, self._put),
            (END_WATCHES, self._end),
            (LIST_WATCHES, self._list),
            (PULL_MESSAGES, self._pull),
            (ACKNOWLEDGE_MESSAGES, self._acknowledge),
            (GET_PORTFOLIO_DIGEST, self._digest),
        ):
            system.exchange.operations[method.path] = Operation(run, keeps_answer=True)
        return self

    def _pull(self, request: Request) -> Message:
        self.pulls.append(request.message)
        begin = int(request.message.cursor or self.acknowledged)
        page = self.messages[begin : begin + min(request.message.page_size or self.page, self.page)]
        following = str(begin + len(page)) if page else request.message.cursor
        return pb.PullMessagesResponse(messages=page, next_cursor=following)

    def _acknowledge(self, request: Request) -> Message:
        self.acknowledged = max(self.acknowledged, int(request.message.cursor))
        waiting = len(self.messages) - self.acknowledged
        return pb.AcknowledgeMessagesResponse(acknowledged_cursor=str(self.acknowledged), waiting_count=waiting)

    def _put(self, request: Request) -> Message:
        self.put.append(request.message)
        answer = pb.PutWatchesResponse()
        for place, watch in enumerate(request.message.watches):
            if watch.consent_reference == "unknown":
                wrong = Violation(f"watches[{place}].account_reference", "PURPOSE_WITHOUT_ACCOUNT", "has no living account")
                violation = pb.WatchVerdict().violations.add(field=wrong.field, reason=wrong.reason, description=wrong.description)
                answer.verdicts.add(violations=[violation])
            else:
                answer.verdicts.add(accepted=True, watch_id=place.to_bytes(16, "big"))
        return answer

    def _end(self, request: Request) -> Message:
        self.ended.append(request.message)
        return pb.EndWatchesResponse(ended_count=len(request.message.watch_ids))

    def _list(self, request: Request) -> Message:
        begin = int(request.message.page_token or 0)
        found = [each for each in self.listed if request.message.state in (0, each.state)]
        following = str(begin + 2) if begin + 2 < len(found) else ""
        return pb.ListWatchesResponse(watches=found[begin : begin + 2], next_page_token=following)

    def _digest(self, request: Request) -> Message:
        self.months.append(request.message.month)
        return self.digest

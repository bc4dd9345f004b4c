"""Scorecards: those by which an exchange rates, as it publishes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from tallystick.client.exceptions import AnswerMalformed
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.contract import methods
from tallystick.credit.rating import Scorecard, ScorecardError, read_scorecard
from tallystick.v1 import rating_service_pb2 as pb

LIST_SCORECARDS = Method.of(methods.LIST_SCORECARDS)


@dataclass(frozen=True, slots=True)
class ListedScorecard:
    """A scorecard, and when it is in force."""

    name: str
    digest: bytes
    """SHA-256 of its bytes: what ratings name it by."""
    start_time: datetime
    end_time: datetime | None
    """None while no other one is to take its place."""
    toml: bytes = field(repr=False)

    def in_force_at(self, instant: datetime) -> bool:
        """Whether ratings are made by it at an instant, which has its time zone."""
        return self.start_time <= instant and (self.end_time is None or instant < self.end_time)

    @property
    def card(self) -> Scorecard:
        """The scorecard, read. Raises ScorecardError for one that this version cannot read; install a newer one then."""
        return read_scorecard(self.toml)


def scorecards() -> Flow[list[ListedScorecard]]:
    """Asks for all of them; raises AnswerMalformed where a digest is not that of its card."""
    answered = yield from ask(Call(LIST_SCORECARDS, pb.ListScorecardsRequest().SerializeToString()))
    return [_listed(each) for each in answered.message.scorecards]


def _listed(message: pb.Scorecard) -> ListedScorecard:
    try:
        start = message.start_time.ToDatetime(UTC)
        end = message.end_time.ToDatetime(UTC) if message.HasField("end_time") else None
    except (ValueError, OverflowError):
        raise AnswerMalformed("the time of a scorecard cannot be read") from None
    if sha256(message.toml).digest() != message.digest:
        raise AnswerMalformed(f"the scorecard {message.name[:100]!r} has another digest than it says")
    return ListedScorecard(message.name, message.digest, start, end, message.toml)


__all__ = ["ListedScorecard", "ScorecardError", "scorecards"]

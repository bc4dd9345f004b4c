"""Scorecards as an exchange lists them, each with the time in which it is in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from itertools import pairwise

from tallystick.credit.rating.cards import PublishedCard, built_in_cards
from tallystick.v1 import rating_service_pb2 as pb


def list_of(installed: Sequence[PublishedCard]) -> pb.ListScorecardsResponse:
    """All cards with the time in which each is in force: that of a built-in card ends when an installed one begins."""
    answer = pb.ListScorecardsResponse()
    # Sorted as `in_force` takes them, whatever day is asked for.
    ordered = sorted(installed, key=lambda each: (each.card.start_date, each.card.name))
    for kind in sorted({each.card.subject_kind for each in built_in_cards()}):
        cards = [each for each in (*built_in_cards(), *ordered) if each.card.subject_kind == kind]
        messages = [scorecard_message(each) for each in cards]
        for message, following in pairwise(messages):
            message.end_time.CopyFrom(following.start_time)
        answer.scorecards.extend(messages)
    return answer


def scorecard_message(published: PublishedCard) -> pb.Scorecard:
    """A card as it is listed, without an end."""
    card = published.card
    message = pb.Scorecard(name=card.name, toml=published.toml, digest=card.digest)
    message.subject_kind = int(card.subject_kind)  # type: ignore[assignment]  # the stubs want the enum's own NewType
    message.start_time.FromDatetime(datetime.combine(card.start_date, time(), UTC))
    return message

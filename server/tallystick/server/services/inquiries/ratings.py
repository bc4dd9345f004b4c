"""Ratings in answers: who asks for one, and what the facts beside the records make of a subject."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tallystick.credit.rating import RatingFacts, rate
from tallystick.server.requests.operation import Work
from tallystick.server.services.rating.installed import Cards
from tallystick.v1 import inquiry_service_pb2


def rated_places(work: Work) -> frozenset[int]:
    """Which of a work's inquiries ask for the rating."""
    message = work.message
    single = isinstance(message, inquiry_service_pb2.QueryCreditHistoryRequest)
    inquiries = (message.inquiry,) if single else message.inquiries
    return frozenset(place for place, each in enumerate(inquiries) if inquiry_service_pb2.SECTION_RATING in each.sections)


def rating_of(facts: Sequence[bytes | None], records: Sequence[bytes], cards: Cards, today: date) -> bytes:
    """The serialised rating of a subject, by the facts that are stored beside its accounts' records."""
    found = [RatingFacts.beside(stored, record) for stored, record in zip(facts, records, strict=True)]
    return rate(cards, found, today).to_message().SerializeToString()

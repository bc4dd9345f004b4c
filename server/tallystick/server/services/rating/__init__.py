"""Ratings: the scorecards by which they are made (tallystick.v1.RatingService). A rating itself is a section of an answer."""

from __future__ import annotations

from tallystick.contract.methods import LIST_SCORECARDS
from tallystick.credit.rating.listing import list_of
from tallystick.server.services.capability import Capability, PublicMethod
from tallystick.server.services.rating.installed import InstalledCards
from tallystick.server.services.rating.scorecards import InstallScorecard
from tallystick.server.storage.reader import Reader
from tallystick.v1 import rating_service_pb2 as pb


def rating() -> Capability:
    """The capability of an exchange to publish scorecards. What a rating must know of an account is erased with the account."""
    cards = InstalledCards()

    async def listed(reader: Reader, _request: pb.ListScorecardsRequest) -> pb.ListScorecardsResponse:
        return list_of(await reader.read(cards.all))

    return Capability(
        operations=(InstallScorecard(cards),), public_methods=(PublicMethod(LIST_SCORECARDS, listed),), upkeep=(), erasers=()
    )

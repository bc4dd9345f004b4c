"""Scorecards: installed by an operator, never changed, and listed for everybody (tallystick.v1.RatingService)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tallystick.contract.limits import MAX_SCORECARDS
from tallystick.contract.methods import INSTALL_SCORECARD
from tallystick.credit.rating import PublishedCard, ScorecardError, built_in_cards
from tallystick.credit.rating.listing import scorecard_message
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.server.services.rating.installed import InstalledCards
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import errors_pb2
from tallystick.v1 import rating_service_pb2 as pb

_LOCK = 0x73636F7265  # "score": the number names the lock, and means nothing else
_INSERT = Statement(
    "insert_scorecard",
    {"name": "text", "toml": "bytea", "digest": "bytea"},
    "INSERT INTO scorecard (name, toml, digest) VALUES (%(name)s, %(toml)s, %(digest)s)",
)


class InstallScorecard(Operation):
    """Installs a card; ALREADY_EXISTS when its name is taken, by one of the package too."""

    contract = INSTALL_SCORECARD
    cost = FULL_BATCH

    def __init__(self, cards: InstalledCards) -> None:
        self._cards = cards

    def validate(self, message: pb.InstallScorecardRequest, now: datetime) -> PublishedCard:
        if not message.toml:
            raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_REQUIRED, "toml", "give the scorecard")
        try:
            published = PublishedCard.of(message.toml)
        except ScorecardError as error:
            raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_MALFORMED, "toml", str(error)) from None
        card = published.card
        if card.takes_amounts:
            text = "looks at amounts of one currency: an exchange keeps no amounts for ratings; use it where you have the answers"
            raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE, "toml", text)
        if card.start_date <= now.date():
            text = f"start_date: must be later than today, {now.date()} UTC: members see a card before it counts"
            raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE, "toml", text)
        return published

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        # Against two that install at once, each for the last place or under one name.
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        installed = await self._cards.all(connection)
        for work in works:
            published: PublishedCard = work.request.prepared
            name = published.card.name
            if any(name == each.card.name for each in (*built_in_cards(), *installed)):
                text = "there is a scorecard of this name: released ones are never changed; give yours another"
                work.refusal = Refusal(errors_pb2.ERROR_REASON_ALREADY_EXISTS, text)
                continue
            if len(installed) >= MAX_SCORECARDS:
                work.refusal = Refusal(
                    errors_pb2.ERROR_REASON_STATE_CONFLICT, f"{MAX_SCORECARDS} scorecards are installed: the most"
                )
                continue
            await connection.run(_INSERT(name=name, toml=published.toml, digest=published.card.digest))
            installed.append(published)
            work.answer = answer_of(published)
            work.keep_answer = True


def answer_of(published: PublishedCard) -> bytes:
    """What the installation of a card is answered with."""
    return pb.InstallScorecardResponse(scorecard=scorecard_message(published)).SerializeToString()

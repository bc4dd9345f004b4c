"""The scorecards that were installed, as the database holds them: read once, and known by their digest from then on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from hashlib import sha256

from tallystick.credit.enums import SubjectKind
from tallystick.credit.rating import PublishedCard, Scorecard, ScorecardError, in_force
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement

Cards = Mapping[SubjectKind, Scorecard]
"""The card that is in force for each kind of subject."""

_DIGESTS = Statement("scorecard_digests", {}, "SELECT name, digest FROM scorecard ORDER BY name")
_TOML = Statement("scorecard_toml", {"name": "text"}, "SELECT toml FROM scorecard WHERE name = %(name)s")


class ScorecardAlteredError(Exception):
    """A scorecard in the database is not the one that was installed under its digest."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the scorecard {name} was changed in the database: its digest is another; put it back from a backup")


class InstalledCards:
    """What one process has read of them."""

    def __init__(self) -> None:
        self._known: dict[bytes, PublishedCard] = {}
        """By their digests."""

    async def all(self, connection: Connection) -> list[PublishedCard]:
        """Every installed card, by name. Raises ScorecardAlteredError."""
        cards = []
        for name, digest in await connection.run(_DIGESTS()):
            known = self._known.get(bytes(digest))
            if known is None or known.card.name != name:
                known = self._known[bytes(digest)] = await self._read(connection, name, bytes(digest))
            cards.append(known)
        return cards

    async def in_force(self, connection: Connection, day: date) -> Cards:
        """The card for each kind of subject on a day, UTC. Raises ScorecardAlteredError."""
        return in_force(await self.all(connection), day)

    async def _read(self, connection: Connection, name: str, digest: bytes) -> PublishedCard:
        rows = await connection.run(_TOML(name=name))
        toml = bytes(rows[0][0]) if rows else b""
        if sha256(toml).digest() != digest:
            raise ScorecardAlteredError(name)
        try:
            card = PublishedCard.of(toml)
        except ScorecardError:
            raise ScorecardAlteredError(name) from None
        if card.card.name != name:
            raise ScorecardAlteredError(name)
        return card

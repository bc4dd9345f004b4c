"""Scorecards from the command line: those of a database, read outside of any request."""

from __future__ import annotations

import asyncio

from tallystick.credit.rating import PublishedCard
from tallystick.server.errors import Problem
from tallystick.server.services.rating.installed import InstalledCards, ScorecardAlteredError
from tallystick.server.storage.connection import Connection


def installed_cards(url: str) -> list[PublishedCard]:
    """Every installed card, by name. Raises Problem for one whose text is not that of its digest: ratings by it would be
    nobody's, so no server begins to serve beside it."""
    return asyncio.run(_read(url))


async def _read(url: str) -> list[PublishedCard]:
    connection = await Connection.open(url)
    try:
        return await InstalledCards().all(connection)
    except ScorecardAlteredError as error:
        raise Problem(str(error)) from None
    finally:
        connection.close()

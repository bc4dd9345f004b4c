"""Sparing the log: what a caller may not do at all leaves one refusal a minute and key in it, however often it is tried.

A revoked key, a suspended member or one without the role cannot be kept from asking. Logged each time, its refusals would fill the
log, and the evidence beside it, at the rate of its network. The first of each minute says all that the log has to say; metrics
count the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta

from tallystick.contract.reasons import BY_VALUE, Logged
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Work

WINDOW = timedelta(minutes=1)
MAX_REMEMBERED = 65_536
"""Kinds; past it the oldest is forgotten, and its next refusal is logged."""

Kind = tuple[bytes, int]
"""A key, and the reason why it is refused."""


class Sparing:
    """Which refusals of this worker are in the log already."""

    def __init__(self) -> None:
        self._logged: OrderedDict[Kind, datetime] = OrderedDict()

    def spared(self, works: Sequence[Work], clock: datetime) -> dict[int, Refusal]:
        """The refusals of a batch that the log need not hold, by their place: it has one of the kind from less than a minute ago,
        or gets one with this batch."""
        found: dict[int, Refusal] = {}
        here: set[Kind] = set()
        for place, work in enumerate(works):
            kind = _kind(work)
            if kind is None or work.refusal is None:
                continue
            last = self._logged.get(kind)
            if kind in here or (last is not None and clock - last < WINDOW):
                found[place] = work.refusal
            here.add(kind)
        return found

    def note(self, work: Work, clock: datetime) -> None:
        """That the refusal of a work is in the log now. Called after its commit: what did not commit must be logged next time."""
        kind = _kind(work)
        if kind is not None:
            self._logged[kind] = clock
            self._logged.move_to_end(kind)
            if len(self._logged) > MAX_REMEMBERED:
                self._logged.popitem(last=False)


def _kind(work: Work) -> Kind | None:
    """None for what is always logged."""
    if work.refusal is None or BY_VALUE[work.refusal.reason].logged is not Logged.SPARINGLY:
        return None
    return work.request.signature.keyid, work.refusal.reason

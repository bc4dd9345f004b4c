"""The portfolio digest as a Python value."""

import datetime as dt
from dataclasses import dataclass
from typing import Self

from tallystick.credit.enums import TriggerType
from tallystick.credit.records import read_code
from tallystick.v1 import monitoring_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class DigestRow:
    """How often one thing was told in a month."""

    type: TriggerType
    before: int
    """As in the alerts."""
    after: int
    alerts: int
    subjects: int
    """Of how many borrowers."""


@dataclass(frozen=True, slots=True)
class PortfolioDigest:
    """What was told of a member's watched borrowers in a month: counts only."""

    month: dt.date
    """Its first day."""
    watched: int
    """Watches that have not ended, now."""
    rows: tuple[DigestRow, ...]
    too_small: bool
    """Whether fewer than 50 borrowers are watched: there are no rows then."""

    @classmethod
    def from_message(cls, month: dt.date, message: pb.GetPortfolioDigestResponse) -> Self:
        """Reads an answer. Raises HistoryError."""
        rows = tuple(
            DigestRow(read_code(TriggerType, row.type, "rows.type"), row.before, row.after, row.alert_count, row.subject_count)
            for row in message.rows
        )
        return cls(month, message.watched_count, rows, message.too_small)

"""Instants as numbers: microseconds since 1970, UTC, without a float in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(instant: datetime) -> int:
    """Microseconds from 1970 to an instant, which has a time zone."""
    return (instant - EPOCH) // timedelta(microseconds=1)

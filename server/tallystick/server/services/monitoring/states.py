"""The state of a watch: ended for good, as its row says, or by its date; paused or active by what holds when somebody looks."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import date, datetime

from tallystick.credit.enums import WatchState, WatchStateReason
from tallystick.credit.living import REPORT_AGE


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the state of a watch follows from."""

    end_reason: int
    end_date: date
    purpose: int
    report_time: datetime | None
    """When its account was last reported; None where there is none, or it lives no more."""


def state_of(grounds: Grounds, purposes: Set[int], clock: datetime) -> tuple[WatchState, WatchStateReason]:
    """How a watch stands, of a member to which these purposes are allowed."""
    if grounds.end_reason:
        return WatchState.ENDED, WatchStateReason(grounds.end_reason)
    if grounds.end_date < clock.date():
        return WatchState.ENDED, WatchStateReason.DATE
    if grounds.purpose not in purposes:
        return WatchState.PAUSED, WatchStateReason.PURPOSE_NOT_ALLOWED
    if grounds.report_time is None or grounds.report_time <= clock - REPORT_AGE:
        return WatchState.PAUSED, WatchStateReason.REPORT_STALE
    return WatchState.ACTIVE, WatchStateReason.UNSPECIFIED

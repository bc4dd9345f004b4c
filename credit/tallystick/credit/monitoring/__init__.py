"""Monitoring: what others report of a borrower, as facts; watches and their triggers; warnings (docs/post-loan.md)."""

from tallystick.credit.monitoring.account_facts import account_facts
from tallystick.credit.monitoring.bands import Band, band_of
from tallystick.credit.monitoring.facts import Fact
from tallystick.credit.monitoring.subject_facts import Baseline, SubjectFacts, seed, worse
from tallystick.credit.monitoring.triggers import TRIGGERS, TriggerRule, Triggers
from tallystick.credit.monitoring.watch_rules import (
    check_acknowledgement,
    check_digest,
    check_ending,
    check_pull,
    check_sweep,
    check_watch_listing,
    checked_watches,
    judge_watch,
    last_day,
)

__all__ = [
    "TRIGGERS",
    "Band",
    "Baseline",
    "Fact",
    "SubjectFacts",
    "TriggerRule",
    "Triggers",
    "account_facts",
    "band_of",
    "check_acknowledgement",
    "check_digest",
    "check_ending",
    "check_pull",
    "check_sweep",
    "check_watch_listing",
    "checked_watches",
    "judge_watch",
    "last_day",
    "seed",
    "worse",
]

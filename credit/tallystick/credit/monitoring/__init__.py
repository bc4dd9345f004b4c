"""Monitoring: what others report of a borrower, as facts; watches and their triggers; warnings (docs/post-loan.md)."""

from tallystick.credit.monitoring.account_facts import account_facts
from tallystick.credit.monitoring.alerts import Alert, MonitoringMessage, WatchEnded
from tallystick.credit.monitoring.bands import Band, band_of
from tallystick.credit.monitoring.digest import DigestRow, PortfolioDigest
from tallystick.credit.monitoring.facts import Fact
from tallystick.credit.monitoring.subject_facts import Baseline, Graded, SubjectFacts, seed, worse
from tallystick.credit.monitoring.triggers import TRIGGERS, TriggerRule, Triggers
from tallystick.credit.monitoring.warnings import EarlyWarning, WarningClass, WarningPolicy, WarningReason, WarningRule
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
    watch_faults,
)
from tallystick.credit.monitoring.watching import ListedWatch, Watch

__all__ = [
    "TRIGGERS",
    "Alert",
    "Band",
    "Baseline",
    "DigestRow",
    "EarlyWarning",
    "Fact",
    "Graded",
    "ListedWatch",
    "MonitoringMessage",
    "PortfolioDigest",
    "SubjectFacts",
    "TriggerRule",
    "Triggers",
    "WarningClass",
    "WarningPolicy",
    "WarningReason",
    "WarningRule",
    "Watch",
    "WatchEnded",
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
    "watch_faults",
    "worse",
]

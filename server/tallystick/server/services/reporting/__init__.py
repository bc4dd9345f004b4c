"""Reporting: account states that members submit (tallystick.v1.ReportingService)."""

from __future__ import annotations

from tallystick.server.log.erasure import Eraser
from tallystick.server.services.capability import Capability, Foundation
from tallystick.server.services.reporting.account_changes import erase_accounts
from tallystick.server.services.reporting.reports import SubmitReports, WithdrawAccount
from tallystick.server.services.reporting.submissions import GetSubmission, ListSubmissions


def reporting(foundation: Foundation) -> Capability:
    """The capability of an exchange to take account states."""
    return Capability(
        operations=(
            SubmitReports(foundation.epoch_id),
            WithdrawAccount(foundation.epoch_id),
            GetSubmission(),
            ListSubmissions(foundation.keys.request_secret),
        ),
        public_methods=(),
        upkeep=(),
        erasers=(Eraser("account", erase_accounts),),
    )

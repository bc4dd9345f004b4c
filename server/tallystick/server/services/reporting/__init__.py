"""Reporting: account states that members submit (tallystick.v1.ReportingService)."""

from __future__ import annotations

from tallystick.server.log.erasure import Eraser
from tallystick.server.services.capability import Capability, Foundation
from tallystick.server.services.reporting.account_changes import Observer, erase_accounts, purge_withdrawn
from tallystick.server.services.reporting.reports import SubmitReports, WithdrawAccount
from tallystick.server.services.reporting.submissions import GetSubmission, ListSubmissions
from tallystick.server.storage.upkeep import Step


def reporting(foundation: Foundation, observer: Observer) -> Capability:
    """The capability of an exchange to take account states. `observer` is told of every account that changes."""
    days = foundation.settings.withdrawn_days
    return Capability(
        operations=(
            SubmitReports(foundation.epoch_id, observer, foundation.settings.require_notice),
            WithdrawAccount(foundation.epoch_id, observer),
            GetSubmission(),
            ListSubmissions(foundation.keys.request_secret),
        ),
        public_methods=(),
        upkeep=(Step("withdrawn accounts", 3600.0, lambda connection: purge_withdrawn(connection, days=days)),),
        erasers=(Eraser("account", erase_accounts),),
    )

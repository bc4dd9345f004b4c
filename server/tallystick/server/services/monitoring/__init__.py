"""Monitoring: members learn after the loan what others report of their borrowers (tallystick.v1.MonitoringService)."""

from __future__ import annotations

from tallystick.server.log.erasure import Eraser
from tallystick.server.services.capability import Capability, Foundation
from tallystick.server.services.monitoring.delivery import AcknowledgeMessages, PullMessages
from tallystick.server.services.monitoring.digest import GetPortfolioDigest
from tallystick.server.services.monitoring.listing import ListWatches
from tallystick.server.services.monitoring.observing import WatchObserver
from tallystick.server.services.monitoring.positions import Cursors, ReleaseWindows
from tallystick.server.services.monitoring.putting import EndWatches, PutWatches
from tallystick.server.services.monitoring.retention import (
    erase_messages,
    erase_sweep,
    erase_watches,
    mark_crowded,
    purge_messages,
    purge_watches,
)
from tallystick.server.services.monitoring.sealed_tokens import TokenBox
from tallystick.server.services.monitoring.sweeping import SweepWatches
from tallystick.server.services.monitoring.waiting import MessageWaits
from tallystick.server.services.rating.installed import InstalledCards
from tallystick.server.storage.upkeep import Step


def watch_observer(foundation: Foundation) -> WatchObserver:
    """Who must be told of every account that changes."""
    return WatchObserver(_windows(foundation))


def monitoring(foundation: Foundation) -> Capability:
    """The capability of an exchange to watch borrowers, and to tell their institutions."""
    keys = foundation.keys
    cursors, box = Cursors(keys.watch_secret), TokenBox(keys.watch_secret)
    cards = InstalledCards()
    return Capability(
        operations=(
            PutWatches(foundation.epoch_id, box, cards),
            EndWatches(),
            ListWatches(keys.request_secret),
            PullMessages(cursors, box, MessageWaits(cursors)),
            AcknowledgeMessages(cursors),
            GetPortfolioDigest(),
            SweepWatches(_windows(foundation), cards),
        ),
        public_methods=(),
        upkeep=(
            Step("messages", 3600.0, purge_messages),
            Step("watches", 3600.0, purge_watches),
            Step("crowded", 60.0, mark_crowded),
        ),
        # After the accounts, which reporting locks before watches.
        erasers=(Eraser("watch", erase_watches), Eraser("message", erase_messages), Eraser("sweep", erase_sweep)),
    )


def _windows(foundation: Foundation) -> ReleaseWindows:
    return ReleaseWindows(foundation.keys.watch_secret, foundation.settings.alert_release_minutes)

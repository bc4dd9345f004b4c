"""Servicing: what institutions record of their own accounts after the loan (tallystick.v1.ServicingService)."""

from __future__ import annotations

from tallystick.server.log.erasure import Eraser
from tallystick.server.services.capability import Capability, Foundation
from tallystick.server.services.servicing.listing import ListServicingEvents
from tallystick.server.services.servicing.recording import RecordServicingEvents
from tallystick.server.services.servicing.retention import erase_events, purge_events
from tallystick.server.storage.upkeep import Step


def servicing(foundation: Foundation) -> Capability:
    """The capability of an exchange to keep each member's own servicing record."""
    months = foundation.settings.servicing_months
    return Capability(
        operations=(
            RecordServicingEvents(foundation.epoch_id),
            ListServicingEvents(foundation.keys.request_secret, foundation.epoch_id),
        ),
        public_methods=(),
        upkeep=(Step("servicing events", 3600.0, lambda connection: purge_events(connection, months=months)),),
        erasers=(Eraser("servicing_event", erase_events),),
    )

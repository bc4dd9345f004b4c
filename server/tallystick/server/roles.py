"""The two roles: which capabilities an exchange and a token authority are made of."""

from __future__ import annotations

from tallystick.server.ledger.retention import purge_nonces, purge_requests, purge_usage
from tallystick.server.services.audit import audit
from tallystick.server.services.capability import Capability, Foundation
from tallystick.server.services.inquiries import inquiries
from tallystick.server.services.membership import membership
from tallystick.server.services.monitoring import monitoring, watch_observer
from tallystick.server.services.rating import rating
from tallystick.server.services.reporting import reporting
from tallystick.server.services.servicing import servicing
from tallystick.server.services.tokens import tokens
from tallystick.server.storage.upkeep import Step

__all__ = ["ERASED_WITH_THE_LOG", "Foundation", "capabilities", "upkeep_steps"]

ERASED_WITH_THE_LOG = frozenset({"audit_subject"})
"""Tables about subjects that no eraser of a capability covers, since SubjectEraser empties them with the evidence."""


def capabilities(foundation: Foundation) -> tuple[Capability, ...]:
    """What a server of the role in its settings is made of. Raises KeyFolderProblem when the key of the role is missing."""
    if foundation.settings.role == "token-authority":
        own: tuple[Capability, ...] = (tokens(foundation),)
    else:
        # Erasers run in this order: what locks accounts comes first.
        observer = watch_observer(foundation)
        own = (
            *(reporting(foundation, observer), inquiries(foundation), servicing(foundation), monitoring(foundation)),
            rating(),
        )
    others = (*own, membership(foundation))
    return (*others, audit(foundation, [eraser for each in others for eraser in each.erasers]))


def upkeep_steps(foundation: Foundation) -> list[Step]:
    """All periodic steps of a server: those of the ledger, and those of its capabilities."""
    settings = foundation.settings
    days = {"request_days": settings.request_days, "submission_days": settings.submission_days}
    return [
        Step("nonces", 30.0, purge_nonces),
        Step("quotas", 3600.0, purge_usage),
        Step("requests", 600.0, lambda connection: purge_requests(connection, **days)),
        *(step for capability in capabilities(foundation) for step in capability.upkeep),
    ]

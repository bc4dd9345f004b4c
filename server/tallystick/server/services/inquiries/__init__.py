"""Inquiries: credit histories that members query (tallystick.v1.InquiryService)."""

from __future__ import annotations

from datetime import timedelta

from tallystick.server.services.capability import Capability, Foundation
from tallystick.server.services.inquiries.queries import BatchQueryCreditHistories, InquiryAnswers, QueryCreditHistory


def inquiries(foundation: Foundation) -> Capability:
    """The capability of an exchange to answer queries. Footprints are search rows of the log, which audit erases."""
    answers = InquiryAnswers(foundation.epoch_id, timedelta(days=foundation.settings.reciprocity_days))
    return Capability(
        operations=(QueryCreditHistory(answers), BatchQueryCreditHistories(answers)), public_methods=(), upkeep=(), erasers=()
    )

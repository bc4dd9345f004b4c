"""Membership: members, their roles and their keys (tallystick.v1.MembershipService)."""

from __future__ import annotations

from tallystick.contract.quota_texts import parse_quota
from tallystick.server.services.capability import Capability, Foundation
from tallystick.server.services.membership.keys import AddMemberKey, RevokeMemberKey
from tallystick.server.services.membership.members import CreateMember, GetStanding, ListMembers, UpdateMember


def membership(foundation: Foundation) -> Capability:
    """The capability of either server to admit members and keys."""
    return Capability(
        operations=(
            CreateMember(),
            UpdateMember(),
            ListMembers(foundation.keys.request_secret),
            GetStanding([parse_quota(each) for each in foundation.settings.quotas]),
            AddMemberKey(foundation.settings.origin),
            RevokeMemberKey(),
        ),
        public_methods=(),
        upkeep=(),
        erasers=(),
    )

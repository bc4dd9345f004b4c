"""Membership: members, their roles and their keys (tallystick.v1.MembershipService)."""

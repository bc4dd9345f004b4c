"""How an account stands: what reporting writes beside each record, and inquiries read by."""

WITHDRAWN, CLEAN, OVERDUE = 0, 1, 2
"""The greatest first is the order in which accounts are told."""

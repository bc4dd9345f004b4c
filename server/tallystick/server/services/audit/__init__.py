"""Audit: entries of the log, and erasure (tallystick.v1.AuditService)."""

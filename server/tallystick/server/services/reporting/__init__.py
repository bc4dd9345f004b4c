"""Reporting: account states that members submit (tallystick.v1.ReportingService)."""

"""The `tallystick` command."""

from tallystick.client.cli.program import main

__all__ = ["main"]

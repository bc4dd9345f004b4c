"""The `tallystickd` command: what an operator does with a server."""

from tallystick.server.cli.program import main

__all__ = ["main"]

"""The `tallystick` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command. It is imported here, because that takes long enough for somebody to press Ctrl-C."""
    try:
        from tallystick.client.cli.program import main as program
    except KeyboardInterrupt:
        sys.stderr.write("tallystick: interrupted\n")
        sys.exit(130)
    program()

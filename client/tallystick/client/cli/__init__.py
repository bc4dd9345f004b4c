"""The `tallystick` command."""

from __future__ import annotations

import sys

from tallystick.client.cli import process

__all__ = ["main"]


COMMAND_PACKAGES = ("click", "rich")
"""What the extra "cli" brings; the SDK alone needs neither."""


def main() -> None:
    """Runs the command. The program is imported here, because that takes long enough for somebody to press Ctrl-C."""
    process.prepare()
    try:
        from tallystick.client.cli.program import main as program
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in COMMAND_PACKAGES:
            raise
        sys.stderr.write(f"tallystick: {missing} is not installed: pip install 'tallystick[cli]'\n")
        sys.exit(2)
    process.imported()
    program()

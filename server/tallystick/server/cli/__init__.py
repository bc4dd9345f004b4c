"""The `tallystickd` command: what an operator does with a server."""

from __future__ import annotations

import signal
import sys

EXIT_PROBLEM = 1
INTERRUPTED = 128 + signal.SIGINT


def main() -> None:
    """Runs the command and exits. The program is loaded in here, so that what goes wrong with that is one line, too."""
    try:
        from tallystick.server.cli.program import main as run_and_exit

        run_and_exit()
    except KeyboardInterrupt:
        # Before the program can tell it itself, or while it ends.
        _exit("interrupted", INTERRUPTED)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.startswith("tallystick"):
            raise
        _exit(f"{missing} is not installed: pip install 'tallystick[server]'", EXIT_PROBLEM)


def _exit(text: str, code: int) -> None:
    sys.stderr.write(f"tallystickd: {text}\n")
    sys.exit(code)


__all__ = ["main"]

"""Runs the commands that an operator, a bank and an auditor run, as they would type them in the demo's folder."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from examples.screen import DemoError, Screen

TIMEOUT = 120.0
"""Seconds; none of the commands takes more than a few."""
STOP_SECONDS = 30.0
"""How long a command may clear up after an interrupt."""


class Commands:
    """`tallystickd` and `tallystick` of this installation, run in one folder."""

    def __init__(self, folder: Path, screen: Screen) -> None:
        self.folder = folder
        self._screen = screen
        # Room for the commands' own tables, which stand indented here.
        self._environment = {**os.environ, "COLUMNS": str(screen.width - 2), "PYTHONUNBUFFERED": "1"}

    def run(self, *arguments: str, given: str = "", expected: int = 0, shown: bool = True) -> str:
        """Runs a command and shows it with its output, which is returned; raises DemoError unless it exits as expected.

        `given` is its standard input. With `shown` false the caller shows the output in another form.
        """
        code, output = self._run(arguments, given)
        self._screen.command(_line(arguments, given))
        if shown:
            self._screen.output(output)
        _judge(arguments, code, output, expected)
        return output

    def run_quietly(self, *arguments: str) -> str:
        """Runs a command and returns the line that shows it; raises DemoError unless it exits with 0."""
        code, output = self._run(arguments, "")
        _judge(arguments, code, output, 0)
        return _line(arguments, "")

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[str]:
        """Starts a command that goes on; what it tells as it runs goes to `log`, and its results can be read from it."""
        self._screen.command(_line(arguments, "") + " &")
        with log.open("a") as errors:
            return subprocess.Popen(
                _found(arguments), cwd=self.folder, env=self._environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def _run(self, arguments: Sequence[str], given: str) -> tuple[int, str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            _found(arguments), cwd=self.folder, env=self._environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )
        try:
            output, _ = process.communicate(given, TIMEOUT)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{_line(arguments, '')} did not end within {TIMEOUT:.0f} seconds") from None
        finally:
            _stop(process)
        return process.returncode, output


def _stop(process: subprocess.Popen[str]) -> None:
    """Interrupts a command that is still under way, and lets it clear up: it may have started a database."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _found(arguments: Sequence[str]) -> list[str]:
    """The command line with the program of this interpreter's environment, whatever PATH says."""
    program, *others = arguments
    return [str(Path(sys.executable).with_name(program)), *others]


def _line(arguments: Sequence[str], given: str) -> str:
    line = shlex.join(arguments)
    return f"echo {shlex.quote(given)} | {line}" if given else line


def _judge(arguments: Sequence[str], code: int, output: str, expected: int) -> None:
    if code != expected:
        raise DemoError(f"{_line(arguments, '')} exited with {code}, not {expected}:\n{output.rstrip()}")

"""An exchange with two workers and a token authority, set up and run by the commands that an operator uses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from benchmarks.ports import free_port

from tallystick.server.cli.program import run

DAEMON = (sys.executable, "-m", "tallystick.server.cli")
START_SECONDS = 60.0


class Server:
    """A running `tallystickd serve`."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self._process = process

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        children = psutil.Process(self._process.pid).children()
        return [child for child in children if any("tallystick.server.process.worker" in part for part in _command_line(child))]

    def kill_worker(self, number: int) -> None:
        """Kills one worker as the kernel would when memory runs out; the supervisor starts another."""
        workers = self.workers()
        if workers:
            workers[number % len(workers)].send_signal(signal.SIGKILL)


def daemon(*arguments: str) -> str:
    """Runs one `tallystickd` command to its end, in this process, which has it loaded; returns what it printed."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = run(list(arguments))
    assert code == 0, f"tallystickd {' '.join(arguments)}: {errors.getvalue()}"
    return output.getvalue()


def examine(folder: Path) -> list[str]:
    """What `tallystickd doctor --log` finds that the log does not give; the machine's own faults are left out."""
    command = [*DAEMON, "--config", _config(folder), "doctor", "--log", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert "whole log" in {finding["check"] for finding in findings}, done.stderr
    return [f"{finding['check']}: {finding['text']}" for finding in findings if not finding["ok"] and finding["check"] != "clock"]


@contextmanager
def server(folder: Path, role: str, database: str, *options: str, workers: int) -> Iterator[Server]:
    """Makes a server over a database, runs it, and stops it in order at the end."""
    port = free_port()
    common = ("--role", role, "--origin", f"{role}.test/log", "--listen", f"127.0.0.1:{port}", "--database", database)
    daemon("init", str(folder), *common, *options)
    log = folder / "serve.log"
    with log.open("wb") as output:
        command = [*DAEMON, "--config", _config(folder), "serve", "--workers", str(workers)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _wait_until_serving(process, log)
            yield Server(folder, process)
            process.terminate()
            assert process.wait(60) == 0, log.read_text()[-2000:]
        finally:
            process.kill()
            process.wait()


def authority_options(folder: Path) -> tuple[str, ...]:
    """What an exchange must be told of the token authority in `folder`."""
    public = json.loads(daemon("--config", _config(folder), "public", "--json"))
    return ("--token-public-key", public["token_public_key"], "--token-sequence", str(public["token_sequence"]))


def admit(folder: Path, member_id: str, roles: str, profile: Path) -> None:
    """Admits a member at a server, with a profile for the SDK."""
    purposes = ("--purposes", "all") if "inquirer" in roles else ()
    create = ("member", "create", member_id, "--name", member_id, "--roles", roles, *purposes, "--dev-profile", str(profile))
    daemon("--config", _config(folder), *create)


def kill_postgresql(data: Path) -> None:
    """Kills the server of a data folder and every process of it, as a power cut would."""
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
    processes: Sequence[psutil.Process] = (postmaster, *postmaster.children(recursive=True))
    for process in processes:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    psutil.wait_procs(processes, timeout=10)


def _config(folder: Path) -> str:
    return str(folder / "tallystickd.toml")


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def _wait_until_serving(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while b"serving on" not in log.read_bytes():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, "the server does not come up"
        time.sleep(0.05)

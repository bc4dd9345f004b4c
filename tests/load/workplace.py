"""A member's workplace: the real command over files on a disk of its own, with a way to the exchange that can be cut."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.contract.proxy import Proxy

COMMAND = (sys.executable, "-m", "tallystick.client.cli")
DISK_BYTES = 192 * 1024 * 1024
_POLL = 0.02
_LONGEST = 3_000.0
"""Seconds after which a run has hung."""


@dataclass(frozen=True)
class Ended:
    """A run of the command that has ended, by itself or not."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int
    """Bytes of memory at the most."""

    @property
    def summary(self) -> dict[str, object]:
        """The summary that it wrote at its end."""
        value = json.loads(self.out.splitlines()[-1])
        assert isinstance(value, dict)
        return value


class Workplace:
    """One member's profile and outputs on a small disk: a file system of its own where this machine allows that."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
        self.own_disk = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
        self.profile = disk / "profile"
        self.proxy: Proxy | None = None

    def reach_through_proxy(self) -> None:
        """Lets the profile name a way to the exchange that can be cut."""
        settings = self.profile / "exchange.toml"
        text = settings.read_text()
        found = re.search(r'^address = "([^":]+):(\d+)"', text, re.MULTILINE)
        assert found is not None
        server = (found[1], int(found[2]))
        self.proxy = Proxy(lambda: socket.create_connection(server))
        settings.write_text(text.replace(f"{server[0]}:{server[1]}", f"{server[0]}:{self.proxy.port}"))

    def close(self) -> None:
        """Gives the disk back."""
        if self.proxy is not None:
            self.proxy.cut()
        if self.own_disk:
            subprocess.run(["umount", str(self.disk)], check=True)

    def done(self) -> int:
        """How many items the run under way has done."""
        for place in (self.profile / "state" / "runs").glob("*.json"):
            items = json.loads(place.read_text())["items"]
            assert isinstance(items, int)
            return items
        return 0

    def run(self, *arguments: str | Path, after: int = 0, act: Callable[[psutil.Process], None] | None = None) -> Ended:
        """Runs a command to its end; once so many items are done, something happens to it."""
        begun = time.monotonic()
        errors = self.disk.with_suffix(".err")
        output = self.disk.with_suffix(".out")
        with errors.open("wb") as to_errors, output.open("wb") as to_output:
            process = subprocess.Popen(
                [*COMMAND, "--profile", str(self.profile), *map(str, arguments)], stdout=to_output, stderr=to_errors
            )
        status, usage = self._watch(process.pid, after, act, begun)
        code = os.waitstatus_to_exitcode(status)
        process.returncode = code
        return Ended(code, output.read_text(), errors.read_text(), time.monotonic() - begun, usage.ru_maxrss * 1024)

    def _watch(
        self, pid: int, after: int, act: Callable[[psutil.Process], None] | None, begun: float
    ) -> tuple[int, resource.struct_rusage]:
        while True:
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                assert act is None, f"the run was over before anything happened to it: {self.disk.with_suffix('.err').read_text()}"
                return status, usage
            if act is not None and self.done() >= after:
                act(psutil.Process(pid))
                act = None
            if time.monotonic() - begun > _LONGEST:
                os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL)

    def interrupt(self, process: psutil.Process) -> None:
        """Ctrl-C."""
        process.send_signal(signal.SIGINT)

    def kill(self, process: psutil.Process) -> None:
        """kill -9."""
        process.send_signal(signal.SIGKILL)

    def cut(self, _process: psutil.Process) -> None:
        """The exchange cannot be reached any more."""
        assert self.proxy is not None
        self.proxy.cut()

    def fill(self, process: psutil.Process) -> None:
        """No file of the disk can grow any more; where it is no file system of its own, none that the process writes."""
        if not self.own_disk:
            process.rlimit(psutil.RLIMIT_FSIZE, (1, 1))
            return
        with (self.disk / "balloon").open("wb", buffering=0) as balloon:
            size = 1 << 20
            while size:
                try:
                    balloon.write(b"\0" * size)
                except OSError:
                    size //= 2

    def mend(self) -> None:
        """There is room again, and a way to the exchange."""
        (self.disk / "balloon").unlink(missing_ok=True)
        if self.proxy is not None and self.proxy.is_cut:
            self.proxy.mend()

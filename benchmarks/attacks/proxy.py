"""The proxy in front: HAProxy with the configuration that docker/ has."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ports import free_port

CONFIGURATION = Path(__file__).parents[2] / "docker" / "haproxy.cfg"
START_SECONDS = 60.0


@contextmanager
def proxy(program: str, server: int) -> Iterator[int]:
    """Runs it before a server's port; yields its own."""
    port = free_port()
    environment = {**os.environ, "PROXY_LISTEN": f"127.0.0.1:{port}", "PROXY_SERVER": f"127.0.0.1:{server}"}
    process = subprocess.Popen([program, "-db", "-f", str(CONFIGURATION)], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{CONFIGURATION}: the proxy does not come up")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)

"""Several processes of one peer on one port, which the kernel shares out: as many as the exchange has workers."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import grpc

SERVING = b"serving"
"""What each process prints once it listens: traffic that comes before would all be the first one's."""


def run(serve: Callable[[int, str], None], port: int, folder: str, count: int) -> None:
    """Runs `serve(port, folder)` in `count` processes until SIGTERM."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=serve, args=(port, folder)) for _ in range(count)]
    for process in processes:
        process.start()

    def stop(*_: object) -> None:
        for process in processes:
            process.kill()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    for process in processes:
        process.join()


def announce() -> None:
    """Says that this process listens."""
    print(SERVING.decode(), flush=True)


def credentials(folder: str) -> grpc.ServerCredentials:
    """Mutual TLS with the certificates of the exchange in `folder`."""
    base = Path(folder)
    pair = ((base / "keys/tls-server.key").read_bytes(), (base / "tls/server.crt").read_bytes())
    return grpc.ssl_server_credentials([pair], (base / "tls/ca.crt").read_bytes(), require_client_auth=True)

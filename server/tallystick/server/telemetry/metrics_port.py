"""Metrics of all workers together, on one port: they count in files of a shared folder, which the supervisor sums up.

What is known of the whole server, and not of a worker, the supervisor reports itself, once: `Exposition.add`.

That is prometheus_client's multiprocess mode, which a process enters when PROMETHEUS_MULTIPROC_DIR is set before it
imports the library: the supervisor sets it for the workers.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from tallystick.server.errors import Problem
from tallystick.server.installation.settings import split_address

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class Exposition:
    """What is served, and where workers count."""

    def __init__(self, folder: Path | None, registry: CollectorRegistry) -> None:
        self._folder = folder
        self._registry = registry

    def add(self, collector: Collector) -> None:
        """Serves what `collector` reports, beside what the workers count."""
        self._registry.register(collector)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a worker's environment needs so that it counts there."""
        return {FOLDER_VARIABLE: str(self._folder)} if self._folder else {}

    def worker_ended(self, pid: int) -> None:
        """Forgets what only holds for a running process; what the worker counted stays in the sums."""
        if self._folder:
            mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call] # the library's own gap


@contextmanager
def serve_metrics(address: str) -> Iterator[Exposition]:
    """Serves the metrics at http://HOST:PORT/metrics for the time of the block; an empty address serves nothing."""
    registry = CollectorRegistry()
    if not address:
        yield Exposition(None, registry)
        return
    folder = Path(tempfile.mkdtemp(prefix="tallystick-metrics-"))
    try:
        MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call] # the library's own gap
        host, port = split_address(address)
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            raise Problem(f"metrics_listen: {address}: {error.strerror}; choose another port") from None
        try:
            yield Exposition(folder, registry)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""What the supervisor reports of the installation: its program, its certificates, and the disks that it sees.

Certificates are read once, as the server reads them: what stands in their files since then is not what it uses.
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import structlog
from cryptography import x509
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tallystick.server.installation.settings import Settings

MAX_CERTIFICATES = 32
"""Of one file; of more, those that end first are reported."""
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

events = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """When one certificate of a file ends."""

    use: str
    number: int
    """Its place in the file, from 1."""
    timestamp: float


class Installation(Collector):
    """Metrics of the installation. A scrape asks the file systems for their sizes, and nothing else."""

    def __init__(self, settings: Settings) -> None:
        self._role = settings.role
        self._started = time.time()
        self._certificates = [
            *certificate_ends("server", settings.tls_certificate),
            *certificate_ends("client_authority", settings.tls_client_ca),
        ]
        self._disks = {"keys": settings.key_folder, "temporary": Path(tempfile.gettempdir())}
        if settings.embedded_folder is not None:
            self._disks["database"] = settings.embedded_folder

    def collect(self) -> Iterator[Metric]:
        """What is reported now."""
        build = GaugeMetricFamily("tallystick_build_info", "The program that runs; always 1.", labels=["version", "python", "role"])
        build.add_metric([version("tallystick"), platform.python_version(), self._role], 1)
        yield build
        yield GaugeMetricFamily("tallystick_start_timestamp_seconds", "When the server was started.", value=self._started)
        ends = GaugeMetricFamily(
            "tallystick_certificate_expiry_timestamp_seconds", "When a certificate in use ends.", labels=["certificate", "number"]
        )
        for end in self._certificates:
            ends.add_metric([end.use, str(end.number)], end.timestamp)
        yield ends
        yield from self._disk_metrics()

    def _disk_metrics(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("tallystick_disk_free_bytes", "Space that is left to this user on a disk.", labels=["place"])
        size = GaugeMetricFamily("tallystick_disk_size_bytes", "Size of a disk.", labels=["place"])
        for place, folder in self._disks.items():
            try:
                found = os.statvfs(folder)
            except OSError:
                # A folder that is gone has no disk: the missing series says so, and the others are served.
                continue
            free.add_metric([place], found.f_bavail * found.f_frsize)
            size.add_metric([place], found.f_blocks * found.f_frsize)
        yield free
        yield size


def certificate_ends(use: str, file: Path) -> list[CertificateEnd]:
    """When the certificates of a PEM file end. One that cannot be read is told, and left out: that is no reason not to serve."""
    ends = []
    for number, block in enumerate(_PEM.findall(file.read_bytes()), 1):
        try:
            end = x509.load_pem_x509_certificate(block).not_valid_after_utc
        except ValueError:
            events.warning("certificate_unreadable", certificate=use, number=number)
            continue
        ends.append(CertificateEnd(use, number, end.timestamp()))
    soonest = sorted(ends, key=lambda each: each.timestamp)[:MAX_CERTIFICATES]
    return sorted(soonest, key=lambda each: each.number)

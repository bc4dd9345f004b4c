"""What the supervisor reports of the running server: its workers, its upkeep, and what the upkeep last counted in the database.

A scrape reads what is remembered: it asks no database and waits for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tallystick.server.process.supervisor import Supervisor
from tallystick.server.process.upkeep import Upkeep
from tallystick.server.storage.census import Census, CensusTaker
from tallystick.server.storage.partitions import month_of


class WorkerReport(Collector):
    """Metrics of the workers as processes; `queue_size` is the limit of one."""

    def __init__(self, supervisor: Supervisor, *, count: int, queue_size: int) -> None:
        self._supervisor = supervisor
        self._count = count
        self._queue_size = queue_size

    def collect(self) -> Iterator[Metric]:
        """What is reported now."""
        yield GaugeMetricFamily("tallystick_workers", "Workers that are to serve.", value=self._count)
        yield GaugeMetricFamily("tallystick_workers_serving", "Workers that serve.", value=self._supervisor.serving)
        yield CounterMetricFamily(
            "tallystick_worker_ends", "Workers that ended unasked, and were started again.", value=self._supervisor.unasked_ends
        )
        yield GaugeMetricFamily(
            "tallystick_queue_limit_requests",
            "Requests that all workers together let wait at the most.",
            value=self._queue_size * self._count,
        )


class UpkeepReport(Collector):
    """Metrics of the periodic steps, and of what they counted."""

    def __init__(self, upkeep: Upkeep, census: CensusTaker, *others: Upkeep) -> None:
        """`others` do steps that take too long for the upkeep."""
        self._upkeep = upkeep
        self._others = others
        self._census = census

    def collect(self) -> Iterator[Metric]:
        """What is reported now."""
        yield from self._steps()
        if self._census.latest is not None:
            yield from _counted(self._census.latest)
            yield from _partitions(self._census.latest)

    def _steps(self) -> Iterator[Metric]:
        success = GaugeMetricFamily(
            "tallystick_upkeep_success_timestamp_seconds", "When a step of the upkeep last succeeded; 0 for never.", labels=["step"]
        )
        period = GaugeMetricFamily("tallystick_upkeep_period_seconds", "Time between two runs of a step.", labels=["step"])
        failures = CounterMetricFamily("tallystick_upkeep_failures", "Runs of a step that failed.", labels=["step"])
        for upkeep in (self._upkeep, *self._others):
            for step in upkeep.steps:
                failures.add_metric([step.name], step.failures)
                if upkeep.holds_lock or not step.alone:
                    # Otherwise another server on this database does it: what this one last did is no measure.
                    success.add_metric([step.name], step.succeeded)
                    period.add_metric([step.name], step.period)
        yield GaugeMetricFamily(
            "tallystick_upkeep_active", "1 when this server does the upkeep of its database.", value=int(self._upkeep.holds_lock)
        )
        yield success
        yield period
        yield failures


def _counted(census: Census) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tallystick_census_timestamp_seconds", "When entries, tables and partitions were last counted.", value=census.counted_at
    )
    yield GaugeMetricFamily("tallystick_log_entries", "Entries in the log.", value=census.log_entries)
    sizes = GaugeMetricFamily("tallystick_table_bytes", "A table with its indices and partitions.", labels=["table"])
    for table, size in census.table_bytes.items():
        sizes.add_metric([table], size)
    yield sizes


def _partitions(census: Census) -> Iterator[Metric]:
    yield GaugeMetricFamily("tallystick_evidence_partitions", "Months that have a partition.", value=len(census.months))
    ahead = sum(month_of(census.running_month, 1) <= month < census.covered_until for month in census.months)
    yield GaugeMetricFamily(
        "tallystick_evidence_partitions_ahead", "Months after the running one that have a partition, without a gap.", value=ahead
    )
    yield GaugeMetricFamily(
        "tallystick_evidence_covered_until_timestamp_seconds",
        "The first instant from the running month on for which evidence has no partition.",
        value=_timestamp(census.covered_until),
    )
    if census.months:
        yield GaugeMetricFamily(
            "tallystick_evidence_oldest_timestamp_seconds",
            "Begin of the oldest month that has a partition.",
            value=_timestamp(census.months[0]),
        )


def _timestamp(day: date) -> float:
    return datetime.combine(day, time.min, UTC).timestamp()

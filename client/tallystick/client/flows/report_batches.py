"""Cutting reports into batches, each of which one request can carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallystick.client.flows.reporting import MAX_BATCH_BYTES, REPORT_OVERHEAD, Report, require_report
from tallystick.contract.limits import MAX_REPORTS


class Batch:
    """Cuts a sequence of reports into batches that one request can carry."""

    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._size = 0

    def add(self, report: Report) -> list[Report]:
        """Takes a report; returns the batch before it if there is no more room in that, else nothing."""
        require_report(report)
        weight = REPORT_OVERHEAD + _weight(report)
        full: list[Report] = []
        if len(self._reports) == MAX_REPORTS or self._size + weight > MAX_BATCH_BYTES:
            full = self.rest()
        self._reports.append(report)
        self._size += weight
        return full

    def rest(self) -> list[Report]:
        """What has been taken and not returned."""
        rest, self._reports, self._size = self._reports, [], 0
        return rest


def cut(reports: Iterable[Report]) -> Iterator[list[Report]]:
    """Cuts reports into batches, taking them as they are needed."""
    batch = Batch()
    for report in reports:
        if full := batch.add(report):
            yield full
    if rest := batch.rest():
        yield rest


def _weight(report: Report) -> int:
    """An upper bound of the account's serialised size, without serialising it here and again when it is sent."""
    account = report.account
    parts = len(account.months) + len(account.special_transactions) + len(account.related_obligors)
    return 200 + 64 * parts + 2 * len(account.annotations)

"""Capacity is arithmetic: by numbers that a reader can check in the head."""

from __future__ import annotations

from benchmarks.capacity import Bureau, Measured, markdown, rows

MEASURED = Measured(query=1e-3, lone_query=2e-3, record=1e-4, token=1e-4, account_bytes=1000)


def test_each_line_is_a_product() -> None:
    bureau = Bureau(subjects=3.6e7, queries_a_day=86_400, peak=10, accounts=2_592_000_000)
    found = {what: much for what, much, _ in rows(bureau, MEASURED)}
    assert found["processors for queries at the peak"] == "0.0, or 0.0 if each came alone"
    assert found["processors for reports"] == "0.1; 0.3 if they come in eight hours of each day"
    assert found["processor time for the tokens of all subjects, once"].startswith("1 hours")
    assert found["disk for accounts"] == "2.6 TB"
    assert found["WAL of reports"].startswith("8 MB a second, 21 TB a month")
    assert found["databases, by subject"] == "3"


def test_peaks_count() -> None:
    found = {what: much for what, much, _ in rows(Bureau(queries_a_day=86_400_000, peak=10), MEASURED)}
    assert found["processors for queries at the peak"] == "10.0, or 20.0 if each came alone"


def test_the_table_has_a_line_for_each() -> None:
    assert len(markdown(Bureau(), MEASURED).splitlines()) == 2 + len(list(rows(Bureau(), MEASURED)))

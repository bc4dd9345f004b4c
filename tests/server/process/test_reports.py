"""The metrics port of a running server: what the documentation lists is what it serves, once each, and true."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from benchmarks.ports import free_port
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families
from psycopg2 import extensions
from tests.docker.alarms import Alarm, alarms
from tests.server.cli.running import TOKEN_KEY

from tallystick.credit.rating import built_in_cards
from tallystick.server.cli.drift_texts import prometheus_text
from tallystick.server.cli.program import run
from tallystick.server.installation.settings import Settings
from tallystick.server.process.reports import UpkeepReport
from tallystick.server.process.upkeep import Upkeep
from tallystick.server.services.rating.drift import LEAST_SUBJECTS, Drift, Population
from tallystick.server.storage import partitions
from tallystick.server.storage.census import Census, CensusTaker, unbroken_until
from tallystick.server.storage.partitions import month_of
from tallystick.server.storage.tables import metadata
from tallystick.server.storage.upkeep import Step, prepare, try_lock

OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
Labels = frozenset[tuple[str, str]]
Series = dict[tuple[str, Labels], float]


class Scraped:
    """What one scrape gave."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The one value of a metric."""
        (value,) = [sample.value for sample in self.samples if sample.name == name and sample.labels == labels]
        return value

    def by(self, name: str, label: str) -> dict[str, float]:
        """The values of a metric by one of its labels."""
        return {sample.labels[label]: sample.value for sample in self.samples if sample.name == name}

    @property
    def names(self) -> set[tuple[str, frozenset[str]]]:
        """Every metric as the documentation names it, with its labels."""
        return {
            (family.name + ("_total" if family.type == "counter" else ""), frozenset(sample.labels) - {"le"})
            for family in self.families
            for sample in family.samples
        }


class Running:
    """A server with two workers, its folder and its metrics."""

    def __init__(self, folder: Path, supervisor: int, port: int) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self._port = port

    def scrape(self) -> Scraped:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=60) as answer:
            return Scraped(answer.read().decode())

    def scrape_until(self, condition: Callable[[Scraped], bool]) -> Scraped:
        deadline = time.monotonic() + 60
        while not condition(scraped := self.scrape()):
            assert time.monotonic() < deadline, scraped.samples
            time.sleep(0.1)
        return scraped


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Running]:
    """A token authority."""
    with _serving(tmp_path_factory.mktemp("metrics") / "server", database, "--role", "token-authority") as running:
        yield running


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory, other_database: str) -> Iterator[Running]:
    """An exchange, which does more steps."""
    role = ("--role", "exchange", "--token-public-key", TOKEN_KEY)
    with _serving(tmp_path_factory.mktemp("metrics") / "exchange", other_database, *role) as running:
        yield running


@contextmanager
def _serving(folder: Path, database: str, *role: str) -> Iterator[Running]:
    arguments = ["init", str(folder), *role, "--origin", "a.example/log", "--listen", "127.0.0.1:0"]
    assert run([*arguments, "--database", database]) == 0
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tallystick.server.cli", "serve", "--workers", "2", "--config", str(folder / "tallystickd.toml")],
        env={**os.environ, "TALLYSTICK_METRICS_LISTEN": f"127.0.0.1:{port}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving on ")
        running = Running(folder, process.pid, port)
        running.scrape_until(lambda s: bool(s.by("tallystick_table_bytes", "table")))
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def documented() -> set[tuple[str, frozenset[str]]]:
    """The metrics in the first column of the table in docs/operations.md, with their labels."""
    found = set()
    for row in re.findall(r"^\| (`tallystick_[^|]+) \|", OPERATIONS, re.MULTILINE):
        for name, labels in re.findall(r"`(tallystick_\w+)(?:\{([\w,]+)\})?`", row):
            found.add((name, frozenset(labels.split(",")) if labels else frozenset()))
    return found


def test_what_is_documented_is_served_and_nothing_else(running: Running) -> None:
    served = running.scrape().names
    assert served == documented()
    assert len(served) > 20


def test_names_say_their_unit_and_each_figure_stands_once(running: Running) -> None:
    scraped = running.scrape()
    counted = Counter((sample.name, frozenset(sample.labels.items())) for sample in scraped.samples)
    assert [series for series, count in counted.items() if count > 1] == []
    units = ("_seconds", "_bytes", "_info", "_requests", "_total")
    counts = {"tallystick_log_entries", "tallystick_workers", "tallystick_workers_serving", "tallystick_upkeep_active"}
    counts |= {"tallystick_evidence_partitions", "tallystick_evidence_partitions_ahead"}
    assert {name for name, _ in scraped.names if not name.endswith(units)} == counts


def test_counts_that_alarms_are_set_on_begin_at_zero(running: Running) -> None:
    scraped = running.scrape()
    refusals = scraped.by("tallystick_unlogged_refusals_total", "reason")
    assert refusals["QUEUE_FULL"] == refusals["DATABASE_UNAVAILABLE"] == 0
    methods = {sample.labels["method"] for sample in scraped.samples if sample.labels.get("result") == "INTERNAL"}
    assert methods == {sample.labels["method"] for sample in scraped.samples if "method" in sample.labels}
    assert any(method.endswith("/EvaluateTokens") for method in methods)


def test_the_program_and_its_certificates(running: Running) -> None:
    scraped = running.scrape()
    python = ".".join(map(str, sys.version_info[:3]))
    assert scraped.value("tallystick_build_info", version=version("tallystick"), python=python, role="token-authority") == 1
    assert time.time() - 120 < scraped.value("tallystick_start_timestamp_seconds") <= time.time()
    settings = Settings.load(running.folder / "tallystickd.toml")
    for use, file in (("server", settings.tls_certificate), ("client_authority", settings.tls_client_ca)):
        end = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
        assert scraped.value("tallystick_certificate_expiry_timestamp_seconds", certificate=use, number="1") == end.timestamp()
    places = scraped.by("tallystick_disk_size_bytes", "place")
    assert set(places) == {"keys", "temporary"}
    for place, free in scraped.by("tallystick_disk_free_bytes", "place").items():
        assert 0 < free <= places[place]


def test_no_label_holds_a_path_or_an_address(running: Running) -> None:
    values = {value for sample in running.scrape().samples for value in sample.labels.values()}
    methods = {value for value in values if value.startswith("/tallystick.v1.")}
    assert not {value for value in values - methods if "/" in value or "tallystick_test" in value or "127.0.0" in value}


def test_the_log_its_tables_and_its_partitions(running: Running) -> None:
    scraped = running.scrape()
    # The operator's own admission.
    assert scraped.value("tallystick_log_entries") == 2
    tables = scraped.by("tallystick_table_bytes", "table")
    assert set(tables) == set(metadata.tables)
    assert all(size > 0 for size in tables.values())
    month = datetime.now(UTC).date().replace(day=1)
    assert scraped.value("tallystick_evidence_partitions") == 3
    assert scraped.value("tallystick_evidence_partitions_ahead") == 2
    assert scraped.value("tallystick_evidence_oldest_timestamp_seconds") == seconds(month)
    assert scraped.value("tallystick_evidence_covered_until_timestamp_seconds") == seconds(month_of(month, 3))
    assert time.time() - 120 < scraped.value("tallystick_census_timestamp_seconds") <= time.time()


@pytest.mark.parametrize("role", ["running", "exchange"])
def test_every_step_of_the_upkeep_is_reported_and_documented(role: str, request: pytest.FixtureRequest) -> None:
    running: Running = request.getfixturevalue(role)
    succeeded = "tallystick_upkeep_success_timestamp_seconds"
    scraped = running.scrape_until(lambda s: all(s.by(succeeded, "step").values()))
    assert scraped.value("tallystick_upkeep_active") == 1
    success = scraped.by(succeeded, "step")
    assert ("sweep" in success) == (role == "exchange")
    assert all(time.time() - 120 < instant <= time.time() for instant in success.values()), success
    assert set(scraped.by("tallystick_upkeep_failures_total", "step").values()) == {0}
    periods = scraped.by("tallystick_upkeep_period_seconds", "step")
    assert set(periods) == set(success)
    rows = re.findall(r"^\| ([a-z ]+) \| (\d+) (s|min|h) \|", OPERATIONS, re.MULTILINE)
    written = {step: int(number) * {"s": 1, "min": 60, "h": 3600}[unit] for step, number, unit in rows}
    assert {step: written.get(step) for step in periods} == periods


def drift_samples() -> list[Any]:
    """What the command about drift writes for another program to serve."""
    card = built_in_cards()[0].card
    population = Population(card, bins=[Counter({0: LEAST_SUBJECTS}) for _ in card.weighted], grades=Counter({1: LEAST_SUBJECTS}))
    text = prometheus_text(Drift(date(2026, 10, 1), {card.subject_kind: population}))
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


@pytest.mark.parametrize("alarm", alarms(), ids=lambda alarm: alarm.name)
def test_every_series_that_an_alarm_reads_is_served(running: Running, exchange: Running, alarm: Alarm) -> None:
    samples = [*running.scrape().samples, *exchange.scrape().samples, *drift_samples()]
    labels = set()
    for selector in alarm.selectors:
        found = [sample.labels for sample in samples if sample.name == selector.metric]
        assert found, selector.metric
        labels |= set(found[0])
        for label, operator, value in selector.matchers:
            # A value that no series ever has would make a rule that never fires, or always.
            wanted = set(value.split("|")) if operator in ("=~", "!~") else {value}
            assert wanted <= {each[label] for each in found}, selector
    assert alarm.selectors
    assert alarm.summed_over <= labels
    assert alarm.named_labels <= (labels - alarm.summed_over) | {"instance"}


def test_a_worker_that_dies_is_counted(running: Running) -> None:
    before = running.scrape()
    assert before.value("tallystick_workers") == before.value("tallystick_workers_serving") == 2
    ended = before.value("tallystick_worker_ends_total")
    psutil.Process(running.supervisor).children()[0].kill()
    running.scrape_until(lambda s: s.value("tallystick_worker_ends_total") == ended + 1)
    after = running.scrape_until(lambda s: s.value("tallystick_workers_serving") == 2)
    assert after.value("tallystick_queue_limit_requests") == 2 * 4096
    assert after.names == documented()


def seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


@pytest.fixture
def connection(fresh_database: str) -> Iterator[extensions.connection]:
    connection = psycopg2.connect(fresh_database)
    prepare(connection)
    yield connection
    connection.close()


def census(connection: extensions.connection) -> Census:
    taker = CensusTaker()
    taker.count(connection)
    assert taker.latest is not None
    return taker.latest


def test_partitions_are_counted_up_to_the_first_gap(connection: extensions.connection) -> None:
    partitions.create_evidence_partitions(connection)
    running = partitions.running_month(connection)
    assert census(connection).covered_until == month_of(running, 3)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE evidence_{month_of(running, 1):%Y_%m}")
    assert (len(census(connection).months), census(connection).covered_until) == (2, month_of(running, 1))
    # What was taken off and not dropped takes no row: a crash leaves it so.
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE evidence DETACH PARTITION evidence_{running:%Y_%m}")
    assert census(connection).months == (month_of(running, 2),)
    assert census(connection).covered_until == running
    assert set(census(connection).table_bytes) == set(metadata.tables)


def test_months_without_a_gap() -> None:
    months = frozenset({date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1), date(2027, 3, 1)})
    assert unbroken_until(date(2026, 11, 1), months) == date(2027, 2, 1)
    assert unbroken_until(date(2027, 2, 1), months) == date(2027, 2, 1)


def steps() -> list[Step]:
    def fail(_: extensions.connection) -> None:
        raise RuntimeError

    return [
        Step("lonely", 60.0, lambda _: None),
        Step("wrong", 60.0, fail, alone=False),
        Step("any", 60.0, lambda _: 1, alone=False),
    ]


def reported(upkeep: Upkeep) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in UpkeepReport(upkeep, CensusTaker()).collect()
        for sample in metric.samples
    }


def test_beside_a_server_that_does_the_upkeep_only_what_every_one_does_is_reported(
    connection: extensions.connection, fresh_database: str
) -> None:
    assert try_lock(connection)
    upkeep = Upkeep(fresh_database, steps())
    upkeep.start()
    try:
        deadline = time.monotonic() + 60
        while not upkeep.steps[2].succeeded:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = reported(upkeep)
    finally:
        upkeep.stop()
    name = "tallystick_upkeep_success_timestamp_seconds"
    assert {dict(labels)["step"] for metric, labels in found if metric == name} == {"wrong", "any"}
    assert found[name, frozenset({("step", "wrong")})] == 0
    assert time.time() - 60 < found[name, frozenset({("step", "any")})] <= time.time()
    failures = {dict(labels)["step"]: value for (metric, labels), value in found.items() if metric.endswith("failures_total")}
    assert failures == {"lonely": 0, "wrong": 1, "any": 0}
    assert found["tallystick_upkeep_active", frozenset()] == 0
    # Nothing was counted, and nothing is made up.
    assert not [metric for metric, _ in found if metric.startswith(("tallystick_log", "tallystick_evidence", "tallystick_census"))]

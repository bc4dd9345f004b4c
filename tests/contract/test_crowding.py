"""Messages of a member that does not pull: alerts merge once too many wait, and what is old enough is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2 import extensions
from tests.contract.system import System
from tests.contract.test_monitoring import BEGAN, WORSENED, alerts, new_bank

from tallystick.server.services.monitoring import retention


@pytest.fixture
def connection(system: System) -> Iterator[extensions.connection]:
    """To the exchange's database, as its upkeep has it."""
    connection = psycopg2.connect(system.exchange.database_view.url)
    connection.autocommit = True
    yield connection
    connection.close()


def test_past_the_bound_one_alert_of_each_watch_and_type_waits(
    system: System, connection: extensions.connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, reporter = new_bank(system), new_bank(system)
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    report = reporter.report(borrower.subject, days=10)
    with monkeypatch.context() as lowered:
        lowered.setattr(retention, "CROWDED", 1)
        for second, days in enumerate((40, 70, 100), start=1):
            # Marked before each report: the server's own upkeep, whose bound is far higher, may have taken the mark away.
            retention.mark_crowded(connection)
            reporter.report(borrower.subject, days=days, of=report.account_reference, after=second)
    retention.mark_crowded(connection)
    told = watcher.pull()
    assert sorted(kind for kind, _, _ in alerts(told)) == [BEGAN, WORSENED]
    assert [each.alert.repeats for each in told if each.alert.type == WORSENED] == [1]


@pytest.mark.parametrize(("days", "kept"), [(retention.KEPT_DAYS - 1, 1), (retention.KEPT_DAYS + 1, 0)])
def test_a_message_is_forgotten_by_its_age(system: System, connection: extensions.connection, days: int, kept: int) -> None:
    watcher, reporter = new_bank(system), new_bank(system)
    borrower = watcher.borrower(system)
    watcher.watch(borrower)
    reporter.report(borrower.subject, days=10)
    (told,) = watcher.pull()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE message SET release_time = release_time - %s * interval '1 day' WHERE message_id = %s", (days, told.message_id)
        )
        assert cursor.rowcount == 1
    retention.purge_messages(connection)
    watcher.cursor = ""
    assert len(watcher.pull()) == kept

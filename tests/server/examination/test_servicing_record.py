"""The servicing record held against the log where a part of either is gone by age: missing is told from forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallystick.contract.methods import RECORD_SERVICING_EVENTS
from tallystick.contract.subjects import of_token
from tallystick.credit.servicing import content_of
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.servicing import Key, ServicingRecord
from tallystick.server.examination.subjects import Subjects
from tallystick.v1 import log_pb2
from tallystick.v1 import servicing_service_pb2 as pb

FORGOTTEN = datetime(2021, 1, 15, tzinfo=UTC)
LONG_AGO, LATELY = FORGOTTEN - timedelta(days=100), FORGOTTEN + timedelta(days=1000)
MEMBER = 7
TAKEN, NOT_TAKEN = [1], [3]


class Listed:
    """Rows of the table, as the examination takes them."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows = sorted(rows)

    def take(self, key: object) -> list[tuple[Any, ...]]:
        """The rows of a key."""
        taken = [row for row in self._rows if row[0] == key]
        self._rows = [row for row in self._rows if row[0] != key]
        return taken

    def before(self, key: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of all keys below one."""
        yield from [row for row in self._rows if row[0] < key]
        self._rows = [row for row in self._rows if row[0] >= key]

    def rest(self) -> Iterator[tuple[Any, ...]]:
        """The rows that are left."""
        yield from self._rows


class Case:
    """An examination of a few entries."""

    def __init__(self) -> None:
        self.anomalies = Anomalies()
        self._subjects = Subjects(self.anomalies, b"s" * 32, b"e" * 20)
        self._record = ServicingRecord(self.anomalies, Scratch(), self._subjects, b"e" * 20, {MEMBER: "bank-a"}, FORGOTTEN)

    def event(self, number: int, date: int = 20200101) -> Any:
        """An event of an account of its own."""
        event = pb.ServicingEvent(event_id=bytes([number]) * 16, date=date)
        event.subject.epoch_id, event.subject.element = b"e" * 20, bytes([number]) * 32
        event.account_reference.secret_id, event.account_reference.digest = b"i" * 8, b"d" * 32
        return event

    def row(self, event: Any, time: datetime) -> tuple[Key, bytes, datetime]:
        """How it is stored."""
        key = self._subjects.key(of_token(event.subject))
        return (key, MEMBER, b"i" * 8 + b"d" * 32, event.event_id), content_of(event), time

    def entry(self, time: datetime, event: Any | None, verdicts: Sequence[int] | None = TAKEN) -> None:
        """An entry that brought one event; None: its evidence is gone."""
        leaf = log_pb2.AuditEntry(method=RECORD_SERVICING_EVENTS.path, outcome=log_pb2.ENTRY_OUTCOME_OK)
        entry = Examined(5, leaf, time, MEMBER, repeated=False)
        if event is not None:
            entry.message = pb.RecordServicingEventsRequest(events=[event])
        self._record.take(entry, verdicts)

    def found(self, *rows: tuple[Any, ...]) -> list[str]:
        """What is wrong with these rows."""
        self._record.finish(Listed(rows))  # type: ignore[arg-type]  # not from a database
        return [anomaly.text.partition(":")[0] for anomaly in self.anomalies.found]


@pytest.fixture
def case() -> Case:
    return Case()


def test_rows_that_are_as_recorded(case: Case) -> None:
    one, two = case.event(1), case.event(2)
    case.entry(LATELY, one)
    case.entry(LONG_AGO, two)
    assert case.found(case.row(one, LATELY - timedelta(seconds=2)), case.row(two, LONG_AGO)) == []


def test_row_is_missing_unless_it_is_old_enough_to_be_forgotten_or_was_not_taken(case: Case) -> None:
    case.entry(LATELY, case.event(1))
    case.entry(LONG_AGO, case.event(2))
    case.entry(LATELY, case.event(3), NOT_TAKEN)
    assert case.found() == ["MISSING"]
    assert not case.anomalies.untold


def test_event_that_was_first_recorded_long_ago_is_forgotten_whatever_came_later(case: Case) -> None:
    case.entry(LONG_AGO, case.event(1))
    case.entry(LATELY, case.event(1))
    assert case.found() == []


def test_past_the_evidence_only_what_had_not_happened_yet_is_certainly_missing(case: Case) -> None:
    case.entry(LONG_AGO, None)
    case.entry(LATELY, case.event(1, date=20200101))
    case.entry(LATELY, case.event(2, date=20230101))
    assert case.found() == ["MISSING"]


def test_row_of_before_the_evidence_is_not_accused_and_a_later_one_is(case: Case) -> None:
    case.entry(LONG_AGO, None)
    assert case.found(case.row(case.event(1), LONG_AGO), case.row(case.event(2), LATELY)) == ["no entry recorded it"]
    assert case.anomalies.untold.total() == 1


def test_with_evidence_gone_before_its_time_nothing_can_be_told(case: Case) -> None:
    case.entry(LATELY, None)
    assert case.found(case.row(case.event(1), LATELY)) == []
    assert case.anomalies.untold.total() == 1


def test_changed_row_is_named_by_its_column(case: Case) -> None:
    one, two, other = case.event(1), case.event(2), case.event(1)
    other.date += 1
    for event in (one, two):
        case.entry(LATELY, event)
    rows = case.row(other, LATELY), case.row(two, LATELY + timedelta(seconds=1))
    assert sorted(case.found(*rows)) == ["its create_time is not what was recorded", "its event is not what was recorded"]


def test_event_that_nobody_judged_may_be_there_or_not(case: Case) -> None:
    one, two = case.event(1, date=20220101), case.event(2, date=20220101)
    for event in (one, two):
        # Good by itself: whether its account was there then is not known.
        event.subject.element = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
        event.type = 1
        case.entry(LATELY, event, None)
    assert case.found(case.row(one, LATELY)) == []
    assert case.anomalies.untold.total() == 1

"""Monitoring in the SDK: what is sent, what is acknowledged and when, and that an answer is one that the log names subjects of."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from tests.client.flows.watching import Outbox, message

from tallystick.client import (
    AccountWatch,
    AnswerMalformed,
    DetailsFalse,
    EntryFilter,
    Identity,
    InputInvalid,
    NotAnExchange,
    Options,
    Patience,
    Purpose,
    ReceiptFalse,
    Unavailable,
)
from tallystick.client.protocol.calls import RawFailure
from tallystick.credit.enums import TriggerType, WatchState, WatchStateReason
from tallystick.credit.monitoring import Alert, Watch
from tallystick.crypto import details_commitment, leaf_hash, subject_leaf
from tallystick.v1 import log_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

SUBJECT = Identity.passport("DE", "C01X00T47")
WATCH = Watch(consent_reference="clause-7")
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def outbox(system: Any) -> Outbox:
    """Five messages, two a page."""
    return Outbox([message(number) for number in range(5)]).serve(system)


def numbers(messages: Any) -> list[int]:
    return [each.message_id.int for each in messages]


# --- Watches ---


def test_watches_get_a_verdict_each_in_their_order(system: Any, outbox: Outbox) -> None:
    unknown = Watch(consent_reference="unknown", triggers={TriggerType.OVERDUE_BEGAN: 2}, end_date=dt.date(2027, 3, 1))
    wrong = Identity.resident_id("110101199003010011")
    with system.open() as exchange:
        watches = [AccountWatch(SUBJECT, "1", WATCH), AccountWatch(wrong, "2", WATCH), AccountWatch(SUBJECT, "3", unknown)]
        good, invalid, rejected = exchange.monitoring.put(iter(watches))
    assert (good.accepted, good.watch_id, good.violations) == (True, bytes(16), ())
    assert [violation.field for violation in invalid.violations] == ["identity.number"]
    assert invalid.receipt is None
    assert [(each.field, each.reason) for each in rejected.violations] == [("account_reference", "PURPOSE_WITHOUT_ACCOUNT")]
    assert (rejected.accepted, rejected.watch_id) == (False, b"")
    assert good.receipt is not None
    assert good.receipt == rejected.receipt
    (sent,) = outbox.put
    assert [(each.type, each.threshold) for each in sent.watches[1].triggers] == [(1, 2)]
    assert (sent.watches[0].end_date, sent.watches[1].end_date) == (0, 20270301)
    assert good.request_id == uuid.UUID(bytes=sent.request_id)


def test_many_watches_go_in_full_batches_that_are_retried_with_the_same_request_id(system: Any, outbox: Outbox) -> None:
    system.exchange.lost_answers = 1
    with system.open(Options(in_flight=1)) as exchange:
        results = list(exchange.monitoring.put(AccountWatch(SUBJECT, str(n + 1), WATCH) for n in range(1001)))
    assert all(result.accepted for result in results)
    assert [result.watch.account_number for result in results] == [str(n + 1) for n in range(1001)]
    assert [len(request.watches) for request in outbox.put] == [1000, 1], "the lost answer was kept, not carried out again"
    assert system.methods().count("PutWatches") == 3


def test_ending_counts_over_batches(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        assert exchange.monitoring.end(n.to_bytes(16, "big") for n in range(1500)) == 1500
        with pytest.raises(InputInvalid, match="watch_id as bytes"):
            exchange.monitoring.end(["00"])
    assert [len(request.watch_ids) for request in outbox.ended] == [1000, 500]


def test_watches_are_listed_over_pages_and_by_state(system: Any, outbox: Outbox) -> None:
    for n in range(5):
        state, reason = (WatchState.ENDED, WatchStateReason.BY_MEMBER) if n == 4 else (WatchState.ACTIVE, 0)
        listed: Any = pb.ListedWatch(watch_id=n.to_bytes(16, "big"), consent_reference="c", end_date=20270301)
        listed.purpose, listed.state, listed.reason = int(Purpose.POST_LOAN_MANAGEMENT), int(state), int(reason)
        outbox.listed.append(listed)
    with system.open() as exchange:
        assert [watch.watch_id[-1] for watch in exchange.monitoring.list()] == list(range(5))
        (ended,) = exchange.monitoring.list(WatchState.ENDED)
        assert (ended.reason, ended.end_date) == (WatchStateReason.BY_MEMBER, dt.date(2027, 3, 1))
        outbox.listed[0].end_date = 20271301
        with pytest.raises(AnswerMalformed, match="end_date"):
            list(exchange.monitoring.list())


def test_a_reference_leads_back_to_ones_own_account(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        list(exchange.monitoring.put([AccountWatch(SUBJECT, "6222-0017", WATCH)]))
        sent = outbox.put[0].watches[0].account_reference
        assert exchange.monitoring.references(["6222-0018", "6222-0017"])[sent.secret_id + sent.digest] == "6222-0017"


# --- Messages ---


def test_a_pull_acknowledges_nothing_and_can_be_made_again(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        first = exchange.monitoring.pull(page_size=1)
        assert numbers(first.messages) == [0]
        assert first.messages[0].content == Alert(type=TriggerType.OVERDUE_BEGAN, before=0, after=1)
        assert numbers(exchange.monitoring.pull(first.next_cursor).messages) == [1, 2]
        assert numbers(exchange.monitoring.pull().messages) == [0, 1]
        acknowledged = exchange.monitoring.acknowledge(first.next_cursor)
        assert (acknowledged.cursor, acknowledged.waiting) == ("1", 4)
        assert numbers(exchange.monitoring.pull().messages) == [1, 2]


def test_a_page_is_acknowledged_when_the_first_message_behind_it_is_asked_for(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        messages = exchange.monitoring.messages()
        assert numbers([next(messages), next(messages)]) == [0, 1]
        assert outbox.acknowledged == 0
        next(messages)
        assert outbox.acknowledged == 2
        assert numbers(messages) == [3, 4]
        assert outbox.acknowledged == 5


def test_what_the_caller_failed_at_comes_again(system: Any, outbox: Outbox) -> None:
    def fail_at(number: int) -> None:
        for each in exchange.monitoring.messages():
            if each.message_id.int == number:
                raise RuntimeError("the bank's own system is down")

    with system.open() as exchange:
        with pytest.raises(RuntimeError):
            fail_at(3)
        assert outbox.acknowledged == 2
        assert numbers(exchange.monitoring.messages()) == [2, 3, 4]


def test_a_message_that_comes_again_in_a_run_is_left_out(system: Any, outbox: Outbox) -> None:
    outbox.messages[2:2] = [message(1), message(0)]
    with system.open() as exchange:
        assert numbers(exchange.monitoring.messages()) == [0, 1, 2, 3, 4]
    assert outbox.acknowledged == 7


def test_messages_survive_an_outage_and_stop_at_a_longer_one(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        system.exchange.faults = [lambda: RawFailure("UNAVAILABLE", "down")] * 3
        assert numbers(exchange.monitoring.messages()) == [0, 1, 2, 3, 4]
        outbox.messages.append(message(5))
        system.exchange.down = lambda: RawFailure("UNAVAILABLE", "down")
        with pytest.raises(Unavailable):
            next(exchange.monitoring.messages())
        system.exchange.down = None
        assert numbers(exchange.monitoring.messages()) == [5]


async def test_the_asynchronous_exchange_acknowledges_alike(system: Any, outbox: Outbox) -> None:
    async with system.open_async() as exchange:
        messages = exchange.monitoring.messages()
        assert [(await anext(messages)).message_id.int for _ in range(2)] == [0, 1]
        await messages.aclose()
        assert outbox.acknowledged == 0
        assert [each.message_id.int async for each in exchange.monitoring.messages()] == [0, 1, 2, 3, 4]
    assert outbox.acknowledged == 5


@pytest.mark.parametrize(
    ("wait", "timeout", "asked"), [(60, 30.0, 25), (3, 30.0, 3), (60, 20.0, 15), (60, 4.0, 2), (0, 30.0, 0), (0.2, 30.0, 1)]
)
def test_a_pull_waits_no_longer_than_its_attempt_lasts(
    system: Any, outbox: Outbox, wait: float, timeout: float, asked: int
) -> None:
    with system.open(Options(patience=Patience(timeout=timeout))) as exchange:
        exchange.monitoring.pull(wait=wait * SECOND)
    assert [request.wait_seconds for request in outbox.pulls] == [asked]


def test_what_cannot_be_sent_is_refused_here(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        for options in ({"wait": -SECOND}, {"page_size": -1}, {"page_size": 2**32}):
            with pytest.raises(InputInvalid):
                exchange.monitoring.pull(**options)
    assert outbox.pulls == []


def test_a_message_that_cannot_be_read_is_no_answer(system: Any, outbox: Outbox) -> None:
    outbox.messages[1].date = 20261340
    with system.open() as exchange:
        with pytest.raises(AnswerMalformed, match="date"):
            list(exchange.monitoring.messages())
        outbox.messages[1] = message(1)
        outbox.messages[0].ClearField("content")
        with pytest.raises(AnswerMalformed, match="install a newer one"):
            exchange.monitoring.pull()
    assert outbox.acknowledged == 0


def test_the_digest_is_of_a_whole_month(system: Any, outbox: Outbox) -> None:
    outbox.digest.watched_count = 60
    row: Any = outbox.digest.rows.add(after=2, alert_count=9, subject_count=7)
    row.type = int(TriggerType.OVERDUE_BEGAN)
    with system.open() as exchange:
        digest = exchange.monitoring.digest(dt.date(2026, 2, 17))
    assert outbox.months == [20260201]
    assert (digest.month, digest.watched, digest.too_small) == (dt.date(2026, 2, 1), 60, False)
    assert [(each.type, each.alerts, each.subjects) for each in digest.rows] == [(TriggerType.OVERDUE_BEGAN, 9, 7)]


# --- Whom an answer told of ---


def test_an_answer_whose_entry_names_others_than_it_tells_of_is_refused(system: Any, outbox: Outbox) -> None:
    append = system.exchange.log.append

    def misnamed(path: str, *arguments: Any) -> Any:
        *before, subjects, at = arguments
        return append(path, *before, subjects[:-1] if path.endswith("PullMessages") else subjects, at)

    system.exchange.log.append = misnamed
    with system.open() as exchange, pytest.raises(ReceiptFalse):
        exchange.monitoring.pull()


def test_an_auditor_opens_an_entry_and_sees_whom_it_told_of(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        exchange.monitoring.pull()
        opened = exchange.audit_show(0)
    assert [int.from_bytes(subject.element, "big") for subject in opened.subjects] == [0, 1]
    assert [(subject.purpose, subject.consent_reference) for subject in opened.subjects] == [
        (Purpose.POST_LOAN_MANAGEMENT, "clause-0"),
        (Purpose.POST_LOAN_MANAGEMENT, "clause-1"),
    ]


def test_a_refused_pull_told_of_nobody(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        exchange.monitoring.pull()
        logged = system.exchange.log.entries[0]
        envelope, entry = log_pb2.Envelope.FromString(logged.envelope), log_pb2.AuditEntry.FromString(logged.leaf)
        envelope.reason, entry.outcome = "CURSOR_INVALID", log_pb2.ENTRY_OUTCOME_REFUSED
        logged.envelope = envelope.SerializeToString()
        leaves = [subject_leaf(*subject) for subject in logged.subjects]
        entry.details_commitment = details_commitment(logged.seed, logged.envelope, leaves)
        logged.leaf = entry.SerializeToString()
        logged.hash = leaf_hash(logged.leaf)
        with pytest.raises(DetailsFalse, match="subjects shown"):
            exchange.audit_show(0)


def test_a_complete_list_reads_whom_answers_told_of(system: Any, outbox: Outbox) -> None:
    with system.open() as exchange:
        list(exchange.monitoring.put([AccountWatch(SUBJECT, "1", WATCH)]))
        outbox.messages[1].subject.CopyFrom(outbox.put[0].watches[0].subject)
        exchange.monitoring.pull()
        complete = exchange.audit_list_complete(EntryFilter(identity=SUBJECT))
    assert [(entry.index, entry.consent_reference) for entry in complete.entries] == [(1, "clause-1"), (0, "clause-7")]
    assert complete.left_out == complete.invented == ()


def test_the_in_memory_exchange_does_not_watch(system: Any) -> None:
    with system.open() as exchange, pytest.raises(NotAnExchange):
        exchange.monitoring.pull()

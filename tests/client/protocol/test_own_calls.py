"""What a caller decides for one call: how long it waits, under which request_id, and who is told of it."""

from __future__ import annotations

import inspect
import logging
import math
import re
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tallystick.client import (
    AnswerEvent,
    AsyncExchange,
    Conflict,
    DeadlineExceeded,
    EventHooks,
    Exchange,
    Identity,
    InputInvalid,
    NotAllowed,
    Options,
    Patience,
    Purpose,
    Report,
    RequestEvent,
    RetryEvent,
    Unavailable,
    WithdrawalReason,
)
from tallystick.client.protocol.calls import RawFailure
from tallystick.client.protocol.retrying import Attempts, TimeLimit

SUBJECT = Identity.passport("DE", "C01X00T47")
QUERY = (SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")
OWN = uuid.uuid5(uuid.NAMESPACE_URL, "https://bank-a.example/applications/A-2025-0417")


MANY = 100
"""Attempts of which one waits longer than half a second, whatever chance makes of the waits."""

Fault = Callable[[], RawFailure]


def down() -> RawFailure:
    return RawFailure("UNAVAILABLE", "down")


def over() -> RawFailure:
    return RawFailure("DEADLINE_EXCEEDED", "Deadline Exceeded")


# --- Time limits ---


def test_every_call_that_waits_takes_a_timeout() -> None:
    sends_nothing = {"close", "from_profile", "key_registration", "profile"}
    for kind in (Exchange, AsyncExchange):
        methods = {name for name in vars(kind) if not name.startswith("_")} - sends_nothing
        assert {name for name in methods if "timeout" not in inspect.signature(getattr(kind, name)).parameters} == set()


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, "2"])
def test_a_timeout_is_a_number_of_seconds(system: Any, timeout: Any) -> None:
    with system.open() as exchange, pytest.raises(InputInvalid, match="timeout"):
        exchange.query(*QUERY, timeout=timeout)
    assert system.exchange.calls == []


def test_an_attempt_gets_no_longer_than_what_is_left(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    for server in (system.authority, system.exchange):
        unary = server.unary

        def noted(path: str, message: bytes, metadata: Any, seconds: float, unary: Any = unary) -> Any:
            given.append(seconds)
            time.sleep(0.05)
            return unary(path, message, metadata, seconds)

        monkeypatch.setattr(server, "unary", noted)
    with system.open() as exchange:
        exchange.query(*QUERY, timeout=5)
        exchange.query(*QUERY)
    token, query, unlimited = given
    assert 4.9 < token <= 5
    assert query <= token - 0.05, "tokens are of the same call"
    assert unlimited == Options().patience.timeout


def test_no_attempt_begins_whose_wait_would_end_too_late(system: Any) -> None:
    system.exchange.faults = [down] * MANY
    with system.open(Options(patience=Patience(attempts=MANY))) as exchange:
        with pytest.raises(Unavailable):
            exchange.query(*QUERY, timeout=0.5)
        assert max(system.waits) < 0.5
        assert len(system.exchange.faults) > 0
        system.exchange.faults = []
        exchange.query(*QUERY, timeout=30)


def test_a_wait_that_took_too_long_ends_with_what_was_met_before_it(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine wakes a sleeper late: the server is not asked again, and why the attempts failed is not lost."""
    system.exchange.faults = [down, down]
    begin, calls = Attempts.begin, iter(range(MANY))

    def late(attempts: Attempts, patience: float) -> float:
        if next(calls) == 2:  # the token's, the first attempt, and this one
            monkeypatch.setattr(TimeLimit, "left", 0.0)
        return begin(attempts, patience)

    monkeypatch.setattr(Attempts, "begin", late)
    with system.open() as exchange, pytest.raises(Unavailable, match="down"):
        exchange.query(*QUERY, timeout=30)
    assert system.methods().count("QueryCreditHistory") == 1


@pytest.mark.parametrize("failures", [(down, over), (down, over, over), (over, down, over)])
def test_an_attempt_that_had_no_time_left_says_what_the_ones_before_it_met(system: Any, failures: Sequence[Fault]) -> None:
    system.exchange.faults = list(failures)
    with system.open(Options(patience=Patience(attempts=len(failures)))) as exchange:
        with pytest.raises(DeadlineExceeded, match=r"in time; before it, .*down"):
            exchange.query(*QUERY)
        system.exchange.faults = [over] * len(failures)
        with pytest.raises(DeadlineExceeded) as alone:
            exchange.query(*QUERY)
    assert "before it" not in str(alone.value)


async def test_the_asynchronous_exchange_says_it_too(system: Any) -> None:
    system.exchange.faults = [down, over]
    async with system.open_async(Options(patience=Patience(attempts=2))) as exchange:
        with pytest.raises(DeadlineExceeded, match=r"before it, .*down"):
            await exchange.query(*QUERY)


def test_time_that_is_over_is_told_as_such(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unary = system.authority.unary

    def slow(*arguments: Any) -> Any:
        time.sleep(0.05)
        return unary(*arguments)

    monkeypatch.setattr(system.authority, "unary", slow)
    with system.open() as exchange, pytest.raises(DeadlineExceeded, match=r"0\.02 s"):
        exchange.query(*QUERY, timeout=0.02)
    assert system.exchange.calls == []


async def test_the_asynchronous_exchange_keeps_the_same_limit(system: Any) -> None:
    system.exchange.faults = [down] * MANY
    async with system.open_async(Options(patience=Patience(attempts=MANY))) as exchange:
        with pytest.raises(Unavailable):
            await exchange.query(*QUERY, timeout=0.5)
    assert max(system.waits) < 0.5


# --- A request_id of one's own ---


def test_a_call_repeated_under_its_own_request_id_sends_the_same_one(system: Any) -> None:
    with system.open() as exchange:
        results = [exchange.query(*QUERY, request_id=OWN) for _ in range(2)]
        other = uuid.uuid5(OWN, "withdrawal")
        withdrawal = exchange.withdraw(SUBJECT, "1", WithdrawalReason.FRAUD, request_id=other)
    assert [result.request_id for result in (*results, withdrawal)] == [OWN, OWN, other]
    messages = [message for name, message, _ in system.exchange.calls if name == "QueryCreditHistory"]
    assert messages[0] == messages[1]
    assert OWN.bytes in messages[0]


def test_another_content_under_it_is_refused_as_a_conflict(system: Any) -> None:
    with system.open() as exchange:
        exchange.query(*QUERY, request_id=OWN)
        with pytest.raises(Conflict, match="REQUEST_ID_REUSED"):
            exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "another-consent", request_id=OWN)


@pytest.mark.parametrize("given", ["A-2025-0417", OWN.bytes, 7, str(OWN)])
def test_it_must_be_a_uuid(system: Any, given: Any) -> None:
    with system.open() as exchange, pytest.raises(InputInvalid, match=r"request_id: .*uuid5"):
        exchange.query(*QUERY, request_id=given)
    assert system.exchange.calls == []


# --- Event hooks ---


class Heard:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def hooks(self) -> Options:
        return Options(event_hooks=EventHooks([self.events.append], [self.events.append], [self.events.append]))


def names(events: list[Any]) -> list[tuple[type, str]]:
    return [(type(event), getattr(event, "request", event).method.rpartition("/")[2]) for event in events]


RETRIED = [
    *((RequestEvent, "EvaluateTokens"), (AnswerEvent, "EvaluateTokens")),
    *((RequestEvent, "QueryCreditHistory"), (AnswerEvent, "QueryCreditHistory"), (RetryEvent, "QueryCreditHistory")),
    *((RequestEvent, "QueryCreditHistory"), (AnswerEvent, "QueryCreditHistory")),
]


def test_hooks_hear_of_each_request_answer_and_retry(system: Any) -> None:
    heard = Heard()
    system.exchange.faults = [down]
    with system.open(heard.hooks()) as exchange:
        result = exchange.query(*QUERY)
    assert names(heard.events) == RETRIED
    failed, retry, again, answer = heard.events[3:]
    assert isinstance(failed.error, Unavailable)
    assert (retry.error, [retry.wait]) == (failed.error, system.waits)
    assert (again.attempt, answer.request, answer.error, answer.entry_index) == (2, again, None, result.receipt.index)
    assert again.size == len(system.exchange.calls[-1][1])


async def test_the_asynchronous_exchange_tells_plain_and_coroutine_functions(system: Any) -> None:
    heard = Heard()

    async def hear(event: Any) -> None:
        heard.events.append(event)

    system.exchange.faults = [down]
    async with system.open_async(Options(event_hooks=EventHooks([hear], [heard.events.append], [hear]))) as exchange:
        await exchange.query(*QUERY)
    assert names(heard.events) == RETRIED


def test_a_refusal_is_an_answer_with_its_entry(system: Any) -> None:
    heard = Heard()
    with system.open(heard.hooks()) as exchange, pytest.raises(NotAllowed) as refused:
        exchange.query(SUBJECT, Purpose.JUDICIAL_INVESTIGATION, "consent-1")
    receipt = refused.value.receipt
    assert receipt is not None
    assert (heard.events[-1].error, heard.events[-1].entry_index) == (refused.value, receipt.index)


def test_a_hook_that_fails_stops_nothing_and_is_logged(system: Any, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    def broken(_event: object) -> None:
        raise RuntimeError("no connection to the metrics")

    async def never_awaited(_event: object) -> None: ...

    hooks = EventHooks([broken, never_awaited, heard.events.append], [broken])
    with caplog.at_level(logging.ERROR), system.open(Options(event_hooks=hooks)) as exchange:
        assert exchange.query(*QUERY).receipt
    assert len(heard.events) == 2
    assert sum("broken" in record.message for record in caplog.records) == 4
    assert sum("only AsyncExchange awaits" in record.message for record in caplog.records) == 2


def test_no_event_holds_what_the_call_is_about(system: Any) -> None:
    heard = Heard()
    with system.open(heard.hooks()) as exchange:
        exchange.query(*QUERY)
        list(exchange.audit_list())
        exchange.audit_verify()
    told = repr(heard.events)
    assert "ExportAuditEntries" in told
    for secret in ("C01X00T47", "consent-1", system.exchange.log.entries[0].subjects[0][1].hex()):
        assert secret not in told


# --- What is given wrongly ---


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: EventHooks(answer=print), "event_hooks.answer"),  # type: ignore[arg-type]
        (lambda: EventHooks([None]), "event_hooks.request"),  # type: ignore[list-item]
        (lambda: Options(event_hooks={"answer": [print]}), "options.event_hooks"),  # type: ignore[arg-type]
        (lambda: Options(patience=3), "options.patience"),  # type: ignore[arg-type]
        (lambda: Options(in_flight=0), "options.in_flight"),
        (lambda: Patience(timeout=-1), "patience.timeout"),
        (lambda: Patience(total=math.inf), "patience.total"),
        (lambda: Patience(attempts=0), "patience.attempts"),
    ],
)
def test_options_are_judged_when_they_are_made(make: Any, field: str) -> None:
    with pytest.raises(InputInvalid, match=f"^{re.escape(field)}: give"):
        make()


def test_no_call_ends_in_a_fault_for_what_is_no_inquiry_or_report(system: Any) -> None:
    with pytest.raises(InputInvalid, match="options: give Options"):
        system.open({"timeout": 3})
    with system.open() as exchange:
        for nothing in ("x", None, {"identity": SUBJECT}):
            (outcome,) = exchange.query_many([nothing])
            assert isinstance(outcome.error, InputInvalid)
            with pytest.raises(InputInvalid, match="report: give a Report"):
                exchange.report(nothing)
            with pytest.raises(InputInvalid, match="report: give a Report"):
                list(exchange.report_many([nothing]))
        with pytest.raises(InputInvalid, match="account: give an Account"):
            exchange.report(Report(SUBJECT, "1", "open"))  # type: ignore[arg-type]
        with pytest.raises(InputInvalid, match="identity"):
            exchange.query("000000190001010017", Purpose.LOAN_APPROVAL, "c-1")
    assert system.exchange.calls == []

"""The servicing record, as a bank's program meets it: what is taken, what is rejected and where, and who reads it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.examined import examine
from tests.contract.raw_caller import RawCaller
from tests.contract.requests import LIST_EVENTS, RECORD_EVENTS, SUBMIT, WITHDRAW
from tests.contract.system import System

from tallystick.v1 import audit_service_pb2, codes_pb2
from tallystick.v1 import servicing_service_pb2 as pb

INVALID = grpc.StatusCode.INVALID_ARGUMENT
ACCEPTED, REJECTED = 1, 3
MAX_ACCOUNT_EVENTS = 1000
TODAY = datetime.now(UTC).date()


def number(days: int) -> int:
    """The day so many days from today."""
    return int(f"{TODAY + timedelta(days=days):%Y%m%d}")


def reported(system: System, caller: RawCaller | None = None) -> Any:
    """An account of a stranger that the caller, bank-a, reports."""
    report = requests.report(system.mint.stranger())
    assert (caller or system["bank-a"].exchange).call(SUBMIT, requests.submission([report])).message.accepted_count == 1
    return report


def stored(system: System) -> int:
    """How many events there are."""
    ((count,),) = system.exchange.database_view.rows("SELECT count(*) FROM servicing_event")
    return int(count)


def listed(caller: RawCaller, report: Any) -> list[Any]:
    """All events of an account, as one page has them."""
    answer = caller.call(LIST_EVENTS, requests.events_of(report, page_size=1000)).message
    assert answer.next_page_token == ""
    return list(answer.events)


def outcomes(reply: Any) -> list[int]:
    """What became of each event."""
    return [verdict.outcome for verdict in reply.message.verdicts]


def changed(**changes: Any) -> Callable[[Any], Any]:
    """Makes a good event with fields set to something else."""
    return lambda report: requests.event(report, **changes)


def planned(**changes: Any) -> Callable[[Any], Any]:
    """Makes a good event with a plan, of which fields are set to something else."""
    return lambda report: requests.plan_event(report, **changes)


def spoilt(spoil: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Makes a good event and does something to it."""

    def make(report: Any) -> Any:
        event = requests.event(report)
        spoil(event)
        return event

    return make


FAULTY: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "in the future": (changed(date=number(2), next_date=0), "date", "FIELD_OUT_OF_RANGE"),
    "no date": (changed(date=0), "date", "FIELD_REQUIRED"),
    "before 1900": (changed(date=18991231), "date", "FIELD_MALFORMED"),
    "no day": (changed(date=20250230), "date", "FIELD_MALFORMED"),
    "largest number": (changed(date=2**32 - 1), "date", "FIELD_MALFORMED"),
    "next step before it": (changed(next_date=20251102), "next_date", "FIELDS_INCONSISTENT"),
    "next step on no day": (changed(next_date=1), "next_date", "FIELD_MALFORMED"),
    "no type": (changed(type=0), "type", "FIELD_REQUIRED"),
    "unknown type": (changed(type=17), "type", "CODE_UNKNOWN"),
    "negative type": (changed(type=-1), "type", "CODE_UNKNOWN"),
    "unknown channel": (changed(channel=8), "channel", "CODE_UNKNOWN"),
    "unknown outcome": (changed(outcome=2**31 - 1), "outcome", "CODE_UNKNOWN"),
    "no event_id": (changed(event_id=b""), "event_id", "FIELD_REQUIRED"),
    "short event_id": (changed(event_id=b"x" * 15), "event_id", "FIELD_MALFORMED"),
    "short commitment": (changed(text_commitment=b"x" * 31), "text_commitment", "FIELD_MALFORMED"),
    "a text for a commitment": (changed(text_commitment=b"He said: " * 20), "text_commitment", "FIELD_MALFORMED"),
    "no subject": (spoilt(lambda event: event.ClearField("subject")), "subject", "FIELD_REQUIRED"),
    "of another epoch": (
        spoilt(lambda event: setattr(event.subject, "epoch_id", b"e" * 20)),
        "subject.epoch_id",
        "TOKEN_EPOCH_MISMATCH",
    ),
    "no token": (spoilt(lambda event: setattr(event.subject, "element", bytes(32))), "subject.element", "ELEMENT_INVALID"),
    "no account": (
        spoilt(lambda event: event.ClearField("account_reference")),
        "account_reference.secret_id",
        "FIELD_REQUIRED",
    ),
    "another's reference": (
        spoilt(lambda event: event.account_reference.CopyFrom(requests.reference())),
        "account_reference",
        "NOT_FOUND",
    ),
    "a plan offered without one": (changed(type=codes_pb2.SERVICING_EVENT_TYPE_PLAN_OFFERED), "plan", "FIELD_REQUIRED"),
    "a plan agreed without one": (changed(type=codes_pb2.SERVICING_EVENT_TYPE_PLAN_AGREED), "plan", "FIELD_REQUIRED"),
    "a visit with a plan": (spoilt(lambda event: event.plan.CopyFrom(requests.plan())), "plan", "FIELDS_INCONSISTENT"),
    "an empty plan": (spoilt(lambda event: event.plan.SetInParent()), "plan.kind", "FIELD_REQUIRED"),
    "a plan of an unknown kind": (planned(kind=8), "plan.kind", "CODE_UNKNOWN"),
    "a plan of no instalment": (planned(instalments=0), "plan.instalments", "FIELD_OUT_OF_RANGE"),
    "a plan of 601 instalments": (planned(instalments=601), "plan.instalments", "FIELD_OUT_OF_RANGE"),
    "a negative instalment": (planned(instalment_amount=-1), "plan.instalment_amount", "FIELD_OUT_OF_RANGE"),
    "too large an instalment": (planned(instalment_amount=10**15 + 1), "plan.instalment_amount", "FIELD_OUT_OF_RANGE"),
    "a plan that begins before": (planned(first_due_date=20251102), "plan.first_due_date", "FIELDS_INCONSISTENT"),
    "a plan without a day": (planned(first_due_date=0), "plan.first_due_date", "FIELD_REQUIRED"),
    "a plan of sixty years": (planned(months_changed=-601), "plan.months_changed", "FIELD_OUT_OF_RANGE"),
}


@pytest.mark.parametrize(("make", "field", "reason"), FAULTY.values(), ids=FAULTY)
def test_faulty_event_is_rejected_and_its_neighbours_are_taken(
    system: System, make: Callable[[Any], Any], field: str, reason: str
) -> None:
    caller, report = system["bank-a"].exchange, reported(system)
    size, before = system.exchange.database_view.size, stored(system)
    good = [requests.event(report), requests.plan_event(report)]
    reply = caller.call(RECORD_EVENTS, requests.recording([good[0], make(report), good[1]]))
    system.expect_entry(caller, reply, size, refused=False)
    assert outcomes(reply) == [ACCEPTED, REJECTED, ACCEPTED]
    found = [(violation.field, violation.reason) for violation in reply.message.verdicts[1].violations]
    assert (f"events[1].{field}", reason) in found
    assert stored(system) == before + 2
    assert {event.event_id for event in listed(caller, report)} == {event.event_id for event in good}


def test_values_at_their_limits_are_taken(system: System) -> None:
    report = reported(system)
    events = [
        requests.event(report, date=number(0), next_date=number(0)),
        requests.event(report, date=19000101, next_date=21001231, text_commitment=b"c" * 32),
        requests.event(report, channel=0, outcome=0, next_date=0),
        requests.plan_event(report, instalments=600, instalment_amount=10**15, months_changed=-600, first_due_date=20251103),
        requests.plan_event(report, instalments=1, instalment_amount=0, months_changed=600, financial_difficulty=True),
        *(requests.event(report, type=kind) for kind in codes_pb2.ServicingEventType.values() if kind not in (0, 11, 12)),
    ]
    assert outcomes(system["bank-a"].exchange.call(RECORD_EVENTS, requests.recording(events))) == [ACCEPTED] * len(events)


@pytest.mark.parametrize("count", [0, 1001])
def test_batch_of_the_wrong_size(system: System, count: int) -> None:
    event = requests.event(requests.report(system.mint.stranger()))
    reason = "BATCH_TOO_LARGE" if count else "FIELD_REQUIRED"
    system.expect_refusal(system["bank-a"].exchange, RECORD_EVENTS, requests.recording([event] * count), INVALID, reason, "events")


def test_fullest_batch_fits_into_a_request(system: System) -> None:
    report = reported(system)
    events = [requests.plan_event(report, instalment_amount=10**15, months_changed=-600, financial_difficulty=True)] * 1000
    for event in events:
        event.text_commitment = b"c" * 32
    reply = system["bank-a"].exchange.call(RECORD_EVENTS, requests.recording(events))
    # One event a thousand times is one event, and 999 mistakes.
    assert outcomes(reply) == [ACCEPTED] + [REJECTED] * 999
    assert reply.message.verdicts[1].violations[0].field == "events[1].event_id"


def test_only_a_reporter_records_and_lists(system: System) -> None:
    caller, report = system["lender-c"].exchange, reported(system)
    denied = grpc.StatusCode.PERMISSION_DENIED
    system.expect_refusal(caller, RECORD_EVENTS, requests.recording([requests.event(report)]), denied, "ROLE_MISSING")
    system.expect_refusal(caller, LIST_EVENTS, requests.events_of(report), denied, "ROLE_MISSING")


def test_an_account_is_its_own_members_alone(system: System) -> None:
    a, b, report = system["bank-a"].exchange, system["bank-b"].exchange, reported(system)
    events = [requests.event(report)]
    assert outcomes(a.call(RECORD_EVENTS, requests.recording(events))) == [ACCEPTED]
    reply = b.call(RECORD_EVENTS, requests.recording([requests.event(report), *events]))
    assert outcomes(reply) == [REJECTED, REJECTED]
    assert [verdict.violations[0].reason for verdict in reply.message.verdicts] == ["NOT_FOUND", "NOT_FOUND"]
    assert listed(b, report) == []
    # Nor does the same reference of another subject open it, or the same event_id at another member.
    other = requests.report(system.mint.stranger(), of=report.account_reference)
    assert outcomes(a.call(RECORD_EVENTS, requests.recording([requests.event(other)]))) == [REJECTED]
    assert b.call(SUBMIT, requests.submission([report])).message.accepted_count == 1
    assert outcomes(b.call(RECORD_EVENTS, requests.recording(events))) == [ACCEPTED]
    assert len(listed(a, report)) == len(listed(b, report)) == 1


def test_the_answer_to_an_inquiry_holds_nothing_of_it(system: System) -> None:
    report = reported(system)
    query = requests.query(report.subject)

    def told() -> Any:
        history = system["bank-b"].exchange.call(requests.QUERY, query).message.credit_history
        history.ClearField("as_of")
        return history

    before = told()
    assert outcomes(system["bank-a"].exchange.call(RECORD_EVENTS, requests.recording([requests.event(report)]))) == [ACCEPTED]
    assert told() == before


def test_what_is_recorded_stays(system: System) -> None:
    caller, report = system["bank-a"].exchange, reported(system)
    event = requests.plan_event(report)
    assert outcomes(caller.call(RECORD_EVENTS, requests.recording([event]))) == [ACCEPTED]
    (as_listed,) = listed(caller, report)
    for same in (caller.call(RECORD_EVENTS, requests.recording([event])) for _ in range(2)):
        assert outcomes(same) == [ACCEPTED]
    event.plan.instalments += 1
    reply = caller.call(RECORD_EVENTS, requests.recording([requests.event(report), event]))
    assert outcomes(reply) == [ACCEPTED, REJECTED]
    (violation,) = reply.message.verdicts[1].violations
    assert (violation.field, violation.reason) == ("events[1].event_id", "ALREADY_EXISTS")
    assert as_listed in listed(caller, report)
    assert len(listed(caller, report)) == 2


def test_retry_is_answered_as_it_was(system: System) -> None:
    caller, report = system["bank-a"].exchange, requests.report(system.mint.stranger())
    request = requests.recording([requests.event(report)])
    assert outcomes(caller.call(RECORD_EVENTS, request)) == [REJECTED]
    assert caller.call(SUBMIT, requests.submission([report])).ok
    assert outcomes(caller.call(RECORD_EVENTS, request)) == [REJECTED]
    assert listed(caller, report) == []
    other = requests.recording([requests.event(report)])
    other.request_id = request.request_id
    exists = grpc.StatusCode.ALREADY_EXISTS
    system.expect_refusal(caller, RECORD_EVENTS, other, exists, "REQUEST_ID_REUSED")


def test_withdrawn_account_takes_no_events_and_keeps_those_it_has(system: System) -> None:
    caller, report = system["bank-a"].exchange, reported(system)
    assert outcomes(caller.call(RECORD_EVENTS, requests.recording([requests.event(report)]))) == [ACCEPTED]
    withdrawal = requests.withdrawal(report.subject, report.account_reference, datetime.now(UTC) + timedelta(seconds=1))
    assert caller.call(WITHDRAW, withdrawal).message.withdrawn
    reply = caller.call(RECORD_EVENTS, requests.recording([requests.event(report)]))
    assert reply.message.verdicts[0].violations[0].field == "events[0].account_reference"
    assert len(listed(caller, report)) == 1


def test_list_goes_page_by_page_the_last_recorded_first(system: System) -> None:
    caller, report = system["bank-a"].exchange, reported(system)
    batches = [[requests.event(report) for _ in range(count)] for count in (3, 1, 3)]
    for batch in batches:
        assert caller.call(RECORD_EVENTS, requests.recording(batch)).ok
    request, found = requests.events_of(report, page_size=2), []
    while True:
        reply = caller.call(LIST_EVENTS, request)
        found += [event.event_id for event in reply.message.events]
        assert len(reply.message.events) <= 2
        assert not any(event.HasField("subject") or event.HasField("account_reference") for event in reply.message.events)
        request.page_token = reply.message.next_page_token
        if not request.page_token:
            break
    assert found == [event.event_id for batch in batches for event in batch][::-1]


def test_page_token_is_good_for_its_account_and_member_alone(system: System) -> None:
    caller, reports = system["bank-a"].exchange, [reported(system) for _ in range(2)]
    for report in reports:
        assert caller.call(RECORD_EVENTS, requests.recording([requests.event(report) for _ in range(2)])).ok
    token = caller.call(LIST_EVENTS, requests.events_of(reports[0], page_size=1)).message.next_page_token
    assert token
    other = requests.events_of(reports[1], page_size=1, page_token=token)
    system.expect_refusal(caller, LIST_EVENTS, other, INVALID, "PAGE_TOKEN_INVALID", "page_token")
    own = requests.events_of(reports[0], page_size=1, page_token=token)
    system.expect_refusal(system["bank-b"].exchange, LIST_EVENTS, own, INVALID, "PAGE_TOKEN_INVALID", "page_token")


BAD_LISTS: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "no subject": (lambda request: request.ClearField("subject"), "FIELD_REQUIRED", "subject"),
    "no account": (lambda request: request.ClearField("account_reference"), "FIELD_REQUIRED", "account_reference.secret_id"),
    "a page of 1,001": (lambda request: setattr(request, "page_size", 1001), "FIELD_OUT_OF_RANGE", "page_size"),
    "a token of nobody's": (lambda request: setattr(request, "page_token", "AAAA"), "PAGE_TOKEN_INVALID", "page_token"),
    "a long token": (lambda request: setattr(request, "page_token", "A" * 4000), "PAGE_TOKEN_INVALID", "page_token"),
}


@pytest.mark.parametrize(("spoil", "reason", "field"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_bad_list(system: System, spoil: Callable[[Any], Any], reason: str, field: str) -> None:
    request = requests.events_of(requests.report(system.mint.stranger()))
    spoil(request)
    system.expect_refusal(system["bank-a"].exchange, LIST_EVENTS, request, INVALID, reason, field)


def test_account_has_a_thousand_events_at_the_most(system: System, second_worker_caller: RawCaller) -> None:
    caller, report, view = system["bank-a"].exchange, reported(system), system.exchange.database_view
    assert set(outcomes(caller.call(RECORD_EVENTS, requests.recording(requests.event(report) for _ in range(700))))) == {ACCEPTED}

    def record(by: RawCaller) -> list[int]:
        return outcomes(by.call(RECORD_EVENTS, requests.recording(requests.event(report) for _ in range(200))))

    def waiting(count: int) -> bool:
        sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return len(view.rows(sessions)) == count

    with ThreadPoolExecutor(2) as pool:
        with view.head_locked():
            # The first has added its events and waits to commit; the second comes while they cannot be seen.
            one = pool.submit(record, caller)
            requests.wait_until(lambda: waiting(1))
            two = pool.submit(record, second_worker_caller)
            requests.wait_until(lambda: waiting(2))
        assert one.result() == [ACCEPTED] * 200
        assert two.result() == [ACCEPTED] * 100 + [REJECTED] * 100
    events = listed(caller, report)
    assert len(events) == MAX_ACCOUNT_EVENTS
    # What is known already is still accepted, and an account beside it has room.
    again = requests.event(report)
    again.CopyFrom(events[-1])
    again.subject.CopyFrom(report.subject)
    again.account_reference.CopyFrom(report.account_reference)
    reply = caller.call(RECORD_EVENTS, requests.recording([again, requests.event(report), requests.event(reported(system))]))
    assert outcomes(reply) == [ACCEPTED, REJECTED, ACCEPTED]
    (violation,) = reply.message.verdicts[1].violations
    assert (violation.field, violation.reason) == ("events[1].account_reference", "FIELD_OUT_OF_RANGE")


def test_member_and_auditor_see_the_request_in_the_log(system: System) -> None:
    caller, report = system["bank-a"].exchange, reported(system)
    event = requests.event(report)
    reply = caller.call(RECORD_EVENTS, requests.recording([event]))
    index = caller.verified_receipt(reply).index
    for reader in (caller, system["auditor"].exchange):
        entry = reader.call(requests.GET_ENTRY, audit_service_pb2.GetAuditEntryRequest(index=index)).message
        assert pb.RecordServicingEventsRequest.FromString(entry.request).events[0] == event
    other = system["bank-b"].exchange.call(requests.GET_ENTRY, audit_service_pb2.GetAuditEntryRequest(index=index))
    assert not other.ok


def test_erasure_takes_events_and_leaves_those_of_others(system: System) -> None:
    caller, reports = system["bank-a"].exchange, [reported(system) for _ in range(2)]
    assert outcomes(caller.call(RECORD_EVENTS, requests.recording(map(requests.event, reports)))) == [ACCEPTED] * 2
    erase = audit_service_pb2.EraseSubjectRequest(request_id=requests.request_id(), subject=reports[0].subject)
    answer = system.operator.call(requests.ERASE, erase).message
    assert answer.complete
    assert answer.accounts_deleted == 1
    assert [len(listed(caller, report)) for report in reports] == [0, 1]


def test_examination_knows_events_by_their_answer_and_accuses_nobody_of_an_erasure(system: System) -> None:
    caller, view, reports = system["bank-a"].exchange, system.exchange.database_view, [reported(system) for _ in range(3)]
    unknown = requests.report(system.mint.stranger())
    batches = [[reports[0]], [reports[1], unknown], [reports[1], reports[2]]]
    recordings = [requests.recording(map(requests.event, batch)) for batch in batches]
    for recording in recordings:
        assert ACCEPTED in outcomes(caller.call(RECORD_EVENTS, recording))
    erase = audit_service_pb2.EraseSubjectRequest(request_id=requests.request_id(), subject=reports[2].subject)
    assert system.operator.call(requests.ERASE, erase).message.complete

    def found(deleted: bytes) -> list[str]:
        kept = view.rows("SELECT * FROM servicing_event WHERE event_id = %s", (deleted,))
        assert len(kept) == 1
        view.rows("DELETE FROM servicing_event WHERE event_id = %s", (deleted,))
        try:
            return [anomaly.text for anomaly in examine(system.exchange).found if anomaly.table == "servicing_event"]
        finally:
            view.rows("INSERT INTO servicing_event VALUES (%s, %s, %s, %s, %s, %s)", kept[0])

    ids = [recording.events[0].event_id for recording in recordings]
    assert [text[:7] for text in found(ids[0])] == ["MISSING"]
    # Past request_days there is no answer: of one that took all events the entry's digest tells.
    answers = view.rows("SELECT * FROM request WHERE request_id = ANY(%s)", ([each.request_id for each in recordings],))
    for recording in recordings:
        view.rows("DELETE FROM request WHERE request_id = %s", (recording.request_id,))
    try:
        assert [text[:7] for text in found(ids[0])] == ["MISSING"]
        assert found(ids[1]) == found(ids[2]) == []
    finally:
        for row in answers:
            view.rows(f"INSERT INTO request VALUES ({', '.join(['%s'] * len(row))})", row)
    assert [anomaly for anomaly in examine(system.exchange).found if anomaly.table == "servicing_event"] == []

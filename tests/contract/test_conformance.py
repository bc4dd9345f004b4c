"""The exchange in memory has the contract of the real one: the same requests, good and faulty, are answered alike by both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract import requests
from tests.contract.conformance import MemoryTwin, RealTwin, Told, Twin
from tests.contract.requests import (
    BATCH_QUERY,
    CREATE_MEMBER,
    EVALUATE,
    GET_ENTRY,
    GET_SUBMISSION,
    LIST_ENTRIES,
    LIST_EVENTS,
    LIST_SUBMISSIONS,
    QUERY,
    RECORD_EVENTS,
    SUBMIT,
    WITHDRAW,
    account,
    inquiry,
    month,
    months_back,
    recording,
    report,
    request_id,
    submission,
)
from tests.contract.system import INQUIRER, REPORTER, System

from tallystick.contract.reasons import BY_NAME, Logged
from tallystick.credit.enums import Disposition, Purpose
from tallystick.crypto import blind
from tallystick.testing import InMemoryExchange
from tallystick.v1 import audit_service_pb2 as audit
from tallystick.v1 import membership_service_pb2 as membership
from tallystick.v1 import reporting_service_pb2 as reporting
from tallystick.v1 import servicing_service_pb2 as servicing
from tallystick.v1 import subject_token_service_pb2 as tokens

OVERDUE_1 = Disposition.OVERDUE_1
COUNT = "AuditService/CountAuditEntries"
CHECKPOINT = "AuditService/GetCheckpoint"
INCLUSION = "AuditService/GetInclusionProof"
_serial = count(700_000, 10)
_members = count()

Case = Callable[[Twin, int], Iterator[Told]]
"""Makes its calls at one of the two; the number is of a subject that nobody else asks about."""
CASES: dict[str, Case] = {}


@pytest.fixture
def twins(system: System) -> tuple[Twin, Twin]:
    """A new member at both: of what is told sparingly, neither has been told anything."""
    member_id = f"twin-{next(_members):02d}"
    system.admit(member_id, [REPORTER, INQUIRER], (1, 2, 3))
    memory = InMemoryExchange(member_id=member_id, purposes=[Purpose(number) for number in (1, 2, 3)])
    return RealTwin(system, member_id), MemoryTwin(memory)


def case(make: Case) -> Case:
    CASES[make.__name__] = make
    return make


def of(twin: Twin, serial: int) -> Any:
    return twin.mint.token(requests.resident(serial))


@case
def an_account_is_reported_changed_told_and_withdrawn(twin: Twin, serial: int) -> Iterator[Told]:
    subject, reference = of(twin, serial), requests.reference(serial)
    late = [
        month(each, 1 if n % 3 == 1 else 8, **({"days_past_due": 12} if n % 3 == 1 else {}))
        for n, each in enumerate(months_back(9))
    ]
    older = requests.now() - timedelta(days=3)
    first = submission([report(subject, account(as_of=older, months=late), reference)])
    yield twin.call(SUBMIT, first)
    yield twin.call(SUBMIT, first)
    yield twin.call(SUBMIT, submission([report(subject, account(as_of=older - timedelta(days=1), balance=1), reference)]))
    yield twin.call(SUBMIT, submission([report(subject, account(as_of=older + timedelta(days=1), status=4, balance=0), reference)]))
    others = [report(subject, account(as_of=requests.now())) for _ in range(2)]
    yield twin.call(SUBMIT, submission(others))
    yield twin.call(QUERY, requests.query(subject))
    yield twin.call(GET_SUBMISSION, reporting.GetSubmissionRequest(submission_request_id=first.request_id))
    gone = requests.withdrawal(subject, reference, requests.now())
    yield twin.call(WITHDRAW, gone)
    yield twin.call(WITHDRAW, gone)
    yield twin.call(WITHDRAW, requests.withdrawal(subject, reference, requests.now()))
    yield twin.call(WITHDRAW, requests.withdrawal(subject, requests.reference(), requests.now()))
    yield twin.call(SUBMIT, submission([report(subject, account(as_of=older), reference)]))
    yield twin.call(QUERY, requests.query(subject))


@case
def reports_that_are_wrong_are_rejected_one_by_one(twin: Twin, serial: int) -> Iterator[Told]:
    subject, twice = of(twin, serial), requests.reference(serial)
    yield twin.call(
        SUBMIT,
        submission(
            [
                report(subject, account(currency="XXX", status=99)),
                report(subject, account(as_of=requests.now() + timedelta(days=2))),
                report(subject, account(months=[month(requests.next_month()), month(20250115), month(20240101, 99)])),
                report(subject, account(opened_date=20990101, closed_date=20200101)),
                report(subject, account(), twice),
                report(subject, account(), twice),
                report(type(subject)(element=b"\xff" * 32, epoch_id=subject.epoch_id)),
                report(type(subject)(element=subject.element, epoch_id=b"\x01" * 20)),
                report(subject, account(balance=-1)),
                reporting.AccountReport(),
            ]
        ),
    )


@case
def batches_are_bounded(twin: Twin, serial: int) -> Iterator[Told]:
    subject = of(twin, serial)
    yield twin.call(SUBMIT, submission([]))
    yield twin.call(SUBMIT, submission([report(subject)] * 1001))
    yield twin.call(BATCH_QUERY, requests.batch_query([]))
    yield twin.call(BATCH_QUERY, requests.batch_query([inquiry(subject)] * 201))
    yield twin.call(BATCH_QUERY, requests.batch_query([inquiry(subject), inquiry(subject), inquiry(subject, 99, "")]))
    yield twin.call(SUBMIT, submission([report(subject) for _ in range(52)]))
    yield twin.call(QUERY, b"\x0a\xff\x7f" + bytes(17_000))
    yield twin.call(BATCH_QUERY, bytes(300_000))


@case
def a_rating_is_told_on_request(twin: Twin, serial: int) -> Iterator[Told]:
    subject = of(twin, serial)
    yield twin.call(QUERY, requests.rated_query(subject))
    late = [month(each, 2 if n == 2 else 10, billed_amount=9_000, paid_amount=0) for n, each in enumerate(months_back(9))]
    disputed = account(months=late, credit_limit=9_500)
    disputed.annotations.append(1)
    yield twin.call(SUBMIT, submission([report(subject, disputed)]))
    yield twin.call(QUERY, requests.rated_query(subject))
    yield twin.call(BATCH_QUERY, requests.batch_query([requests.rated_query(subject).inquiry, inquiry(of(twin, serial + 1))]))
    for sections, purpose in (([2], 2), ([1, 1], 2), ([1], 19)):
        asked = requests.query(subject, purpose)
        asked.inquiry.sections.extend(sections)
        yield twin.call(QUERY, asked)


@case
def inquiries_need_a_purpose_and_a_consent(twin: Twin, serial: int) -> Iterator[Told]:
    subject = of(twin, serial)
    for purpose, consent in (
        (2, ""),
        (2, "two words"),
        (2, "c" * 65),
        (2, "\u540c\u610f"),
        (0, "c"),
        (99, "c"),
        (4, "c"),
        (22, "c"),
    ):
        yield twin.call(QUERY, requests.query(subject, purpose, consent))
    yield twin.call(QUERY, requests.query(type(subject)(element=subject.element, epoch_id=b"\x01" * 20)))
    yield twin.call(QUERY, requests.query(type(subject)()))
    yield twin.call(BATCH_QUERY, requests.batch_query([inquiry(subject), inquiry(of(twin, serial + 1), 4)]))
    yield twin.call(BATCH_QUERY, requests.batch_query([inquiry(subject), inquiry(of(twin, serial + 1), 1, "c-2")]))


@case
def a_request_id_stands_for_one_request(twin: Twin, serial: int) -> Iterator[Told]:
    first = requests.query(of(twin, serial))
    yield twin.call(QUERY, first)
    yield twin.call(QUERY, first)
    again = requests.query(of(twin, serial + 1))
    again.request_id = first.request_id
    yield twin.call(QUERY, again)
    reused = submission([report(of(twin, serial))])
    reused.request_id = first.request_id
    yield twin.call(SUBMIT, reused)
    for wrong in (b"", b"short"):
        again.request_id = wrong
        yield twin.call(QUERY, again)
    refused = requests.query(of(twin, serial), 4)
    yield twin.call(QUERY, refused)
    mended = requests.query(of(twin, serial), 2)
    mended.request_id = refused.request_id
    yield twin.call(QUERY, mended)


@case
def messages_are_what_they_say(twin: Twin, serial: int) -> Iterator[Told]:
    good = requests.query(of(twin, serial)).SerializeToString()
    yield twin.call(QUERY, b"\xff\xff")
    yield twin.call(QUERY, good + b"\xf8\x07\x01")
    yield twin.call(QUERY, good * 20)
    yield twin.call(QUERY, b"")


@case
def who_signs_is_who_asks(twin: Twin, serial: int) -> Iterator[Told]:
    query = requests.query(of(twin, serial))
    yield twin.call(QUERY, query, age=61 + 60)
    yield twin.call(QUERY, query, age=-60)
    yield twin.call(QUERY, query, audience="elsewhere.test/log")
    yield twin.call(QUERY, query, key=Ed25519PrivateKey.generate())
    yield twin.call(QUERY, query, signs=b"another")
    nonce = request_id()
    yield twin.call(QUERY, query, nonce=nonce)
    yield twin.call(QUERY, query, nonce=nonce)
    yield twin.call(QUERY, query, nonce=nonce)
    yield twin.send(QUERY, query.SerializeToString(), ())


@case
def roles_bound_what_may_be_asked(twin: Twin, serial: int) -> Iterator[Told]:
    yield twin.call(COUNT, audit.CountAuditEntriesRequest())
    yield twin.call(CREATE_MEMBER, membership.CreateMemberRequest())
    yield twin.call(LIST_ENTRIES, audit.ListAuditEntriesRequest(consent_reference="c"))
    yield twin.call(LIST_ENTRIES, audit.ListAuditEntriesRequest(subject=of(twin, serial)))


@case
def events_are_recorded_and_listed(twin: Twin, serial: int) -> Iterator[Told]:
    mine = report(of(twin, serial), None, requests.reference(serial))
    other = report(of(twin, serial + 1), None, mine.account_reference)
    events = [requests.event(mine, event_id=bytes([n]) * 16, next_date=20260203 + n) for n in range(5)]
    plan = requests.plan_event(mine)
    plan.event_id = b"p" * 16
    yield twin.call(RECORD_EVENTS, recording(events[:1]))
    yield twin.call(SUBMIT, submission([mine]))
    first = recording([*events, plan, requests.event(other), requests.event(mine, date=20991231), events[0]])
    yield twin.call(RECORD_EVENTS, first)
    yield twin.call(RECORD_EVENTS, first)
    changed = requests.event(mine, event_id=events[1].event_id, outcome=4)
    yield twin.call(RECORD_EVENTS, recording([events[0], changed, requests.event(mine, type=99), requests.event(mine, type=11)]))
    yield twin.call(RECORD_EVENTS, recording([]))
    yield twin.call(LIST_EVENTS, requests.events_of(mine))
    yield twin.call(LIST_EVENTS, requests.events_of(mine, page_size=4))
    yield twin.call(LIST_EVENTS, requests.events_of(mine, page_size=6))
    yield twin.call(LIST_EVENTS, requests.events_of(mine, page_size=1001))
    yield twin.call(LIST_EVENTS, requests.events_of(mine, page_token="QUJD"))
    yield twin.call(LIST_EVENTS, requests.events_of(other))
    yield twin.call(LIST_EVENTS, servicing.ListServicingEventsRequest())
    full = recording(requests.event(mine) for _ in range(1000))
    yield twin.call(RECORD_EVENTS, full)
    yield twin.call(WITHDRAW, requests.withdrawal(mine.subject, mine.account_reference, requests.now() + timedelta(seconds=5)))
    yield twin.call(RECORD_EVENTS, recording(events[:2]))


@case
def lists_are_asked_for_in_form(twin: Twin, serial: int) -> Iterator[Told]:
    yield twin.call(LIST_ENTRIES, audit.ListAuditEntriesRequest(page_size=1001, member_id="X", consent_reference="c" * 65))
    yield twin.call(LIST_ENTRIES, audit.ListAuditEntriesRequest(purpose=requests.LOAN_APPROVAL))
    yield twin.call(LIST_ENTRIES, audit.ListAuditEntriesRequest(member_id="nobody-of-this-name"))
    yield twin.call(LIST_ENTRIES, audit.ListAuditEntriesRequest(page_token="QUJD"))
    yield twin.call(GET_ENTRY, audit.GetAuditEntryRequest(index=2**40))
    yield twin.call(LIST_SUBMISSIONS, reporting.ListSubmissionsRequest())
    yield twin.call(LIST_SUBMISSIONS, reporting.ListSubmissionsRequest(page_size=5000))
    yield twin.call(LIST_SUBMISSIONS, reporting.ListSubmissionsRequest(page_token="QUJD"))
    yield twin.call(GET_SUBMISSION, reporting.GetSubmissionRequest(submission_request_id=b"short"))
    yield twin.call(GET_SUBMISSION, reporting.GetSubmissionRequest(submission_request_id=request_id()))
    yield twin.send(INCLUSION, audit.GetInclusionProofRequest(index=9, tree_size=2**40).SerializeToString(), ())
    yield twin.send(INCLUSION, audit.GetInclusionProofRequest(index=3, tree_size=1).SerializeToString(), ())


@pytest.mark.parametrize("name", CASES)
def test_both_answer_alike(name: str, twins: tuple[Twin, Twin], monkeypatch: pytest.MonkeyPatch) -> None:
    serial, fixed = next(_serial), requests.now()
    monkeypatch.setattr(requests, "now", lambda: fixed)
    told = [list(CASES[name](twin, serial)) for twin in twins]
    for number, (real, memory) in enumerate(zip(*told, strict=True)):
        assert memory == real, f"call {number}"
    assert any(each.code == "OK" or each.reason for each in told[0])


def tokens_are_evaluated(twin: Twin) -> Iterator[Told]:
    epoch_id = twin.mint.epoch_id
    good = [blind(requests.resident(n).canonical_bytes()).element for n in range(3)]

    def evaluate(elements: list[bytes], epoch: bytes = epoch_id) -> Told:
        asked = tokens.EvaluateTokensRequest(request_id=request_id(), epoch_id=epoch, blinded_elements=elements)
        return twin.call(EVALUATE, asked)

    yield evaluate(good)
    yield evaluate([])
    yield evaluate(good, b"\x01" * 20)
    yield evaluate([good[0], b"\xff" * 32, b"short", bytes(32)])
    yield evaluate([b""] * 40)
    yield evaluate(good[:1] * 1001)


def test_both_authorities_evaluate_alike(system: System) -> None:
    member_id = f"twin-{next(_members):02d}"
    system.admit(member_id, [INQUIRER], (1,))
    memory = MemoryTwin(InMemoryExchange(member_id=member_id), authority=True)
    told = [list(tokens_are_evaluated(twin)) for twin in (RealTwin(system, member_id, authority=True), memory)]
    assert told[0] == told[1]
    assert [each.reason for each in told[0]] == [
        "",
        "FIELD_REQUIRED",
        "TOKEN_EPOCH_MISMATCH",
        "ELEMENT_INVALID",
        "ELEMENT_INVALID",
        "BATCH_TOO_LARGE",
    ]


def test_what_is_compared_is_what_was_told(twins: tuple[Twin, Twin]) -> None:
    real, memory = twins
    told = [twin.call(QUERY, requests.query(of(twin, 1), 2, "")) for twin in twins]
    assert told[0] == told[1]
    assert told[0].reason == "FIELD_REQUIRED"
    assert (told[0].violations[0][:2], told[0].receipt) == (("inquiry.consent_reference", "FIELD_REQUIRED"), True)
    assert real.call(QUERY, requests.query(of(real, 1))) != memory.call(QUERY, requests.query(of(memory, 1), 4))


def test_the_reasons_that_a_caller_can_bring_about_are_covered(twins: tuple[Twin, Twin]) -> None:
    _, memory = twins
    seen = {told.reason for make in CASES.values() for told in make(memory, next(_serial))} - {""}
    by_the_operator = {"KEY_REVOKED", "MEMBER_SUSPENDED", "CERTIFICATE_MISMATCH", "RECIPROCITY_REQUIRED", "STATE_CONFLICT"}
    quotas = {"EVALUATION_QUOTA_EXCEEDED", "QUOTA_EXCEEDED", "ANSWER_TOO_LARGE", "ALREADY_EXISTS"}
    # The exchange in memory does not serve monitoring.
    not_there = {"CURSOR_INVALID"}
    of_the_server = {name for name, each in BY_NAME.items() if each.retry or each.logged is Logged.IF_POSSIBLE}
    assert set(BY_NAME) - seen <= by_the_operator | quotas | not_there | of_the_server | {"ELEMENT_INVALID", "TOKEN_EPOCH_MISMATCH"}

"""Bad requests: each is refused with its canonical code, its reason and its field, changes nothing, and is logged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.raw_caller import Reply
from tests.contract.requests import BATCH_QUERY, EVALUATE, QUERY, SUBMIT, WITHDRAW
from tests.contract.system import System

from tallystick.client import EntryFilter, Exchange, Identity, IdentityInvalid, Inquiry, Purpose, Report, ReportOutcome
from tallystick.credit.enums import AccountType, SubjectKind
from tallystick.credit.history import Account
from tallystick.v1 import audit_service_pb2, codes_pb2, subject_pb2
from tallystick.v1 import membership_service_pb2 as membership
from tallystick.v1 import reporting_service_pb2 as reporting
from tallystick.v1 import subject_token_service_pb2 as tokens

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED


def refused_query(
    system: System, request: Any, reason: str, *fields: str, code: grpc.StatusCode = INVALID, by: str = "bank-a"
) -> Reply:
    caller = system[by].exchange
    return system.expect_refusal(caller, QUERY, request, code, reason, *fields)


# --- Before anything leaves the member ------------------------------------------------------------------------------------------


def test_wrong_check_digit_stops_at_the_member(system: System, sdk: Callable[[str], Exchange]) -> None:
    number = requests.resident_number(1)
    wrong = Identity.resident_id(number[:-1] + ("0" if number[-1] != "0" else "1"))
    sizes = system.exchange.database_view.size, system.authority.database_view.size
    bank = sdk("bank-a")

    with pytest.raises(IdentityInvalid) as caught:
        bank.query(wrong, Purpose.LOAN_APPROVAL, "consent-1")
    assert (caught.value.field, caught.value.reason) == ("number", "FIELD_MALFORMED")
    account = Account(
        as_of=datetime.now(UTC),
        account_type=AccountType.R2,
        status=1,
        currency="CNY",
        opened_date=date(2020, 1, 1),
        subject_kind=SubjectKind.PERSON,
    )
    result = bank.report(Report(wrong, "account-1", account))
    assert result.outcome is ReportOutcome.REJECTED
    assert [(each.field, each.reason) for each in result.violations] == [("identity.number", "FIELD_MALFORMED")]
    (outcome,) = bank.query_many([Inquiry(wrong, Purpose.LOAN_APPROVAL, "consent-1")])
    assert isinstance(outcome.error, IdentityInvalid)

    assert (system.exchange.database_view.size, system.authority.database_view.size) == sizes


# --- Queries --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", [4, 92, 2**31 - 1, -1, -(2**31)])
def test_unknown_purpose(system: System, purpose: int) -> None:
    refused_query(system, requests.query(system.mint.stranger(), purpose), "CODE_UNKNOWN", "inquiry.purpose")


def test_no_purpose(system: System) -> None:
    refused_query(system, requests.query(system.mint.stranger(), 0), "FIELD_REQUIRED", "inquiry.purpose")


def test_purpose_that_is_not_allowed_to_the_member(system: System) -> None:
    request = requests.query(system.mint.stranger(), codes_pb2.PURPOSE_POST_LOAN_MANAGEMENT)
    refused_query(system, request, "PURPOSE_NOT_ALLOWED", "inquiry.purpose", code=DENIED, by="lender-c")


@pytest.mark.parametrize("places", [[0], [2], [0, 2]])
def test_each_purpose_that_is_not_allowed_in_a_batch_is_named(system: System, places: list[int]) -> None:
    inquiries = [requests.inquiry(system.mint.stranger(), 1 if place in places else 2) for place in range(max(places) + 1)]
    fields = [f"inquiries[{place}].purpose" for place in places]
    request = requests.batch_query(inquiries)
    system.expect_refusal(system["lender-c"].exchange, BATCH_QUERY, request, DENIED, "PURPOSE_NOT_ALLOWED", *fields)


def test_missing_consent(system: System) -> None:
    request = requests.query(system.mint.stranger(), consent="")
    refused_query(system, request, "FIELD_REQUIRED", "inquiry.consent_reference")


@pytest.mark.parametrize(
    "consent", ["\x00", "consent\x00-1", "two words", "line\nfeed", "\x7f", "同意书", "\u202egpj", "x" * 65, "x" * 15_000]
)
def test_consent_that_is_no_reference(system: System, consent: str) -> None:
    request = requests.query(system.mint.stranger(), consent=consent)
    refused_query(system, request, "FIELD_MALFORMED", "inquiry.consent_reference")


def test_no_inquiry_at_all(system: System) -> None:
    request = requests.query(system.mint.stranger())
    request.ClearField("inquiry")
    refused_query(system, request, "FIELD_REQUIRED", "inquiry.subject", "inquiry.purpose", "inquiry.consent_reference")


def test_one_faulty_inquiry_refuses_its_batch_and_leaves_no_footprint(system: System) -> None:
    caller, subject = system["bank-a"].exchange, system.mint.stranger()
    request = requests.batch_query([requests.inquiry(subject), requests.inquiry(subject, consent="")])
    system.expect_refusal(caller, BATCH_QUERY, request, INVALID, "FIELD_REQUIRED", "inquiries[1].consent_reference")
    reply = system["bank-b"].exchange.call(QUERY, requests.query(subject))
    assert reply.message.credit_history.inquiry_summary.count_1_month == 0


def test_a_refusal_names_no_more_fields_than_metadata_can_hold(system: System) -> None:
    caller = system["bank-a"].exchange
    request = requests.batch_query(requests.inquiry(system.mint.stranger(), 0, "") for _ in range(200))
    reply = system.expect_refusal(caller, BATCH_QUERY, request, INVALID, "FIELD_REQUIRED", "inquiries[0].purpose")
    assert len(reply.violations) == 32


@pytest.mark.parametrize("length", [0, 1, 15, 17, 4096])
def test_request_id_that_is_no_uuid(system: System, length: int) -> None:
    request = requests.query(system.mint.stranger())
    request.request_id = bytes(length)
    refused_query(system, request, "FIELD_MALFORMED" if length else "FIELD_REQUIRED", "request_id")


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\xff\xff\xff\x7f", b"\x12\x05\x1a\x03\xff\xfe\xfd", bytes(range(64, 128))])
def test_bytes_that_are_no_message(system: System, data: bytes) -> None:
    caller = system["bank-a"].exchange
    system.expect_refusal(caller, QUERY, data, INVALID, "MESSAGE_MALFORMED")


# --- Tokens ---------------------------------------------------------------------------------------------------------------------

NO_ELEMENTS = {
    "the identity": bytes(32),
    "no field element": b"\xff" * 32,
    "negative": b"\x01" + bytes(31),
    "highest bit set": bytes(31) + b"\x80",
    "no point": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
}


@pytest.mark.parametrize("element", NO_ELEMENTS.values(), ids=NO_ELEMENTS)
def test_token_that_is_no_group_element(system: System, element: bytes) -> None:
    subject = subject_pb2.SubjectToken(element=element, epoch_id=system.mint.epoch_id)
    refused_query(system, requests.query(subject), "ELEMENT_INVALID", "inquiry.subject.element")
    reporter = system["bank-a"].exchange
    request = requests.withdrawal(subject, requests.reference(), datetime.now(UTC))
    system.expect_refusal(reporter, WITHDRAW, request, INVALID, "ELEMENT_INVALID", "subject.element")
    verdict = reporter.call(SUBMIT, requests.submission([requests.report(subject)])).message.verdicts[0]
    assert verdict.outcome == reporting.REPORT_OUTCOME_REJECTED
    assert [(v.field, v.reason) for v in verdict.violations] == [("reports[0].subject.element", "ELEMENT_INVALID")]


@pytest.mark.parametrize("length", [0, 31, 33, 1000])
def test_token_of_another_length(system: System, length: int) -> None:
    reason = "FIELD_MALFORMED" if length else "FIELD_REQUIRED"
    good = system.mint.stranger()
    wrong = subject_pb2.SubjectToken(element=bytes(length), epoch_id=good.epoch_id)
    refused_query(system, requests.query(wrong), reason, "inquiry.subject.element")
    wrong = subject_pb2.SubjectToken(element=good.element, epoch_id=bytes(length))
    refused_query(system, requests.query(wrong), reason, "inquiry.subject.epoch_id")


def test_token_of_another_key_epoch(system: System) -> None:
    precondition = grpc.StatusCode.FAILED_PRECONDITION
    good = system.mint.stranger()
    other = subject_pb2.SubjectToken(element=good.element, epoch_id=b"\x00\x00\x00\x02" + good.epoch_id[4:])
    refused_query(system, requests.query(other), "TOKEN_EPOCH_MISMATCH", "inquiry.subject.epoch_id", code=precondition)
    caller = system["bank-a"].exchange
    withdrawal = requests.withdrawal(other, requests.reference(), datetime.now(UTC))
    system.expect_refusal(caller, WITHDRAW, withdrawal, precondition, "TOKEN_EPOCH_MISMATCH", "subject.epoch_id")
    verdicts = caller.call(SUBMIT, requests.submission([requests.report(good), requests.report(other)])).message.verdicts
    assert [each.outcome for each in verdicts] == [reporting.REPORT_OUTCOME_ACCEPTED, reporting.REPORT_OUTCOME_REJECTED]
    assert [(v.field, v.reason) for v in verdicts[1].violations] == [("reports[1].subject.epoch_id", "TOKEN_EPOCH_MISMATCH")]


def test_blinded_elements_that_are_none(system: System) -> None:
    caller = system["bank-a"].authority
    good = system.mint.stranger().element
    request = tokens.EvaluateTokensRequest(request_id=requests.request_id(), epoch_id=system.mint.epoch_id)
    request.blinded_elements.extend([good, *NO_ELEMENTS.values()])
    wrong = [f"blinded_elements[{i}]" for i in range(1, len(NO_ELEMENTS) + 1)]
    system.expect_refusal(caller, EVALUATE, request, INVALID, "ELEMENT_INVALID", *wrong)
    request.epoch_id = b"\x00\x00\x00\x02" + request.epoch_id[4:]
    system.expect_refusal(caller, EVALUATE, request, grpc.StatusCode.FAILED_PRECONDITION, "TOKEN_EPOCH_MISMATCH", "epoch_id")


def test_more_blinded_elements_than_a_batch_holds(system: System) -> None:
    caller = system["bank-a"].authority
    request = tokens.EvaluateTokensRequest(request_id=requests.request_id(), epoch_id=system.mint.epoch_id)
    request.blinded_elements.extend([system.mint.stranger().element] * 1001)
    system.expect_refusal(caller, EVALUATE, request, INVALID, "BATCH_TOO_LARGE", "blinded_elements")


# --- Roles and page tokens ------------------------------------------------------------------------------------------------------


def forbidden(system: System) -> dict[str, tuple[str, Any]]:
    """For some member a request that its roles do not allow."""
    member = membership.Member(member_id="intruder", display_name="x", state=membership.MEMBER_STATE_ACTIVE)
    subject = system.mint.stranger()
    return {
        "lender-c": (SUBMIT, requests.submission([requests.report(subject)])),
        "reporter-d": (QUERY, requests.query(subject)),
        "auditor": (BATCH_QUERY, requests.batch_query([requests.inquiry(subject)])),
        "bank-a": (requests.CREATE_MEMBER, membership.CreateMemberRequest(request_id=requests.request_id(), member=member)),
        "bank-b": (requests.ERASE, audit_service_pb2.EraseSubjectRequest(request_id=requests.request_id(), subject=subject)),
    }


@pytest.mark.parametrize("member", ["lender-c", "reporter-d", "auditor", "bank-a", "bank-b"])
def test_role_that_does_not_allow_it(system: System, member: str) -> None:
    caller = system[member].exchange
    method, request = forbidden(system)[member]
    system.expect_refusal(caller, method, request, DENIED, "ROLE_MISSING")


def test_list_by_subject_is_for_auditors(system: System) -> None:
    caller = system["bank-a"].exchange
    request = audit_service_pb2.ListAuditEntriesRequest(subject=system.mint.stranger())
    system.expect_refusal(caller, requests.LIST_ENTRIES, request, DENIED, "ROLE_MISSING")


def test_a_fault_is_not_told_to_who_lacks_the_role(system: System) -> None:
    caller = system["reporter-d"].exchange
    reply = system.expect_refusal(caller, QUERY, requests.query(system.mint.stranger(), 0), DENIED, "ROLE_MISSING")
    assert reply.violations == ()


def test_forged_page_tokens(system: System) -> None:
    bank, other = system["bank-a"].exchange, system["bank-b"].exchange
    for caller in (bank, other):
        for _ in range(2):
            assert caller.call(SUBMIT, requests.submission([requests.report(system.mint.stranger())])).ok
    page = bank.call(requests.LIST_SUBMISSIONS, reporting.ListSubmissionsRequest(page_size=1)).message
    good = page.next_page_token
    following = bank.call(requests.LIST_SUBMISSIONS, reporting.ListSubmissionsRequest(page_size=1, page_token=good)).message
    assert following.submissions[0].entry_index < page.submissions[0].entry_index

    flipped = ("A" if good[0] != "A" else "B") + good[1:]
    for token in (flipped, good[:-4], good + "AAAA", "A" * 32, "no base64 \x00", "x" * 10_000):
        request = reporting.ListSubmissionsRequest(page_size=1, page_token=token)
        system.expect_refusal(bank, requests.LIST_SUBMISSIONS, request, INVALID, "PAGE_TOKEN_INVALID", "page_token")
    stolen = reporting.ListSubmissionsRequest(page_size=1, page_token=good)
    system.expect_refusal(other, requests.LIST_SUBMISSIONS, stolen, INVALID, "PAGE_TOKEN_INVALID", "page_token")
    elsewhere = audit_service_pb2.ListAuditEntriesRequest(page_size=1, page_token=good)
    system.expect_refusal(bank, requests.LIST_ENTRIES, elsewhere, INVALID, "PAGE_TOKEN_INVALID", "page_token")


# --- request_id -----------------------------------------------------------------------------------------------------------------


def test_request_id_with_other_content(system: System) -> None:
    caller, subject = system["bank-a"].exchange, system.mint.stranger()
    request = requests.submission([requests.report(subject)])
    assert caller.call(SUBMIT, request).ok
    other = requests.submission([requests.report(subject)])
    other.request_id = request.request_id
    exists = grpc.StatusCode.ALREADY_EXISTS
    system.expect_refusal(caller, SUBMIT, other, exists, "REQUEST_ID_REUSED", "request_id")
    query = requests.query(subject)
    query.request_id = request.request_id
    system.expect_refusal(caller, QUERY, query, exists, "REQUEST_ID_REUSED", "request_id")


def test_request_id_with_the_same_content_has_one_effect(system: System, second_worker: str) -> None:
    caller, subject = system["bank-a"].exchange, system.mint.stranger()
    elsewhere = caller.at(second_worker)
    state = requests.account(as_of=datetime.now(UTC) - timedelta(minutes=1))
    request = requests.submission([requests.report(subject, state), requests.report(subject, requests.account(status=77))])
    first = caller.call(SUBMIT, request)
    before, size = system.exchange.database_view.state(), system.exchange.database_view.size
    for retrying in (caller, elsewhere):
        again = retrying.call(SUBMIT, request)
        assert again.answer == first.answer
        retrying.verified_receipt(again)
    elsewhere.close()
    assert system.exchange.database_view.state() == before
    assert system.exchange.database_view.size == size + 2


def test_repeated_query_leaves_one_footprint(system: System) -> None:
    caller, subject = system["bank-a"].exchange, system.mint.stranger()
    request = requests.query(subject)
    replies = [caller.call(QUERY, request) for _ in range(3)]
    histories = [reply.message.credit_history for reply in replies]
    assert len({reply.logged.index for reply in replies}) == 3
    for history in histories:
        history.ClearField("as_of")
    assert histories == histories[:1] * 3
    seen = system["bank-b"].exchange.call(QUERY, requests.query(subject)).message.credit_history.inquiry_summary
    assert (seen.count_1_month, len(seen.inquiries)) == (1, 1)


def test_request_ids_are_each_member_s_own(system: System) -> None:
    subject = system.mint.stranger()
    request = requests.submission([requests.report(subject)])
    for member in ("bank-a", "bank-b"):
        assert system[member].exchange.call(SUBMIT, request).message.accepted_count == 1
    assert system.exchange.database_view.claims(request.request_id) == 2


def test_a_retried_evaluation_is_metered_once(system: System) -> None:
    caller = system["bank-a"].authority
    request = tokens.EvaluateTokensRequest(request_id=requests.request_id(), epoch_id=system.mint.epoch_id)
    request.blinded_elements.extend(system.mint.stranger().element for _ in range(3))

    def metered() -> int:
        return sum(count for (count,) in system.authority.database_view.rows("SELECT evaluations FROM token_meter"))

    before = metered()
    answers = [caller.call(EVALUATE, request).message for _ in range(2)]
    assert answers[0].evaluated_elements == answers[1].evaluated_elements
    assert metered() == before + 3


# --- What is logged, opens --------------------------------------------------------------------------------------------------------


def test_every_refusal_opens_for_the_auditor(system: System, sdk: Callable[[str], Exchange]) -> None:
    reply = system["bank-a"].exchange.call(QUERY, requests.query(system.mint.stranger(), -1, "NUL \x00"))
    assert reply.reason == "CODE_UNKNOWN"
    auditor = sdk("auditor")
    refused = list(auditor.audit_list(EntryFilter(refused=True)))
    assert reply.logged.index in {entry.index for entry in refused}
    for entry in refused:
        opened = auditor.audit_show(entry.index)
        assert opened.disclosed
        # An erasure's evidence keeps no envelope: its signature and digests would confirm a guess of whom it named.
        assert opened.reason or opened.entry.method.endswith("EraseSubject")

"""Quotas: what a member may send in a minute or a day, counted over all workers; and reporting as the price of querying."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.requests import BATCH_QUERY, LIST_SUBMISSIONS, QUERY, SUBMIT, UPDATE_MEMBER
from tests.contract.system import System

from tallystick.contract.quota_texts import format_quota, parse_quota
from tallystick.v1 import codes_pb2
from tallystick.v1 import membership_service_pb2 as membership
from tallystick.v1 import reporting_service_pb2 as reporting

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
LOAN, CARD = codes_pb2.PURPOSE_LOAN_APPROVAL, codes_pb2.PURPOSE_CREDIT_CARD_APPROVAL


@contextmanager
def quotas(system: System, *texts: str, member_id: str = "bank-b", also: Sequence[str] = ()) -> Iterator[RawCaller]:
    """A member with these quotas, of which its server knows (and those at the addresses `also`), and which begin anew."""

    def give(given: list[membership.Quota]) -> None:
        listed = system.operator.call(requests.LIST_MEMBERS, membership.ListMembersRequest(page_size=1000)).message.members
        member = next(each for each in listed if each.member_id == member_id)
        del member.quotas[:]
        member.quotas.extend(given)
        request = membership.UpdateMemberRequest(request_id=requests.request_id(), member=member)
        assert list(system.operator.call(UPDATE_MEMBER, request).message.member.quotas) == given

    caller, given = system[member_id].exchange, [parse_quota(text) for text in texts]
    # What the tests before sent must not count: it is settled by the time when the server knows of the first list, and forgotten by
    # the time when it knows of the second.
    give([*given, parse_quota("ListSubmissions:calls=1/day")])
    others = [caller.at(address) for address in also]
    for each in (caller, *others):
        wait_until_limited(each, limited=True)
    system.exchange.database_view.rows("DELETE FROM member_usage")
    give(given)
    for each in (caller, *others):
        wait_until_limited(each, limited=False)
    try:
        yield caller
    finally:
        for each in others:
            each.close()
        give([parse_quota("ListSubmissions:calls=1/day")])
        wait_until_limited(caller, limited=True)
        give([])


def wait_until_limited(caller: RawCaller, *, limited: bool) -> None:
    """Until the caller's server has read the quotas: one of them is for a method that is used for nothing else here."""
    requests.wait_until(lambda: caller.call(LIST_SUBMISSIONS, reporting.ListSubmissionsRequest()).ok is not limited)


def ask(caller: RawCaller, system: System, purpose: int = LOAN) -> Any:
    return caller.call(QUERY, requests.query(system.mint.stranger(), purpose))


def test_calls_of_a_method_and_when_to_come_again(system: System) -> None:
    with quotas(system, "QueryCreditHistory:calls=3/day") as caller:
        size = system.exchange.database_view.size
        assert [ask(caller, system).ok for _ in range(3)] == [True] * 3
        refused = ask(caller, system)
        assert (refused.code, refused.reason) == (EXHAUSTED, "QUOTA_EXCEEDED")
        assert refused.retry_after is not None
        assert 0 < refused.retry_after <= 86_400
        assert "QueryCreditHistory:calls=3/day" in refused.text
        # It leaves nothing in the log, and other methods and members go on.
        assert (refused.receipt, system.exchange.database_view.size) == (None, size + 3)
        assert caller.call(requests.LIST_MEMBERS, membership.ListMembersRequest()).ok
        assert ask(system["bank-a"].exchange, system).ok


def test_a_member_sees_what_is_used_of_its_quotas_and_when_they_begin_anew(system: System) -> None:
    texts = ["QueryCreditHistory:calls=30/day", "/loan-approval:subjects=unlimited/day", "QueryCreditHistory:subjects=20/minute"]
    with quotas(system, *texts) as caller:
        assert [ask(caller, system).ok for _ in range(3)] == [True] * 3

        def standings() -> dict[str, membership.QuotaStanding]:
            answer = caller.call(requests.STANDING, membership.GetStandingRequest()).message
            assert answer.member.member_id == "bank-b"
            assert abs(answer.time.ToSeconds() - time.time()) <= 3
            return {format_quota(each.quota): each for each in answer.quotas}

        # Counted by the worker, and settled within about a second.
        requests.wait_until(lambda: standings()[texts[0]].used == 3)
        found = standings()
        assert set(texts) <= set(found)
        assert found[texts[1]].used == 3
        assert found[texts[0]].end_time.seconds % 86_400 == 0
        assert 0 < found[texts[2]].end_time.seconds - time.time() <= 60
        others = system["bank-a"].exchange.call(requests.STANDING, membership.GetStandingRequest()).message
        assert others.member.member_id == "bank-a"
        assert not set(texts) & {format_quota(each.quota) for each in others.quotas}, "the server's own alone"
        assert "calls=120000/minute" in {format_quota(each.quota) for each in others.quotas}


def test_a_purpose_that_no_table_can_hold_does_not_stop_the_meter(system: System) -> None:
    for purpose in (-1, 1 << 15, (1 << 31) - 1):
        assert ask(system["bank-a"].exchange, system, purpose).reason == "CODE_UNKNOWN"
    # It knows only what the meter has read since.
    with quotas(system, "QueryCreditHistory:calls=3/day") as caller:
        assert ask(caller, system).ok


def test_a_quota_is_counted_over_all_workers(system: System, second_worker: str) -> None:
    with quotas(system, "QueryCreditHistory:calls=20/day", also=[second_worker]) as caller:
        elsewhere = caller.at(second_worker)
        assert all(ask(elsewhere, system).ok for _ in range(20))
        assert ask(elsewhere, system).reason == "QUOTA_EXCEEDED"
        elsewhere.close()
        # The first one hears of it within a second or two: sooner than its own calls would use the quota up.
        asked = 0
        while ask(caller, system).reason != "QUOTA_EXCEEDED":
            asked += 1
            assert asked < 19
            time.sleep(0.5)


def test_subjects_of_a_purpose_in_batches_and_alone(system: System) -> None:
    def batch(*purposes: int) -> Any:
        return requests.batch_query(requests.inquiry(system.mint.stranger(), purpose) for purpose in purposes)

    with quotas(system, "/loan-approval:subjects=5/day") as caller:
        assert caller.call(BATCH_QUERY, batch(LOAN, LOAN, LOAN, CARD, CARD)).ok
        assert caller.call(BATCH_QUERY, batch(LOAN, LOAN, LOAN)).reason == "QUOTA_EXCEEDED"
        assert caller.call(BATCH_QUERY, batch(LOAN, LOAN)).ok
        assert ask(caller, system).reason == "QUOTA_EXCEEDED"
        assert ask(caller, system, CARD).ok


def test_bytes_and_kept_bytes(system: System) -> None:
    few = requests.submission([requests.report(system.mint.stranger())])
    with quotas(
        system, f"SubmitReports:kept-bytes={few.ByteSize() * 2}/day", "SubmitReports:bytes=1000/day", member_id="bank-a"
    ) as caller:
        assert few.ByteSize() < 1000
        assert caller.call(SUBMIT, few).ok
        many = requests.submission(requests.report(system.mint.stranger()) for _ in range(10))
        # Whichever of the two is the first, it is named; and a batch beyond it does not use it up.
        assert "bytes=" in caller.call(SUBMIT, many).text
        more = requests.submission([requests.report(system.mint.stranger()), requests.report(system.mint.stranger())])
        assert more.ByteSize() < 1000
        assert "kept-bytes" in caller.call(SUBMIT, more).text
        assert ask(caller, system).ok


def test_a_quota_of_one_s_own_takes_the_default_s_place_and_leaves_the_others(system: System) -> None:
    with quotas(system, "calls=unlimited/minute", "QueryCreditHistory:calls=1/day") as caller:
        assert ask(caller, system).ok
        assert ask(caller, system).reason == "QUOTA_EXCEEDED"


@pytest.mark.parametrize(
    "text",
    [
        "calls=6000/minute",
        "QueryCreditHistory:subjects=20000/day",
        "QueryCreditHistory/loan-approval:calls=1/minute",
        "/loan-approval:kept-bytes=unlimited/day",
    ],
)
def test_a_quota_is_spelled_as_it_is_read(text: str) -> None:
    assert format_quota(parse_quota(text)) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no quota"),
        ("calls", "is no quota"),
        ("calls=6,000/minute", "is no quota"),
        ("Query:calls=1/minute", "is no signed method"),
        ("GetCheckpoint:calls=1/minute", "is no signed method"),
        ("/curiosity:calls=1/minute", "is no purpose"),
        ("shouts=1/minute", "cannot be counted"),
        ("calls=1/hour", "is no period"),
        ("calls=0/day", "from 1 to"),
        (f"calls={2**63}/day", "from 1 to"),
    ],
)
def test_what_is_no_quota(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_quota(text)


@pytest.mark.parametrize(
    ("quota", "field", "reason"),
    [
        ({"method": "GetCheckpoint", "unit": 1, "period": 1}, "method", "CODE_UNKNOWN"),
        ({"unit": 0, "period": 1}, "unit", "CODE_UNKNOWN"),
        ({"unit": 9, "period": 1}, "unit", "CODE_UNKNOWN"),
        ({"unit": 1, "period": 0}, "period", "CODE_UNKNOWN"),
        ({"unit": 1, "period": 1, "purpose": 9999}, "purpose", "CODE_UNKNOWN"),
        ({"unit": 1, "period": 1, "limit": 2**63}, "limit", "FIELD_OUT_OF_RANGE"),
    ],
)
def test_a_malformed_quota_is_refused_by_its_field(system: System, quota: dict[str, Any], field: str, reason: str) -> None:
    member: Any = membership.Member(member_id="new-bank", display_name="New", quotas=[membership.Quota(**quota)])
    member.roles.append(2)
    request = membership.CreateMemberRequest(request_id=requests.request_id(), member=member)
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    system.expect_refusal(system.operator, requests.CREATE_MEMBER, request, invalid, reason, f"member.quotas[0].{field}")


def test_who_queries_must_report_where_that_is_the_rule(system: System) -> None:
    worker = system.exchange.installation.start(TALLYSTICK_RECIPROCITY_DAYS="30")
    subject = system.mint.stranger()
    reports, does_not = system["bank-a"].exchange.at(worker.address), system["lender-c"].exchange.at(worker.address)
    try:
        assert reports.call(SUBMIT, requests.submission([requests.report(subject)])).ok
        assert reports.call(QUERY, requests.query(subject)).ok
        refused = does_not.call(QUERY, requests.query(subject))
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "RECIPROCITY_REQUIRED")
        does_not.verified_receipt(refused)
        # Nor does what was rejected count as reported.
        system.exchange.database_view.rows("UPDATE request SET create_time = create_time - interval '31 days'")
        assert reports.call(QUERY, requests.query(subject)).reason == "RECIPROCITY_REQUIRED"
    finally:
        reports.close()
        does_not.close()
        assert worker.stop() == 0

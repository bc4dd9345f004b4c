"""An auditor's questions over gRPC and PostgreSQL: purposes and consents in every list, lists by consent, counts, signatures."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.contract import requests
from tests.contract.requests import BATCH_QUERY, QUERY, SUBMIT
from tests.contract.system import System

from tallystick.client import CountFilter, Dimension, EntryFilter, Exchange, NotAllowed, Purpose, Server, SignatureState
from tallystick.client.cli.program import run
from tallystick.v1 import audit_service_pb2 as audit

COUNT = "AuditService/CountAuditEntries"
DENIED, INVALID = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT


class Asked:
    """Queries of two members, among them one consent for three people; and the period in which they were made."""

    def __init__(self, system: System) -> None:
        self.people = [system.mint.stranger() for _ in range(4)]
        a, b, c = (system[name].exchange for name in ("bank-a", "bank-b", "lender-c"))
        first, second, third, other = self.people
        self.reused = f"reused-{requests.request_id().hex()}"
        batch = requests.batch_query([requests.inquiry(each, 2, self.reused) for each in (second, third)])
        replies = [
            a.call(QUERY, requests.query(first, 2, self.reused)),
            a.call(BATCH_QUERY, batch),
            b.call(QUERY, requests.query(other, 3, "once")),
            c.call(QUERY, requests.query(first, 1, "refused")),
            a.call(SUBMIT, requests.submission([requests.report(first), requests.report(other)])),
        ]
        self.single, self.batch, self.once, self.refused, self.report = (reply.logged.index for reply in replies)
        last = b.call(QUERY, requests.query(other, 3, "after")).logged.index
        stored = system.exchange.database_view
        self.start, self.end = (stored.entry(n).create_time.ToDatetime(UTC) for n in (self.single, last))


@pytest.fixture(scope="module")
def asked(system: System) -> Asked:
    return Asked(system)


def of(asked: Asked, sdk: Callable[[str], Exchange], member: str, **filters: Any) -> dict[int, Any]:
    listed = sdk(member).audit_list(EntryFilter(start=asked.start, end=asked.end, **filters))
    return {entry.index: entry for entry in listed}


# --- Lists ----------------------------------------------------------------------------------------------------------------------


def test_every_list_says_why_and_with_whose_consent(asked: Asked, sdk: Callable[[str], Exchange]) -> None:
    listed = of(asked, sdk, "auditor")
    loan = Purpose.LOAN_APPROVAL
    assert (listed[asked.single].purpose, listed[asked.single].consent_reference) == (loan, asked.reused)
    batch = listed[asked.batch].inquiries
    assert (batch.subjects, batch.hidden, batch.purposes, batch.consent_references) == (2, 0, (loan,), (asked.reused,))
    assert listed[asked.batch].purpose is None
    assert listed[asked.refused].consent_reference == "refused"
    assert listed[asked.report].inquiries is None
    complete = sdk("auditor").audit_list_complete(EntryFilter(start=asked.start, end=asked.end))
    assert complete.complete
    assert list(complete.entries) == list(listed.values())
    own = of(asked, sdk, "bank-b")
    assert own[asked.once].consent_reference == "once"
    assert not {asked.single, asked.batch, asked.refused} & set(own)


def test_a_list_by_consent_names_each_entry_once(system: System, asked: Asked, sdk: Callable[[str], Exchange]) -> None:
    listed = of(asked, sdk, "auditor", consent_reference=asked.reused)
    assert list(listed) == [asked.batch, asked.single]
    assert of(asked, sdk, "auditor", consent_reference=asked.reused, purpose=Purpose.CREDIT_CARD_APPROVAL) == {}
    by_both = of(asked, sdk, "auditor", consent_reference=asked.reused, element=asked.people[1].element)
    assert [(entry.index, entry.consent_reference) for entry in by_both.values()] == [(asked.batch, asked.reused)]
    with pytest.raises(NotAllowed):
        of(asked, sdk, "bank-a", consent_reference=asked.reused)


def test_a_complete_list_by_consent_names_what_the_index_hides(
    system: System, asked: Asked, sdk: Callable[[str], Exchange], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = EntryFilter(start=asked.start, end=asked.end, consent_reference=asked.reused)
    found = sdk("auditor").audit_list_complete(wanted)
    assert found.complete
    assert [entry.index for entry in found.entries] == [asked.batch, asked.single]
    stored = system.exchange.database_view
    hide = "UPDATE audit_subject SET consent_reference = %s WHERE entry_index = %s"
    stored.rows(hide, ("another", asked.batch))
    try:
        found = sdk("auditor").audit_list_complete(wanted)
        counted = count(asked, sdk, [], consent_reference=asked.reused)
    finally:
        stored.rows(hide, (asked.reused, asked.batch))
    assert not found.complete
    assert [entry.index for entry in found.left_out] == [asked.batch]
    assert [entry.index for entry in found.entries] == [asked.batch, asked.single]
    # A count is no better than the index: that is why it says so.
    assert counted == [(1, 1)]


def test_what_was_erased_is_not_shown(system: System, sdk: Callable[[str], Exchange]) -> None:
    gone, stays = system.mint.stranger(), system.mint.stranger()
    alone = system["bank-a"].exchange.call(QUERY, requests.query(gone, 2, "alone")).logged.index
    batch = requests.batch_query([requests.inquiry(gone, 2, "of-the-erased"), requests.inquiry(stays, 3, "of-the-other")])
    both = system["bank-a"].exchange.call(BATCH_QUERY, batch).logged.index
    erase = audit.EraseSubjectRequest(request_id=requests.request_id(), subject=gone)
    assert system.operator.call("AuditService/EraseSubject", erase).message.complete
    listed = {entry.index: entry for entry in sdk("auditor").audit_list() if entry.index in (alone, both)}
    nothing, half = listed[alone].inquiries, listed[both].inquiries
    assert nothing is not None
    assert half is not None
    assert (nothing.subjects, nothing.hidden, nothing.purposes, nothing.consent_references) == (1, 1, (), ())
    assert (listed[alone].purpose, listed[alone].consent_reference) == (None, None)
    assert (half.subjects, half.hidden, half.consent_references) == (2, 1, ("of-the-other",))
    check = sdk("auditor").audit_show(both).signature_check
    assert (check.state, check.detail) == (SignatureState.NOT_VERIFIABLE, "the envelope was erased")


# --- Counts -----------------------------------------------------------------------------------------------------------------------


def count(asked: Asked, sdk: Callable[[str], Exchange], dimensions: list[Dimension], **filters: Any) -> list[tuple[Any, ...]]:
    """Groups as tuples: what was asked for, requests, subjects."""
    fields = [
        {"member": "member_id", "consent": "consent_reference", "outcome": "refused"}.get(d.value, d.value) for d in dimensions
    ]
    counted = sdk("auditor").audit_count(dimensions, CountFilter(asked.start, asked.end, **filters))
    assert counted.groups == len(counted.counts)
    return [(*(getattr(each, field) for field in fields), each.requests, each.subjects) for each in counted.counts]


def test_one_consent_for_many_is_one_question(asked: Asked, sdk: Callable[[str], Exchange]) -> None:
    assert count(asked, sdk, [Dimension.CONSENT], min_subjects=2) == [(asked.reused, 2, 3)]
    by_member = count(asked, sdk, [Dimension.MEMBER, Dimension.CONSENT])
    assert by_member == [("bank-a", asked.reused, 2, 3), ("bank-b", "once", 1, 1), ("lender-c", "refused", 1, 1)]


def test_requests_and_subjects_are_counted_in_groups(system: System, asked: Asked, sdk: Callable[[str], Exchange]) -> None:
    members = [Dimension.MEMBER]
    queries = {"purpose": Purpose.LOAN_APPROVAL}
    assert count(asked, sdk, members, **queries) == [("bank-a", 2, 3)]
    assert count(asked, sdk, [Dimension.OUTCOME], member_id="lender-c") == [(True, 1, 1)]
    assert count(asked, sdk, members, refused=True) == [("lender-c", 1, 1)]
    hour = system.exchange.database_view.entry(asked.single).create_time.ToDatetime(UTC) + timedelta(hours=8)
    in_taipei = count(asked, sdk, [Dimension.HOUR, Dimension.DAY], time_zone="Asia/Taipei", consent_reference="once")
    assert [each[1] for each in in_taipei] == [hour.date()] or hour.minute == 59
    away = tuple((hour.hour + place) % 24 for place in range(2, 23))
    assert count(asked, sdk, members, time_zone="Asia/Taipei", hours=away) == []
    assert sum(each[-2] for each in count(asked, sdk, [Dimension.METHOD], member_id="bank-a")) == 3
    purposes = {each[0]: each[1:] for each in count(asked, sdk, [Dimension.PURPOSE])}
    assert purposes[Purpose.LOAN_APPROVAL] == (2, 3)
    assert purposes[Purpose.CREDIT_CARD_APPROVAL] == (1, 1)
    assert purposes[Purpose.UNSPECIFIED][1] == 2


def test_a_count_is_an_entry_with_its_receipt_and_for_auditors(
    system: System, asked: Asked, sdk: Callable[[str], Exchange]
) -> None:
    counted = sdk("auditor").audit_count([Dimension.DAY], CountFilter(asked.start, asked.end))
    assert system.exchange.database_view.entry(counted.receipt.index).method == f"/tallystick.v1.{COUNT}"
    assert counted.receipt.index in {entry.index for entry in sdk("auditor").audit_list(EntryFilter(member_id="auditor"))}
    now = datetime.now(UTC)
    request = audit.CountAuditEntriesRequest()
    request.start_time.FromDatetime(now - timedelta(days=400))
    request.end_time.FromDatetime(now)
    system.expect_refusal(system["bank-a"].exchange, COUNT, request, DENIED, "ROLE_MISSING")
    auditor = system["auditor"].exchange
    system.expect_refusal(auditor, COUNT, request, INVALID, "FIELD_OUT_OF_RANGE", "end_time")
    request.start_time.FromDatetime(now - timedelta(days=1))
    request.time_zone = "Asia/Nowhere"
    system.expect_refusal(auditor, COUNT, request, INVALID, "CODE_UNKNOWN", "time_zone")


def test_the_authority_counts_evaluations(system: System, sdk: Callable[[str], Exchange]) -> None:
    sdk("bank-a").check_token_key()
    now = datetime.now(UTC)
    wanted = CountFilter(now - timedelta(days=1), now + timedelta(minutes=1))
    counted = sdk("auditor").audit_count([Dimension.METHOD], wanted, server=Server.TOKEN_AUTHORITY)
    assert counted.counts
    assert {each.subjects for each in counted.counts} == {0}


def test_the_command_answers_in_one_line_each(
    system: System, asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    auditor = ["--profile", str(system["auditor"].folder), "audit"]
    period = ["--from", asked.start.isoformat(), "--to", asked.end.isoformat()]
    assert run([*auditor, "count", "--by", "consent", "--min-subjects", "2", *period]) == 0
    shown = capsys.readouterr().out
    assert asked.reused in shown
    assert "could cut" in shown
    out = tmp_path / "counts.csv"
    assert run([*auditor, "count", "--by", "member,hour", "--zone", "Asia/Taipei", *period, "--out", str(out)]) == 0
    with out.open() as opened:
        assert {row["member"] for row in csv.DictReader(opened)} >= {"bank-a", "bank-b", "lender-c"}
    entries = tmp_path / "entries.csv"
    assert run([*auditor, "list", *period, "--out", str(entries)]) == 0
    with entries.open() as opened:
        consents = {int(row["entry"]): row["consents"] for row in csv.DictReader(opened)}
    assert (consents[asked.single], consents[asked.once], consents[asked.report]) == (asked.reused, "once", "")


# --- Signatures -------------------------------------------------------------------------------------------------------------------


def test_the_requests_own_signature_is_verified(system: System, asked: Asked, sdk: Callable[[str], Exchange]) -> None:
    for index in (asked.single, asked.batch, asked.refused, asked.report):
        opened = sdk("auditor").audit_show(index)
        assert opened.signature_check.state is SignatureState.VERIFIED, opened.signature_check
    assert sdk("bank-b").audit_show(asked.once).signature_check.state is SignatureState.VERIFIED
    # The first two entries are the operator's, by the key that they register.
    for server in Server:
        for index in range(3):
            assert sdk("auditor").audit_show(index, server=server).signature_check.state is SignatureState.VERIFIED


def test_every_kind_of_entry_verifies_or_says_why(system: System, sdk: Callable[[str], Exchange]) -> None:
    auditor = sdk("auditor")
    by_kind = {(entry.method, entry.refused): entry.index for entry in auditor.audit_list()}
    checks = [auditor.audit_show(index).signature_check for index in by_kind.values()]
    assert {check.state for check in checks} <= {SignatureState.VERIFIED, SignatureState.NOT_VERIFIABLE}
    assert len(by_kind) > 5


def test_a_key_that_the_registry_gives_to_another_is_a_finding(
    system: System, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, keyid = system.exchange.database_view, system.exchange.database_view.entry(asked.once).keyid
    ((owner, other),) = stored.rows(
        "SELECT member, (SELECT id FROM member WHERE member_id = 'bank-a') FROM member_key WHERE keyid = %s", (keyid,)
    )
    show = ["--profile", str(system["auditor"].folder), "audit", "show", str(asked.once)]
    assert run(show) == 0
    assert f"signature: verified with key {keyid.hex()} of bank-b" in capsys.readouterr().out
    stored.rows("UPDATE member_key SET member = %s WHERE keyid = %s", (other, keyid))
    try:
        assert run(show) == 1
    finally:
        stored.rows("UPDATE member_key SET member = %s WHERE keyid = %s", (owner, keyid))
    assert "FALSE SIGNATURE" in capsys.readouterr().out.splitlines()[-1]

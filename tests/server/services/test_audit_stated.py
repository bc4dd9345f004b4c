"""What lists say of the inquiries in their entries: from the evidence, bounded, and never more than that; and lists by consent."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.contract.subjects import Subject
from tallystick.crypto import blind
from tallystick.server.errors import Refusal
from tallystick.server.log.erasure import SubjectEraser
from tallystick.server.requests.operation import Caller
from tallystick.server.services.audit import listing as audit_listing
from tallystick.server.services.audit import stated as audit_stated
from tallystick.server.services.audit.listing import ListAuditEntries
from tallystick.server.storage.connection import Connection
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import codes_pb2, errors_pb2, inquiry_service_pb2, log_pb2, subject_pb2

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

BATCH = "/tallystick.v1.InquiryService/BatchQueryCreditHistories"
REPORTS = "/tallystick.v1.ReportingService/SubmitReports"
START = datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)
EPOCH = (1).to_bytes(4, "big") + b"e" * 16
LOAN, CARD = codes_pb2.PURPOSE_LOAN_APPROVAL, codes_pb2.PURPOSE_CREDIT_CARD_APPROVAL


def somebody(purpose: int = LOAN, consent: str = "C-1") -> Subject:
    return Subject(EPOCH, blind(secrets.token_bytes(8)).element, purpose, consent)


def ask(log: WrittenLog, caller: Caller, subjects: Sequence[Subject], seconds: float = 0, **how: Any) -> int:
    """One batch of queries in the log, with its evidence and search rows."""
    message = inquiry_service_pb2.BatchQueryCreditHistoriesRequest(request_id=secrets.token_bytes(16))
    for each in subjects:
        inquiry: Any = message.inquiries.add(consent_reference=each.consent_reference)
        inquiry.purpose = each.purpose
        inquiry.subject.CopyFrom(subject_pb2.SubjectToken(element=each.element, epoch_id=each.epoch_id))
    return log.append(caller, BATCH, message, subjects, time=START + timedelta(seconds=seconds), **how)


async def pages(log: WrittenLog, connection: Connection, caller: Caller, **filters: Any) -> list[list[pb.ListedEntry]]:
    listing, found, token = ListAuditEntries(b"s" * 32, log.box), [], ""
    while True:
        (work,) = await log.run(connection, listing, (caller, pb.ListAuditEntriesRequest(page_token=token, **filters)))
        if work.refusal:
            raise work.refusal
        page = pb.ListAuditEntriesResponse.FromString(work.answer or b"")
        found.append(list(page.entries))
        token = page.next_page_token
        if not token:
            return found


async def listed(log: WrittenLog, connection: Connection, caller: Caller, **filters: Any) -> list[pb.ListedEntry]:
    return [entry for page in await pages(log, connection, caller, **filters) for entry in page]


def indices(entries: Sequence[pb.ListedEntry]) -> list[int]:
    return [entry.logged_entry.index for entry in entries]


async def test_any_list_says_why_and_with_whose_consent(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    ask(written_log, bank, [somebody(LOAN, "C-1"), somebody(CARD, "C-2"), somebody(LOAN, "C-1")])
    written_log.append(bank, REPORTS, subjects=[somebody(0, "")])
    ask(written_log, bank, [somebody(99, "two words"), somebody(99, "")], refused=True)
    for caller in (auditor, bank):
        refused, reported, asked = await listed(written_log, connection, caller)
        assert asked.inquiries == pb.StatedInquiries(
            subject_count=3, purposes=[LOAN, CARD], purpose_count=2, consent_references=["C-1", "C-2"], consent_count=2
        )
        assert not reported.HasField("inquiries")
        assert (list(refused.inquiries.purposes), list(refused.inquiries.consent_references)) == ([99], ["two words"])


async def test_what_is_cut_is_counted(written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller) -> None:
    ask(written_log, bank, [somebody(purpose, f"C-{purpose}") for purpose in range(20)], refused=True)
    ask(written_log, bank, [somebody(LOAN, "x" * 65), somebody(LOAN, "a\nb"), somebody(LOAN, "C")], refused=True)
    odd, many = [entry.inquiries for entry in await listed(written_log, connection, auditor)]
    assert (list(many.purposes), many.purpose_count) == (list(range(10)), 20)
    assert (list(many.consent_references), many.consent_count) == ([f"C-{n}" for n in range(5)], 20)
    assert (list(odd.consent_references), odd.consent_count) == (["C"], 3)


async def test_what_nobody_can_open_is_not_said(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    class Events:
        def error(self, _event: str, *, index: int) -> None:
            told.append(index)

    monkeypatch.setattr(audit_stated, "events", Events())
    erased = somebody()
    ask(written_log, bank, [somebody()], with_evidence=False)
    ask(written_log, bank, [somebody()])
    ask(written_log, bank, [erased, somebody(CARD, "C-2")], 10)
    ask(written_log, bank, [somebody()], 10)
    eraser = SubjectEraser(written_log.box, written_log.subject_secret, ())
    token = subject_pb2.SubjectToken(element=erased.element, epoch_id=erased.epoch_id)
    await eraser.erase_subject(connection, token, accounts=False)
    written_log.execute("UPDATE evidence SET sealed = 'x' WHERE entry_index = 3")
    written_log.evidence_keys.destroy(START.date().replace(day=1))
    corrupt, partly, key_gone, row_gone = await listed(written_log, connection, auditor)
    assert not any(entry.HasField("inquiries") for entry in (corrupt, key_gone, row_gone))
    assert told == [3]
    assert partly.inquiries == pb.StatedInquiries(
        subject_count=2, hidden_count=1, purposes=[CARD], purpose_count=1, consent_references=["C-2"], consent_count=1
    )


@pytest.mark.parametrize("limit", [1, 700, 3000, 1 << 20])
async def test_a_page_ends_before_its_evidence_is_too_much(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    for number in range(12):
        ask(written_log, bank, [somebody(consent=f"C-{number}")] * (number % 3 + 1), number)
        written_log.append(bank, REPORTS, time=START + timedelta(seconds=number))
    monkeypatch.setattr(audit_stated, "EVIDENCE_BYTES", limit)
    found = await pages(written_log, connection, auditor, page_size=7)
    entries = [entry for page in found for entry in page]
    assert indices(entries) == list(range(23, -1, -1))
    assert [list(entry.inquiries.consent_references) for entry in entries[1::2]] == [[f"C-{n}"] for n in range(11, -1, -1)]
    assert (len(found) > 4) == (limit < 3000)


async def test_a_list_by_consent_has_each_entry_once(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, subject = written_log.add_member("bank-b", 2), somebody(LOAN, "C-1")
    ask(written_log, bank, [subject, somebody(CARD, "C-1")])
    ask(written_log, bank, [somebody(LOAN, "C-2")])
    ask(written_log, other, [somebody(LOAN, "C-2"), *(somebody(CARD, "C-1") for _ in range(5))], 5)
    ask(written_log, bank, [somebody(LOAN, "C-1")], 6, refused=True)
    written_log.append(bank, REPORTS, subjects=[somebody(0, "")])
    soon = Timestamp(seconds=int(START.timestamp()) + 1)
    token = subject_pb2.SubjectToken(element=subject.element, epoch_id=subject.epoch_id)
    for scanned in (7, 5000):
        monkeypatch.setattr(audit_listing, "MAX_SCANNED", scanned)
        for size in (1, 2, 100):
            expected: list[tuple[dict[str, Any], list[int]]] = [
                ({}, [3, 2, 0]),
                ({"member_id": "bank-b"}, [2]),
                ({"purpose": CARD}, [2, 0]),
                ({"purpose": LOAN}, [3, 0]),
                ({"outcome": log_pb2.ENTRY_OUTCOME_REFUSED}, [3]),
                ({"start_time": soon}, [3, 2]),
                ({"end_time": soon}, [0]),
                ({"subject": token}, [0]),
            ]
            for filters, wanted in expected:
                found = await listed(written_log, connection, auditor, consent_reference="C-1", page_size=size, **filters)
                assert indices(found) == wanted, (scanned, size, filters)
    assert await listed(written_log, connection, auditor, consent_reference="C-3") == []
    assert await listed(written_log, connection, auditor, consent_reference="C-2", subject=token) == []
    with pytest.raises(Refusal) as refused:
        await listed(written_log, connection, bank, consent_reference="C-1")
    assert refused.value.reason == errors_pb2.ERROR_REASON_ROLE_MISSING


async def test_a_list_by_consent_is_found_by_its_index(written_log: WrittenLog, connection: Connection) -> None:
    written_log.execute(
        "INSERT INTO audit_subject SELECT sha256(n::text::bytea), n, 1, 1, 2, 'c-' || n %% 1000, now(), true"
        " FROM generate_series(1, 30000) AS n"
    )
    written_log.execute("ANALYZE audit_subject")
    parameters = {
        **{"consent": "c-7", "first": 0, "before": 2**63 - 1, "scanned": audit_listing.MAX_SCANNED},
        **{"member": None, "purpose": 0, "outcome": 0, "limit": 101},
    }
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {audit_listing._BY_CONSENT}", parameters))
    assert "audit_subject_consent_idx" in plan
    assert "Seq Scan on audit_subject" not in plan

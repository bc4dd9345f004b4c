"""An entry opens into details that anyone can check against its commitment; an export holds the log, page by page."""

from __future__ import annotations

import struct
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tallystick.contract.details import detail_hash
from tallystick.contract.limits import MAX_MESSAGE
from tallystick.contract.subjects import Subject
from tallystick.crypto import blind, commitment_from_hashes, leaf_hash, salted_leaf_hash, subject_leaf
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Caller, Work
from tallystick.server.services.audit import reading as audit_reading
from tallystick.server.services.audit.reading import ExportAuditEntries, GetAuditEntry
from tallystick.server.services.inquiries.queries import BatchQueryCreditHistories, InquiryAnswers
from tallystick.server.storage.connection import Connection
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import errors_pb2, inquiry_service_pb2, log_pb2, subject_pb2

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

START = datetime.fromisoformat("2026-01-31T23:59:58+00:00")
EPOCH = (1).to_bytes(4, "big") + b"e" * 16
BATCH = BatchQueryCreditHistories(InquiryAnswers(EPOCH, timedelta()))
SUBJECTS = [Subject(EPOCH, blind(bytes([number])).element, number + 1, f"C-{number}") for number in range(3)]


def batch(subjects: list[Subject]) -> inquiry_service_pb2.BatchQueryCreditHistoriesRequest:
    message = inquiry_service_pb2.BatchQueryCreditHistoriesRequest(request_id=b"0123456789abcdef")
    for subject in subjects:
        token = subject_pb2.SubjectToken(element=subject.element, epoch_id=subject.epoch_id)
        message.inquiries.add(subject=token, purpose=subject.purpose, consent_reference=subject.consent_reference)
    return message


def append_batch(log: WrittenLog, caller: Caller, *, seconds: int = 0, with_evidence: bool = True) -> int:
    time = START + timedelta(seconds=seconds)
    return log.append(caller, BATCH.method, batch(SUBJECTS), SUBJECTS, time=time, with_evidence=with_evidence)


def opener(log: WrittenLog) -> GetAuditEntry:
    return GetAuditEntry(log.box, 60)


async def open_entry(log: WrittenLog, connection: Connection, caller: Caller, index: int) -> pb.GetAuditEntryResponse:
    (work,) = await log.run(connection, opener(log), (caller, pb.GetAuditEntryRequest(index=index)))
    if work.refusal:
        raise work.refusal
    return pb.GetAuditEntryResponse.FromString(work.answer or b"")


async def test_details_open_the_commitment(written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller) -> None:
    # In two months, so under two keys.
    for seconds in (0, 3):
        index = append_batch(written_log, bank, seconds=seconds)
        answer = await open_entry(written_log, connection, auditor, index)
        entry = log_pb2.AuditEntry.FromString(answer.logged_entry.entry)
        assert leaf_hash(answer.logged_entry.entry) == written_log.leaf_hashes[index]
        assert answer.request == batch(SUBJECTS).SerializeToString()
        assert not answer.request_omitted
        # Written out by hand, as a verifier does it from the protocol's page.
        envelope, *leaves = answer.details
        hashes = [salted_leaf_hash(envelope.salt, envelope.envelope)]
        for leaf, subject in zip(leaves, SUBJECTS, strict=True):
            detail = leaf.subject
            assert (detail.subject.element, detail.purpose, detail.consent_reference) == (
                subject.element,
                subject.purpose,
                subject.consent_reference,
            )
            content = subject_leaf(detail.subject.epoch_id, detail.subject.element, detail.purpose, detail.consent_reference)
            hashes.append(salted_leaf_hash(leaf.salt, content))
        assert commitment_from_hashes(hashes) == entry.details_commitment
    assert [key.day for key in written_log.evidence_keys.months()] == [1, 1]


async def test_a_request_that_could_not_be_read_opens_with_its_envelope_alone(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    index = written_log.append(bank, BATCH.method, b"\xff\xff\xff", refused=True)
    answer = await open_entry(written_log, connection, auditor, index)
    assert [detail.WhichOneof("content") for detail in answer.details] == ["envelope"]
    assert answer.request == b"\xff\xff\xff"


async def test_a_member_opens_its_own_entries_alone(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller
) -> None:
    index = append_batch(written_log, bank)
    admission = written_log.append(operator, "/tallystick.v1.MembershipService/CreateMember")
    assert len((await open_entry(written_log, connection, bank, index)).details) == 4
    for caller, wanted in ((operator, index), (bank, admission), (bank, 99), (bank, 2**63), (bank, 2**64 - 1)):
        with pytest.raises(Refusal) as refused:
            await open_entry(written_log, connection, caller, wanted)
        assert refused.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND


async def test_many_are_opened_in_one_transaction(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    for seconds in range(3):
        append_batch(written_log, bank, seconds=seconds)
    wanted = [2, 0, 7, 2]
    works = await written_log.run(
        connection, opener(written_log), *((auditor, pb.GetAuditEntryRequest(index=index)) for index in wanted)
    )
    opened = [work.answer and pb.GetAuditEntryResponse.FromString(work.answer).logged_entry.index for work in works]
    assert opened == [2, 0, None, 2]


async def test_without_evidence_the_leaf_remains(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    dropped = append_batch(written_log, bank, with_evidence=False)
    ended = append_batch(written_log, bank)
    written_log.evidence_keys.destroy(date(2026, 1, 1))
    for index in (dropped, ended):
        answer = await open_entry(written_log, connection, auditor, index)
        assert leaf_hash(answer.logged_entry.entry) == written_log.leaf_hashes[index]
        assert (list(answer.details), answer.request) == ([], b"")


async def test_evidence_that_was_changed_or_moved_is_not_passed_off_as_dropped(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    first, second, third = (append_batch(written_log, bank) for _ in range(3))
    written_log.execute("UPDATE evidence SET sealed = sealed || 'x' WHERE entry_index = %s", (first,))
    written_log.execute(
        "UPDATE evidence SET sealed = (SELECT sealed FROM evidence WHERE entry_index = %s) WHERE entry_index = %s", (third, second)
    )
    for index in (first, second):
        with pytest.raises(Refusal) as refused:
            await open_entry(written_log, connection, auditor, index)
        assert refused.value.reason == errors_pb2.ERROR_REASON_INTERNAL
    assert (await open_entry(written_log, connection, auditor, third)).details


async def test_a_request_too_large_for_the_answer_is_left_out_and_said_to_be(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    large = b"\xff" * (MAX_MESSAGE - 100)
    index = written_log.append(bank, BATCH.method, large, refused=True)
    answer = await open_entry(written_log, connection, auditor, index)
    assert (answer.request, answer.request_omitted) == (b"", True)
    assert [detail_hash(detail) for detail in answer.details]


async def export(log: WrittenLog, connection: Connection, caller: Caller, start: int = 0, end: int = 0) -> list[pb.AuditEntryPage]:
    """All pages, as the transport asks for them: each a run of its own over the same message."""
    operation, pages = ExportAuditEntries(), []
    work: Work | None = None
    while work is None or work.next_page is not None:
        message = pb.ExportAuditEntriesRequest(start_index=start, end_index=end)
        work = log.work(caller, message, operation, work.next_page if work else None)
        await operation.run(connection, [work], START)
        if work.refusal:
            raise work.refusal
        pages.append(pb.AuditEntryPage.FromString(work.answer or b""))
    return pages


@pytest.mark.parametrize(("entries_a_page", "bytes_a_page"), [(4096, 2**20), (4, 2**20), (4096, 500), (4096, 1)])
async def test_an_export_holds_the_stretch_in_order(
    written_log: WrittenLog,
    connection: Connection,
    auditor: Caller,
    bank: Caller,
    monkeypatch: pytest.MonkeyPatch,
    entries_a_page: int,
    bytes_a_page: int,
) -> None:
    monkeypatch.setattr(audit_reading, "EXPORT_ENTRIES", entries_a_page)
    monkeypatch.setattr(audit_reading, "EXPORT_BYTES", bytes_a_page)
    for _ in range(10):
        written_log.append(bank, BATCH.method, with_evidence=False)
    for start, end in ((0, 0), (0, 10), (3, 0), (2, 7), (9, 10)):
        pages = await export(written_log, connection, auditor, start, end)
        exported = [(entry.index, leaf_hash(entry.entry)) for page in pages for entry in page.entries]
        assert exported == list(enumerate(written_log.leaf_hashes))[start : end or 10]
        assert {page.end_index for page in pages} == {end or 10}
        assert all(0 < len(page.entries) <= entries_a_page for page in pages)
        assert all(len(page.entries) == 1 or sum(len(e.entry) for e in page.entries) <= bytes_a_page for page in pages)
    for start, end in ((10, 0), (4, 4)):
        (page,) = await export(written_log, connection, auditor, start, end)
        assert (list(page.entries), page.end_index) == ([], end or 10)


async def test_an_export_ends_where_the_log_ended_when_it_began(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reading, "EXPORT_ENTRIES", 2)
    written_log.append_plain(5)
    operation, message = ExportAuditEntries(), pb.ExportAuditEntriesRequest()
    work = written_log.work(auditor, message, operation)
    await operation.run(connection, [work], START)
    assert work.next_page == struct.pack(">QQ", 2, 5)
    written_log.append_plain(5)
    last = written_log.work(auditor, message, operation, struct.pack(">QQ", 4, 5))
    await operation.run(connection, [last], START)
    assert [entry.index for entry in pb.AuditEntryPage.FromString(last.answer or b"").entries] == [4]
    assert last.next_page is None


async def test_a_stretch_beyond_the_log_is_refused_by_field(
    written_log: WrittenLog, connection: Connection, auditor: Caller
) -> None:
    written_log.append_plain(5)
    for start, end, field in (
        (0, 6, "end_index"),
        (6, 0, "start_index"),
        (2**64 - 1, 0, "start_index"),
        (0, 2**64 - 1, "end_index"),
    ):
        with pytest.raises(Refusal) as refused:
            await export(written_log, connection, auditor, start, end)
        assert refused.value.reason == errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE
        assert [violation.field for violation in refused.value.violations] == [field]
    with pytest.raises(Refusal, match="start_index"):
        ExportAuditEntries().validate(pb.ExportAuditEntriesRequest(start_index=4, end_index=3), START)


async def test_a_hole_in_the_log_is_told(written_log: WrittenLog, connection: Connection, auditor: Caller) -> None:
    written_log.append_plain(5)
    for hole in (4, 2, 0):
        written_log.execute("DELETE FROM audit_entry WHERE index = %s", (hole,))
        with pytest.raises(Refusal) as refused:
            await export(written_log, connection, auditor, 0, 5)
        assert refused.value.reason == errors_pb2.ERROR_REASON_INTERNAL

"""After erasing, nothing stored matches the subject; the other subjects, the commitments and the proofs stay as they were."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.contract.details import detail_hash
from tallystick.contract.subjects import Subject
from tallystick.crypto import (
    blind,
    commitment_from_hashes,
    leaf_hash,
    root,
    verify_inclusion,
)
from tallystick.server.errors import Refusal
from tallystick.server.log import erasure, proofs
from tallystick.server.log.append import LogWriter, Outcome
from tallystick.server.log.details import open_details
from tallystick.server.log.erasure import Eraser, ErasureError, ErasureReport, SubjectEraser
from tallystick.server.log.evidence import EvidenceCorruptError
from tallystick.server.requests.operation import Caller
from tallystick.server.services.audit.erasure import EraseSubject
from tallystick.server.services.audit.reading import GetAuditEntry
from tallystick.server.services.inquiries.queries import BatchQueryCreditHistories, InquiryAnswers
from tallystick.server.services.reporting.account_changes import erase_accounts
from tallystick.server.storage.connection import Connection
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import errors_pb2, inquiry_service_pb2, log_pb2, storage_pb2, subject_pb2

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

START = datetime.fromisoformat("2026-01-31T23:59:58+00:00")
EPOCH = (1).to_bytes(4, "big") + b"e" * 16
BATCH = BatchQueryCreditHistories(InquiryAnswers(EPOCH, timedelta()))
ERASED, KEPT, OTHER = (Subject(EPOCH, blind(bytes([number])).element, 2, f"C-{number}") for number in range(3))


def token(subject: Subject) -> subject_pb2.SubjectToken:
    return subject_pb2.SubjectToken(element=subject.element, epoch_id=subject.epoch_id)


def append(log: WrittenLog, caller: Caller, *subjects: Subject, seconds: int = 0, with_evidence: bool = True) -> int:
    message = inquiry_service_pb2.BatchQueryCreditHistoriesRequest(request_id=b"0123456789abcdef")
    for subject in subjects:
        message.inquiries.add(
            subject=token(subject),
            purpose=2,
            consent_reference=subject.consent_reference,
        )
    time = START + timedelta(seconds=seconds)
    return log.append(caller, BATCH.method, message, subjects, time=time, with_evidence=with_evidence)


def eraser(log: WrittenLog) -> SubjectEraser:
    return SubjectEraser(log.box, log.subject_secret, [Eraser("account", erase_accounts)])


def add_account(log: WrittenLog, subject: Subject, reference: bytes) -> None:
    log.execute("INSERT INTO account VALUES (%s, 1, %s, '', '', %s, 1, true)", (log.key_of(subject), reference, START))


def stored_evidence(log: WrittenLog, index: int) -> tuple[storage_pb2.Evidence, bytes]:
    """An entry's evidence, opened, and its commitment."""
    ((leaf, month, sealed),) = log.execute(
        "SELECT leaf, month, sealed FROM audit_entry JOIN evidence ON entry_index = index WHERE index = %s", (index,)
    )
    commitment = log_pb2.AuditEntry.FromString(bytes(leaf)).details_commitment
    return storage_pb2.Evidence.FromString(log.box.open(bytes(sealed), month=month, details_commitment=commitment)), commitment


def contents(log: WrittenLog, index: int) -> list[str | bytes]:
    """What each leaf of an entry shows: its consent reference, or which other content it has."""
    evidence, commitment = stored_evidence(log, index)
    return [detail.subject.consent_reference or detail.WhichOneof("content") or "" for detail in open_details(evidence, commitment)]


async def test_nothing_matches_the_subject_and_the_rest_still_opens(
    written_log: WrittenLog, connection: Connection, bank: Caller
) -> None:
    alone = append(written_log, bank, ERASED)
    among = append(written_log, bank, KEPT, ERASED, OTHER, ERASED, seconds=5)
    untouched = append(written_log, bank, KEPT, seconds=6)
    add_account(written_log, ERASED, b"1")
    add_account(written_log, ERASED, b"2")
    add_account(written_log, KEPT, b"1")
    leaves = written_log.execute("SELECT * FROM audit_entry ORDER BY index")
    report = await eraser(written_log).erase_subject(connection, token(ERASED))
    assert report == ErasureReport(entries_resealed=2, entries_without_evidence=0, accounts_deleted=2, complete=True)

    assert contents(written_log, alone) == ["erased_leaf_hash", "erased_leaf_hash"]
    assert contents(written_log, among) == ["erased_leaf_hash", "C-1", "erased_leaf_hash", "C-2", "erased_leaf_hash"]
    assert contents(written_log, untouched) == ["envelope", "C-1"]
    for index in (alone, among):
        evidence, _ = stored_evidence(written_log, index)
        assert (evidence.seed, evidence.envelope, evidence.request, evidence.method) == (b"", b"", b"", BATCH.method)
        assert ERASED.element not in evidence.SerializeToString()
    key = written_log.key_of(ERASED)
    assert (
        written_log.execute(
            "SELECT FROM audit_subject WHERE subject = %s UNION ALL SELECT FROM account WHERE subject = %s", (key, key)
        )
        == []
    )
    assert written_log.execute("SELECT count(*) FROM audit_subject") == [(3,)]
    assert written_log.execute("SELECT count(*) FROM account") == [(1,)]
    assert written_log.execute("SELECT * FROM audit_entry ORDER BY index") == leaves


async def test_old_proofs_and_commitments_still_verify(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller
) -> None:
    index = append(written_log, bank, KEPT, ERASED)
    append(written_log, bank, OTHER)
    old = await proofs.get_inclusion_proof(connection, pb.GetInclusionProofRequest(index=index, tree_size=2))
    await eraser(written_log).erase_subject(connection, token(ERASED))
    opener = GetAuditEntry(written_log.box, 60)
    (work,) = await written_log.run(connection, opener, (auditor, pb.GetAuditEntryRequest(index=index)))
    answer = pb.GetAuditEntryResponse.FromString(work.answer or b"")
    verify_inclusion(index, 2, leaf_hash(answer.logged_entry.entry), list(old.hashes), root(written_log.leaf_hashes))
    commitment = log_pb2.AuditEntry.FromString(answer.logged_entry.entry).details_commitment
    assert commitment_from_hashes([detail_hash(detail) for detail in answer.details]) == commitment
    assert answer.request == b""
    assert not answer.request_omitted


async def test_an_inner_node_passes_for_no_erased_leaf(written_log: WrittenLog, connection: Connection, bank: Caller) -> None:
    index = append(written_log, bank, KEPT, ERASED, OTHER)
    await eraser(written_log).erase_subject(connection, token(ERASED))
    evidence, commitment = stored_evidence(written_log, index)
    assert len(open_details(evidence, commitment)) == 4
    envelope, kept, third, fourth = evidence.leaves
    inner = root([detail_hash(third), detail_hash(fourth)])
    whole = root([detail_hash(leaf) for leaf in evidence.leaves])
    for shown in (
        [envelope, kept, log_pb2.DetailLeaf(erased_leaf_hash=inner)],
        [log_pb2.DetailLeaf(erased_leaf_hash=whole)],
        [log_pb2.DetailLeaf(erased_leaf_hash=commitment)],
    ):
        # Fewer leaves under the same root.
        assert root([detail_hash(leaf) for leaf in shown]) in (whole, commitment)
        with pytest.raises(EvidenceCorruptError, match="does not add up"):
            open_details(storage_pb2.Evidence(method=BATCH.method, leaves=shown), commitment)


async def test_erasing_one_subject_after_another(written_log: WrittenLog, connection: Connection, bank: Caller) -> None:
    index = append(written_log, bank, KEPT, ERASED, OTHER)
    for subject in (ERASED, OTHER):
        assert (await eraser(written_log).erase_subject(connection, token(subject))).entries_resealed == 1
    assert contents(written_log, index) == ["erased_leaf_hash", "C-1", "erased_leaf_hash", "erased_leaf_hash"]
    again = await eraser(written_log).erase_subject(connection, token(ERASED))
    assert again == ErasureReport(0, 0, 0, complete=True)


async def test_two_subjects_of_one_entry_erased_at_once_are_both_erased(
    written_log: WrittenLog, connection: Connection, bank: Caller
) -> None:
    index = append(written_log, bank, KEPT, ERASED, OTHER)
    other = await Connection.open(written_log.url)

    async def erase(through: Connection, subject: Subject) -> None:
        await through.execute("BEGIN")
        await eraser(written_log).erase_subject(through, token(subject))
        # Held open until the other one has had time to read, if reading did not wait.
        await asyncio.sleep(0.1)
        await through.execute("COMMIT")

    try:
        await asyncio.gather(erase(connection, ERASED), erase(other, OTHER))
    finally:
        other.close()
    assert contents(written_log, index) == ["erased_leaf_hash", "C-1", "erased_leaf_hash", "erased_leaf_hash"]


async def test_accounts_can_be_kept(written_log: WrittenLog, connection: Connection, bank: Caller) -> None:
    append(written_log, bank, ERASED)
    add_account(written_log, ERASED, b"1")
    report = await eraser(written_log).erase_subject(connection, token(ERASED), accounts=False)
    assert report == ErasureReport(1, 0, 0, complete=True)
    assert written_log.execute("SELECT count(*) FROM account") == [(1,)]


async def test_entries_whose_evidence_is_gone_lose_their_search_rows(
    written_log: WrittenLog, connection: Connection, bank: Caller
) -> None:
    append(written_log, bank, ERASED)
    append(written_log, bank, ERASED, seconds=5, with_evidence=False)
    append(written_log, bank, ERASED, seconds=6)
    written_log.evidence_keys.destroy(date(2026, 1, 1))
    report = await eraser(written_log).erase_subject(connection, token(ERASED))
    assert report == ErasureReport(entries_resealed=1, entries_without_evidence=2, accounts_deleted=0, complete=True)
    assert written_log.execute("SELECT FROM audit_subject") == []


@pytest.mark.parametrize("bound", ["MAX_ENTRIES", "MAX_LEAVES", "MAX_SEALED_BYTES"])
async def test_a_call_is_bounded_and_the_next_goes_on(
    written_log: WrittenLog, connection: Connection, bank: Caller, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    for _ in range(5):
        append(written_log, bank, KEPT, ERASED)
    monkeypatch.setattr(erasure, bound, {"MAX_ENTRIES": 2, "MAX_LEAVES": 5, "MAX_SEALED_BYTES": 400}[bound])
    reports: list[ErasureReport] = []
    while not reports or not reports[-1].complete:
        assert len(reports) < 5
        reports.append(await eraser(written_log).erase_subject(connection, token(ERASED)))
    assert [report.entries_resealed for report in reports] == [2, 2, 1]
    assert all(contents(written_log, index) == ["erased_leaf_hash", "C-1", "erased_leaf_hash"] for index in range(5))


async def test_a_crash_before_the_commit_erases_nothing(written_log: WrittenLog, connection: Connection, bank: Caller) -> None:
    index = append(written_log, bank, KEPT, ERASED)
    add_account(written_log, ERASED, b"1")
    await connection.execute("BEGIN")
    await eraser(written_log).erase_subject(connection, token(ERASED))
    await connection.execute("ROLLBACK")
    assert contents(written_log, index) == ["envelope", "C-1", "C-0"]
    assert written_log.execute("SELECT count(*) FROM audit_subject UNION ALL SELECT count(*) FROM account") == [(2,), (1,)]


async def test_evidence_that_does_not_open_is_left_alone(written_log: WrittenLog, connection: Connection, bank: Caller) -> None:
    append(written_log, bank, ERASED)
    damaged = append(written_log, bank, ERASED)
    written_log.execute("UPDATE evidence SET sealed = sealed || 'x' WHERE entry_index = %s", (damaged,))
    before = written_log.execute("SELECT * FROM evidence ORDER BY entry_index")
    operation = EraseSubject(eraser(written_log), b"")
    operator = written_log.add_member("operator", 4)
    with pytest.raises(Refusal) as refused:
        await written_log.run(connection, operation, (operator, pb.EraseSubjectRequest(subject=token(ERASED))))
    assert refused.value.reason == errors_pb2.ERROR_REASON_INTERNAL
    assert isinstance(refused.value.__cause__, ErasureError)
    assert written_log.execute("SELECT * FROM evidence ORDER BY entry_index") == before
    assert written_log.execute("SELECT count(*) FROM audit_subject") == [(2,)]


async def test_the_operation_names_nobody_and_answers_with_counts(
    written_log: WrittenLog, connection: Connection, operator: Caller, bank: Caller
) -> None:
    append(written_log, bank, KEPT, ERASED)
    add_account(written_log, ERASED, b"1")
    operation = EraseSubject(eraser(written_log), b"")
    request = pb.EraseSubjectRequest(request_id=b"0123456789abcdef", subject=token(ERASED))
    assert not operation.keeps_request
    assert operation.contract.subjects(request) == ()
    (work,) = await written_log.run(connection, operation, (operator, request))
    assert work.keep_answer
    assert ERASED.element not in (work.answer or b"")
    assert pb.EraseSubjectResponse.FromString(work.answer or b"") == pb.EraseSubjectResponse(
        entries_resealed=1, accounts_deleted=1, complete=True
    )


async def test_the_entry_of_an_erasure_opens_to_a_hash_alone(
    written_log: WrittenLog, connection: Connection, operator: Caller, auditor: Caller
) -> None:
    writer = LogWriter("exchange.example/log", Ed25519PrivateKey.generate(), written_log.box)
    operation = EraseSubject(eraser(written_log), b"")
    work = written_log.work(operator, pb.EraseSubjectRequest(request_id=bytes(16), subject=token(ERASED)), operation)
    outcome = Outcome(work, b"", b"holds the digest of a request that names the subject", None)
    month = date(2026, 2, 1)
    prepared = writer.prepare(outcome, month)
    entry = log_pb2.AuditEntry(details_commitment=prepared.details_commitment)
    row = (entry.SerializeToString(), month, operator.member, operation.method)
    written_log.execute("INSERT INTO audit_entry VALUES (0, %s, '', %s, %s, %s, 1)", row)
    written_log.execute("INSERT INTO evidence VALUES (%s, 0, %s)", (month, prepared.sealed))
    assert outcome.envelope not in prepared.evidence
    (work,) = await written_log.run(connection, GetAuditEntry(written_log.box, 60), (auditor, pb.GetAuditEntryRequest()))
    answer = pb.GetAuditEntryResponse.FromString(work.answer or b"")
    assert [detail.WhichOneof("content") for detail in answer.details] == ["erased_leaf_hash"]
    assert answer.request == b""


@pytest.mark.parametrize(
    ("subject", "field", "reason"),
    [
        (None, "subject", "FIELD_REQUIRED"),
        (subject_pb2.SubjectToken(element=ERASED.element), "subject.epoch_id", "FIELD_REQUIRED"),
        (subject_pb2.SubjectToken(element=b"\xff" * 32, epoch_id=EPOCH), "subject.element", "ELEMENT_INVALID"),
    ],
)
def test_a_malformed_token_is_refused_by_field(subject: subject_pb2.SubjectToken | None, field: str, reason: str) -> None:
    operation = EraseSubject(SubjectEraser(None, b""), b"")  # type: ignore[arg-type] # validation opens nothing
    with pytest.raises(Refusal) as refused:
        operation.validate(pb.EraseSubjectRequest(subject=subject), START)
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [(field, reason)]

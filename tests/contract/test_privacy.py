"""What those learn who should learn nothing: from the log alone, and from what is left of an erased subject.

Each search is first shown to find what it looks for where that is known to be: a search that finds nothing ever proves nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tests.contract import requests
from tests.contract.installation import public_bytes
from tests.contract.leak_scanner import LeakScanner, dump
from tests.contract.raw_caller import RawCaller, Reply, path
from tests.contract.requests import BATCH_QUERY, QUERY, SUBMIT
from tests.contract.system import System

from tallystick.client import Exchange
from tallystick.contract.details import detail_hash
from tallystick.crypto import (
    NoteVerifier,
    details_commitment,
    framed,
    leaf_hash,
    open_checkpoint,
    subject_key,
    subject_leaf,
    verify_consistency,
    verify_inclusion,
)
from tallystick.server.log.details import open_details
from tallystick.server.log.evidence import EvidenceBox
from tallystick.server.log.tiles import integrate
from tallystick.v1 import audit_service_pb2, log_pb2, storage_pb2, subject_pb2

AUDIT = "AuditService/"


# --- The log alone --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A query that was made, as somebody may come to know who remembers everything but the seed."""

    reply: Reply
    subject: subject_pb2.SubjectToken
    purpose: int
    consent: str

    @property
    def entry(self) -> log_pb2.AuditEntry:
        return log_pb2.AuditEntry.FromString(self.reply.logged.entry)

    @property
    def leaf(self) -> bytes:
        return subject_leaf(self.subject.epoch_id, self.subject.element, self.purpose, self.consent)


@pytest.fixture(scope="module")
def asked(system: System) -> list[Asked]:
    """Forty queries of one member, about persons who have a record and others who have none, some of them twice."""
    reporter, inquirer = system["bank-a"].exchange, system["bank-b"].exchange
    subjects = [system.mint.stranger() for _ in range(20)]
    known = requests.submission(requests.report(subject) for subject in subjects[:10])
    assert reporter.call(SUBMIT, known).message.accepted_count == 10
    made = []
    for i, subject in [*enumerate(subjects)] * 2:
        purpose, consent = i % 2 + 2, f"consent-{i}"
        made.append(Asked(inquirer.call(QUERY, requests.query(subject, purpose, consent)), subject, purpose, consent))
    integrate(system.exchange.database_view.url)
    return made


def _public_seeds(entry: log_pb2.AuditEntry, index: int) -> Iterator[bytes]:
    """Seeds that would be no secret: constants, and everything in the entry."""
    yield from (bytes(32), b"\xff" * 32, b"")
    time = entry.create_time
    parts = [
        index.to_bytes(8, "big"),
        str(index).encode(),
        entry.member_id.encode(),
        entry.method.encode(),
        entry.keyid,
        time.seconds.to_bytes(8, "big"),
        str(time.seconds).encode(),
        time.SerializeToString(),
        entry.SerializeToString(),
    ]
    for count in (1, 2):
        for chosen in itertools.permutations(parts, count):
            yield hashlib.sha256(b"".join(chosen)).digest()


def _commitment(seed: bytes, envelope: bytes, leaf: bytes) -> bytes:
    if len(seed) == 32:
        return details_commitment(seed, envelope, [leaf])
    hashes = [leaf_hash(content) for content in (envelope, leaf)]
    return hashlib.sha256(b"\x01" + hashes[0] + hashes[1]).digest()


def test_no_guess_is_confirmed_by_the_log(system: System, asked: list[Asked]) -> None:
    """The guesser holds all leaves and their hashes, all tokens, purposes and consents, and even each envelope; not the seeds."""
    stored = system.exchange.database_view
    rows = stored.rows("SELECT leaf, leaf_hash FROM audit_entry")
    commitments = {log_pb2.AuditEntry.FromString(leaf).details_commitment for leaf, _ in rows}
    hashes = {hashed for _, hashed in rows} | {h for (tile,) in stored.rows("SELECT hashes FROM log_tile") for h in _chunks(tile)}
    public = commitments | hashes

    for one in asked:
        receipt = one.reply.logged
        # With the seed, which its own member has, the guess is confirmed: the search would see it.
        assert _commitment(receipt.seed, receipt.envelope, one.leaf) in public
        for envelope in (receipt.envelope, b""):
            for seed in _public_seeds(one.entry, receipt.index):
                assert _commitment(seed, envelope, one.leaf) not in public
        for guess in (one.leaf, one.subject.element, one.consent.encode(), one.subject.epoch_id + one.subject.element):
            assert not public & {hashlib.sha256(guess).digest(), leaf_hash(guess), leaf_hash(bytes(16) + guess)}

    leaves = b"".join(leaf for leaf, _ in rows)
    for one in asked:
        assert one.subject.element not in leaves
        assert one.consent.encode() not in leaves
        assert hashlib.sha256(one.reply.sent).digest() not in leaves
        assert hashlib.sha256(one.reply.answer).digest() not in leaves


def _chunks(data: bytes) -> list[bytes]:
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def test_equal_queries_leave_different_commitments(asked: list[Asked]) -> None:
    for first, second in zip(asked[:20], asked[20:], strict=True):
        assert first.leaf == second.leaf
        assert first.entry.details_commitment != second.entry.details_commitment


def test_an_answer_of_no_record_leaves_the_same_leaf_as_any_other(system: System, asked: list[Asked]) -> None:
    """But for the time, and a commitment that is random without the seed, all leaves of one member's queries are equal."""
    outcomes = {one.reply.message.credit_history.outcome for one in asked}
    assert outcomes == {1, 2}
    shapes, lengths = set(), set()
    for one in asked:
        entry = one.entry
        assert {field.name for field, _ in entry.ListFields()} == {
            "format_version",
            "create_time",
            "member_id",
            "keyid",
            "method",
            "outcome",
            "details_commitment",
        }
        lengths.add(len(entry.details_commitment))
        entry.ClearField("create_time")
        entry.ClearField("details_commitment")
        shapes.add(entry.SerializeToString())
    assert lengths == {32}
    assert len(shapes) == 1


def test_the_leaf_of_a_batch_does_not_tell_how_many_it_was_about(system: System) -> None:
    caller, shapes = system["bank-b"].exchange, set()
    for count in (1, 2, 200):
        batch = requests.batch_query(requests.inquiry(system.mint.stranger()) for _ in range(count))
        entry = log_pb2.AuditEntry.FromString(caller.call(BATCH_QUERY, batch).logged.entry)
        entry.ClearField("create_time")
        entry.details_commitment = bytes(len(entry.details_commitment))
        shapes.add(entry.SerializeToString())
    assert len(shapes) == 1


# --- An erased subject ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Promise:
    """A receipt and what was said with it before the erasure, all of which must hold after it."""

    receipt: log_pb2.Receipt
    size: int
    proof: Sequence[bytes]


def _promises(system: System, replies: Sequence[Reply]) -> list[Promise]:
    caller, promises = system["bank-a"].exchange, []
    for reply in replies:
        size = system.exchange.database_view.size
        request = audit_service_pb2.GetInclusionProofRequest(index=reply.logged.index, tree_size=size)
        answer = caller.send(AUDIT + "GetInclusionProof", request.SerializeToString(), ()).message
        promises.append(Promise(reply.logged, size, list(answer.hashes)))
    return promises


def _checkpoint(system: System) -> tuple[int, bytes]:
    note = system["bank-a"].exchange.send(AUDIT + "GetCheckpoint", b"", ()).message.checkpoint
    installation = system.exchange.installation
    checkpoint = open_checkpoint(note, NoteVerifier(installation.origin, public_bytes(installation.keys.checkpoint_key)))
    return checkpoint.size, checkpoint.root


def _erase(system: System, subject: subject_pb2.SubjectToken) -> list[Any]:
    answers: list[Any] = []
    while not answers or not answers[-1].complete:
        request = audit_service_pb2.EraseSubjectRequest(request_id=requests.request_id(), subject=subject)
        reply = system.operator.call(requests.ERASE, request)
        system.operator.verified_receipt(reply)
        answers.append(reply.message)
    return answers


def _opened_evidence(system: System) -> Iterator[tuple[int, storage_pb2.Evidence, log_pb2.AuditEntry]]:
    """Every entry's evidence, opened with the server's own keys."""
    box = EvidenceBox(system.exchange.installation.keys.evidence)
    rows = system.exchange.database_view.rows(
        "SELECT month, entry_index, sealed, leaf FROM evidence JOIN audit_entry ON index = entry_index ORDER BY entry_index"
    )
    for month, index, sealed, leaf in rows:
        entry = log_pb2.AuditEntry.FromString(leaf)
        plain = box.open(sealed, month=month, details_commitment=entry.details_commitment)
        yield index, storage_pb2.Evidence.FromString(plain), entry


STORED_UNTIL_ERASED = {
    "the token: itself",
    "the subject key",
    "a consent",
    "a request's digest",
    "an answer's digest",
    "a request's signature",
    "a seed",
    "what a retry is known by",
}


def _expect_earlier_proofs(system: System, caller: RawCaller, promises: Sequence[Promise], old_size: int, old_root: bytes) -> None:
    """Every earlier inclusion proof verifies, and so does the consistency with the earlier checkpoint."""
    size, root = _checkpoint(system)
    between = audit_service_pb2.GetConsistencyProofRequest(old_size=old_size, new_size=size)
    proof = caller.send(AUDIT + "GetConsistencyProof", between.SerializeToString(), ()).message
    verify_consistency(old_size, size, old_root, root, list(proof.hashes))
    for promise in promises:
        index, hashed = promise.receipt.index, leaf_hash(promise.receipt.entry)
        assert system.exchange.database_view.entry(index).SerializeToString() == promise.receipt.entry
        request = audit_service_pb2.GetInclusionProofRequest(index=index, tree_size=size)
        now = caller.send(AUDIT + "GetInclusionProof", request.SerializeToString(), ()).message
        verify_inclusion(index, size, hashed, list(now.hashes), root)
        again = audit_service_pb2.GetInclusionProofRequest(index=index, tree_size=promise.size)
        assert list(caller.send(AUDIT + "GetInclusionProof", again.SerializeToString(), ()).message.hashes) == promise.proof


def _said(system: System, erased: subject_pb2.SubjectToken, others: Sequence[Any], consents: Sequence[str]) -> list[Reply]:
    """Everything that members say of a subject, some of it with others in one batch: seven requests, and three that are refused."""
    a, b, auditor = system["bank-a"].exchange, system["bank-b"].exchange, system["auditor"].exchange
    reports = [requests.report(each) for each in (others[0], erased, others[1])]
    return [
        a.call(SUBMIT, requests.submission(reports)),
        b.call(BATCH_QUERY, requests.batch_query([requests.inquiry(erased, 2, consents[0]), *map(requests.inquiry, others)])),
        b.call(BATCH_QUERY, requests.batch_query([*map(requests.inquiry, others), requests.inquiry(erased, 3, consents[1])])),
        a.call(QUERY, requests.query(erased, 1, consents[2])),
        auditor.call(requests.LIST_ENTRIES, audit_service_pb2.ListAuditEntriesRequest(subject=erased)),
        a.call(requests.RECORD_EVENTS, requests.recording(map(requests.event, reports))),
        a.call(requests.LIST_EVENTS, requests.events_of(reports[1])),
        # Refused: the purpose is not allowed; the token is said to be of other epochs. Whom it is about is in the log all the same.
        system["lender-c"].exchange.call(QUERY, requests.query(erased, 1, consents[0])),
        *(
            a.call(QUERY, requests.query(subject_pb2.SubjectToken(element=erased.element, epoch_id=epoch), 2, consents[0]))
            for epoch in (b"\x00\x00\x00\x07" + erased.epoch_id[4:], b"of the wrong length")
        ),
    ]


def test_an_erased_subject_is_gone_and_every_proof_still_holds(system: System, sdk: Callable[[str], Exchange]) -> None:
    a, b = system["bank-a"].exchange, system["bank-b"].exchange
    erased, *others = (system.mint.stranger() for _ in range(4))
    consents = [f"consent-of-erased-{i}" for i in range(3)]
    replies = _said(system, erased, others, consents)
    assert [reply.ok for reply in replies] == [True] * 7 + [False] * 3
    promises, (old_size, old_root) = _promises(system, replies), _checkpoint(system)
    leak_scanner = _traces(system, erased, consents, replies)
    # What is stored of a subject as long as nobody erases it: the search sees it.
    assert leak_scanner.found_in(_everything(system)) >= STORED_UNTIL_ERASED

    answers = _erase(system, erased)
    assert sum(answer.entries_resealed for answer in answers) == len(replies)
    assert sum(answer.accounts_deleted for answer in answers) == 1

    # 1. Every earlier proof verifies, and so does every earlier checkpoint's.
    _expect_earlier_proofs(system, a, promises, old_size, old_root)

    # 2. The entries open for the auditor, the erased one as a hash alone, the others in the same batch as before.
    opened = sdk("auditor").audit_show(replies[1].logged.index)
    assert [subject.erased for subject in opened.subjects] == [True, False, False, False]
    assert [subject.element for subject in opened.subjects[1:]] == [each.element for each in others]
    assert opened.request == b""
    assert sdk("auditor").audit_verify().verified

    # 3. Nothing that is left matches: no byte string, and no commitment, whatever salt is still to be had.
    assert leak_scanner.found_in(_everything(system)) == set()
    _expect_no_match(system, erased, consents)

    # 4. The exchange answers as if it had never heard of that person, and goes on about the others.
    history = b.call(QUERY, requests.query(erased, 2, "consent-after")).message.credit_history
    assert (history.outcome, history.inquiry_summary.count_1_month) == (2, 0)
    assert b.call(QUERY, requests.query(others[0])).message.credit_history.outcome == 1
    # A late retry of a request that named the subject has no second effect.
    late = a.call(SUBMIT, replies[0].sent)
    assert late.reason == "REQUEST_ID_REUSED"
    assert b.call(QUERY, requests.query(erased, 2, "consent-after")).message.credit_history.outcome == 2


def _everything(system: System) -> bytes:
    """All that the server stores, and all that its own keys open of it."""
    stored = b"\x00".join(dump(system.exchange.database_view).values())
    return b"\x00".join([stored, *(evidence.SerializeToString() for _, evidence, _ in _opened_evidence(system))])


def _traces(system: System, erased: subject_pb2.SubjectToken, consents: Sequence[str], replies: Sequence[Reply]) -> LeakScanner:
    """Whatever names the subject, or would confirm a guess of it, even to a holder of the server's keys."""
    leak_scanner, keys = LeakScanner(), system.exchange.installation.keys
    leak_scanner.add_with_forms(erased.element, "the token", [keys.subject_secret, keys.request_secret, erased.epoch_id])
    leak_scanner.add(subject_key(keys.subject_secret, erased.epoch_id, erased.element), "the subject key")
    for consent in consents:
        leak_scanner.add(consent.encode(), "a consent")
    for reply in replies:
        envelope = log_pb2.Envelope.FromString(reply.logged.envelope)
        leak_scanner.add(envelope.request_digest, "a request's digest")
        if reply.ok and reply.method in (QUERY, BATCH_QUERY):
            # The answers of other methods, and refusals, are the same for many.
            leak_scanner.add(envelope.answer_digest, "an answer's digest")
        leak_scanner.add(envelope.signature, "a request's signature")
        leak_scanner.add(reply.logged.seed, "a seed")
        known_by = framed("tallystick-request-v1", path(reply.method).encode(), reply.sent)
        leak_scanner.add(hmac.digest(keys.request_secret, known_by, "sha256"), "what a retry is known by")
    return leak_scanner


def _expect_no_match(system: System, erased: subject_pb2.SubjectToken, consents: Sequence[str]) -> None:
    guesses = [
        subject_leaf(erased.epoch_id, erased.element, purpose, consent) for purpose in range(100) for consent in ("", *consents)
    ]
    salts, hashes, reduced = set(), set(), 0
    for _, evidence, entry in _opened_evidence(system):
        details = open_details(evidence, entry.details_commitment) if not _is_erasure(entry) else list(evidence.leaves)
        reduced += bool(evidence.leaves) and not _is_erasure(entry)
        assert not (evidence.leaves and (evidence.seed or evidence.request or evidence.envelope))
        salts |= {leaf.salt for leaf in evidence.leaves}
        hashes |= {detail_hash(leaf) for leaf in details}
    assert reduced >= 6
    for guess in guesses:
        assert not hashes & {leaf_hash(salt + guess) for salt in salts | {bytes(16)}}


def _is_erasure(entry: log_pb2.AuditEntry) -> bool:
    return entry.method.endswith("/EraseSubject")

"""Appending to the log: the leaf, its place, its evidence and its receipt, for a whole batch at once.

What is written here and by the operations before it commits together. If we crash before COMMIT nothing of the batch exists;
after it the entries exist, and a caller that got no answer asks again under the same request_id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.contract.details import detail_of
from tallystick.contract.instants import microseconds
from tallystick.crypto import (
    CompactRange,
    commitment_from_hashes,
    leaf_hash,
    new_seed,
    salt,
    salted_leaf_hash,
    sign_receipt,
)
from tallystick.server.errors import ConcurrentChangeError
from tallystick.server.log.evidence import EvidenceBox, evidence_month
from tallystick.server.requests.operation import Place, Sequel, Work
from tallystick.server.storage.array_literals import booleans, integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Execution, Statement
from tallystick.v1 import log_pb2, storage_pb2

FORMAT_VERSION = 1
MAX_KEPT_OF_BARRED = 16 * 1024
"""Most bytes that are kept of a request whose sender may not make it: a query has a few hundred."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request, as far as the log is concerned."""

    work: Work
    message: bytes
    """What the caller gets: the serialised answer, or the status of the refusal."""
    envelope: bytes
    """The serialised Envelope."""
    claim: bytes | None
    """The digest by which a retry under the request_id is known; None for a request that had no effect now."""

    @property
    def kept_request(self) -> bytes | None:
        """The request as received, for the evidence; None where it is not kept. What nobody could find to erase is not kept; nor,
        but for a little, what comes from a caller that may not send it at all, and could otherwise fill the disk."""
        request = self.work.request
        message = request.call.message
        kept = request.operation.keeps_request and request.traceable
        return message if kept and (len(message) <= MAX_KEPT_OF_BARRED or not self.work.barred) else None

    @property
    def result(self) -> log_pb2.EntryOutcome.ValueType:
        """As the entry says it."""
        return log_pb2.ENTRY_OUTCOME_OK if self.work.refusal is None else log_pb2.ENTRY_OUTCOME_REFUSED


@dataclass(frozen=True, slots=True)
class RegistryVersion:
    """Which registry of members and keys a batch was admitted by, and which it leaves."""

    seen: int
    changed: bool

    @property
    def after(self) -> int:
        """The version once the batch is committed."""
        return self.seen + self.changed


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry but for its time and place: all that can be made before the head of the log is locked."""

    outcome: Outcome
    seed: bytes
    details_commitment: bytes
    evidence: bytes
    """The serialised Evidence."""
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a batch went."""

    first_index: int
    leaves: Sequence[bytes]
    leaf_hashes: Sequence[bytes]


_LOCK_HEAD = Statement(
    "lock_head",
    {},
    "SELECT size, compact_range, greatest(last_time, fence_time, clock_timestamp()), registry_version, watch_index"
    " FROM log_head WHERE singleton FOR UPDATE",
)

_ENTRIES = Statement(
    "append_entries",
    {
        "time": "timestamptz",
        "indices": "bigint[]",
        "leaves": "bytea[]",
        "leaf_hashes": "bytea[]",
        "members": "bigint[]",
        "methods": "text[]",
        "outcomes": "smallint[]",
    },
    """
INSERT INTO audit_entry (index, leaf, leaf_hash, create_time, member, method, outcome)
SELECT index, leaf, leaf_hash, %(time)s, member, method, outcome
FROM unnest(%(indices)s, %(leaves)s, %(leaf_hashes)s, %(members)s, %(methods)s, %(outcomes)s)
  AS row (index, leaf, leaf_hash, member, method, outcome)
""",
)

_EVIDENCE = Statement(
    "append_evidence",
    {"month": "date", "indices": "bigint[]", "sealed": "bytea[]"},
    """
INSERT INTO evidence (month, entry_index, sealed)
SELECT %(month)s, entry_index, sealed FROM unnest(%(indices)s, %(sealed)s) AS row (entry_index, sealed)
""",
)

_SUBJECTS = Statement(
    "append_subjects",
    {
        "time": "timestamptz",
        "subjects": "bytea[]",
        "indices": "bigint[]",
        "ordinals": "integer[]",
        "members": "bigint[]",
        "purposes": "smallint[]",
        "consents": "text[]",
        "footprints": "boolean[]",
    },
    """
INSERT INTO audit_subject (subject, entry_index, ordinal, member, purpose, consent_reference, create_time, footprint)
SELECT subject, entry_index, ordinal, member, purpose, consent_reference, %(time)s, footprint
FROM unnest(%(subjects)s, %(indices)s, %(ordinals)s, %(members)s, %(purposes)s, %(consents)s, %(footprints)s)
  AS row (subject, entry_index, ordinal, member, purpose, consent_reference, footprint)
""",
)

_CLAIMS = Statement(
    "append_claims",
    {
        "time": "timestamptz",
        "members": "bigint[]",
        "request_ids": "bytea[]",
        "methods": "text[]",
        "digests": "bytea[]",
        "indices": "bigint[]",
        "answers": "bytea[]",
        "accepted": "integer[]",
        "superseded": "integer[]",
        "rejected": "integer[]",
    },
    """
INSERT INTO request (member, request_id, method, digest, entry_index, create_time, answer, accepted_count,
                     superseded_count, rejected_count)
SELECT member, request_id, method, digest, entry_index, %(time)s, answer, accepted, superseded, rejected
FROM unnest(%(members)s, %(request_ids)s, %(methods)s, %(digests)s, %(indices)s, %(answers)s, %(accepted)s, %(superseded)s,
            %(rejected)s)
  AS row (member, request_id, method, digest, entry_index, answer, accepted, superseded, rejected)
""",
)

_ADVANCE = Statement(
    "advance_head",
    {"size": "bigint", "compact_range": "bytea", "time": "timestamptz", "registry_version": "bigint", "watch_index": "bigint"},
    """
UPDATE log_head
SET size = %(size)s, compact_range = %(compact_range)s, last_time = %(time)s, registry_version = %(registry_version)s,
    watch_index = %(watch_index)s
WHERE singleton
""",
)


_SubjectRow = tuple[bytes, int, int, int, int, str, bool]


class LogWriter:
    """Makes entries of outcomes, and receipts of entries."""

    def __init__(self, origin: str, receipt_key: Ed25519PrivateKey, box: EvidenceBox) -> None:
        self._origin = origin
        self._receipt_key = receipt_key
        self._box = box

    def prepare(self, outcome: Outcome, month: date) -> Prepared:
        """Commits to the details and seals what opens them."""
        request, seed = outcome.work.request, new_seed()
        contents = [outcome.envelope, *(subject.leaf() for _, subject in outcome.work.named)]
        hashes = [salted_leaf_hash(salt(seed, i), content) for i, content in enumerate(contents)]
        commitment = commitment_from_hashes(hashes)
        evidence = storage_pb2.Evidence(method=request.operation.method)
        if (kept := outcome.kept_request) is not None:
            evidence.seed, evidence.envelope, evidence.request = seed, outcome.envelope, kept
            evidence.told.extend(detail_of(subject) for _, subject in outcome.work.told)
        else:
            # The seed would make salts for guesses of the leaves that are not kept: only what is disclosed keeps its own.
            first = evidence.leaves.add(erased_leaf_hash=hashes[0])
            # Its digests and signature would confirm a guess of a request that must not be kept.
            if request.operation.keeps_request:
                first.salt, first.envelope = salt(seed, 0), outcome.envelope
            for hashed in hashes[1:]:
                evidence.leaves.add(erased_leaf_hash=hashed)
        plain = evidence.SerializeToString()
        sealed = self._box.seal(plain, month=month, details_commitment=commitment)
        return Prepared(outcome, seed, commitment, plain, sealed)

    async def append_and_commit(
        self, connection: Connection, batch: Sequence[Prepared], month: date, registry: RegistryVersion
    ) -> list[bytes]:
        """Locks the head, appends, commits; returns the serialised receipts, in the batch's order.

        The receipts are signed while the database is writing. They leave this process only after COMMIT has come back.
        Raises ConcurrentChangeError when the registry has changed since the batch was admitted, and CommitFailedError once the
        append was sent, whatever went wrong."""
        ((size, compact_range, time, registry_version, watch_index),) = await connection.run(_LOCK_HEAD())
        if registry_version != registry.seen:
            # Nobody may be in the log as admitted after the entry that took the admission away.
            raise ConcurrentChangeError
        if evidence_month(time) != month:
            month = evidence_month(time)
            batch = [self._seal_again(prepared, month) for prepared in batch]
        create_time = _timestamp(time)
        leaves = [_leaf(prepared, create_time) for prepared in batch]
        hashes = [leaf_hash(leaf) for leaf in leaves]
        tree = CompactRange.from_bytes(size, bytes(compact_range))
        tree.extend(hashes)
        appended = Appended(size, leaves, hashes)
        receipts: list[bytes] = []

        def sign() -> None:
            receipts.extend(self.receipts(batch, appended))

        works = [prepared.outcome.work for prepared in batch]
        sequels = await _sequels(connection, works, Place(size, time, watch_index))
        advance = _ADVANCE(
            size=tree.size,
            compact_range=tree.to_bytes(),
            time=time,
            registry_version=registry.after,
            watch_index=tree.size if any(work.puts_watches and work.takes_effect for work in works) else watch_index,
        )
        try:
            await connection.run(*_inserts(batch, appended, time, month), *sequels, advance, "COMMIT", meanwhile=sign)
        except Exception as error:
            raise CommitFailedError(appended) from error
        return receipts

    def receipts(self, batch: Sequence[Prepared], appended: Appended) -> list[bytes]:
        """The serialised receipts of a batch that is where `appended` says."""
        return [
            self._receipt(appended.first_index + i, batch[i], appended.leaves[i], appended.leaf_hashes[i])
            for i in range(len(batch))
        ]

    def _seal_again(self, prepared: Prepared, month: date) -> Prepared:
        sealed = self._box.seal(prepared.evidence, month=month, details_commitment=prepared.details_commitment)
        return replace(prepared, sealed=sealed)

    def _receipt(self, index: int, prepared: Prepared, leaf: bytes, hashed: bytes) -> bytes:
        return log_pb2.Receipt(
            entry=leaf,
            index=index,
            seed=prepared.seed,
            envelope=prepared.outcome.envelope,
            signature=sign_receipt(self._receipt_key, self._origin, index, hashed),
        ).SerializeToString()


class CommitFailedError(Exception):
    """The last statements failed or their result never came. `appended` says where to look whether they took effect after all."""

    def __init__(self, appended: Appended) -> None:
        super().__init__("the append did not come back")
        self.appended = appended


async def is_committed(connection: Connection, appended: Appended) -> bool:
    """Whether a batch is in the log. Its leaves commit to random seeds, so no other batch can be mistaken for it."""
    rows = await connection.fetch("SELECT leaf_hash FROM audit_entry WHERE index = %s", (appended.first_index,))
    return bool(rows) and bytes(rows[0][0]) == appended.leaf_hashes[0]


async def _sequels(connection: Connection, works: Sequence[Work], place: Place) -> list[Execution]:
    """What is to be written with the entries and needs their places, each sequel once for all works that share it."""
    shared: dict[Sequel, dict[Work, int]] = {}
    for index, work in enumerate(works, start=place.first_index):
        if work.sequel is not None:
            shared.setdefault(work.sequel, {})[work] = index
    return [statement for sequel, indices in shared.items() for statement in await sequel.statements(connection, indices, place)]


def _timestamp(time: datetime) -> tuple[int, int]:
    """A database's instant as protobuf's seconds and nanoseconds, without a float between."""
    seconds, micros = divmod(microseconds(time), 1_000_000)
    return seconds, micros * 1000


def _leaf(prepared: Prepared, create_time: tuple[int, int]) -> bytes:
    work = prepared.outcome.work
    entry = log_pb2.AuditEntry(
        format_version=FORMAT_VERSION,
        member_id=work.caller.member_id,
        keyid=work.request.signature.keyid,
        method=work.request.operation.method,
        outcome=prepared.outcome.result,
        details_commitment=prepared.details_commitment,
    )
    entry.create_time.seconds, entry.create_time.nanos = create_time
    return entry.SerializeToString(deterministic=True)


def _inserts(batch: Sequence[Prepared], appended: Appended, time: datetime, month: date) -> Iterator[Execution]:
    """All inserts of a batch; with the head's advance and the commit they cost one round trip under the head's lock."""
    outcomes = [prepared.outcome for prepared in batch]
    indices = list(range(appended.first_index, appended.first_index + len(batch)))
    yield _ENTRIES(
        time=time,
        indices=integers(indices),
        leaves=list(appended.leaves),
        leaf_hashes=list(appended.leaf_hashes),
        members=integers(outcome.work.caller.member for outcome in outcomes),
        methods=[outcome.work.request.operation.method for outcome in outcomes],
        outcomes=integers(outcome.result for outcome in outcomes),
    )
    yield _EVIDENCE(month=month, indices=integers(indices), sealed=[prepared.sealed for prepared in batch])
    if subjects := [row for i, o in zip(indices, outcomes, strict=True) for row in _subject_rows(i, o.work)]:
        yield _subjects(subjects, time)
    if claims := [_claim_row(i, o) for i, o in zip(indices, outcomes, strict=True) if o.claim is not None]:
        # One array for each parameter after the time.
        columns = map(list, zip(*claims, strict=True))
        yield _CLAIMS(time=time, **dict(zip(list(_CLAIMS.types)[1:], columns, strict=True)))


def _subjects(rows: Sequence[_SubjectRow], time: datetime) -> Execution:
    keys, indices, ordinals, members, purposes, consents, footprints = zip(*rows, strict=True)
    return _SUBJECTS(
        time=time,
        subjects=short_bytes(keys),
        indices=integers(indices),
        ordinals=integers(ordinals),
        members=integers(members),
        purposes=integers(purposes),
        consents=list(consents),
        footprints=booleans(footprints),
    )


def _subject_rows(index: int, work: Work) -> Iterator[_SubjectRow]:
    footprint = work.footprint and work.takes_effect
    member = work.caller.member
    for ordinal, (key, subject) in enumerate(work.named, start=1):
        if key:
            yield key, index, ordinal, member, *subject.searchable(), footprint


def _claim_row(index: int, outcome: Outcome) -> tuple[object, ...]:
    work, request = outcome.work, outcome.work.request
    submission = work.submission or (None, None, None)
    answer = outcome.message if work.keep_answer else None
    return work.caller.member, request.request_id, request.operation.method, outcome.claim, index, answer, *submission

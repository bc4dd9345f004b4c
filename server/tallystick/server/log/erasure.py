"""Erasing a subject: what is stored no longer matches its token, and every leaf, receipt and proof of the log stays as
it is.

For each entry about the subject the evidence is sealed anew: the other subjects' leaves with explicit salts, the erased
subject's leaf as its hash alone. The envelope is reduced to its hash too (its digests and signature would let anyone
test guesses of the request), the request is dropped, and so is the seed, from which the erased leaf's salt derives.
The keyed digest by which a retry of the request is known goes as well: with its request_id beside it, it would confirm
a guess of the request to anybody who has the keys. A later retry is refused as if it were another request.
Then the search rows of the subject go. What a capability keeps of a subject beside the log is erased by the capability's
own eraser. What this cannot reach: old row versions until the database
vacuums, backups until they expire, and what members keep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tallystick.contract.details import detail_hash
from tallystick.crypto import commitment_from_hashes, subject_key
from tallystick.server.log.details import open_details, request_id_of
from tallystick.server.log.entries import Entry, read_entries
from tallystick.server.log.evidence import EvidenceBox, EvidenceCorruptError, EvidenceKeyDestroyedError
from tallystick.server.storage.connection import Connection
from tallystick.v1 import log_pb2, storage_pb2
from tallystick.v1.subject_pb2 import SubjectToken

MAX_ENTRIES = 64
"""Most entries that one call seals anew."""
MAX_LEAVES = 4096
"""After so many leaves a call ends early: each costs a hash or two while other requests wait."""
MAX_SEALED_BYTES = 8 * 1024 * 1024
"""After so much evidence a call ends early."""


class ErasureError(Exception):
    """The evidence of an entry does not open, so nothing of it can be kept, nor erased by sealing anew."""

    def __init__(self, index: int) -> None:
        super().__init__(f"the evidence of entry {index} does not open: restore it from a backup, then erase again")
        self.index = index


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What one call erased."""

    entries_resealed: int
    entries_without_evidence: int
    """Entries about the subject whose evidence was dropped, or destroyed with its key, before; their search rows are
    deleted."""
    accounts_deleted: int
    complete: bool
    """False when a bound was reached: call again. Done so far is done for good, for the deleted search rows say where
    to go on."""


@dataclass(frozen=True, slots=True)
class _Resealed:
    """One entry's evidence after erasing: how much work it was, in leaves and bytes; none if there was no evidence."""

    leaves: int
    size: int


@dataclass(frozen=True, slots=True)
class Eraser:
    """Erases what one table holds of a subject."""

    table: str
    erase: Callable[[Connection, bytes], Awaitable[int]]
    """Deletes the rows of a subject key, inside the transaction of the caller; returns how many."""


class SubjectEraser:
    """Erases subjects, inside a transaction that the caller began and will commit."""

    def __init__(self, box: EvidenceBox, subject_secret: bytes, reported: Sequence[Eraser] = ()) -> None:
        """`reported` are the erasers of what members reported, which an erasure may leave."""
        self._box = box
        self._subject_secret = subject_secret
        self._reported = reported

    async def erase_subject(self, connection: Connection, subject: SubjectToken, *, accounts: bool = True) -> ErasureReport:
        """Erases a bounded part of what is stored about the subject; `accounts` says whether its accounts go too.

        If we crash here, the transaction is lost and nothing is erased. Entries about the subject that commit after
        this began stay. Raises ErasureError, and CryptoError for a token of the wrong length.
        """
        key = subject_key(self._subject_secret, subject.epoch_id, subject.element)
        erased = {eraser.table: await eraser.erase(connection, key) for eraser in self._reported} if accounts else {}
        rows = await connection.fetch(
            "SELECT DISTINCT entry_index FROM audit_subject WHERE subject = %s ORDER BY entry_index LIMIT %s",
            (key, MAX_ENTRIES + 1),
        )
        indices = [row[0] for row in rows]
        done: list[_Resealed] = []
        entries = await read_entries(connection, indices[:MAX_ENTRIES])
        for index in indices[:MAX_ENTRIES]:
            if sum(one.leaves for one in done) > MAX_LEAVES or sum(one.size for one in done) > MAX_SEALED_BYTES:
                break
            done.append(await self._reseal(connection, entries[index], subject))
        await connection.execute(
            "DELETE FROM audit_subject WHERE subject = %s AND entry_index = ANY(%s)", (key, indices[: len(done)])
        )
        resealed = sum(one.leaves > 0 for one in done)
        return ErasureReport(resealed, len(done) - resealed, erased.get("account", 0), complete=len(done) == len(indices))

    async def _reseal(self, connection: Connection, entry: Entry, subject: SubjectToken) -> _Resealed:
        # Locked: the evidence of a batch may be sealed anew for another of its subjects at this moment, and the later
        # of two writers must build on what the earlier left. Rows are locked in the order of the log.
        rows = await connection.fetch(
            "SELECT sealed FROM evidence WHERE month = %s AND entry_index = %s FOR UPDATE", (entry.month, entry.index)
        )
        if not rows:
            return _Resealed(0, 0)
        commitment, sealed = entry.details_commitment, bytes(rows[0][0])
        try:
            plain = self._box.open(sealed, month=entry.month, details_commitment=commitment)
            evidence = storage_pb2.Evidence.FromString(plain)
            details = open_details(evidence, commitment)
        except EvidenceKeyDestroyedError:
            return _Resealed(0, 0)
        except EvidenceCorruptError as error:
            raise ErasureError(entry.index) from error
        leaves = erase_leaves(details, subject)
        await self._forget_digest(connection, entry, evidence)
        # Before anything is overwritten: what is left must still be what the log commits to.
        if commitment_from_hashes([detail_hash(leaf) for leaf in leaves]) != commitment:
            raise ErasureError(entry.index)
        plain = storage_pb2.Evidence(method=evidence.method, leaves=leaves).SerializeToString()
        await connection.execute(
            "UPDATE evidence SET sealed = %s WHERE month = %s AND entry_index = %s",
            (self._box.seal(plain, month=entry.month, details_commitment=commitment), entry.month, entry.index),
        )
        return _Resealed(len(leaves), len(sealed))

    async def _forget_digest(self, connection: Connection, entry: Entry, evidence: storage_pb2.Evidence) -> None:
        """Empties the digest of the entry's request; where the request is gone already, so is its digest."""
        request_id = request_id_of(evidence.method, evidence.request)
        if request_id:
            await connection.execute(
                "UPDATE request SET digest = '' WHERE member = %s AND request_id = %s", (entry.member, request_id)
            )


def erase_leaves(details: Sequence[log_pb2.DetailLeaf], subject: SubjectToken) -> list[log_pb2.DetailLeaf]:
    """The leaves with the envelope, and each leaf that names the subject, as hashes alone."""
    return [_erased(leaf) if _reveals(leaf, subject) else leaf for leaf in details]


def _reveals(leaf: log_pb2.DetailLeaf, subject: SubjectToken) -> bool:
    """By the element alone: whatever epoch id a refused request put beside it, it is the same subject's token."""
    return leaf.WhichOneof("content") == "envelope" or (
        leaf.WhichOneof("content") == "subject" and leaf.subject.subject.element == subject.element
    )


def _erased(leaf: log_pb2.DetailLeaf) -> log_pb2.DetailLeaf:
    return log_pb2.DetailLeaf(erased_leaf_hash=detail_hash(leaf))

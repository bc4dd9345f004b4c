"""Verification of a log: recompute its root from its entries, and where it differs from the signed one, name what was changed.

The signed root is all that is trusted. A subtree's hash counts only when an inclusion proof ties it to that root; comparing such
hashes with those recomputed from the exported entries, from the root downwards, leads to the entries that differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from google.protobuf.message import DecodeError

from tallystick.client.calls import Call, Flow, PageStream, Server, parse
from tallystick.client.checkpoints import Checkpoints, SignedCheckpoint
from tallystick.client.exceptions import AnswerMalformed, InclusionFalse, NotReached
from tallystick.client.methods import EXPORT_AUDIT_ENTRIES
from tallystick.client.receipts import KeptReceipt
from tallystick.crypto import (
    Checkpoint,
    MerkleError,
    complete_subtrees,
    fold,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    root,
    verify_inclusion,
)
from tallystick.v1 import audit_service_pb2, log_pb2

_HASH_BYTES = 32
_ABSENT = bytes(_HASH_BYTES)
"""Stands for an entry that was not exported; it is the hash of nothing that anybody knows."""
_MAX_DIFFERENCES = 10_000
_MAX_PROOFS = 20_000
"""Proofs asked for at the most: a log that was rewritten as a whole needs no list of all its entries."""


class DifferenceKind(StrEnum):
    """In what way a log is not what was signed."""

    CHANGED = "changed"
    """The entry's bytes are not those that the signed root commits to."""
    MISSING = "missing"
    """The export left the entries out."""
    DUPLICATED = "duplicated"
    """The export gave the entry more than once, or out of order."""
    MALFORMED = "malformed"
    """The entry cannot be read as an AuditEntry of a known format, or its time goes backwards."""
    UNPROVABLE = "unprovable"
    """Something among the entries was changed, and the server cannot prove which."""
    REWRITTEN = "rewritten"
    """The log does not continue the last checkpoint that was verified: something before it was changed or taken away."""
    NOT_INCLUDED = "not included"
    """A receipt promised another entry at this index than the log has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is wrong with the entries [begin, end)."""

    kind: DifferenceKind
    begin: int
    end: int

    def __str__(self) -> str:
        entries = f"entry {self.begin}" if self.end == self.begin + 1 else f"entries {self.begin} to {self.end - 1}"
        return f"{entries}: {self.kind.value}"


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a verification found."""

    checkpoint: Checkpoint
    note: str
    """The signed note of that checkpoint: evidence, whatever was found."""
    previous: Checkpoint | None
    """The checkpoint from which the log was shown to continue; None on the first run."""
    entries_read: int | None
    """How many entries were exported and hashed; None when they were not asked for."""
    recomputed_root: bytes | None
    """The root over the exported entries."""
    receipts_included: int
    """How many of the given receipts are in the log."""
    receipts_pending: int
    """How many of the given receipts are newer than the checkpoint."""
    differences: tuple[Difference, ...]

    @property
    def verified(self) -> bool:
        """Whether all that was checked is as it was signed."""
        return not self.differences


class Verification:
    """The flows that verify a log."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def verify_log(self, server: Server, receipts: Sequence[KeptReceipt], *, read_entries: bool) -> Flow[LogReport]:
        """Verifies a log, in the order that the comments count."""
        # 1. The checkpoint is signed by the pinned key.
        previous = self._checkpoints.last_verified(server)
        signed = yield from self._checkpoints.fetch(server)
        checkpoint = signed.checkpoint
        differences: list[Difference] = []
        # 2. It continues the last one that was verified.
        if previous is not None:
            consistent = yield from self._checkpoints.consistent(server, previous.checkpoint, checkpoint)
            if not consistent:
                differences.append(Difference(DifferenceKind.REWRITTEN, 0, previous.checkpoint.size))
        # 3. The entries hash to its root; 4. or else those are named that do not.
        export: _Export | None = None
        if read_entries:
            export = yield from self._export(server, checkpoint.size)
            differences += export.differences
            if export.root() != checkpoint.root:
                differences += yield from self._locate(server, checkpoint, export)
        # 5. What the receipts promised is in it.
        included, pending, broken = yield from self.included(server, receipts, signed)
        differences += broken
        # 6. Only what was verified as a whole is what the next run continues from.
        report = LogReport(
            checkpoint,
            signed.note,
            previous.checkpoint if previous else None,
            export.received if export else None,
            export.root() if export else None,
            included,
            pending,
            tuple(sorted(set(differences), key=lambda each: (each.begin, each.end, each.kind))),
        )
        if report.verified:
            self._checkpoints.remember(server, signed)
        return report

    def included(
        self, server: Server, receipts: Iterable[KeptReceipt], signed: SignedCheckpoint
    ) -> Flow[tuple[int, int, list[Difference]]]:
        """How many receipts are in the log, how many are newer than the checkpoint, and which promises were broken."""
        included = pending = 0
        broken: list[Difference] = []
        checkpoint = signed.checkpoint
        leaves = {(receipt.origin, receipt.index, receipt.leaf_hash) for receipt in receipts}
        for origin, index, promised in sorted(leaves):
            if origin != checkpoint.origin:
                raise InclusionFalse(f"a receipt is of the log {origin}, and the checkpoint of {checkpoint.origin}")
            if index >= checkpoint.size:
                pending += 1
                continue
            proof = yield from self._checkpoints.inclusion_proof(server, index, checkpoint.size)
            try:
                verify_inclusion(index, checkpoint.size, promised, list(proof.hashes), checkpoint.root)
                included += 1
            except MerkleError:
                broken.append(Difference(DifferenceKind.NOT_INCLUDED, index, index + 1))
        return included, pending, broken

    def _export(self, server: Server, size: int) -> Flow[_Export]:
        """Reads the entries [0, size). A stream that breaks is taken up again where it broke."""
        export = _Export(size)
        while export.next < size:
            begun_at = export.next
            request = audit_service_pb2.ExportAuditEntriesRequest(start_index=begun_at, end_index=size)
            try:
                yield PageStream(Call(EXPORT_AUDIT_ENTRIES.at(server), request.SerializeToString()), export.take)
            except NotReached:
                if export.next == begun_at:
                    raise
            else:
                export.leave_out(size)
        return export

    def _locate(self, server: Server, checkpoint: Checkpoint, export: _Export) -> Flow[list[Difference]]:
        """Descends from the signed root into every subtree that differs; see the module's docstring."""
        tree = _Tree(export.hashes())
        found: list[Difference] = []
        differing = [(0, checkpoint.size)]
        proofs = 0
        while differing and len(found) < _MAX_DIFFERENCES and proofs < _MAX_PROOFS:
            begin, end = differing.pop()
            for index in dict.fromkeys((begin, end - 1)):
                proofs += 1
                known = yield from self._authenticated(server, checkpoint, index)
                if known is not None:
                    break
            else:
                found.append(Difference(DifferenceKind.UNPROVABLE, begin, end))
                continue
            for (low, high), authentic in known:
                if low < begin or high > end or tree.hash(low, high) == authentic:
                    continue
                if high - low > 1:
                    differing.append((low, high))
                elif not export.is_absent(low):
                    found.append(Difference(DifferenceKind.CHANGED, low, high))
        found += [Difference(DifferenceKind.UNPROVABLE, begin, end) for begin, end in differing]
        return found

    def _authenticated(
        self, server: Server, checkpoint: Checkpoint, index: int
    ) -> Flow[list[tuple[tuple[int, int], bytes]] | None]:
        """The hashes that a leaf's inclusion proof ties to the signed root, with their ranges; None if it does not hold."""
        proof = yield from self._checkpoints.inclusion_proof(server, index, checkpoint.size)
        hashes = list(proof.hashes)
        try:
            verify_inclusion(index, checkpoint.size, proof.leaf_hash, hashes, checkpoint.root)
        except MerkleError:
            return None
        ranges = inclusion_ranges(index, checkpoint.size)
        return [((index, index + 1), proof.leaf_hash), *zip(ranges, hashes, strict=True)]


class _Export:
    """What came of the entries [0, size): a hash for each, and what was wrong on the way."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.next = 0
        """The index that must come next."""
        self.received = 0
        self.differences: list[Difference] = []
        self._hashes = bytearray()
        self._time = (0, 0)
        self._root: bytes | None = None

    def take(self, page: bytes) -> None:
        """One page of the export; raises AnswerMalformed for what is no page."""
        for logged in parse(audit_service_pb2.AuditEntryPage, page).entries:
            if logged.index >= self.size:
                raise AnswerMalformed(f"the export went past its end, to entry {logged.index}")
            if logged.index < self.next:
                self._differ(DifferenceKind.DUPLICATED, logged.index, logged.index + 1)
                continue
            self.leave_out(logged.index)
            self._check(logged)
            self._hashes += leaf_hash(logged.entry)
            self.next += 1
            self.received += 1

    def leave_out(self, end: int) -> None:
        """Notes that the entries from the next one up to `end` did not come."""
        if end > self.next:
            self._differ(DifferenceKind.MISSING, self.next, end)
            self._hashes += _ABSENT * (end - self.next)
            self.next = end

    def is_absent(self, index: int) -> bool:
        """Whether the entry did not come."""
        return self._hash(index) == _ABSENT

    def hashes(self) -> list[bytes]:
        """The leaf hashes, by index."""
        return [self._hash(index) for index in range(self.next)]

    def root(self) -> bytes:
        """The root over all of them."""
        if self._root is None:
            self._root = root(self.hashes())
        return self._root

    def _hash(self, index: int) -> bytes:
        return bytes(self._hashes[index * _HASH_BYTES : (index + 1) * _HASH_BYTES])

    def _check(self, logged: log_pb2.LoggedEntry) -> None:
        """An entry is of format 1 and not older than the one before it."""
        try:
            entry = log_pb2.AuditEntry.FromString(logged.entry)
        except DecodeError:
            self._differ(DifferenceKind.MALFORMED, logged.index, logged.index + 1)
            return
        time = (entry.create_time.seconds, entry.create_time.nanos)
        if entry.format_version != 1 or time < self._time:
            self._differ(DifferenceKind.MALFORMED, logged.index, logged.index + 1)
        self._time = max(self._time, time)

    def _differ(self, kind: DifferenceKind, begin: int, end: int) -> None:
        if len(self.differences) < _MAX_DIFFERENCES:
            self.differences.append(Difference(kind, begin, end))


class _Tree:
    """All complete subtrees over some leaf hashes, so that any range of a proof is hashed once."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._levels = [leaves]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            self._levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - len(below) % 2, 2)])

    def hash(self, begin: int, end: int) -> bytes:
        """The root of a range of a proof."""
        return fold([self._levels[level][index] for level, index in complete_subtrees(begin, end)])

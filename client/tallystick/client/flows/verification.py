"""Verification of a log: recompute its root from its entries, and where it differs from the signed one, name what was changed.

The signed root is all that is trusted. A subtree's hash counts only when an inclusion proof ties it to that root; comparing such
hashes with those recomputed from the exported entries, from the root downwards, leads to the entries that differ.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from google.protobuf.message import DecodeError

from tallystick.client.exceptions import AnswerMalformed, FileInvalid, NotReached, ReceiptFalse, Refused
from tallystick.client.flows.checkpoints import Checkpoints, SignedCheckpoint
from tallystick.client.profile.servers import Counterpart, Server
from tallystick.client.protocol.calls import Call, Flow, Method, PageStream, parse
from tallystick.client.protocol.receipts import KeptReceipt, verify_promise
from tallystick.contract import methods
from tallystick.crypto import (
    Checkpoint,
    CompactRange,
    MerkleError,
    complete_subtrees,
    fold,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    verify_inclusion,
)
from tallystick.v1 import audit_service_pb2, log_pb2

EXPORT_AUDIT_ENTRIES = Method.of(methods.EXPORT_AUDIT_ENTRIES)

_HASH_BYTES = 32
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
    ROLLED_BACK = "rolled back"
    """A receipt promised an entry at this index, and the log that was signed since does not reach it: its end was taken away."""


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
    """The root over the exported entries; None also when some of them did not come."""
    receipts_included: int
    """How many of the given receipts are in the log; every other one is a difference."""
    differences: tuple[Difference, ...]

    @property
    def verified(self) -> bool:
        """Whether all that was checked is as it was signed."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class InclusionReport:
    """What became of receipts in the log of one checkpoint. It has no truth value: ask whether it is `verified`."""

    included: int
    """How many are in the log."""
    pending: tuple[KeptReceipt, ...]
    """Those at or past the checkpoint's size, of which it says nothing. Right only of receipts that were given after the checkpoint
    was signed: one that was given before is a broken promise."""
    differences: tuple[Difference, ...]
    """The promises that were broken: the log has another entry at their index."""

    @property
    def verified(self) -> bool:
        """Whether every receipt is in the log: none broken, and none pending."""
        return not self.differences and not self.pending

    def __bool__(self) -> bool:
        # Truth could be read as "something is wrong" as well as "all is well".
        raise TypeError("an InclusionReport is neither true nor false: ask for its `verified`, `pending` or `differences`")


class Verification:
    """The flows that verify a log."""

    def __init__(self, checkpoints: Checkpoints, counterparts: Mapping[Server, Counterpart]) -> None:
        self._checkpoints = checkpoints
        self._counterparts = counterparts

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
            if export.root != checkpoint.root:
                differences += yield from self._locate(server, checkpoint, export)
        # 5. What the receipts promised is in it. They were all given before the checkpoint was asked for, and given only after
        #    their entries were committed: none of them can be newer than it.
        inclusion = yield from self.included(server, receipts, signed)
        differences += inclusion.differences
        differences += [Difference(DifferenceKind.ROLLED_BACK, lost.index, lost.index + 1) for lost in inclusion.pending]
        # 6. Only what was verified as a whole is what the next run continues from.
        report = LogReport(
            checkpoint,
            signed.note,
            previous.checkpoint if previous else None,
            export.received if export else None,
            export.root if export else None,
            inclusion.included,
            tuple(sorted(set(differences), key=lambda each: (each.begin, each.end, each.kind))),
        )
        if report.verified:
            self._checkpoints.remember(server, signed)
        return report

    def included(self, server: Server, receipts: Sequence[KeptReceipt], signed: SignedCheckpoint) -> Flow[InclusionReport]:
        """What became of the receipts in the log of a checkpoint.

        Raises FileInvalid for a receipt that proves nothing: of another log, or neither in this one nor signed by the pinned
        receipt key. It names the line: the receipt's place among those given, from 1.
        """
        checkpoint = signed.checkpoint
        included: dict[tuple[int, bytes], bool] = {}
        pending: dict[tuple[int, bytes], KeptReceipt] = {}
        for line, receipt in enumerate(receipts, 1):
            if receipt.origin != checkpoint.origin:
                raise FileInvalid(f"line {line}: this receipt is of another log than {checkpoint.origin}")
            promise = (receipt.index, receipt.leaf_hash)
            if promise not in included:
                included[promise] = yield from self._is_included(server, promise, checkpoint)
            if not included[promise]:
                # A key that was pinned before a change of keys may have signed what is in the log; but only the pinned one accuses.
                self._require_signed(server, receipt, line)
                if receipt.index >= checkpoint.size:
                    pending.setdefault(promise, receipt)
        broken = [
            Difference(DifferenceKind.NOT_INCLUDED, index, index + 1)
            for (index, promised), holds in sorted(included.items())
            if not holds and (index, promised) not in pending
        ]
        return InclusionReport(sum(included.values()), tuple(pending.values()), tuple(broken))

    def _is_included(self, server: Server, promise: tuple[int, bytes], checkpoint: Checkpoint) -> Flow[bool]:
        index, promised = promise
        if index >= checkpoint.size:
            return False
        proof = yield from self._checkpoints.inclusion_proof(server, index, checkpoint.size)
        try:
            verify_inclusion(index, checkpoint.size, promised, list(proof.hashes), checkpoint.root)
        except MerkleError:
            return False
        return True

    def _require_signed(self, server: Server, receipt: KeptReceipt, line: int) -> None:
        try:
            verify_promise(receipt, self._counterparts[server].receipt_key)
        except ReceiptFalse as error:
            raise FileInvalid(f"line {line}: this proves nothing against the exchange: {error}") from None

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
            except Refused as error:
                # It signed this size, and now says that its log ends before: a finding, and no reason to stop.
                if error.reason != "FIELD_OUT_OF_RANGE":
                    raise
                export.leave_out(size)
            else:
                export.leave_out(size)
        return export

    def _locate(self, server: Server, checkpoint: Checkpoint, export: _Export) -> Flow[list[Difference]]:
        """Descends from the signed root into every subtree that differs; see the module's docstring."""
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
                # What did not come at all is named as missing already, whatever was signed there.
                if low < begin or high > end or not export.reaches(low, high) or export.hash(low, high) == authentic:
                    continue
                if high - low > 1:
                    differing.append((low, high))
                else:
                    found.append(Difference(DifferenceKind.CHANGED, low, high))
        found += [Difference(DifferenceKind.UNPROVABLE, begin, end) for begin, end in differing]
        return found

    def _authenticated(
        self, server: Server, checkpoint: Checkpoint, index: int
    ) -> Flow[list[tuple[tuple[int, int], bytes]] | None]:
        """The hashes that a leaf's inclusion proof ties to the signed root, with their ranges; None if there is none that holds."""
        try:
            proof = yield from self._checkpoints.inclusion_proof(server, index, checkpoint.size)
        except Refused:
            return None
        hashes = list(proof.hashes)
        try:
            verify_inclusion(index, checkpoint.size, proof.leaf_hash, hashes, checkpoint.root)
        except MerkleError:
            return None
        ranges = inclusion_ranges(index, checkpoint.size)
        return [((index, index + 1), proof.leaf_hash), *zip(ranges, hashes, strict=True)]


class _Export:
    """What came of the entries [0, size): their hashes, and what was wrong on the way.

    It takes room for what came, and for nothing else: the size is only what somebody signed.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.next = 0
        """The index that must come next."""
        self.received = 0
        self.differences: list[Difference] = []
        self._runs: list[_Run] = []
        self._whole = CompactRange()
        self._time = (0, 0)

    @property
    def root(self) -> bytes | None:
        """The root over all entries; None when some did not come."""
        return self._whole.root() if self._whole.size == self.size else None

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
            self._append(leaf_hash(logged.entry))

    def leave_out(self, end: int) -> None:
        """Notes that the entries from the next one up to `end` did not come."""
        if end > self.next:
            self._differ(DifferenceKind.MISSING, self.next, end)
            self.next = end

    def reaches(self, begin: int, end: int) -> bool:
        """Whether any entry of [begin, end) came."""
        after = bisect_right(self._runs, begin, key=_begin_of)
        return any(run.begin < end and begin < run.end for run in self._runs[max(after - 1, 0) : after + 1])

    def hash(self, begin: int, end: int) -> bytes | None:
        """The root of a range of a proof; None when not all of it came."""
        after = bisect_right(self._runs, begin, key=_begin_of)
        if after == 0 or self._runs[after - 1].end < end:
            return None
        return self._runs[after - 1].hash(begin, end)

    def _append(self, hash_: bytes) -> None:
        if not self._runs or self._runs[-1].end != self.next:
            self._runs.append(_Run(self.next))
        self._runs[-1].append(hash_)
        if self._whole.size == self.next:
            self._whole.append(hash_)
        self.next += 1
        self.received += 1

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


class _Run:
    """Entries that came without a gap, from `begin` on: their leaf hashes, and the log's complete subtrees over them alone."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.end = begin
        self._leaves = bytearray()
        self._levels: list[tuple[int, bytearray]] = []

    def append(self, hash_: bytes) -> None:
        """The next entry's leaf hash."""
        self._leaves += hash_
        self.end += 1

    def hash(self, begin: int, end: int) -> bytes:
        """The root of a range of a proof that lies within the run. The subtrees are hashed once, when the first is asked for."""
        if not self._levels:
            self._levels = list(_levels(self.begin, self._leaves))
        return fold([_at(*self._levels[level], index) for level, index in complete_subtrees(begin, end)])


def _levels(first: int, hashes: bytearray) -> Iterator[tuple[int, bytearray]]:
    """The complete subtrees over adjacent leaf hashes, level by level: the first one's index, and the hashes joined."""
    while hashes:
        yield first, hashes
        left = first + first % 2
        after = first + len(hashes) // _HASH_BYTES
        pairs = range(left, after - 1, 2)
        hashes, first = bytearray().join(node_hash(_at(first, hashes, n), _at(first, hashes, n + 1)) for n in pairs), left // 2


def _at(first: int, hashes: bytearray, index: int) -> bytes:
    return bytes(hashes[(index - first) * _HASH_BYTES : (index - first + 1) * _HASH_BYTES])


def _begin_of(run: _Run) -> int:
    return run.begin

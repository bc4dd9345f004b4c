"""Verification of a log: recompute its root from its entries, and where it differs from the signed one, name what was changed.

The signed root is all that is trusted. A subtree's hash counts only when an inclusion proof ties it to that root; comparing such
hashes with those recomputed from the exported entries, from the root downwards, leads to the entries that differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tallystick.client.exceptions import FileInvalid, ReceiptFalse, Refused
from tallystick.client.flows.authority import Acts, Authority
from tallystick.client.flows.checkpoints import Checkpoints, SignedCheckpoint
from tallystick.client.flows.differences import Difference, DifferenceKind
from tallystick.client.flows.log_export import MAX_DIFFERENCES, Export, export_log
from tallystick.client.profile.servers import Counterpart, Server
from tallystick.client.protocol.calls import Flow
from tallystick.client.protocol.receipts import KeptReceipt, verify_promise
from tallystick.crypto import (
    Checkpoint,
    MerkleError,
    inclusion_ranges,
    verify_inclusion,
)

_MAX_PROOFS = 20_000
"""Proofs asked for at the most: a log that was rewritten as a whole needs no list of all its entries."""


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
    authority_replayed: bool
    """Whether every entry was held against the keys and roles that the log itself had given by then. Not without the entries, nor
    when the evidence of one about membership was dropped."""
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
    """The promises that were broken: the log has another entry at their index, or the server refuses to prove which it has."""

    @property
    def verified(self) -> bool:
        """Whether every receipt is in the log: none broken, and none pending."""
        return not self.differences and not self.pending

    def __bool__(self) -> bool:
        # Truth could be read as "something is wrong" as well as "all is well".
        raise TypeError("an InclusionReport is neither true nor false: ask for its `verified`, `pending` or `differences`")


class Verification:
    """The flows that verify a log."""

    def __init__(self, checkpoints: Checkpoints, counterparts: Mapping[Server, Counterpart], authority: Authority) -> None:
        self._checkpoints = checkpoints
        self._authority = authority
        self._counterparts = counterparts

    def verify_log(self, server: Server, receipts: Sequence[KeptReceipt], *, read_entries: bool, now: datetime) -> Flow[LogReport]:
        """Verifies a log, in the order that the comments count."""
        # 1. The checkpoint is signed by the pinned key.
        previous = self._checkpoints.last_verified(server)
        signed = yield from self._checkpoints.fetch(server)
        checkpoint = signed.checkpoint
        differences: list[Difference] = []
        # 2. It continues the last one that was verified.
        if previous is not None:
            try:
                consistent = yield from self._checkpoints.consistent(server, previous.checkpoint, checkpoint)
            except Refused:
                differences.append(Difference(DifferenceKind.WITHHELD, 0, previous.checkpoint.size))
            else:
                if not consistent:
                    differences.append(Difference(DifferenceKind.REWRITTEN, 0, previous.checkpoint.size))
        # 3. The entries hash to its root; 4. or else those are named that do not.
        export: Export | None = None
        replayed = False
        if read_entries:
            acts = Acts()
            export = yield from export_log(server, checkpoint.size, acts.observe)
            differences += export.differences
            if export.root != checkpoint.root:
                located = yield from self._locate(server, checkpoint, export)
                differences += located + (yield from self._contradicted(located, acts, server, checkpoint, now))
            else:
                # Only in a log that is whole does no entry about membership lack.
                unauthorised, replayed = yield from self._authority.unauthorised(acts, server, now)
                differences += unauthorised
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
            replayed,
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
        found: dict[tuple[int, bytes], DifferenceKind | None] = {}
        pending: dict[tuple[int, bytes], KeptReceipt] = {}
        for line, receipt in enumerate(receipts, 1):
            if receipt.origin != checkpoint.origin:
                raise FileInvalid(f"line {line}: this receipt is of another log than {checkpoint.origin}")
            promise = (receipt.index, receipt.leaf_hash)
            if promise not in found:
                found[promise] = yield from self._broken(server, promise, checkpoint)
            if found[promise] is not None:
                # A key that was pinned before a change of keys may have signed what is in the log; but only the pinned one accuses.
                self._require_signed(server, receipt, line)
                if receipt.index >= checkpoint.size:
                    pending.setdefault(promise, receipt)
        broken = [
            Difference(kind, index, index + 1)
            for (index, promised), kind in sorted(found.items(), key=lambda item: item[0])
            if kind is not None and (index, promised) not in pending
        ]
        return InclusionReport(list(found.values()).count(None), tuple(pending.values()), tuple(broken))

    def _broken(self, server: Server, promise: tuple[int, bytes], checkpoint: Checkpoint) -> Flow[DifferenceKind | None]:
        """In what way the log does not keep a promise; None if it does. Refusing to prove it is one."""
        index, promised = promise
        if index >= checkpoint.size:
            return DifferenceKind.NOT_INCLUDED
        try:
            proof = yield from self._checkpoints.inclusion_proof(server, index, checkpoint.size)
            verify_inclusion(index, checkpoint.size, promised, list(proof.hashes), checkpoint.root)
        except Refused:
            return DifferenceKind.WITHHELD
        except MerkleError:
            return DifferenceKind.NOT_INCLUDED
        return None

    def _require_signed(self, server: Server, receipt: KeptReceipt, line: int) -> None:
        try:
            verify_promise(receipt, self._counterparts[server].receipt_key)
        except ReceiptFalse as error:
            raise FileInvalid(f"line {line}: this proves nothing against the exchange: {error}") from None

    def _locate(self, server: Server, checkpoint: Checkpoint, export: Export) -> Flow[list[Difference]]:
        """Descends from the signed root into every subtree that differs; see the module's docstring."""
        found: list[Difference] = []
        differing = [(0, checkpoint.size)]
        proofs = 0
        while differing and len(found) < MAX_DIFFERENCES and proofs < _MAX_PROOFS:
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

    def _contradicted(
        self, located: Sequence[Difference], acts: Acts, server: Server, checkpoint: Checkpoint, now: datetime
    ) -> Flow[list[Difference]]:
        """Which entries it is, where no proof could tell."""
        spans = [(each.begin, each.end) for each in located if each.kind is DifferenceKind.UNPROVABLE]
        if not spans:
            return []
        return (yield from self._authority.contradicted(acts, spans, server, checkpoint.origin, now))

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

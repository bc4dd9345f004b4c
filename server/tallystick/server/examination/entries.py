"""The entries: each leaf with the columns that repeat it, one after the other, and the head that counts them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.message import DecodeError

from tallystick.contract.authority import CHANGES
from tallystick.crypto import leaf_hash
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined, time_of
from tallystick.server.examination.streams import Row
from tallystick.server.examination.tree import Tree
from tallystick.server.log.append import FORMAT_VERSION
from tallystick.v1 import log_pb2

MAX_HOLE = 100_000
"""Longest stretch of missing entries after which the others are still compared with the tiles."""
_NOTHING = bytes(32)
"""Stands for the hash of an entry that is not there."""


class Entries:
    """Takes the rows of audit_entry in the order of their index."""

    def __init__(self, anomalies: Anomalies, tree: Tree, members: Mapping[int, str]) -> None:
        self._anomalies = anomalies
        self._tree = tree
        self._members = members
        self._rows = {member_id: row for row, member_id in members.items()}
        self._last_time: datetime | None = None
        self._changes = 0
        self.next: int = 0

    def take(self, row: Row) -> Examined | None:
        """One row; None when its leaf cannot be read."""
        index, leaf, stored_hash, create_time, member, method, outcome = row
        if index != self.next:
            self._hole(index, create_time)
        self.next = index + 1
        computed = leaf_hash(leaf)
        if computed != stored_hash:
            self._anomalies.add("audit_entry", index, "its leaf_hash is not that of its leaf: one of both was changed")
        self._tree.take(computed, create_time)
        self._order(index, create_time)
        entry = self._read(index, leaf)
        if entry is None:
            return None
        self._columns(entry, create_time, member, method, outcome)
        if entry.carried_out and entry.leaf.method in CHANGES:
            self._changes += 1
        known = self._rows.get(entry.leaf.member_id)
        entry.member = member if known is None else known
        return entry

    def finish(self, size: int, last_time: datetime, registry_version: int) -> None:
        """All rows were taken; the rest are the columns of the head."""
        if size > self.next:
            self._anomalies.add("audit_entry", f"{self.next} to {size - 1}", "missing, unless the head was changed: it has them")
        if size != self.next:
            self._anomalies.add("log_head", "size", f"is {size}, and the last entry is number {self.next - 1}")
        if self._last_time is not None and last_time != self._last_time:
            self._anomalies.add("log_head", "last_time", "is not the time of the last entry")
        # The first two are one transaction; each one after them is a transaction of its own.
        expected = max(self._changes - 1, 0)
        if registry_version != expected:
            text = f"is {registry_version}, and members and keys were changed {expected} times"
            self._anomalies.add("log_head", "registry_version", text)

    def _hole(self, index: int, create_time: datetime) -> None:
        missing = str(self.next) if index == self.next + 1 else f"{self.next} to {index - 1}"
        self._anomalies.add("audit_entry", missing, "missing: somebody deleted or moved it")
        if index - self.next <= MAX_HOLE:
            # What comes after it is compared in its place.
            for _ in range(self.next, index):
                self._tree.take(_NOTHING, create_time)

    def _order(self, index: int, create_time: datetime) -> None:
        if self._last_time is not None and create_time < self._last_time:
            self._anomalies.add("audit_entry", index, "is older than the entry before it")
        self._last_time = create_time

    def _read(self, index: int, leaf: bytes) -> Examined | None:
        try:
            read = log_pb2.AuditEntry.FromString(leaf)
            time = time_of(read)
        except (DecodeError, OverflowError):
            self._anomalies.add("audit_entry", index, "its leaf cannot be read")
            return None
        if read.format_version != FORMAT_VERSION:
            self._anomalies.add("audit_entry", index, "its leaf is of no known format")
        return Examined(index, read, time, 0)

    def _columns(self, entry: Examined, create_time: datetime, member: int, method: str, outcome: int) -> None:
        leaf = entry.leaf
        compared = {
            "create_time": create_time == entry.create_time,
            "member": self._members.get(member) == leaf.member_id,
            "method": method == leaf.method,
            "outcome": outcome == leaf.outcome,
        }
        if differing := [name for name, same in compared.items() if not same]:
            self._anomalies.add("audit_entry", entry.index, f"its {', '.join(differing)} is not what its leaf says")

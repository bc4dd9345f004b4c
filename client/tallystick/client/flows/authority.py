"""Authority by the log: the entries about membership are opened and replayed (tallystick.contract.authority), and every entry is
held against what they had given by then.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import datetime

from google.protobuf.message import DecodeError

from tallystick.client.exceptions import AnswerMalformed, DetailsFalse, ServerFault
from tallystick.client.flows.auditing import AuditEntry, Auditing, read_entry
from tallystick.client.flows.contradictions import MAX_OPENED, contradicted
from tallystick.client.flows.differences import Difference, DifferenceKind
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Flow
from tallystick.contract.authority import CHANGES, Act, Registry
from tallystick.crypto import CryptoError
from tallystick.v1 import log_pb2


class Acts:
    """Who did what where in a log, collected while it is read: eight bytes an entry."""

    def __init__(self) -> None:
        self.changes: list[AuditEntry] = []
        """Entries of membership that were carried out."""
        self._indices: dict[tuple[str, bytes, str, bool], array[int]] = {}

    def observe(self, logged: log_pb2.LoggedEntry, entry: log_pb2.AuditEntry) -> None:
        """One entry, in the order of the log. Raises AnswerMalformed for one about membership that cannot be read."""
        refused = entry.outcome == log_pb2.ENTRY_OUTCOME_REFUSED
        who = (entry.member_id, entry.keyid, entry.method, refused)
        self._indices.setdefault(who, array("Q")).append(logged.index)
        if entry.method in CHANGES and not refused:
            self.changes.append(read_entry(logged))

    def unauthorised(self, registry: Registry) -> list[Difference]:
        """The acts that the registry does not allow, by index."""
        found = [
            index
            for (member_id, key, method, refused), indices in self._indices.items()
            for index in indices
            if not registry.allows(Act(index, member_id, key, method, refused))
        ]
        return [Difference(DifferenceKind.UNAUTHORISED, index, index + 1) for index in sorted(found)]


class Authority:
    """The flow that replays the entries about membership."""

    def __init__(self, auditing: Auditing) -> None:
        self._auditing = auditing

    def contradicted(
        self, acts: Acts, spans: Sequence[tuple[int, int]], server: Server, origin: str, now: datetime
    ) -> Flow[list[Difference]]:
        """Those of the entries of some spans, in a log that differs from the signed one, that do not fit their own evidence."""
        registry: Registry | None = None
        try:
            replayed, _, told = yield from self._replayed(acts, server, now)
            registry = replayed if told else None
        except (DetailsFalse, AnswerMalformed):
            # The entry that was changed is one about membership, perhaps.
            pass
        left = MAX_OPENED
        found: list[Difference] = []
        for begin, end in spans:
            if end - begin <= left:
                left -= end - begin
                found += yield from contradicted(self._auditing, registry, (begin, end), server, origin)
        return found

    def unauthorised(self, acts: Acts, server: Server, now: datetime) -> Flow[tuple[list[Difference], bool]]:
        """The entries of a whole log that nobody had the authority for, and whether that could be told: not when the evidence of an
        entry about membership was dropped after its retention period."""
        registry, wrong, told = yield from self._replayed(acts, server, now)
        return (acts.unauthorised(registry), True) if told else (wrong, False)

    def _replayed(self, acts: Acts, server: Server, now: datetime) -> Flow[tuple[Registry, list[Difference], bool]]:
        """The registry as the entries about membership made it; what is wrong with one of them; and whether all could be read."""
        registry = Registry()
        for entry in acts.changes:
            try:
                shown = yield from self._auditing.disclosed(entry.index, server)
            except ServerFault:
                return registry, [_withheld(entry)], False
            if shown.entry.leaf_hash != entry.leaf_hash:
                return registry, [_withheld(entry)], False
            if shown.is_dropped(now):
                return registry, [], False
            if not shown.request:
                # Or else the loss of one entry's evidence would excuse every key that was smuggled in.
                return registry, [_withheld(entry)], False
            try:
                registry.take(_act(entry), CHANGES[entry.method].request.FromString(shown.request))
            except (DecodeError, CryptoError):
                return registry, [Difference(DifferenceKind.MALFORMED, entry.index, entry.index + 1)], False
        return registry, [], True


def _withheld(entry: AuditEntry) -> Difference:
    return Difference(DifferenceKind.WITHHELD, entry.index, entry.index + 1)


def _act(entry: AuditEntry) -> Act:
    return Act(entry.index, entry.member_id, entry.keyid, entry.method, entry.refused)

"""The entries of a log as a server gives them: read to the end whatever it refuses, and hashed as they come."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator

from google.protobuf.message import DecodeError

from tallystick.client.exceptions import AnswerMalformed, NotAllowed, NotAuthenticated, NotReached, Refused
from tallystick.client.flows.differences import Difference, DifferenceKind
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Call, Flow, Method, PageStream, parse
from tallystick.contract import methods
from tallystick.crypto import CompactRange, complete_subtrees, fold, leaf_hash, node_hash
from tallystick.v1 import audit_service_pb2, log_pb2

EXPORT_AUDIT_ENTRIES = Method.of(methods.EXPORT_AUDIT_ENTRIES)

MAX_DIFFERENCES = 10_000
MAX_REFUSALS = 2_000
"""Refusals until the rest counts as withheld: each costs a call, and a log of holes needs no list of all of them."""
_HASH_BYTES = 32


Observer = Callable[[log_pb2.LoggedEntry, log_pb2.AuditEntry], None]
"""Sees each entry as it comes, with what its leaf says, in the order of the log; not called for one that cannot be read."""


def export_log(server: Server, size: int, observe: Observer = lambda _logged, _entry: None) -> Flow[Export]:
    """Reads the entries [0, size).

    A stream that breaks is taken up again where it broke. Where the server refuses, the stretch is halved until it gives what comes
    before the entry that it does not give: that one is withheld, and the reading goes on behind it. Raises NotReached, and
    NotAllowed or NotAuthenticated when it is this caller that it refuses.
    """
    export = Export(size, observe)
    end, refusals = size, 0
    while export.next < size:
        begun_at = export.next
        request = audit_service_pb2.ExportAuditEntriesRequest(start_index=begun_at, end_index=end)
        try:
            yield PageStream(Call(EXPORT_AUDIT_ENTRIES.at(server), request.SerializeToString()), export.take)
        except NotReached:
            if export.next == begun_at:
                raise
        except (NotAllowed, NotAuthenticated):
            raise
        except Refused as error:
            refusals += 1
            if error.reason == "FIELD_OUT_OF_RANGE":
                # It signed this size, and now says that its log ends before.
                export.leave_out(size)
            elif refusals > MAX_REFUSALS:
                export.leave_out(size, DifferenceKind.WITHHELD)
            elif export.next == begun_at and end == begun_at + 1:
                export.leave_out(end, DifferenceKind.WITHHELD)
                end = size
            else:
                end = export.next + max((end - export.next) // 2, 1)
        else:
            export.leave_out(end)
            end = size
    return export


class Export:
    """What came of the entries [0, size): their hashes, and what was wrong on the way.

    It takes room for what came, and for nothing else: the size is only what somebody signed.
    """

    def __init__(self, size: int, observe: Observer) -> None:
        self.size = size
        self._observe = observe
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

    def leave_out(self, end: int, kind: DifferenceKind = DifferenceKind.MISSING) -> None:
        """Notes that the entries from the next one up to `end` did not come."""
        if end > self.next:
            self._differ(kind, self.next, end)
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
        else:
            self._observe(logged, entry)
        self._time = max(self._time, time)

    def _differ(self, kind: DifferenceKind, begin: int, end: int) -> None:
        if len(self.differences) < MAX_DIFFERENCES:
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

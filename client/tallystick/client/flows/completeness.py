"""A list of entries that the server cannot cut: read from the signed log itself, and held against the server's own list.

The server finds entries by search rows, which are not in the log: a change of them hides an entry from every list. So the whole log
is read and hashed to its signed root, each entry of the period is opened, its commitment rebuilt, and what it names is compared
with the server's list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from tallystick.client.exceptions import DetailsFalse, InputInvalid, ServerFault
from tallystick.client.flows.auditing import AuditEntry, Auditing, DisclosedSubject, EntryFilter, read_entry
from tallystick.client.flows.checkpoints import Checkpoints
from tallystick.client.flows.differences import Difference, DifferenceKind
from tallystick.client.flows.log_export import export_log
from tallystick.client.flows.stated import purpose_of
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Flow
from tallystick.contract.methods import METHODS
from tallystick.contract.subjects import Subject, nobody
from tallystick.credit.enums import Purpose
from tallystick.crypto import Checkpoint
from tallystick.v1 import log_pb2


@dataclass(frozen=True, slots=True)
class CompleteList:
    """The entries that a filter means, by the log itself, and how the server's own list differs from them."""

    checkpoint: Checkpoint
    """The signed log that was read."""
    note: str
    """Its signed note: evidence, whatever was found."""
    entries: tuple[AuditEntry, ...]
    """What the log holds, newest first. By subject, purpose and consent are those that the entries commit to; else what is said of
    inquiries is the server's list's word."""
    left_out: tuple[AuditEntry, ...]
    """Those of `entries` that the server's list does not have: somebody hid them."""
    invented: tuple[AuditEntry, ...]
    """What the server's list has, or says, and the log does not; of entries that do not open nobody can tell."""
    opened: int
    """How many entries of the period were opened to find whom they are about."""
    missing: tuple[AuditEntry, ...]
    """Entries of the period whose evidence the server does not give, though by its own word it still keeps it."""
    unopened: tuple[AuditEntry, ...]
    """Entries of the period whose evidence was dropped: whether they are about the subject, nobody can tell."""
    hidden: tuple[AuditEntry, ...]
    """Entries of the period with subjects that were erased or never kept: the same of those subjects."""
    differences: tuple[Difference, ...]
    """What is wrong with the log itself; `audit_verify` says more."""

    @property
    def complete(self) -> bool:
        """Whether the server's list is that of the log, as far as anybody can tell: see `unopened` and `hidden`."""
        return not (self.left_out or self.invented or self.missing or self.differences)


class Completeness:
    """The flow that makes a complete list."""

    def __init__(self, auditing: Auditing, checkpoints: Checkpoints) -> None:
        self._auditing = auditing
        self._checkpoints = checkpoints

    def complete_list(self, wanted: EntryFilter, server: Server, now: datetime) -> Flow[CompleteList]:
        """See the module. Every entry opened is a call, and an entry itself. Raises NotAllowed for a member that is no auditor."""
        if wanted.purpose and wanted.identity is None and not wanted.element and not wanted.consent_reference:
            raise InputInvalid("purpose", "FIELDS_INCONSISTENT", "needs a subject or a consent")
        element = yield from self._auditing.element_of(wanted)
        wanted = replace(wanted, identity=None, element=element)
        signed = yield from self._checkpoints.fetch(server)
        period: list[AuditEntry] = []

        def observe(logged: log_pb2.LoggedEntry, _: log_pb2.AuditEntry) -> None:
            entry = read_entry(logged)
            if _is_meant(entry, wanted):
                period.append(entry)

        export = yield from export_log(server, signed.checkpoint.size, observe)
        differences = list(export.differences)
        if not differences and export.root != signed.checkpoint.root:
            differences.append(Difference(DifferenceKind.UNPROVABLE, 0, signed.checkpoint.size))
        by_details = bool(element or wanted.consent_reference)
        reading = (yield from self._open(period, wanted, server, now)) if by_details else _Reading(period)
        told = yield from self._listed(wanted, server, signed.checkpoint.size)
        # What a list that is not by subject says of inquiries is beyond what the entries themselves were read for.
        listed = told if element else [_as_logged(entry) for entry in told]
        said = {} if element else {_as_logged(entry): entry for entry in told}
        return CompleteList(
            signed.checkpoint,
            signed.note,
            tuple(said.get(entry, entry) for entry in reversed(reading.found)),
            tuple(reversed(_without(reading.found, listed))),
            tuple(entry for entry in _without(listed, reading.found) if entry.index not in reading.untold),
            reading.opened,
            tuple(reading.missing),
            tuple(reading.unopened),
            tuple(reading.hidden),
            tuple(differences),
        )

    def _listed(self, wanted: EntryFilter, server: Server, size: int) -> Flow[list[AuditEntry]]:
        """The server's own list, as far as the log goes that was read."""
        listed: list[AuditEntry] = []
        token = ""
        while True:
            entries, token = yield from self._auditing.entries_page(wanted, server, token)
            listed += [entry for entry in entries if entry.index < size]
            if not token:
                return listed

    def _open(self, period: list[AuditEntry], wanted: EntryFilter, server: Server, now: datetime) -> Flow[_Reading]:
        reading = _Reading([])
        for entry in period:
            method = METHODS.get(entry.method)
            if method is not None and method.about is nobody and method.told is nobody:
                continue
            try:
                shown = yield from self._auditing.disclosed(entry.index, server)
            except ServerFault:
                # Its evidence does not open.
                reading.missing.append(entry)
                continue
            if shown.entry.leaf_hash != entry.leaf_hash:
                raise DetailsFalse(f"entry {entry.index}: the entry shown is not the one that the log has")
            if shown.subjects is None:
                (reading.unopened if shown.is_dropped(now) else reading.missing).append(entry)
            else:
                reading.take(entry, shown.subjects, wanted)
        return reading


class _Reading:
    """What the entries of a period say of one subject."""

    def __init__(self, found: list[AuditEntry]) -> None:
        self.found = found
        self.opened = 0
        self.missing: list[AuditEntry] = []
        self.unopened: list[AuditEntry] = []
        self.hidden: list[AuditEntry] = []

    @property
    def untold(self) -> set[int]:
        """Entries of which nobody can tell what they name: what a list says of them cannot be called made up."""
        return {entry.index for entry in (*self.missing, *self.unopened, *self.hidden)}

    def take(self, entry: AuditEntry, subjects: Iterable[DisclosedSubject], wanted: EntryFilter) -> None:
        """One entry, opened. It is found as the server lists it: by subject once for each time that it names it, else once."""
        self.opened += 1
        shown = list(subjects)
        named = [stated for stated in map(_searchable, shown) if stated is not None and _is_named(stated, wanted)]
        if wanted.element:
            self.found += [
                replace(entry, purpose=purpose_of(purpose), consent_reference=consent) for _, _, purpose, consent in named
            ]
        elif named:
            self.found.append(entry)
        if any(subject.erased for subject in shown):
            self.hidden.append(entry)


def _searchable(subject: DisclosedSubject) -> Subject | None:
    """A subject as the server can list it: a refused request may have stated anything. None for one that is not shown."""
    if subject.erased:
        return None
    stated = Subject(subject.epoch_id, subject.element, int(subject.purpose), subject.consent_reference)
    return Subject(stated.epoch_id, stated.element, *stated.searchable())


def _is_named(subject: Subject, wanted: EntryFilter) -> bool:
    return (
        wanted.element in (b"", subject.element)
        and wanted.purpose in (Purpose.UNSPECIFIED, subject.purpose)
        and wanted.consent_reference in ("", subject.consent_reference)
    )


def _as_logged(entry: AuditEntry) -> AuditEntry:
    """An entry of a list without what the list says beyond the entry itself."""
    return replace(entry, purpose=None, consent_reference=None, inquiries=None)


def _is_meant(entry: AuditEntry, wanted: EntryFilter) -> bool:
    """Whether an entry is what a filter asks for, as far as its leaf says it."""
    return (
        (not wanted.member_id or entry.member_id == wanted.member_id)
        and (wanted.refused is None or entry.refused == wanted.refused)
        and (wanted.start is None or entry.create_time >= wanted.start)
        and (wanted.end is None or entry.create_time < wanted.end)
    )


def _without(entries: Iterable[AuditEntry], others: Iterable[AuditEntry]) -> list[AuditEntry]:
    """The entries that the others do not have, each as often as it is there more often."""
    left = Counter(others)
    missing = []
    for entry in entries:
        if left[entry]:
            left[entry] -= 1
        else:
            missing.append(entry)
    return missing

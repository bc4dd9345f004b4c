"""The log as its readers get it: lists, single entries, and the export."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from tallystick.contract.methods import GET_AUDIT_ENTRY, LIST_AUDIT_ENTRIES, LIST_MEMBERS
from tallystick.contract.refusals import Refusal, refuse_violations
from tallystick.contract.request_fields import instant, page_size
from tallystick.contract.violations import Violation
from tallystick.credit.audit_requests import check_list, no_such_entry, no_such_member
from tallystick.crypto import salt
from tallystick.testing.log import Log, Named
from tallystick.testing.pages import position, token
from tallystick.testing.requests import Operation, Request
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import codes_pb2, errors_pb2, log_pb2, membership_service_pb2

MAX_PURPOSES, MAX_CONSENTS = 10, 5
_INQUIRIES = "/tallystick.v1.InquiryService/"


@dataclass
class Reading:
    """What reads one log."""

    log: Log
    member_key: Ed25519PrivateKey
    registered_as: str
    """Whose the member's key is by the registry; empty for nobody's."""
    page_size: int = 4096
    """Most entries of a page of a list, and of the export: a test may make it small."""
    unopened: set[int] = field(default_factory=set)
    """Entries whose evidence no list opens."""

    def operations(self) -> dict[str, Operation]:
        """The signed methods that answer with one message."""
        return {
            LIST_AUDIT_ENTRIES.path: Operation(self._list, lambda message, _now: check_list(message)),
            GET_AUDIT_ENTRY.path: Operation(self._get),
            LIST_MEMBERS.path: Operation(self._members),
        }

    def export(self, request: pb.ExportAuditEntriesRequest) -> Iterator[pb.AuditEntryPage]:
        """The entries of a stretch of the log, by pages."""
        size = len(self.log.entries)
        first, end = request.start_index, request.end_index or size
        if end > size or first > end:
            name = "end_index" if end > size else "start_index"
            text = f"must be at most the size of the log, which is {size}"
            raise refuse_violations([Violation(name, "FIELD_OUT_OF_RANGE", text)])
        for start in range(first, max(end, first + 1), self.page_size):
            page = pb.AuditEntryPage(end_index=end)
            for index in range(start, min(start + self.page_size, end)):
                page.entries.add(index=index, entry=self.log.entries[index].leaf)
            yield page

    def _list(self, request: Request) -> Message:
        message = request.message
        by_subject = message.HasField("subject")
        if (by_subject or message.consent_reference) and not request.caller.audits:
            raise Refusal(errors_pb2.ERROR_REASON_ROLE_MISSING, "only an auditor lists entries by subject or by consent")
        before = position(message)
        if message.member_id not in ("", request.caller.member_id):
            raise no_such_member()
        found = [
            (index, subject)
            for index in reversed(range(len(self.log.entries)))
            if (before is None or index < before) and self._in_period(index, message)
            for subject in self._matching(index, message, by_subject=by_subject)
        ]
        size = min(page_size(message.page_size), self.page_size)
        # The subjects of one entry stay on one page: a page token says an entry.
        while size < len(found) and found[size][0] == found[size - 1][0]:
            size += 1
        page = found[:size]
        following = token(message, page[-1][0]) if len(found) > len(page) else ""
        return pb.ListAuditEntriesResponse(entries=[self._listed(*each) for each in page], next_page_token=following)

    def _in_period(self, index: int, message: pb.ListAuditEntriesRequest) -> bool:
        entry = log_pb2.AuditEntry.FromString(self.log.entries[index].leaf)
        at = instant(entry.create_time)
        return (
            (not message.HasField("start_time") or at >= instant(message.start_time))
            and (not message.HasField("end_time") or at < instant(message.end_time))
            and message.outcome in (0, entry.outcome)
        )

    def _matching(self, index: int, message: pb.ListAuditEntriesRequest, *, by_subject: bool) -> Sequence[Named | None]:
        """The subjects of an entry that a list by subject is of; else None once, if the entry is in the list."""
        named = [
            subject
            for subject in self.log.entries[index].subjects
            if message.purpose in (0, subject[2]) and message.consent_reference in ("", subject[3])
        ]
        if by_subject:
            return [subject for subject in named if subject[1] == message.subject.element]
        return [None] if named or not message.consent_reference else []

    def _listed(self, index: int, subject: Named | None) -> pb.ListedEntry:
        logged = self.log.entries[index]
        listed = pb.ListedEntry(logged_entry=log_pb2.LoggedEntry(index=index, entry=logged.leaf))
        if subject:
            listed.purpose, listed.consent_reference = codes_pb2.Purpose.ValueType(subject[2]), subject[3]
        elif index not in self.unopened and log_pb2.AuditEntry.FromString(logged.leaf).method.startswith(_INQUIRIES):
            listed.inquiries.CopyFrom(_stated(logged.subjects))
        return listed

    def _get(self, request: Request) -> Message:
        index = request.message.index
        if index >= len(self.log.entries):
            raise no_such_entry()
        logged = self.log.entries[index]
        answer = pb.GetAuditEntryResponse(request=logged.request)
        answer.logged_entry.index, answer.logged_entry.entry = index, logged.leaf
        answer.details.add(salt=salt(logged.seed, 0), envelope=logged.envelope)
        for place, (epoch, element, purpose, consent) in enumerate(logged.subjects, 1):
            detail = answer.details.add(salt=salt(logged.seed, place))
            detail.subject.subject.element, detail.subject.subject.epoch_id = element, epoch
            detail.subject.purpose, detail.subject.consent_reference = codes_pb2.Purpose.ValueType(purpose), consent
        return answer

    def _members(self, _: Any) -> Message:
        public = self.member_key.public_key().public_bytes_raw()
        key = membership_service_pb2.MemberKey(keyid=hashlib.sha256(public).digest(), public_key=public)
        member = membership_service_pb2.Member(member_id=self.registered_as, keys=[key])
        return membership_service_pb2.ListMembersResponse(members=[member] if self.registered_as else [])


def _stated(subjects: Sequence[Named]) -> pb.StatedInquiries:
    """What a list says of the inquiries of an entry."""
    purposes = [codes_pb2.Purpose.ValueType(each) for each in dict.fromkeys(subject[2] for subject in subjects)]
    consents = list(dict.fromkeys(subject[3] for subject in subjects if subject[3]))
    return pb.StatedInquiries(
        subject_count=len(subjects),
        purposes=purposes[:MAX_PURPOSES],
        purpose_count=len(purposes),
        consent_references=consents[:MAX_CONSENTS],
        consent_count=len(consents),
    )

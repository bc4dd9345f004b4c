"""Why and with whose consent the entries of a page asked: read from their sealed evidence, summed up, and bounded.

Search rows are found by subject. The entries of any other list say it through their evidence, and only as long as that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import structlog

from tallystick.contract.methods import BATCH_QUERY_CREDIT_HISTORIES, QUERY_CREDIT_HISTORY
from tallystick.contract.subjects import MAX_CONSENT_REFERENCE, Subject
from tallystick.server.log.details import open_evidence, stated_subjects
from tallystick.server.log.entries import Entry
from tallystick.server.log.evidence import EvidenceBox, EvidenceCorruptError
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1.codes_pb2 import Purpose

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

events = structlog.get_logger()

MAX_PURPOSES = 10
MAX_CONSENTS = 5
EVIDENCE_BYTES = 1024 * 1024
"""Most bytes of evidence that are opened for one page, but for a single entry's: a page of full batches ends early."""

_INQUIRIES = frozenset({QUERY_CREDIT_HISTORY.path, BATCH_QUERY_CREDIT_HISTORIES.path})

# One month at a time, so that no other partition is looked at. What is beyond the limit is named, and stays where it is.
_EVIDENCE = """
SELECT entry_index, bytes, CASE WHEN bytes <= %(limit)s THEN sealed END FROM (
  SELECT entry_index, sealed, sum(octet_length(sealed)) OVER (ORDER BY entry_index DESC) AS bytes
  FROM evidence WHERE month = %(month)s AND entry_index = ANY(%(indices)s)
) AS kept ORDER BY entry_index DESC
"""


@dataclass(slots=True)
class Stated:
    """What the inquiries of a page say, by entry."""

    inquiries: dict[int, pb.StatedInquiries] = field(default_factory=dict)
    cut: int | None = None
    """The newest entry whose evidence was too much for this page, if there is one: the page ends before it."""


async def read_stated(connection: Connection, box: EvidenceBox, entries: Sequence[Entry]) -> Stated:
    """Opens the evidence of those of the entries, newest first, that are of InquiryService."""
    stated, left = Stated(), EVIDENCE_BYTES
    for month, asked in _by_month(entry for entry in entries if entry.method in _INQUIRIES):
        rows = await connection.fetch(_EVIDENCE, {"month": month, "indices": sorted(asked), "limit": left})
        used = 0
        for index, total, sealed in rows:
            if sealed is None and (stated.inquiries or used):
                stated.cut = index
                return stated
            if sealed is None:
                # A single entry's is opened whatever its size: or else the list would never go on.
                ((sealed,),) = await connection.fetch(
                    "SELECT sealed FROM evidence WHERE month = %s AND entry_index = %s", (month, index)
                )
            used = int(total)
            try:
                evidence = open_evidence(box, asked[index], bytes(sealed))
            except EvidenceCorruptError:
                # GetAuditEntry refuses to show it, and says so.
                events.error("evidence_corrupt", index=index)
                continue
            if evidence is not None:
                stated.inquiries[index] = _summed_up(stated_subjects(evidence))
        left = max(left - used, 0)
    return stated


def _by_month(entries: Iterator[Entry]) -> Iterator[tuple[date, dict[int, Entry]]]:
    """Times never decrease along the log: entries of a month lie together."""
    months: dict[date, dict[int, Entry]] = {}
    for entry in entries:
        months.setdefault(entry.month, {})[entry.index] = entry
    yield from sorted(months.items(), reverse=True)


def _summed_up(subjects: Sequence[Subject | None]) -> pb.StatedInquiries:
    known = [subject for subject in subjects if subject is not None]
    purposes = list(dict.fromkeys(subject.purpose for subject in known))
    consents = list(dict.fromkeys(subject.consent_reference for subject in known if subject.consent_reference))
    shown = [each for each in consents if len(each) <= MAX_CONSENT_REFERENCE and each.isprintable()]
    return pb.StatedInquiries(
        subject_count=len(subjects),
        hidden_count=len(subjects) - len(known),
        purposes=[Purpose.ValueType(each) for each in purposes[:MAX_PURPOSES]],
        purpose_count=len(purposes),
        consent_references=shown[:MAX_CONSENTS],
        consent_count=len(consents),
    )

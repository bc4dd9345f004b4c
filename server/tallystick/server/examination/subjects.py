"""The search rows: what each entry's details give, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallystick.contract.details import subject_of
from tallystick.contract.methods import BATCH_QUERY_CREDIT_HISTORIES, QUERY_CREDIT_HISTORY
from tallystick.contract.subjects import Subject
from tallystick.crypto import CryptoError, subject_key
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.streams import Row
from tallystick.v1 import log_pb2

QUERIES = frozenset({QUERY_CREDIT_HISTORY.path, BATCH_QUERY_CREDIT_HISTORIES.path})
_COLUMNS = ("subject", "member", "purpose", "consent_reference", "create_time", "footprint")


class Subjects:
    """Holds the rows of audit_subject against what the entries commit to."""

    def __init__(self, anomalies: Anomalies, subject_secret: bytes, epoch_id: bytes) -> None:
        self._anomalies = anomalies
        self._secret = subject_secret
        self._epoch_id = epoch_id

    def key(self, subject: Subject) -> bytes:
        """What the database stores for a subject; empty for one that is no token."""
        try:
            return subject_key(self._secret, self._epoch_id or subject.epoch_id, subject.element)
        except CryptoError:
            return b""

    def take(self, entry: Examined, rows: Sequence[Row]) -> None:
        """One entry with its rows, by ordinal."""
        expected = dict(enumerate(entry.details[1:], 1))
        found: dict[int, list[tuple[Any, ...]]] = {}
        for _, ordinal, *row in rows:
            found.setdefault(ordinal, []).append(tuple(row))
        for ordinal, stored in found.items():
            if (entry.details and ordinal not in expected) or len(stored) > 1:
                self._add(entry, ordinal, "is no subject of its entry: somebody added it")
            elif not entry.details:
                self._compare(entry, ordinal, stored[0], None)
        for ordinal, leaf in expected.items():
            self._leaf(entry, ordinal, leaf, found.get(ordinal, []))

    def _leaf(self, entry: Examined, ordinal: int, leaf: log_pb2.DetailLeaf, stored: Sequence[tuple[Any, ...]]) -> None:
        if leaf.WhichOneof("content") != "subject":
            # Erased with its row; or of a refused request that was never kept, whose row may be there.
            if stored and entry.carried_out:
                self._add(entry, ordinal, "is of a subject that was erased: somebody added it")
            elif stored:
                self._compare(entry, ordinal, stored[0], None)
            return
        subject = subject_of(leaf.subject)
        key = self.key(subject)
        if key and not stored:
            self._add(entry, ordinal, "MISSING: no list by its subject shows the entry")
        elif stored and not key:
            self._add(entry, ordinal, "is of no subject: somebody added it")
        elif stored:
            self._compare(entry, ordinal, stored[0], (key, *subject.searchable()))

    def _compare(self, entry: Examined, ordinal: int, stored: tuple[Any, ...], named: tuple[bytes, int, str] | None) -> None:
        """`named` is what the evidence says; without it there is only what the leaf says."""
        subject, member, purpose, consent, create_time, footprint = stored
        answered = entry.carried_out and entry.leaf.method in QUERIES
        footprint_expected = (False,) if not answered else (True, False) if entry.repeated is None else (not entry.repeated,)
        same = (
            named is None or subject == named[0],
            member == entry.member,
            named is None or purpose == named[1],
            named is None or consent == named[2],
            create_time == entry.create_time,
            footprint in footprint_expected,
        )
        if differing := [name for name, equal in zip(_COLUMNS, same, strict=True) if not equal]:
            self._add(entry, ordinal, f"its {', '.join(differing)} is not what its entry says")

    def _add(self, entry: Examined, ordinal: int, text: str) -> None:
        self._anomalies.add("audit_subject", f"{entry.index}, {ordinal}", text)

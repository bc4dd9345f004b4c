"""What watchers were due to be told: the log's own requests, replayed one after the other by brute force.

It reads which request had an effect, and in what order, from the database, and the requests from the sealed evidence; of the
server's code it uses what opens them, and the pure rules.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.load.ledger_checks import Database

from tallystick.contract.instants import microseconds
from tallystick.contract.methods import END_WATCHES, METHODS, PUT_WATCHES, SUBMIT_REPORTS
from tallystick.credit.merging import AccountState, merge_report
from tallystick.credit.monitoring import Triggers, account_facts
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.log.details import open_evidence
from tallystick.server.log.entries import Entry
from tallystick.server.log.evidence import EvidenceBox

Alert = tuple[bytes, int, int, int]
"""Watch id, type, before, after."""
Key = tuple[bytes, int, bytes]
"""Element, member, account reference."""


@dataclass
class Watching:
    """One watch, as the replay knows it."""

    watch_id: bytes
    triggers: Triggers
    active: bool = True


@dataclass
class Due:
    """What the log gives."""

    alerts: Counter[Alert] = field(default_factory=Counter)
    ended: dict[bytes, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    """When each watch ended, as often as it did."""
    put: dict[bytes, list[datetime]] = field(default_factory=lambda: defaultdict(list))


def replay(database: Database, keys: KeyFolder) -> Due:
    """Replays all requests that had an effect."""
    accounts: dict[Key, AccountState] = {}
    watches: dict[Key, Watching] = {}
    due = Due()
    for index, time, member, method, message, answer in _effects(database, keys):
        if method == PUT_WATCHES.path:
            for watch, verdict in zip(message.watches, answer.verdicts, strict=True):
                if verdict.accepted:
                    key = (watch.subject.element, member, _reference(watch))
                    watches[key] = Watching(verdict.watch_id, Triggers.read(watch.triggers))
                    due.put[verdict.watch_id].append(time)
        elif method == END_WATCHES.path:
            for key, watching in watches.items():
                if watching.active and key[1] == member and watching.watch_id in message.watch_ids:
                    watching.active = False
                    due.ended[watching.watch_id].append(time)
        elif method == SUBMIT_REPORTS.path:
            for report, verdict in zip(message.reports, answer.verdicts, strict=True):
                if verdict.outcome != 3:
                    key = (report.subject.element, member, _reference(report))
                    _report(key, report, index, time, accounts, watches, due)
    return due


def _report(
    key: Key,
    report: Any,
    index: int,
    time: datetime,
    accounts: dict[Key, AccountState],
    watches: dict[Key, Watching],
    due: Due,
) -> None:
    before = accounts.get(key, AccountState.empty())
    merged = merge_report(before, report.account, microseconds(time) + index)
    accounts[key] = merged.state
    own = watches.get(key)
    if own is not None and own.active and merged.changed and not merged.state.living:
        own.active = False
        due.ended[own.watch_id].append(time)
    if not merged.changed:
        return
    facts = account_facts(before.record, merged.state.record, time.date())
    for other, watching in watches.items():
        if other[0] == key[0] and other[1] != key[1] and watching.active:
            due.alerts.update(
                (watching.watch_id, int(fact.type), fact.before, fact.after) for fact in facts if watching.triggers.wants(fact)
            )


_EFFECTS = """
SELECT request.entry_index, leaf, request.member, entry.create_time, sealed, answer
FROM request
JOIN audit_entry AS entry ON entry.index = request.entry_index
JOIN evidence ON evidence.entry_index = request.entry_index
WHERE request.method = ANY (%s) ORDER BY request.entry_index
"""


def _effects(database: Database, keys: KeyFolder) -> Iterator[tuple[int, datetime, int, str, Any, Any]]:
    """Index, time, member, method, request and answer of each request that had an effect, in the order of the log."""
    box = EvidenceBox(keys.load().evidence)
    methods = [PUT_WATCHES.path, END_WATCHES.path, SUBMIT_REPORTS.path]
    for index, leaf, member, time, sealed, answer in database.rows(_EFFECTS, methods):
        entry = Entry(index, leaf, member, time)
        evidence = open_evidence(box, entry, sealed)
        assert evidence is not None
        contract = METHODS[entry.method]
        yield index, time, member, entry.method, contract.request.FromString(evidence.request), contract.answer.FromString(answer)


def _reference(message: Any) -> bytes:
    reference: bytes = message.account_reference.secret_id + message.account_reference.digest
    return reference

"""Changing accounts: rows locked in key order, merged by tallystick.credit, written back as sets.

Two transactions that change the same account are put in order by its row's lock. A row that is new to both is no lock: the second
insert finds it there, and its transaction runs again (ConcurrentChangeError) and merges into what the first one wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tallystick.credit.merging import AccountState, Merged, has_overdue
from tallystick.server.concurrency import ConcurrentChangeError
from tallystick.server.storage.connection import Connection
from tallystick.v1 import account_pb2, storage_pb2

Key = tuple[bytes, int, bytes]
"""Subject key, member, account reference."""

_LOCK = """
SELECT subject, member, account_reference, record, versions
FROM account
JOIN unnest(%s::bytea[], %s::bigint[], %s::bytea[]) AS asked (subject, member, account_reference)
  USING (subject, member, account_reference)
ORDER BY subject, member, account_reference
FOR UPDATE OF account
"""

_COLUMNS = """unnest(%s::bytea[], %s::bigint[], %s::bytea[], %s::bytea[], %s::bytea[], %s::boolean[])
  AS changed (subject, member, account_reference, record, versions, overdue)"""

_UPDATE = f"""
UPDATE account SET record = changed.record, versions = changed.versions, overdue = changed.overdue, update_time = %s
FROM {_COLUMNS}
WHERE (account.subject, account.member, account.account_reference) = (changed.subject, changed.member, changed.account_reference)
"""  # noqa: S608 - the inserted text is a constant of this module

_INSERT = f"""
INSERT INTO account (subject, member, account_reference, record, versions, overdue, update_time)
SELECT changed.*, %s FROM {_COLUMNS} ORDER BY subject, member, account_reference
ON CONFLICT DO NOTHING
RETURNING 1
"""  # noqa: S608 - the inserted text is a constant of this module


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one account."""

    key: Key
    merge: Callable[[AccountState], Merged]


async def apply_changes(connection: Connection, changes: Sequence[Change], clock: datetime) -> list[Merged]:
    """Applies changes in their order, several to one account too; returns what each of them did."""
    before = await _lock(connection, sorted({change.key for change in changes}))
    states = dict(before)
    results = []
    for change in changes:
        merged = change.merge(states.get(change.key) or AccountState.empty())
        states[change.key] = merged.state
        results.append(merged)
    await _write(connection, states, before, clock)
    return results


async def _lock(connection: Connection, keys: Sequence[Key]) -> dict[Key, AccountState]:
    if not keys:
        return {}
    states = {}
    for subject, member, reference, record, versions in await connection.fetch(_LOCK, _columns(keys)):
        states[bytes(subject), member, bytes(reference)] = AccountState(
            None if record is None else account_pb2.Account.FromString(record),
            storage_pb2.AccountVersions.FromString(versions),
        )
    return states


async def _write(connection: Connection, states: dict[Key, AccountState], before: dict[Key, AccountState], clock: datetime) -> None:
    updates = [key for key in sorted(states) if key in before and states[key] is not before[key]]
    inserts = [key for key in sorted(states) if key not in before]
    if updates:
        await connection.execute(_UPDATE, (clock, *_rows(updates, states)))
    if inserts:
        inserted = await connection.fetch(_INSERT, (clock, *_rows(inserts, states)))
        if len(inserted) < len(inserts):
            raise ConcurrentChangeError


def _rows(keys: Sequence[Key], states: dict[Key, AccountState]) -> tuple[Sequence[object], ...]:
    chosen = [states[key] for key in keys]
    return (
        *_columns(keys),
        [None if state.record is None else state.record.SerializeToString(deterministic=True) for state in chosen],
        [state.versions.SerializeToString(deterministic=True) for state in chosen],
        [state.record is not None and has_overdue(state.record) for state in chosen],
    )


def _columns(keys: Sequence[Key]) -> tuple[list[object], list[object], list[object]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]

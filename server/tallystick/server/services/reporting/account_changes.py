"""Changing accounts: rows locked in key order, merged by tallystick.credit, written back as sets.

Two transactions that change the same account are put in order by its row's lock. A row that is new to both is no lock: the second
insert finds it there, and its transaction runs again (ConcurrentChangeError) and merges into what the first one wrote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from psycopg2 import extensions

from tallystick.credit.merging import AccountState, Merged
from tallystick.credit.versions import Versions
from tallystick.server.errors import ConcurrentChangeError
from tallystick.server.requests.operation import Work
from tallystick.server.services.reporting.account_limits import Pair, room_for_accounts
from tallystick.server.services.standing import CLEAN, OVERDUE, WITHDRAWN
from tallystick.server.storage.array_literals import booleans, integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.server.storage.upkeep import delete_in_steps

Key = tuple[bytes, int, bytes]
"""Subject key, member, account reference."""

_KEYS = {"subjects": "bytea[]", "members": "bigint[]", "references": "bytea[]"}

_LOCK = Statement(
    "lock_accounts",
    _KEYS,
    """
SELECT subject, member, account_reference, record, versions, standing, live, rating_facts
FROM account
JOIN unnest(%(subjects)s, %(members)s, %(references)s) AS asked (subject, member, account_reference)
  USING (subject, member, account_reference)
ORDER BY subject, member, account_reference
FOR UPDATE OF account
""",
)

_ROWS = (
    {"time": "timestamptz"}
    | _KEYS
    | {
        "records": "bytea[]",
        "versions": "bytea[]",
        "standings": "smallint[]",
        "living": "boolean[]",
        "facts": "bytea[]",
    }
)
_CHANGED = """unnest(%(subjects)s, %(members)s, %(references)s, %(records)s, %(versions)s, %(standings)s, %(living)s,
  %(facts)s) AS changed (subject, member, account_reference, record, versions, standing, live, rating_facts)"""

_UPDATE = Statement(
    "update_accounts",
    _ROWS,
    f"""
UPDATE account
SET record = changed.record, versions = changed.versions, standing = changed.standing, live = changed.live,
    rating_facts = changed.rating_facts, update_time = %(time)s
FROM {_CHANGED}
WHERE (account.subject, account.member, account.account_reference) = (changed.subject, changed.member, changed.account_reference)
""",  # noqa: S608 - the inserted text is a constant of this module
)

_INSERT = Statement(
    "insert_accounts",
    _ROWS,
    f"""
INSERT INTO account (subject, member, account_reference, record, versions, standing, live, rating_facts, update_time)
SELECT changed.*, %(time)s FROM {_CHANGED} ORDER BY subject, member, account_reference
ON CONFLICT DO NOTHING
RETURNING 1
""",  # noqa: S608 - the inserted text is a constant of this module
)


def _anything(_merged: Merged) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one account."""

    work: Work
    """Whose request it is of."""
    key: Key
    merge: Callable[[AccountState], Merged]
    takes: Callable[[Merged], bool] = _anything
    """Whether what the merging makes of the account is to be written."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What one change made of the record of an account."""

    work: Work
    key: Key
    before: AccountState
    after: AccountState


class Observer(Protocol):
    """Who must know of every account that changes, inside the transaction that changes it."""

    async def observe(self, connection: Connection, transitions: Sequence[Transition], clock: datetime) -> None:
        """Called once all of a transaction's accounts are written, their rows being locked; `transitions` is not empty."""
        ...


class NotTaken(Enum):
    """Why a change was left out."""

    ONE_ACCOUNT_TOO_MANY = auto()
    """See account_limits."""
    REFUSED = auto()
    """By its own `takes`."""


async def apply_changes(
    connection: Connection, changes: Sequence[Change], clock: datetime, observer: Observer, *, adding: bool
) -> list[Merged | NotTaken]:
    """Applies changes in their order, several to one account too; returns what each of them did. The observer is told of those that
    changed a record.

    `adding` says whether they can bring an account about that was not there: one too many is left out.
    What can only end an account leaves no row where there was none: a member could fill the table with accounts that never were."""
    before = await _lock(connection, sorted({change.key for change in changes}))
    states = dict(before)
    room = await room_for_accounts(connection, _not_live(changes, before)) if adding else {}
    results: list[Merged | NotTaken] = []
    transitions: list[Transition] = []
    for change in changes:
        known = states.get(change.key)
        state = known or AccountState.empty()
        if known is None and not adding:
            results.append(Merged(state, changed=False))
            continue
        merged = change.merge(state)
        if not change.takes(merged):
            results.append(NotTaken.REFUSED)
            continue
        pair = change.key[:2]
        if pair in room and state.content is None and merged.state.content is not None:
            if room[pair] <= 0:
                results.append(NotTaken.ONE_ACCOUNT_TOO_MANY)
                continue
            room[pair] -= 1
        states[change.key] = merged.state
        results.append(merged)
        if merged.changed:
            transitions.append(Transition(change.work, change.key, state, merged.state))
    await _write(connection, states, before, clock)
    if transitions:
        await observer.observe(connection, transitions, clock)
    return results


def _not_live(changes: Sequence[Change], before: Mapping[Key, AccountState]) -> dict[Pair, int]:
    """How many accounts of each subject and member are named that are new or withdrawn."""
    keys = {change.key for change in changes}
    return Counter(key[:2] for key in keys if key not in before or before[key].content is None)


async def _lock(connection: Connection, keys: Sequence[Key]) -> dict[Key, AccountState]:
    if not keys:
        return {}
    states = {}
    for subject, member, reference, record, versions, standing, live, facts in await connection.run(_LOCK(**_columns(keys))):
        states[bytes(subject), member, bytes(reference)] = AccountState(
            None if record is None else bytes(record),
            Versions.from_bytes(bytes(versions)),
            standing == OVERDUE,
            live,
            None if facts is None else bytes(facts),
        )
    return states


async def _write(connection: Connection, states: dict[Key, AccountState], before: dict[Key, AccountState], clock: datetime) -> None:
    updates = [key for key in sorted(states) if key in before and states[key] is not before[key]]
    inserts = [key for key in sorted(states) if key not in before]
    if updates:
        await connection.run(_UPDATE(time=clock, **_rows(updates, states)))
    if inserts:
        inserted = await connection.run(_INSERT(time=clock, **_rows(inserts, states)))
        if len(inserted) < len(inserts):
            raise ConcurrentChangeError


def _rows(keys: Sequence[Key], states: dict[Key, AccountState]) -> dict[str, object]:
    chosen = [states[key] for key in keys]
    return _columns(keys) | {
        "records": [state.content for state in chosen],
        "versions": short_bytes(state.versions.to_bytes() for state in chosen),
        "standings": integers(map(standing_of, chosen)),
        "living": booleans(state.living for state in chosen),
        "facts": short_bytes(state.rating_facts for state in chosen),
    }


def standing_of(state: AccountState) -> int:
    """How an account of a state stands."""
    if state.content is None:
        return WITHDRAWN
    return OVERDUE if state.overdue else CLEAN


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "subjects": short_bytes(key[0] for key in keys),
        "members": integers(key[1] for key in keys),
        "references": short_bytes(key[2] for key in keys),
    }


def purge_withdrawn(connection: extensions.connection, *, days: int) -> int:
    """Forgets accounts that were withdrawn so long ago; returns how many. Until then a report as of before the withdrawal, whenever
    it arrives, does not bring one back."""
    return delete_in_steps(
        connection,
        "DELETE FROM account WHERE ctid = ANY (ARRAY(SELECT ctid FROM account"
        " WHERE standing = 0 AND update_time < clock_timestamp() - %(days)s * interval '1 day' LIMIT %(limit)s)) AND standing = 0",
        days=days,
    )


async def erase_accounts(connection: Connection, subject_key: bytes) -> int:
    """Deletes every account of a subject; returns how many there were."""
    # Locked first, in the order of their keys, as every transaction that writes accounts does.
    rows = await connection.fetch(
        "SELECT member FROM account WHERE subject = %s ORDER BY subject, member, account_reference FOR UPDATE", (subject_key,)
    )
    await connection.execute("DELETE FROM account WHERE subject = %s", (subject_key,))
    return len(rows)

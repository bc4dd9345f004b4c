"""Accounts in their millions: rows copied from accounts that were reported, under other subjects' keys.

A subject key is a keyed digest of a token, so to the index a random one is as good; those that are asked for are the digests of
real tokens, evenly among the others. Keys come in random order, as reports do, and a subject's accounts lie as far apart as reports
of several banks would: all first ones are written before the second ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg2
from benchmarks.endurance.place import ACCOUNTS_EACH, Place
from psycopg2.extras import execute_values
from rich.console import Console

from tallystick.crypto import subject_key
from tallystick.server.installation.embedded import embedded_postgresql
from tallystick.server.installation.key_folder import KeyFolder

CHUNK = 100_000
"""Rows in one transaction."""

_PATTERNS = """
CREATE UNLOGGED TABLE bench_pattern AS
  SELECT row_number() OVER () - 1 AS number, account.* FROM account
"""
_COPY = """
INSERT INTO account (subject, member, account_reference, {others})
SELECT coalesce(known.subject, uuid_send(md5(subject.number || 'a')::uuid) || uuid_send(md5(subject.number || 'b')::uuid)),
       pattern.member,
       substr(pattern.account_reference, 1, length(pattern.account_reference) - 32)
         || sha256(int8send(subject.number) || int4send(%(nth)s)),
       {patterns}
FROM generate_series(%(begin)s::bigint, %(end)s::bigint - 1) AS subject (number)
JOIN bench_pattern AS pattern ON pattern.number = subject.number %% (SELECT count(*) FROM bench_pattern)
LEFT JOIN bench_known AS known ON known.number = subject.number
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes an account, in PostgreSQL's files."""

    heap: float
    indices: float


def fill(place: Place, tokens: Sequence[bytes], accounts: int, console: Console) -> Sizes:
    """Copies what was reported until there are so many accounts; `tokens` are those of subjects who then have some."""
    secret = KeyFolder(place.folder / "keys").load().subject_secret
    with embedded_postgresql(place.folder / "database") as url:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(_PATTERNS)
                cursor.execute("SELECT count(*) FROM account")
                subjects = (accounts - _one(cursor)) // ACCOUNTS_EACH
                _note_known(cursor, [subject_key(secret, place.epoch_id, token) for token in tokens], subjects)
                for nth in range(ACCOUNTS_EACH):
                    for begin in range(0, subjects, CHUNK):
                        _copy(cursor, nth, begin, min(begin + CHUNK, subjects))
                        if begin % (10 * CHUNK) == 0:
                            console.print(f"{nth * subjects + begin:,} of {accounts:,} accounts written")
                cursor.execute("DROP TABLE bench_pattern, bench_known")
                cursor.execute("VACUUM ANALYZE")
                cursor.execute("CHECKPOINT")
                return _sizes(cursor)
        finally:
            connection.close()


def _note_known(cursor: psycopg2.extensions.cursor, keys: Sequence[bytes], subjects: int) -> None:
    """Which of all subjects have tokens: evenly among them, so that their rows lie everywhere."""
    if len(keys) > subjects:
        raise ValueError(f"{len(keys)} subjects with tokens are more than the {subjects} that there will be")
    cursor.execute("CREATE UNLOGGED TABLE bench_known (number bigint PRIMARY KEY, subject bytea NOT NULL)")
    rows = [(place_of(nth, len(keys), subjects), key) for nth, key in enumerate(keys)]
    execute_values(cursor, "INSERT INTO bench_known VALUES %s", rows, page_size=1000)
    cursor.execute("ANALYZE bench_known, bench_pattern")


def place_of(nth: int, of: int, subjects: int) -> int:
    """The number of the n-th known subject: they are evenly among all, and each has a number of its own."""
    return nth * subjects // of


def _copy(cursor: psycopg2.extensions.cursor, nth: int, begin: int, end: int) -> None:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'account'::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attname NOT IN ('subject', 'member', 'account_reference') ORDER BY attnum"
    )
    others = [name for (name,) in cursor.fetchall()]
    statement = _COPY.format(others=", ".join(others), patterns=", ".join(f"pattern.{name}" for name in others))
    cursor.execute(statement, {"nth": nth, "begin": begin, "end": end})


def _sizes(cursor: psycopg2.extensions.cursor) -> Sizes:
    cursor.execute("SELECT count(*) FROM account")
    rows = _one(cursor)
    cursor.execute("SELECT pg_indexes_size('account')")
    indices = _one(cursor)
    cursor.execute("SELECT pg_total_relation_size('account')")
    return Sizes((_one(cursor) - indices) / rows, indices / rows)


def _one(cursor: psycopg2.extensions.cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])

"""How the account table grows when every account is reported anew each month, by fill factor.

python -m benchmarks.months [--accounts N] [--record BYTES] [--versions BYTES]... [--same-order] [--fill-factors LIST]

An embedded PostgreSQL with the schema of the migrations, and nothing of the server: rows of the right sizes are written by
statements like those of reporting, in transactions of a thousand. They are loaded in random order of their keys, and each month
updates all of them in another order, or with --same-order in that of the load; one in a hundred gets another standing (which no HOT
update can do). Between months comes VACUUM, as autovacuum would by then.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import psutil
import psycopg2
from benchmarks import parties
from psycopg2 import extensions
from rich.console import Console
from rich.table import Table

from tallystick.server.installation.embedded import embedded_postgresql
from tallystick.server.storage import migration

MONTHS = 3
TRANSACTION = 1000
RECORD_SPREAD = 20
"""Records are longer or shorter by up to so many bytes."""
REFERENCE_BYTES = 40
STANDING_CHANGES_OF = 100
"""One account of so many changes its standing in a month."""

Key = tuple[bytes, int, bytes]

_CHANGED = """unnest(%s::bytea[], %s::bigint[], %s::bytea[], %s::bytea[], %s::bytea[], %s::smallint[])
  AS changed (subject, member, account_reference, record, versions, standing)"""
_INSERT = f"""
INSERT INTO account (subject, member, account_reference, record, versions, standing, live, update_time)
SELECT changed.*, true, %s FROM {_CHANGED} ORDER BY subject, member, account_reference ON CONFLICT DO NOTHING
"""
_UPDATE = f"""
UPDATE account
SET record = changed.record, versions = changed.versions, standing = changed.standing, update_time = %s
FROM {_CHANGED}
WHERE (account.subject, account.member, account.account_reference) = (changed.subject, changed.member, changed.account_reference)
"""


class Accounts:
    """The table with one fill factor, and versions of one size."""

    def __init__(
        self,
        connection: extensions.connection,
        postmaster: psutil.Process,
        keys: Sequence[Key],
        sizes: tuple[int, int],
        *,
        same_order: bool,
    ) -> None:
        self._connection = connection
        self._postmaster = postmaster
        self._keys = list(keys)
        self._record, self._versions = sizes
        self._same_order = same_order
        self._time = datetime(2026, 1, 15, tzinfo=UTC)

    def begin(self, fill_factor: int) -> None:
        """Empties the table and loads it."""
        self._run(f"TRUNCATE account; ALTER TABLE account SET (fillfactor = {fill_factor})")
        self._write(_INSERT)
        self._run("VACUUM ANALYZE account")

    def month(self) -> tuple[float, float, float]:
        """The share of HOT updates; WAL bytes an account, and PostgreSQL's processor seconds, both with the VACUUM after them."""
        self._time += timedelta(days=30)
        counted, logged, worked = self._updates(), self._logged(), parties.tree_seconds(self._postmaster)
        self._write(_UPDATE)
        self._run("VACUUM account")
        seconds = parties.tree_seconds(self._postmaster) - worked
        updates, hot = (after - before for after, before in zip(self._updates(), counted, strict=True))
        return hot / updates, (self._logged() - logged) / len(self._keys), seconds

    def bytes_each(self) -> tuple[float, float]:
        """Heap and indices, of one account."""
        ((heap, indices),) = self._run("SELECT pg_table_size('account'), pg_indexes_size('account')")
        return heap / len(self._keys), indices / len(self._keys)

    def _logged(self) -> int:
        ((written,),) = self._run("SELECT (pg_current_wal_lsn() - '0/0')::bigint")
        return written

    def _updates(self) -> tuple[int, int]:
        self._run("SELECT pg_stat_force_next_flush()")
        ((updates, hot),) = self._run("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'account'")
        return updates, hot

    def _write(self, statement: str) -> None:
        if not self._same_order:
            random.shuffle(self._keys)
        for begin in range(0, len(self._keys), TRANSACTION):
            keys = self._keys[begin : begin + TRANSACTION]
            standings = [2 if random.randrange(STANDING_CHANGES_OF) == 0 else 1 for _ in keys]
            records = [os.urandom(self._record + random.randint(-RECORD_SPREAD, RECORD_SPREAD)) for _ in keys]
            versions = [os.urandom(self._versions) for _ in keys]
            self._run(statement, (self._time, *map(list, zip(*keys, strict=True)), records, versions, standings))

    def _run(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[int, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []


def measure(accounts: Accounts, fill_factor: int, versions: int, table: Table) -> None:
    """Loads, updates for some months, and adds a line after each."""
    accounts.begin(fill_factor)
    for month in range(MONTHS + 1):
        share, logged, seconds = accounts.month() if month else (None, None, None)
        heap, indices = accounts.bytes_each()
        table.add_row(
            str(versions),
            str(fill_factor),
            str(month) if month else "load",
            "" if share is None else f"{share:.0%}",
            *(f"{size:,.0f}" for size in (heap, indices, heap + indices)),
            "" if logged is None else f"{logged:,.0f}",
            "" if seconds is None else f"{seconds:.1f}",
        )


@click.command()
@click.option("--accounts", default=100_000, show_default=True, help="How many.")
@click.option("--record", default=520, show_default=True, help="Bytes of the column, about.")
@click.option("--versions", default=[20, 430], show_default=True, multiple=True, help="Bytes of the column.")
@click.option("--same-order", is_flag=True, help="Each month in the order of the load.")
@click.option("--fill-factors", default="100,90,80,70,50", show_default=True, help="With commas between.")
def main(accounts: int, record: int, versions: Sequence[int], same_order: bool, fill_factors: str) -> None:
    """Measures months of updates to the account table."""
    console = Console() if sys.stdout.isatty() else Console(width=110)
    keys = [(os.urandom(32), 1, os.urandom(REFERENCE_BYTES)) for _ in range(accounts)]
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name:
        folder = Path(name) / "database"
        with embedded_postgresql(folder) as url:
            migration.upgrade(url)
            postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
            connection = psycopg2.connect(url)
            connection.autocommit = True
            for size in versions:
                table = Table(title=f"{accounts:,} accounts: bytes of one, processor seconds of a month")
                for heading in ("versions", "fill factor", "after", "HOT", "heap", "indices", "together", "WAL", "seconds"):
                    table.add_column(heading, justify="right")
                for fill_factor in map(int, fill_factors.split(",")):
                    measure(Accounts(connection, postmaster, keys, (record, size), same_order=same_order), fill_factor, size, table)
                console.print(table)
            connection.close()


if __name__ == "__main__":
    main()

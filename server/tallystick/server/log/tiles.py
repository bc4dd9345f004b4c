"""Hash tiles of the log (C2SP tlog-tiles), written behind the hot path so that proofs over millions of entries read a
few rows.

A tile of level L and index N holds the 256 hashes of tree level 8L that begin at 256N; only full tiles are kept, which
never change. The hash above a full tile is one hash of a tile a level up, and stands beside it as `root`.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2
from psycopg2.extras import execute_values

from tallystick.crypto import root

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PostgresConnection  # noqa: N812 - the driver names its class in lower case
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
HASH_LENGTH = 32
TILES_PER_TRANSACTION = 64
"""64 tiles are 16,384 entries: half a megabyte read, and a transaction of some tens of milliseconds."""


class LogDamagedError(Exception):
    """Committed entries that must exist are missing from the database: restore it, and let nobody append until then."""


def integrate(connection_url: str) -> int:
    """Writes every full tile that the committed log allows and that is not yet there; returns how many this call wrote.

    Each transaction writes at most `TILES_PER_TRANSACTION` tiles. Two may run at once, and a crash at any point loses
    nothing: tiles are a function of the committed leaf hashes, are written in order of their index, and are never
    written twice. Raises psycopg2.Error and LogDamagedError.
    """
    written = 0
    with closing(psycopg2.connect(connection_url, application_name="tallystick-tiles")) as connection:
        size = _committed_size(connection)
        level, hashes_below = 0, size
        while hashes_below >= TILE_WIDTH:
            written += _integrate_level(connection, level, hashes_below)
            level, hashes_below = level + 1, hashes_below // TILE_WIDTH
    return written


def _committed_size(connection: PostgresConnection) -> int:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT size FROM log_head")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def _integrate_level(connection: PostgresConnection, level: int, hashes_below: int) -> int:
    written = 0
    while True:
        # A transaction a batch: a crash keeps the batches before it, and no long snapshot holds back vacuuming of the
        # head row.
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(index) + 1, 0) FROM log_tile WHERE level = %s", (level,))
            (first,) = cursor.fetchone() or (0,)
            count = min(hashes_below // TILE_WIDTH - int(first), TILES_PER_TRANSACTION)
            if count <= 0:
                return written
            written += _write_tiles(cursor, level, int(first), count)


def _write_tiles(cursor: Cursor, level: int, first: int, count: int) -> int:
    hashes = _hashes_of_level(cursor, level, first * TILE_WIDTH, count * TILE_WIDTH)
    rows = []
    for number in range(count):
        tile = hashes[number * TILE_WIDTH : (number + 1) * TILE_WIDTH]
        rows.append((level, first + number, b"".join(tile), root(tile)))
    # In order of the index, so that two writers wait for one another instead of deadlocking; the second then finds them
    # written.
    execute_values(
        cursor,
        "INSERT INTO log_tile (level, index, hashes, root) VALUES %s ON CONFLICT (level, index) DO NOTHING",
        rows,
        page_size=count,
    )
    return int(cursor.rowcount)


def _hashes_of_level(cursor: Cursor, level: int, begin: int, count: int) -> list[bytes]:
    if level == 0:
        cursor.execute("SELECT leaf_hash FROM audit_entry WHERE index >= %s AND index < %s ORDER BY index", (begin, begin + count))
    else:
        cursor.execute(
            "SELECT root FROM log_tile WHERE level = %s AND index >= %s AND index < %s ORDER BY index",
            (level - 1, begin, begin + count),
        )
    hashes = [bytes(row[0]) for row in cursor.fetchall()]
    if len(hashes) != count:
        raise LogDamagedError(
            f"of the {count} hashes from {begin} at tree level {level * TILE_HEIGHT} only {len(hashes)} are stored"
        )
    return hashes

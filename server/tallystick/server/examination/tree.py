"""The hashes above the entries: the tiles, and the head of the log; and which entry it is that they do not fit.

A tile is written behind the entries and holds their hashes a second time. So an entry that was changed together with its leaf_hash
is found where the two differ, and the head says which of them is right.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from psycopg2 import extensions

from tallystick.crypto import CompactRange, CryptoError, complete_subtrees, root
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.streams import Rows
from tallystick.server.log.tiles import HASH_LENGTH, TILE_WIDTH

MAX_NAMED = 16
"""Entries of a tile that are named: where more differ, the tile itself was exchanged, or everything."""
LAG = timedelta(minutes=1)
"""How far tiles may lie behind: upkeep writes them every two seconds."""
_TILES = "SELECT index, hashes, root FROM log_tile WHERE level = %s ORDER BY index"


class Tree:
    """Takes the hashes of the entries as computed from their leaves, in order."""

    def __init__(self, anomalies: Anomalies, connection: extensions.connection, now: datetime) -> None:
        self._anomalies = anomalies
        self._connection = connection
        self._now = now
        self._entries = CompactRange()
        self._stored = CompactRange()
        """The same tree with the hashes of the tiles, where there are tiles."""
        self._levels: list[_Level] = []
        self._differing: list[tuple[int, int]] = []
        """Entries whose hash is not that of their tile, and the tile; of each tile the first ones."""

    def take(self, computed: bytes, time: datetime) -> None:
        """The hash of the next entry, and when that was."""
        self._entries.append(computed)
        self._rise(0, computed, time)

    def finish(self, size: int, compact_range: bytes) -> None:
        """All entries were taken; `size` and `compact_range` are those of the head."""
        for level in self._levels:
            for index, *_ in level.tiles.rest():
                self._anomalies.add("log_tile", f"({level.number}, {index})", "is beyond the end of the log: somebody added it")
        for number, index in self._unreached():
            self._anomalies.add("log_tile", f"({number}, {index})", "is beyond the end of the log: somebody added it")
        stored = self._with_tiles()
        try:
            head = CompactRange.from_bytes(size, compact_range)
        except CryptoError:
            self._anomalies.add("log_head", "compact_range", f"is not one of {size} entries")
            return
        fits = head.size == self._entries.size
        by_entries, by_tiles = fits and head.hashes == self._entries.hashes, fits and head.hashes == stored.hashes
        self._judge(by_entries=by_entries, by_tiles=by_tiles)
        if fits and not by_entries:
            self._name_subtrees(head, by_tiles=by_tiles)

    def _rise(self, number: int, computed: bytes, time: datetime) -> None:
        if number == len(self._levels):
            self._levels.append(_Level(number, Rows(self._connection, _TILES, number, ahead=64)))
        level = self._levels[number]
        level.pending.append(computed)
        if len(level.pending) == TILE_WIDTH:
            hashes, level.pending = level.pending, []
            self._compare(level, hashes, time)
            level.full += 1
            self._rise(number + 1, root(hashes), time)

    def _compare(self, level: _Level, hashes: list[bytes], time: datetime) -> None:
        for index, *_ in level.tiles.before(level.full):
            self._anomalies.add("log_tile", f"({level.number}, {index})", "is no place in the log: somebody added it")
        tiles, name = level.tiles.take(level.full), f"({level.number}, {level.full})"
        if not tiles:
            level.waiting.append(level.full)
            if self._now - time > LAG:
                self._anomalies.add("log_tile", name, "is missing: somebody deleted it, or upkeep does not run")
            self._note(level, hashes)
            return
        for hole in level.waiting:
            self._anomalies.add(
                "log_tile", f"({level.number}, {hole})", "is missing, and one after it is there: somebody deleted it"
            )
        level.waiting = []
        ((_, joined, top),) = tiles
        stored = [joined[at : at + HASH_LENGTH] for at in range(0, len(joined), HASH_LENGTH)]
        if len(joined) != TILE_WIDTH * HASH_LENGTH:
            self._anomalies.add("log_tile", name, "its hashes are not 256")
            stored = hashes
        elif top != root(stored):
            self._anomalies.add("log_tile", name, "its root is not the one of its hashes")
        differing = [at for at in range(TILE_WIDTH) if stored[at] != hashes[at]]
        if level.number == 0:
            self._differing += [(level.full * TILE_WIDTH + at, level.full) for at in differing[:MAX_NAMED]]
        elif differing and not self._differing:
            self._anomalies.add("log_tile", name, f"its hash {differing[0]} is not that of the entries under it")
        self._note(level, stored)

    def _note(self, level: _Level, hashes: list[bytes]) -> None:
        """The tree by tiles grows with those of the lowest level."""
        if level.number == 0:
            self._stored.extend(hashes)

    def _with_tiles(self) -> CompactRange:
        rest = self._levels[0].pending if self._levels else []
        self._stored.extend(rest)
        return self._stored

    def _unreached(self) -> list[tuple[int, int]]:
        """The tiles of levels that the log has not reached."""
        with self._connection.cursor() as cursor:
            known = [level.number for level in self._levels]
            cursor.execute("SELECT level, index FROM log_tile WHERE NOT level = ANY(%s::int[]) ORDER BY 1, 2 LIMIT 1000", (known,))
            return [(int(level), int(index)) for level, index in cursor.fetchall()]

    def _judge(self, *, by_entries: bool, by_tiles: bool) -> None:
        for index, tile in self._differing:
            if by_tiles:
                self._anomalies.add(
                    "audit_entry", index, f"was changed together with its hash: tile (0, {tile}) and the head have another"
                )
            elif by_entries:
                self._anomalies.add(
                    "log_tile", f"(0, {tile})", f"its hash of entry {index} is not that of the entry, which is the head's"
                )
            else:
                self._anomalies.add("audit_entry", index, f"its hash is not the one in tile (0, {tile}), and the head fits neither")

    def _name_subtrees(self, head: CompactRange, *, by_tiles: bool) -> None:
        if by_tiles:
            return
        for (level, index), wanted, found in zip(complete_subtrees(0, head.size), head.hashes, self._entries.hashes, strict=True):
            if wanted != found:
                begin, end = index << level, (index + 1) << level
                text = "are not those of the head: one of them was changed, or the head"
                self._anomalies.add("log_head", "compact_range", f"entries {begin} to {end - 1} {text}")


class _Level:
    """One level of tiles while it is walked."""

    def __init__(self, number: int, tiles: Rows) -> None:
        self.number = number
        self.tiles = tiles
        self.pending: list[bytes] = []
        self.full = 0
        """How many tiles are behind."""
        self.waiting: list[int] = []
        """Tiles that are not there, as long as none after them is: upkeep may not have come to them."""

"""Tiles hold what the committed leaf hashes give, whoever writes them, however often, and wherever it was interrupted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg2
import pytest

from tallystick.crypto import root
from tallystick.server.log import tiles

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

WIDTH = 4


@pytest.fixture
def narrow_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 4 hashes, so that a few hundred entries make several levels, and transactions of 3 tiles."""
    monkeypatch.setattr(tiles, "TILE_HEIGHT", 2)
    monkeypatch.setattr(tiles, "TILE_WIDTH", WIDTH)
    monkeypatch.setattr(tiles, "TILES_PER_TRANSACTION", 3)


def expected_tiles(leaf_hashes: list[bytes], width: int) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """All full tiles, straight from their definition."""
    expected: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    hashes, level = leaf_hashes, 0
    while len(hashes) >= width:
        full = [hashes[at : at + width] for at in range(0, len(hashes) - width + 1, width)]
        expected |= {(level, index): (b"".join(tile), root(tile)) for index, tile in enumerate(full)}
        hashes, level = [root(tile) for tile in full], level + 1
    return expected


def stored_tiles(log: WrittenLog) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    rows = log.execute("SELECT level, index, hashes, root FROM log_tile")
    return {(level, index): (bytes(hashes), bytes(above)) for level, index, hashes, above in rows}


def test_an_empty_log_and_a_short_one_have_no_tiles(written_log: WrittenLog) -> None:
    assert tiles.integrate(written_log.url) == 0
    written_log.append_plain(255)
    assert tiles.integrate(written_log.url) == 0
    assert stored_tiles(written_log) == {}


def test_tiles_follow_the_log(written_log: WrittenLog) -> None:
    written_log.append_plain(256)
    assert tiles.integrate(written_log.url) == 1
    written_log.append_plain(300)
    assert tiles.integrate(written_log.url) == 1
    assert tiles.integrate(written_log.url) == 0
    assert stored_tiles(written_log) == expected_tiles(written_log.leaf_hashes, 256)


@pytest.mark.usefixtures("narrow_tiles")
def test_all_levels_are_written(written_log: WrittenLog) -> None:
    for count in (3, 1, 60, 192, 5, 40):
        written_log.append_plain(count)
        tiles.integrate(written_log.url)
        assert stored_tiles(written_log) == expected_tiles(written_log.leaf_hashes, WIDTH)
    assert max(level for level, _ in stored_tiles(written_log)) == 3


@pytest.mark.usefixtures("narrow_tiles")
def test_two_writers_at_once_write_each_tile_once(written_log: WrittenLog) -> None:
    written_log.append_plain(600)
    counts: list[int] = []
    barrier = threading.Barrier(2)

    def write() -> None:
        barrier.wait()
        counts.append(tiles.integrate(written_log.url))

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = expected_tiles(written_log.leaf_hashes, WIDTH)
    assert stored_tiles(written_log) == expected
    assert sum(counts) == len(expected)


@pytest.mark.usefixtures("narrow_tiles")
def test_an_interrupted_writer_is_continued(written_log: WrittenLog) -> None:
    written_log.append_plain(300)
    tiles.integrate(written_log.url)
    whole = stored_tiles(written_log)
    # As a crash between two transactions leaves it: some tiles of level 0, nothing above.
    written_log.execute("DELETE FROM log_tile WHERE level > 0 OR index >= 17")
    tiles.integrate(written_log.url)
    assert stored_tiles(written_log) == whole


@pytest.mark.usefixtures("narrow_tiles")
def test_what_is_not_committed_is_not_read(written_log: WrittenLog) -> None:
    written_log.append_plain(8)
    other = psycopg2.connect(written_log.url)
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO audit_entry SELECT i, '', '', now(), 0, '', 1 FROM generate_series(8, 20) AS i")
        cursor.execute("UPDATE log_head SET size = 21")
        assert tiles.integrate(written_log.url) == 2
    other.rollback()
    other.close()
    assert stored_tiles(written_log) == expected_tiles(written_log.leaf_hashes, WIDTH)


@pytest.mark.usefixtures("narrow_tiles")
def test_a_hole_in_the_log_is_told_and_not_tiled_over(written_log: WrittenLog) -> None:
    written_log.append_plain(40)
    written_log.execute("DELETE FROM audit_entry WHERE index = 17")
    with pytest.raises(tiles.LogDamagedError):
        tiles.integrate(written_log.url)
    assert all(index < 17 // WIDTH for _, index in stored_tiles(written_log))

"""One byte of an entry is changed for the time of a block, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg2
import pytest
from examples.screen import DemoError
from examples.tampering import replaced
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class under a lower-case name

LEAF = b"\x08\x01 an entry by bank-c, signed"


@pytest.fixture
def log(fresh_database: str) -> Iterator[Connection]:
    connection = psycopg2.connect(fresh_database)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_entry (index, leaf, leaf_hash, create_time, member, method, outcome)"
                " VALUES (0, %s, '', %s, 1, '', 1), (1, %s, '', %s, 1, '', 1)",
                (LEAF, datetime.now(UTC), LEAF, datetime.now(UTC)),
            )
        yield connection
    finally:
        connection.close()


def leaves(connection: Connection) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT leaf FROM audit_entry ORDER BY index")
        return [bytes(leaf) for (leaf,) in cursor.fetchall()]


def test_one_entry_differs_in_one_byte_and_is_restored(log: Connection) -> None:
    with replaced(log, 1, b"bank-c", b"bank-a") as place:
        assert leaves(log) == [LEAF, LEAF.replace(b"bank-c", b"bank-a")]
        assert LEAF[place : place + 1] == b"c"
    assert leaves(log) == [LEAF, LEAF]


def test_it_is_restored_whatever_happens(log: Connection) -> None:
    with pytest.raises(RuntimeError), replaced(log, 0, b"bank-c", b"bank-a"):
        raise RuntimeError
    assert leaves(log) == [LEAF, LEAF]


@pytest.mark.parametrize(("index", "old", "new"), [(0, b"bank-x", b"bank-a"), (0, b"bank-c", b"hank-a"), (2, b"bank-c", b"bank-a")])
def test_nothing_is_written_when_it_would_not_be_one_byte_of_an_entry(log: Connection, index: int, old: bytes, new: bytes) -> None:
    with pytest.raises(DemoError), replaced(log, index, old, new):
        pytest.fail("it was changed")
    assert leaves(log) == [LEAF, LEAF]

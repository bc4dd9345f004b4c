"""Proofs and checkpoints verify at every size, with tiles, without, and with tiles that lag."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.crypto import (
    Checkpoint,
    NoteVerifier,
    consistency_proof,
    inclusion_proof,
    open_checkpoint,
    root,
    verify_consistency,
    verify_inclusion,
)
from tallystick.server.errors import Refusal
from tallystick.server.log import proofs, tiles
from tallystick.server.log.checkpoints import get_checkpoint
from tallystick.server.storage.connection import Connection
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import errors_pb2

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

SIZE = 1100
ORIGIN = "exchange.example/log"

database_examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def long_log(written_log_of_module: WrittenLog) -> WrittenLog:
    """A log of 1,100 entries, with whatever tiles the test before left."""
    if not written_log_of_module.tree.size:
        written_log_of_module.append_plain(SIZE)
    return written_log_of_module


@pytest.fixture
async def reader(long_log: WrittenLog) -> AsyncIterator[Connection]:
    """A connection to the long log."""
    connection = await Connection.open(long_log.url)
    yield connection
    connection.close()


@pytest.fixture(params=["none", "lagging", "all", "all narrow", "narrow lagging at each level"])
def tiled_log(request: pytest.FixtureRequest, long_log: WrittenLog, monkeypatch: pytest.MonkeyPatch) -> WrittenLog:
    """The long log, with tiles in every state that integration passes through; narrow ones have 4 hashes, and so 5 levels."""
    long_log.execute("DELETE FROM log_tile")
    if "narrow" in request.param:
        for module in (tiles, proofs):
            monkeypatch.setattr(module, "TILE_HEIGHT", 2)
            monkeypatch.setattr(module, "TILE_WIDTH", 4)
    if request.param != "none":
        tiles.integrate(long_log.url)
    if request.param == "lagging":
        long_log.execute("DELETE FROM log_tile WHERE index >= 2")
    if request.param == "narrow lagging at each level":
        long_log.execute("DELETE FROM log_tile WHERE index >= (300 >> (2 * level)) - 2")
        assert long_log.execute("SELECT max(level) FROM log_tile") == [(3,)]
    return long_log


async def inclusion(connection: Connection, index: int, size: int) -> pb.GetInclusionProofResponse:
    return await proofs.get_inclusion_proof(connection, pb.GetInclusionProofRequest(index=index, tree_size=size))


async def consistency(connection: Connection, old: int, new: int) -> list[bytes]:
    request = pb.GetConsistencyProofRequest(old_size=old, new_size=new)
    return list((await proofs.get_consistency_proof(connection, request)).hashes)


@st.composite
def leaves_in_trees(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, SIZE))
    return draw(st.integers(0, size - 1)), size


@st.composite
def pairs_of_sizes(draw: st.DrawFn) -> tuple[int, int]:
    new = draw(st.integers(0, SIZE))
    return draw(st.integers(0, new)), new


@database_examples
@given(leaf=leaves_in_trees())
async def test_inclusion_proofs_verify(tiled_log: WrittenLog, reader: Connection, leaf: tuple[int, int]) -> None:
    index, size = leaf
    answer = await inclusion(reader, index, size)
    hashes = tiled_log.leaf_hashes[:size]
    assert answer.leaf_hash == hashes[index]
    assert list(answer.hashes) == inclusion_proof(index, hashes)
    verify_inclusion(index, size, answer.leaf_hash, list(answer.hashes), root(hashes))


@database_examples
@given(sizes=pairs_of_sizes())
async def test_consistency_proofs_verify(tiled_log: WrittenLog, reader: Connection, sizes: tuple[int, int]) -> None:
    old, new = sizes
    proof = await consistency(reader, old, new)
    hashes = tiled_log.leaf_hashes
    verify_consistency(old, new, root(hashes[:old]), root(hashes[:new]), proof)
    assert proof == consistency_proof(old, hashes[:new])


async def test_every_proof_of_small_trees_verifies(tiled_log: WrittenLog, reader: Connection) -> None:
    hashes = tiled_log.leaf_hashes
    for size in range(1, 20):
        for index in range(size):
            answer = await inclusion(reader, index, size)
            verify_inclusion(index, size, answer.leaf_hash, list(answer.hashes), root(hashes[:size]))
            verify_consistency(index, size, root(hashes[:index]), root(hashes[:size]), await consistency(reader, index, size))


async def test_what_lies_beyond_the_head_is_refused_by_field(long_log: WrittenLog, reader: Connection) -> None:
    for index, size, fields in ((0, SIZE + 1, ["tree_size"]), (5, 5, ["index"]), (2**64 - 1, 2**64 - 1, ["tree_size", "index"])):
        with pytest.raises(Refusal) as refused:
            await inclusion(reader, index, size)
        assert refused.value.reason == errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE
        assert [violation.field for violation in refused.value.violations] == fields
    for old, new, fields in ((0, SIZE + 1, ["new_size"]), (3, 2, ["old_size"]), (2**64 - 1, 2**64 - 1, ["new_size"])):
        with pytest.raises(Refusal) as refused:
            await consistency(reader, old, new)
        assert [violation.field for violation in refused.value.violations] == fields


class CountingConnection:
    """Counts what a proof costs the database."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.statements = 0
        self.rows = 0

    async def fetch(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        rows = await self._inner.fetch(sql, parameters)
        self.statements += 1
        self.rows += len(rows)
        return rows


async def test_a_long_log_costs_a_few_small_statements(written_log: WrittenLog, connection: Connection) -> None:
    written_log.append_plain(70_000)
    tiles.integrate(written_log.url)
    hashes = written_log.leaf_hashes
    for index, size in ((0, 70_000), (69_999, 70_000), (65_535, 65_537), (40_000, 69_377), (12_345, 12_346)):
        counting: Any = CountingConnection(connection)
        answer = await inclusion(counting, index, size)
        verify_inclusion(index, size, answer.leaf_hash, list(answer.hashes), root(hashes[:size]))
        assert counting.statements <= 8
        assert counting.rows < 3 * 256
    proof = await consistency(connection, 65_535, 70_000)
    verify_consistency(65_535, 70_000, root(hashes[:65_535]), written_log.tree.root(), proof)


async def test_a_proof_that_would_read_too_much_is_refused(
    long_log: WrittenLog, reader: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_log.execute("DELETE FROM log_tile")
    monkeypatch.setattr(proofs, "MAX_HASHES_READ", 256)
    with pytest.raises(Refusal) as refused:
        await inclusion(reader, 0, SIZE)
    assert refused.value.reason == errors_pb2.ERROR_REASON_INTERNAL
    tiles.integrate(long_log.url)
    assert len((await inclusion(reader, 0, SIZE)).hashes) == 11


async def test_missing_entries_are_told(written_log: WrittenLog, connection: Connection) -> None:
    written_log.append_plain(10)
    written_log.execute("DELETE FROM audit_entry WHERE index = 3")
    with pytest.raises(Refusal) as refused:
        await inclusion(connection, 0, 10)
    assert refused.value.reason == errors_pb2.ERROR_REASON_INTERNAL


async def test_a_checkpoint_signs_the_committed_head(written_log: WrittenLog, connection: Connection) -> None:
    key = Ed25519PrivateKey.generate()
    verifier = NoteVerifier(ORIGIN, key.public_key().public_bytes_raw())
    for count in (0, 1, 300):
        written_log.append_plain(count)
        answer = await get_checkpoint(connection, pb.GetCheckpointRequest(), origin=ORIGIN, checkpoint_key=key)
        expected = Checkpoint(ORIGIN, written_log.tree.size, root(written_log.leaf_hashes))
        assert open_checkpoint(answer.checkpoint, verifier) == expected

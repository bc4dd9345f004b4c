"""Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2), from tiles and, past the last tile, from leaf
hashes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from tallystick.credit.violations import Violation
from tallystick.crypto import complete_subtrees, consistency_ranges, fold, inclusion_ranges, root
from tallystick.server.log.checkpoints import read_head
from tallystick.server.log.tiles import HASH_LENGTH, TILE_HEIGHT, TILE_WIDTH
from tallystick.server.refusals import Refusal, refuse_violations
from tallystick.v1 import audit_service_pb2, errors_pb2

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

Node = tuple[int, int]
"""A complete subtree: its level (0 for a leaf) and its index among those of that level."""

MAX_HASHES_READ = 1 << 18
"""Most hashes of one level that a proof reads where tiles lag behind: 8 MiB. Proofs are public; none may cost as much
as the log."""


async def get_inclusion_proof(
    connection: Connection, request: audit_service_pb2.GetInclusionProofRequest
) -> audit_service_pb2.GetInclusionProofResponse:
    """Proves the leaf `index` in the tree of `tree_size`; raises Refusal FIELD_OUT_OF_RANGE for what the log does not
    hold (yet)."""
    head = await read_head(connection)
    violations = [_beyond_head("tree_size", head.size)] if request.tree_size > head.size else []
    if request.index >= request.tree_size:
        violations.append(Violation("index", "FIELD_OUT_OF_RANGE", "must be below tree_size: leaves are counted from 0"))
    if violations:
        raise refuse_violations(violations)
    leaf: Node = (0, request.index)
    ranges = inclusion_ranges(request.index, request.tree_size)
    hashes, known = await _range_roots(connection, ranges, {leaf})
    return audit_service_pb2.GetInclusionProofResponse(leaf_hash=known[leaf], hashes=hashes)


async def get_consistency_proof(
    connection: Connection, request: audit_service_pb2.GetConsistencyProofRequest
) -> audit_service_pb2.GetConsistencyProofResponse:
    """Proves that the tree of `old_size` is a prefix of that of `new_size`; raises Refusal FIELD_OUT_OF_RANGE.

    The proof is empty where there is nothing to prove: from size 0, and between equal sizes.
    """
    head = await read_head(connection)
    violations = [_beyond_head("new_size", head.size)] if request.new_size > head.size else []
    if request.old_size > request.new_size:
        violations.append(Violation("old_size", "FIELD_OUT_OF_RANGE", "must not be above new_size"))
    if violations:
        raise refuse_violations(violations)
    if request.old_size in (0, request.new_size):
        return audit_service_pb2.GetConsistencyProofResponse()
    hashes, _ = await _range_roots(connection, consistency_ranges(request.old_size, request.new_size), set())
    return audit_service_pb2.GetConsistencyProofResponse(hashes=hashes)


def _beyond_head(field: str, size: int) -> Violation:
    return Violation(field, "FIELD_OUT_OF_RANGE", f"the log has {size} entries; ask for its checkpoint first")


async def _range_roots(
    connection: Connection, ranges: Sequence[tuple[int, int]], also: set[Node]
) -> tuple[list[bytes], dict[Node, bytes]]:
    """The root above each range of leaves, and the hashes of all nodes read for them and for `also`."""
    parts = [complete_subtrees(begin, end) for begin, end in ranges]
    known = await read_nodes(connection, also.union(*parts))
    return [fold([known[node] for node in part]) for part in parts], known


async def read_nodes(connection: Connection, nodes: Collection[Node]) -> dict[Node, bytes]:
    """The hashes of complete subtrees of the committed log.

    From the highest level down: what no tile holds is taken as several subtrees of the next tile boundary below, in the
    end as leaves. With tiles up to date that is two small statements for each eight levels, and fewer than 256 hashes
    read at each. Raises Refusal INTERNAL when hashes are missing, or when tiles lag so far behind that the proof would
    read too much.
    """
    wanted: dict[int, set[int]] = defaultdict(set)
    parents: dict[Node, list[Node]] = {}
    for level, index in nodes:
        wanted[level].add(index)
    known: dict[Node, bytes] = {}
    for level in range(max(wanted, default=-1), -1, -1):
        # Level 8L stands in the root column of tiles L - 1 (a row of 32 bytes), so what lies above a boundary stops
        # there too.
        missing = wanted.pop(level, set())
        if level % TILE_HEIGHT:
            missing -= await _read_inside_tiles(connection, level, missing, known)
        else:
            missing -= await _read_boundary(connection, level, missing, known)
        below = _boundary_below(level)
        if len(missing) << (level - below) > MAX_HASHES_READ:
            raise Refusal(
                errors_pb2.ERROR_REASON_INTERNAL,
                "the tiles of the log lag too far behind for this proof; the operator must let maintenance catch up",
            )
        for index in missing:
            children = _descendants((level, index), below)
            parents[level, index] = children
            wanted[below].update(child for _, child in children)
    for parent in sorted(parents):
        known[parent] = root([known[child] for child in parents[parent]])
    return known


def _boundary_below(level: int) -> int:
    """The next multiple of the tile height below `level`."""
    return max(level - 1, 0) // TILE_HEIGHT * TILE_HEIGHT


def _descendants(node: Node, level: int) -> list[Node]:
    """The nodes of a lower level that `node` stands above, from left to right."""
    width = 1 << (node[0] - level)
    return [(level, index) for index in range(node[1] * width, (node[1] + 1) * width)]


async def _read_inside_tiles(connection: Connection, level: int, indices: set[int], known: dict[Node, bytes]) -> set[int]:
    """Computes nodes between two tile boundaries from the full tiles that hold their descendants; returns which it
    found."""
    if not indices:
        return set()
    height = level % TILE_HEIGHT
    tiles_of = {index: index >> (TILE_HEIGHT - height) for index in indices}
    rows = await connection.fetch(
        "SELECT index, hashes FROM log_tile WHERE level = %s AND index = ANY(%s)",
        (level // TILE_HEIGHT, sorted(set(tiles_of.values()))),
    )
    tiles = {number: bytes(hashes) for number, hashes in rows}
    found = {index for index, tile in tiles_of.items() if tile in tiles}
    for index in found:
        first = (index << height) % TILE_WIDTH
        hashes = tiles[tiles_of[index]]
        known[level, index] = root(
            [hashes[at * HASH_LENGTH : (at + 1) * HASH_LENGTH] for at in range(first, first + (1 << height))]
        )
    return found


async def _read_boundary(connection: Connection, level: int, indices: set[int], known: dict[Node, bytes]) -> set[int]:
    """Reads nodes of a tile boundary: roots of full tiles, or leaf hashes; returns which it found, of leaves always
    all."""
    if not indices:
        return set()
    if level == 0:
        rows = await connection.fetch("SELECT index, leaf_hash FROM audit_entry WHERE index = ANY(%s)", (sorted(indices),))
    else:
        rows = await connection.fetch(
            "SELECT index, root FROM log_tile WHERE level = %s AND index = ANY(%s)",
            (level // TILE_HEIGHT - 1, sorted(indices)),
        )
    for index, node_hash in rows:
        known[level, index] = bytes(node_hash)
    if level == 0 and len(rows) != len(indices):
        raise Refusal(errors_pb2.ERROR_REASON_INTERNAL, "entries of the log are missing from the database")
    return {index for index, _ in rows}

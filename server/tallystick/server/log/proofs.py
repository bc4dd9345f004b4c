"""Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2), from tiles and, past the last tile, from leaf
hashes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from tallystick.contract.violations import Violation
from tallystick.crypto import CompactRange, complete_subtrees, consistency_ranges, fold, inclusion_ranges, root
from tallystick.server.errors import Refusal, refuse_violations
from tallystick.server.log.checkpoints import read_head
from tallystick.server.log.tiles import HASH_LENGTH, TILE_HEIGHT, TILE_WIDTH
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
    hashes, known = await _range_roots(connection, ranges, {leaf}, head)
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
    hashes, _ = await _range_roots(connection, consistency_ranges(request.old_size, request.new_size), set(), head)
    return audit_service_pb2.GetConsistencyProofResponse(hashes=hashes)


def _beyond_head(field: str, size: int) -> Violation:
    return Violation(field, "FIELD_OUT_OF_RANGE", f"the log has {size} entries; ask for its checkpoint first")


async def _range_roots(
    connection: Connection, ranges: Sequence[tuple[int, int]], also: set[Node], head: CompactRange
) -> tuple[list[bytes], dict[Node, bytes]]:
    """The root above each range of leaves, and the hashes of all nodes read for them and for `also`.

    What the head holds is taken from it: if an entry was changed, proofs for all others must still hold, to tell which it was."""
    parts = [complete_subtrees(begin, end) for begin, end in ranges]
    held = dict(zip(complete_subtrees(0, head.size), head.hashes, strict=True))
    wanted = also.union(*parts)
    known = await read_nodes(connection, {node for node in wanted if node not in held or node[0] == 0})
    known |= {node: held[node] for node in wanted & held.keys()}
    return [fold([known[node] for node in part]) for part in parts], known


async def read_nodes(connection: Connection, nodes: Collection[Node]) -> dict[Node, bytes]:
    """The hashes of complete subtrees of the committed log.

    From the highest tiles down: what no tile holds is taken as several subtrees of the next tile boundary below, in the end
    as leaves. With tiles up to date that is two small statements for each eight levels, and a few hundred hashes read.
    Raises Refusal INTERNAL when entries are missing, or when tiles lag so far behind that the proof would read too much.
    """
    wanted = set(nodes)
    parents: dict[Node, list[Node]] = {}
    known: dict[Node, bytes] = {}
    for band in range(max((level for level, _ in nodes), default=-1) // TILE_HEIGHT, -1, -1):
        boundary = band * TILE_HEIGHT
        # Leaves too, where they have a tile: it keeps their hashes when somebody has changed an entry. The nodes above them in a
        # proof are mostly read from it anyway.
        inside = {node for node in wanted if node[0] > boundary or node[0] == 0 == boundary}
        known |= await _read_inside_tiles(connection, band, inside)
        wanted |= _replace({node for node in inside - known.keys() if node[0] > boundary}, boundary, parents)
        on_boundary = {node for node in wanted - known.keys() if node[0] == boundary}
        known |= await _read_boundary(connection, band, on_boundary)
        wanted = {node for node in wanted if node[0] < boundary}
        wanted |= _replace(on_boundary - known.keys(), boundary - TILE_HEIGHT, parents)
    for parent in sorted(parents):
        known[parent] = root([known[child] for child in parents[parent]])
    return known


def _replace(missing: Collection[Node], level: int, parents: dict[Node, list[Node]]) -> set[Node]:
    """What stands for nodes that are not stored: their descendants of a lower level, remembered in `parents`."""
    if not missing:
        return set()
    if level < 0:
        raise Refusal(errors_pb2.ERROR_REASON_INTERNAL, "entries of the log are missing from the database")
    if sum(1 << (above - level) for above, _ in missing) > MAX_HASHES_READ:
        text = "the tiles of the log lag too far behind for this proof; the operator must let upkeep catch up"
        raise Refusal(errors_pb2.ERROR_REASON_INTERNAL, text)
    for above, index in missing:
        width = 1 << (above - level)
        parents[above, index] = [(level, child) for child in range(index * width, (index + 1) * width)]
    return {child for node in missing for child in parents[node]}


async def _read_inside_tiles(connection: Connection, band: int, nodes: Collection[Node]) -> dict[Node, bytes]:
    """Nodes between two tile boundaries, computed from the full tiles that hold their descendants; those that have one."""
    if not nodes:
        return {}
    # Which tile, and how many of its hashes from where, lie below each node.
    parts = {(level, index): divmod(index << (level - band * TILE_HEIGHT), TILE_WIDTH) for level, index in nodes}
    rows = await connection.fetch(
        "SELECT index, hashes FROM log_tile WHERE level = %s AND index = ANY(%s)",
        (band, sorted({tile for tile, _ in parts.values()})),
    )
    tiles = {tile: bytes(hashes) for tile, hashes in rows}
    found = {}
    for node, (tile, first) in parts.items():
        if tile in tiles:
            last = first + (1 << (node[0] - band * TILE_HEIGHT))
            found[node] = root([tiles[tile][at * HASH_LENGTH : (at + 1) * HASH_LENGTH] for at in range(first, last)])
    return found


async def _read_boundary(connection: Connection, band: int, nodes: Collection[Node]) -> dict[Node, bytes]:
    """Nodes of a tile boundary, as stored: leaf hashes, or roots of the full tiles below; those that are there."""
    if not nodes:
        return {}
    indices = sorted(index for _, index in nodes)
    if band == 0:
        rows = await connection.fetch("SELECT index, leaf_hash FROM audit_entry WHERE index = ANY(%s)", (indices,))
    else:
        # A row of this column is 32 bytes, where the tile above, if it were there, is 8 KiB.
        rows = await connection.fetch("SELECT index, root FROM log_tile WHERE level = %s AND index = ANY(%s)", (band - 1, indices))
    return {(band * TILE_HEIGHT, index): bytes(node_hash) for index, node_hash in rows}

"""The parts of the file: scorecards are made of all but the test part, which is opened once they are frozen."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from examples.card_file import CardClient

LABEL = "tallystick-person-1"
PARTS = 5
TEST_PART = 0


def parts_of(clients: Sequence[CardClient], label: str = LABEL) -> list[int]:
    """The part of each client: SHA-256 of the label and the client's number, modulo 5. Clients whose rows are the same in all but
    the number are in the part of the first of them: a client of the test part has no twin in the others."""
    first: dict[object, int] = {}
    parts = []
    for client in clients:
        row = client.attributes, client.credit_limit, client.months, client.defaulted
        number = first.setdefault(row, client.number)
        parts.append(int.from_bytes(sha256(f"{label}{number}".encode()).digest()) % PARTS)
    return parts

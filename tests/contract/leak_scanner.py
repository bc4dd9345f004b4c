"""Looking for what must not be found: thousands of secrets, in every form they might be left in, in megabytes of stored bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator

from tests.contract.database_view import DatabaseView

from tallystick.crypto import framed

PREFIX = 8
_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position
"""


class LeakScanner:
    """Byte strings of 8 bytes or more that are sought, each with what it would give away."""

    def __init__(self) -> None:
        self._by_prefix: dict[int, list[tuple[bytes, str]]] = {}
        self.count = 0

    def add(self, value: bytes, meaning: str) -> None:
        """One more."""
        assert len(value) >= PREFIX
        self._by_prefix.setdefault(int.from_bytes(value[:PREFIX], "little"), []).append((value, meaning))
        self.count += 1

    def add_with_forms(self, value: bytes, meaning: str, keys: Iterable[bytes]) -> None:
        """The value itself and whatever a careless program could store instead of it: digests of it, plain, framed, and keyed with
        anything that is public; and all but the last as text."""
        for name, form in (*_forms(value), *_keyed_forms(value, keys)):
            self.add(form, f"{meaning}: {name}")
        for name, form in _forms(value):
            for encoded in (form.hex(), base64.b64encode(form).decode(), base64.urlsafe_b64encode(form).decode()):
                self.add(encoded.rstrip("=").encode(), f"{meaning}: {name}, as text")

    def found_in(self, haystack: bytes) -> set[str]:
        """What of all this stands anywhere in those bytes, aligned or not."""
        found = set()
        prefixes, whole = frozenset(self._by_prefix), memoryview(haystack)
        for shift in range(PREFIX):
            # Read as integers of 8 bytes, once from each of 8 positions, the bytes pass every prefix at every place.
            words = whole[shift : shift + (len(haystack) - shift) // PREFIX * PREFIX].cast("Q")
            for word in prefixes.intersection(words):
                found |= {meaning for value, meaning in self._by_prefix[word] if value in haystack}
        return found


def _forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "itself", value
    for algorithm in ("sha256", "sha512", "sha1", "md5", "sha3_256", "blake2b"):
        yield algorithm, hashlib.new(algorithm, value).digest()
    yield "sha256 twice", hashlib.sha256(hashlib.sha256(value).digest()).digest()
    yield "as a leaf", hashlib.sha256(b"\x00" + value).digest()
    for tag in ("tallystick-subject-v1", "tallystick-identity-v1", "tallystick-request-v1", "tallystick-account-v1"):
        yield f"framed as {tag}", hashlib.sha256(framed(tag, value)).digest()


def _keyed_forms(value: bytes, keys: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    for key in keys:
        yield "keyed", hmac.digest(key, value, "sha256")
        yield "prefixed", hashlib.sha256(key + value).digest()
        yield "suffixed", hashlib.sha256(value + key).digest()


def dump(database_view: DatabaseView) -> dict[str, bytes]:
    """Every value of every column of every table, joined by column; what a stolen database is."""
    values = {}
    for table, column in database_view.rows(_COLUMNS):
        rows = database_view.rows(f'SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL')
        values[f"{table}.{column}"] = b"\x00".join(v if isinstance(v, bytes) else str(v).encode() for (v,) in rows)
    return values

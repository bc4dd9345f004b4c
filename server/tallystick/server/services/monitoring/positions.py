"""Where a message stands in its member's order, and the cursors that say so to nobody but this server.

Messages are told by release window, and inside a window in an order that is keyed anew for each: neither place nor time of a
message says when its cause was reported. A cursor holds the place of its message, so it is encrypted, for one member alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from tallystick.contract.instants import EPOCH, microseconds
from tallystick.crypto import framed

ORDER_BYTES = 8
_PACKED = struct.Struct(f">q{ORDER_BYTES}sqi")
_CURSOR_TAG = "tallystick-message-cursor-v1"
_ORDER_TAG = "tallystick-message-order-v1"
_SIV_BYTES = 16
CURSOR_LENGTH = 4 * -(-(_PACKED.size + _SIV_BYTES) // 3)


class Position(NamedTuple):
    """The key of a message, but for its member; in the order in which messages are told."""

    release_time: datetime
    subject_order: bytes
    entry_index: int
    ordinal: int

    def to_bytes(self) -> bytes:
        """28 bytes, in the same order as the positions."""
        return _PACKED.pack(microseconds(self.release_time), self.subject_order, self.entry_index, self.ordinal)

    @classmethod
    def from_bytes(cls, packed: bytes) -> Position:
        """What `to_bytes` made; of no bytes the place before every message."""
        if not packed:
            return BEFORE_ALL
        time, order, index, ordinal = _PACKED.unpack(packed)
        return cls(EPOCH + timedelta(microseconds=time), order, index, ordinal)


BEFORE_ALL = Position(EPOCH, bytes(ORDER_BYTES), 0, 0)


class Cursors:
    """Makes and reads cursors: positions under AES-SIV (RFC 5297), with the member as associated data."""

    def __init__(self, secret: bytes) -> None:
        # A key of 64 bytes for this use alone: the secret has others.
        self._cipher = AESSIV(hmac.digest(secret, _CURSOR_TAG.encode(), "sha512"))

    def issue(self, member_id: str, packed: bytes) -> str:
        """The cursor of a packed position; of none an empty one."""
        if not packed:
            return ""
        return base64.urlsafe_b64encode(self._cipher.encrypt(packed, [_binding(member_id)])).decode()

    def read(self, member_id: str, cursor: str) -> bytes | None:
        """The packed position of a cursor, which is not empty; None for what was not made here for this member."""
        if len(cursor) != CURSOR_LENGTH:
            return None
        try:
            sealed = base64.b64decode(cursor, altchars=b"-_", validate=True)
            packed = self._cipher.decrypt(sealed, [_binding(member_id)])
        except (binascii.Error, ValueError, InvalidTag):
            return None
        # Base64 leaves bits over: of the forms that decode alike only one is a cursor.
        return packed if len(packed) == _PACKED.size and base64.urlsafe_b64encode(sealed).decode() == cursor else None


def _binding(member_id: str) -> bytes:
    return framed(_CURSOR_TAG, member_id.encode())


class ReleaseWindows:
    """The windows at whose end messages are released, and the order inside each."""

    def __init__(self, secret: bytes, minutes: int) -> None:
        """Without minutes what an entry brought about is released right behind it."""
        self._secret = secret
        self._length = timedelta(minutes=minutes)

    def release_time(self, time: datetime) -> datetime:
        """When something of an entry of that time is released: later than the entry, so that what was released by some time is
        complete once no entry can be earlier than it."""
        if not self._length:
            return time + timedelta(microseconds=1)
        return EPOCH + ((time - EPOCH) // self._length + 1) * self._length

    def orders(self, release_time: datetime) -> WindowOrder:
        """The order inside the window that ends then."""
        return WindowOrder(hmac.digest(self._secret, framed(_ORDER_TAG, str(microseconds(release_time)).encode()), "sha256"))


class WindowOrder:
    """The order of subjects inside one window."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, subject_key: bytes) -> bytes:
        """8 bytes: messages about one subject stay together, and in the order of the log."""
        return hmac.digest(self._key, subject_key, "sha256")[:ORDER_BYTES]

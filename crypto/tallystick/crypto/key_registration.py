"""The statement that a member's new key and an older one sign (docs/protocol.md, "Key registration")."""

import re

from tallystick.crypto.ed25519 import is_usable_public_key
from tallystick.crypto.errors import CryptoError
from tallystick.crypto.origins import is_origin

MEMBER_ID = re.compile(r"[a-z][a-z0-9-]{2,31}", re.ASCII)
"""The form of a member_id; to be matched whole."""


def key_statement(origin: str, member_id: str, public_key: bytes) -> bytes:
    """Returns the bytes that possession and endorsement signatures are over.

    Raises CryptoError when the origin or the member_id is not well formed, or the public key is not 32 bytes or a point
    of small order, under which signatures prove nothing.
    """
    if not is_origin(origin):
        raise CryptoError("the origin is not 1 to 255 visible ASCII characters without '+'")
    if MEMBER_ID.fullmatch(member_id) is None:
        raise CryptoError("member_id is not 3 to 32 characters of a-z, 0-9 and '-' that begin with a letter")
    if not is_usable_public_key(public_key):
        raise CryptoError("public_key is not 32 bytes that encode an Ed25519 key")
    return f"tallystick-key-v1\n{origin}\n{member_id}\n{public_key.hex()}\n".encode()

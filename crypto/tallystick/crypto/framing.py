"""Framing: a list of byte strings as one, unlike any other list's (docs/protocol.md, "Framing")."""


def framed(tag: str | bytes, *parts: bytes) -> bytes:
    """Returns `tag` and `parts`, each behind its length as four bytes, big endian. A text tag is encoded as UTF-8."""
    framed_parts = bytearray()
    for part in (tag.encode() if isinstance(tag, str) else tag, *parts):
        framed_parts += len(part).to_bytes(4, "big")
        framed_parts += part
    return bytes(framed_parts)

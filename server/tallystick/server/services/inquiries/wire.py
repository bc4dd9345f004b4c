"""Splicing: stored messages copied into an answer as they are, by protobuf's wire format alone.

A submessage on the wire is its field's tag, its length, and its bytes; and a message is the concatenation of its fields in any
order (protobuf.dev, "Encoding"). So an account that was serialised once never has to be parsed to be answered with.
"""

_LENGTH_DELIMITED = 2


def varint(value: int) -> bytes:
    """A non-negative integer in base 128, least significant group first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def submessage(number: int, content: bytes) -> bytes:
    """The field `number` holding a message that is serialised already."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(content)) + content

"""Framing is injective: what was framed can be read back, so two lists never give the same bytes."""

from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import framed


def unframed(data: bytes) -> list[bytes]:
    parts = []
    while data:
        length = int.from_bytes(data[:4], "big")
        parts.append(data[4 : 4 + length])
        data = data[4 + length :]
    return parts


@given(st.binary(), st.lists(st.binary()))
def test_reads_back(tag: bytes, parts: list[bytes]) -> None:
    assert unframed(framed(tag, *parts)) == [tag, *parts]


@given(st.text(), st.lists(st.binary(), max_size=3))
def test_text_tag_is_utf8(tag: str, parts: list[bytes]) -> None:
    assert framed(tag, *parts) == framed(tag.encode(), *parts)

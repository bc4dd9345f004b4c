"""Frames of HTTP/2 and heads of gRPC messages, as bytes."""

from __future__ import annotations

import hpack
from hyperframe.frame import DataFrame, HeadersFrame

HEADER_BYTES = 9
WINDOW = 2**31 - 1
FIRST_WINDOW = 65_535
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 1, 4
ACK = END_STREAM = 0x1
END_HEADERS = 0x4


def header_block(path: str, port: int, *more: tuple[str, str]) -> bytes:
    """The headers of a gRPC call, encoded so that they can be sent again and again: nothing enters the table."""
    headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", f"localhost:{port}"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *more,
    ]
    encoder = hpack.Encoder()
    return encoder.encode([hpack.NeverIndexedHeaderTuple(name, value) for name, value in headers])


def headers_frame(stream: int, block: bytes, *, end: bool = False) -> bytes:
    """HEADERS in one frame."""
    return bytes(HeadersFrame(stream, block, flags=["END_HEADERS", *(["END_STREAM"] if end else [])]).serialize())


def data_frame(stream: int, data: bytes, *, end: bool = False) -> bytes:
    """DATA."""
    return bytes(DataFrame(stream, data, flags=["END_STREAM"] if end else []).serialize())


def message(length: int, data: bytes) -> bytes:
    """The head of a gRPC message of `length` bytes, and as much of it as is given."""
    return b"\0" + length.to_bytes(4, "big") + data

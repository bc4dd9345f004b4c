"""Checks of the fields that requests of several services share: page_size, member_id, and instants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tallystick.contract.instants import EPOCH
from tallystick.contract.violations import Violation
from tallystick.crypto.key_registration import MEMBER_ID

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
PAGE_BYTES = 3 * 1024 * 1024
"""A page ends early rather than grow beyond this: the limit of an answer is 4 MiB, and a single item adds to what is
there."""

_MIN_SECONDS, _MAX_SECONDS = -62_135_596_800, 253_402_300_799


def check_page_size(requested: int) -> list[Violation]:
    """What is wrong with a page_size."""
    if requested > MAX_PAGE_SIZE:
        return [Violation("page_size", "FIELD_OUT_OF_RANGE", f"must be at most {MAX_PAGE_SIZE}; 0 is {DEFAULT_PAGE_SIZE}")]
    return []


def page_size(requested: int) -> int:
    """How many items a page holds at the most, for a page_size that was checked."""
    return requested or DEFAULT_PAGE_SIZE


def check_member_id(member_id: str, field: str) -> list[Violation]:
    """What is wrong with the form of a member_id."""
    if not member_id:
        return [Violation(field, "FIELD_REQUIRED", "name the member")]
    if not MEMBER_ID.fullmatch(member_id):
        text = "must be 3 to 32 characters of a-z, 0-9 and '-', beginning with a letter"
        return [Violation(field, "FIELD_MALFORMED", text)]
    return []


def check_timestamp(timestamp: Timestamp, field: str) -> list[Violation]:
    """What is wrong with an instant: protobuf allows the years 1 to 9999, and nanoseconds from 0 to 999,999,999."""
    if not (_MIN_SECONDS <= timestamp.seconds <= _MAX_SECONDS and 0 <= timestamp.nanos < 10**9):
        return [Violation(field, "FIELD_OUT_OF_RANGE", "must be an instant of the years 1 to 9999 with 0 to 999,999,999 nanos")]
    return []


def instant(timestamp: Timestamp) -> datetime:
    """The first whole microsecond at or after a checked timestamp: times in the log are whole microseconds.

    In the last microsecond of the year 9999 there is none after; that one stands for it.
    """
    microseconds = min(-(-timestamp.nanos // 1000), 999_999 if timestamp.seconds == _MAX_SECONDS else 1_000_000)
    return EPOCH + timedelta(seconds=timestamp.seconds, microseconds=microseconds)

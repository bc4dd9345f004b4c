"""Page tokens: good only for the request that they were made for, as the exchange's are."""

from __future__ import annotations

import hashlib
from typing import Any

from tallystick.contract.refusals import Refusal
from tallystick.v1 import errors_pb2


def token(message: Any, at: int) -> str:
    """The token of the page that begins at `at` of what a message asks for."""
    return f"{_asked(message)}.{at}"


def position(message: Any) -> int | None:
    """Where the page that a message asks for begins; None for the first. Raises Refusal."""
    if not message.page_token:
        return None
    asked, _, at = message.page_token.partition(".")
    if asked != _asked(message) or not at.isdecimal():
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_PAGE_TOKEN_INVALID,
            "page_token",
            "was not made for this request: send the filters of the first page, or begin without it",
        )
    return int(at)


def _asked(message: Any) -> str:
    filters = type(message)()
    filters.CopyFrom(message)
    filters.ClearField("page_size")
    filters.ClearField("page_token")
    return hashlib.sha256(filters.SerializeToString(deterministic=True)).hexdigest()[:32]

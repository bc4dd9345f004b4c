"""A call as it came in, and what it gets: the same from the network and from the command line."""

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick.server.errors import Refusal

Metadata = Sequence[tuple[str, str | bytes]]


Cursor = bytes
"""Where a page of a stream begins and the stream ends, as the operation wrote it; nothing else reads it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, before anything is known of it."""

    method: str
    """The full method, such as "/tallystick.v1.InquiryService/QueryCreditHistory"."""
    metadata: Metadata
    message: bytes
    certificate_member: str | None
    """The member_id that the client's certificate names; None for a call that did not come over the network."""
    deadline: float | None = None
    """The event loop's time after which the caller no longer waits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gets once it is committed: the answer, or why not, and the receipt for either."""

    message: bytes
    """The serialised answer; for a refusal the serialised google.rpc.Status."""
    receipt: bytes
    """The serialised tallystick.v1.Receipt."""
    refusal: Refusal | None = None
    next_page: Cursor | None = None
    """For a streaming method: where its next page begins; None after the last."""

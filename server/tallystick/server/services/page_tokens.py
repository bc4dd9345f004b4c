"""Page tokens: where a list goes on, good only for the member and the request that it was made for."""

import base64
import binascii
import hmac

from google.protobuf.message import Message

from tallystick.crypto import framed
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Work
from tallystick.v1 import errors_pb2

TAG = "tallystick-page-token-v1"
MAC_LENGTH = 16
MAX_POSITION = 64
_MAX_TOKEN_LENGTH = 4 * -(-(MAC_LENGTH + MAX_POSITION) // 3)


class PageTokens:
    """Makes and reads the page tokens of one method. A token is base64url of a truncated HMAC-SHA-256 and the position.

    The HMAC is over the caller and all that the request asks for but the page itself. It is keyed, not a plain digest:
    a filter may be a subject's token, and a page token that is found must not let anybody test guesses of it.
    """

    def __init__(self, secret: bytes, method: str) -> None:
        # A key for this use alone: the secret has others.
        self._key = hmac.digest(secret, TAG.encode(), "sha256")
        self._method = method

    def issue(self, work: Work, position: bytes) -> str:
        """The token of the page that begins at `position`, for the request in `work`."""
        return base64.urlsafe_b64encode(self._mac(work, position) + position).decode()

    def position(self, work: Work) -> bytes | None:
        """Where the request's page begins; None for the first page. Raises Refusal PAGE_TOKEN_INVALID."""
        token: str = work.message.page_token
        if not token:
            return None
        try:
            # Bounded before it is decoded; `validate` makes one token have one form.
            raw = base64.b64decode(token, altchars=b"-_", validate=True) if len(token) <= _MAX_TOKEN_LENGTH else b""
        except (binascii.Error, ValueError):
            raw = b""
        mac, position = raw[:MAC_LENGTH], raw[MAC_LENGTH:]
        if not hmac.compare_digest(mac, self._mac(work, position)):
            raise Refusal.of_field(
                errors_pb2.ERROR_REASON_PAGE_TOKEN_INVALID,
                "page_token",
                "was not made for this request: send the filters of the first page, or begin without it",
            )
        return position

    def _mac(self, work: Work, position: bytes) -> bytes:
        content = framed(TAG, self._method.encode(), work.caller.member_id.encode(), _filters(work.message), position)
        return hmac.digest(self._key, content, "sha256")[:MAC_LENGTH]


def _filters(message: Message) -> bytes:
    """What a request asks for, whichever page of it: its bytes without the page's fields."""
    filters = type(message)()
    filters.CopyFrom(message)
    filters.ClearField("page_size")
    filters.ClearField("page_token")
    return filters.SerializeToString(deterministic=True)

"""Base64 (RFC 4648, section 4) in its one canonical form: padded, no white space, no stray bits."""

import base64
import binascii


def encode(data: bytes) -> str:
    """Returns the canonical base64 of `data`."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes | None:
    """Returns the bytes of canonical base64; None for any other text, which each caller refuses in its own words."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    # The decoder passes over unused bits of the last character and over surplus padding: two texts for one value.
    return data if encode(data) == text else None

"""Origins: the names of logs, wherever one is in signed bytes (c2sp.org/tlog-checkpoint)."""

import re

# Visible ASCII without "+": good at once as a gRPC metadata value, as the name of a note's key and as a line of a
# statement.
_ORIGIN = re.compile(r"[!-*,-~]{1,255}", re.ASCII)


def is_origin(text: str) -> bool:
    """Whether `text` is 1 to 255 visible ASCII characters without "+", such as "exchange.example/log"."""
    return _ORIGIN.fullmatch(text) is not None

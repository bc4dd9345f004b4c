"""hashlib in one thread: SHA-256 of 65 bytes, which is one node of the log's tree, and nothing around it."""

from __future__ import annotations

import hashlib
import time


def hashes(count: int) -> float:
    """Hashes a second of processor time."""
    data = bytes(65)
    began = time.process_time()
    for _ in range(count):
        hashlib.sha256(data).digest()
    return count / (time.process_time() - began)

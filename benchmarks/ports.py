"""A port for a server that listens on the loopback interface, for benchmarks and tests."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """A port that nobody listens on now, below those that the system gives to outgoing connections: between looking and listening
    no other connection is given it by chance."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

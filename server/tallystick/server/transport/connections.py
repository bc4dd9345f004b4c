"""Connections: ends those of a peer, for which gRPC has no call.

Every connection is a socket of this process. It is looked for by the peer's address and shut down, which gRPC takes as the peer's
own hanging up: the streams on it are cancelled, those that wait for a handler too.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

Address = tuple[str, int]
OPEN_FILES = Path("/proc/self/fd")
LATE_SECONDS = 0.2
"""How long calls of a connection that was ended may still come."""
REST = 10.0
"""How much longer than a search the time is until the next may begin."""


class Connections:
    """The connections of this process. A search looks at every open file, so one is made for all that are to end since the last."""

    def __init__(self) -> None:
        self._ending: set[Address] = set()
        self._ended: set[Address] = set()
        """By the last search. The calls of a connection that is ended are many, and still come."""
        self._forget = 0.0
        """When who calls from such an address is somebody else, or the same on a new connection."""
        self._next = 0.0
        self._waiting: asyncio.TimerHandle | None = None

    def end(self, peer: str) -> None:
        """Ends the connection of a peer, named as a call's context does: at once, unless searches have just taken much time."""
        address = address_of(peer)
        loop = asyncio.get_running_loop()
        if address is None or (address in self._ended and loop.time() < self._forget):
            return
        self._ending.add(address)
        if loop.time() >= self._next:
            self._end_all()
        elif self._waiting is None:
            self._waiting = loop.call_at(self._next, self._end_all)

    def _end_all(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        ending, self._ending = self._ending, set()
        self._ended = ending
        began = time.perf_counter()
        shut_down(ending)
        taken = time.perf_counter() - began
        now = asyncio.get_running_loop().time()
        self._next, self._forget = now + taken * REST, now + LATE_SECONDS


def address_of(peer: str) -> Address | None:
    """The address in "ipv4:192.0.2.1:4711" or "ipv6:%5B2001:db8::1%5D:4711"; None of anything else."""
    family, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if family not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return host.strip("[]"), int(port)


def shut_down(peers: set[Address]) -> int:
    """Shuts the sockets down that are connected with these; how many there were."""
    found = 0
    for name in os.listdir(OPEN_FILES):  # noqa: PTH208 - bare names, of some ten thousand
        with suppress(OSError):
            # A descriptor may be closed, and its number be another's, at any moment: a copy keeps what it was made of.
            copy = os.dup(int(name))
            try:
                found += _shut_down(copy, peers)
            finally:
                os.close(copy)
    return found


def _shut_down(descriptor: int, peers: set[Address]) -> bool:
    connection = socket.socket(fileno=descriptor)
    try:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or _peer(connection) not in peers:
            return False
        connection.shutdown(socket.SHUT_RDWR)
        return True
    finally:
        connection.detach()


def _peer(connection: socket.socket) -> Address:
    host, port = connection.getpeername()[:2]
    # What listens on all addresses has peers of IPv4 under addresses of IPv6; gRPC names them by the former.
    return str(host).removeprefix("::ffff:"), port

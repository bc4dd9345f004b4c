"""Connections: ends those of a peer, for which gRPC has no call.

Every connection is a socket of this process. It is looked for by the peer's address and shut down, which gRPC takes as the peer's
own hanging up: the streams on it are cancelled, those that wait for a handler too.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

Address = tuple[str, int]
OPEN_FILES = Path("/proc/self/fd")


class Connections:
    """The connections of this process. One search at a time, in a thread, for all that are to end."""

    def __init__(self) -> None:
        self._ending: set[Address] = set()
        self._search: asyncio.Task[None] | None = None

    def end(self, peer: str) -> None:
        """Ends the connection of a peer, named as a call's context does, soon."""
        address = address_of(peer)
        if address is None:
            return
        self._ending.add(address)
        if self._search is None or self._search.done():
            self._search = asyncio.create_task(self._end_all(), name="connections")

    async def _end_all(self) -> None:
        while self._ending:
            ending, self._ending = self._ending, set()
            await asyncio.to_thread(shut_down, ending)


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

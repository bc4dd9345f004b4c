"""The way to a server, as a network that can be cut: connections break, and none comes about until it is mended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from psycopg2.extensions import parse_dsn


class Proxy:
    """Forwards a loopback port to another while it is not cut."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        """`connect` makes a connection to the server."""
        self._connect = connect
        self._links: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.mend()

    def mend(self) -> None:
        """The server can be reached again."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @property
    def is_cut(self) -> bool:
        """Whether nothing gets through."""
        return self._listener is None

    def cut(self) -> None:
        """Every connection breaks, and new ones are refused."""
        if self._listener is not None:
            # A thread that waits in accept keeps the socket open; shutting it down wakes that thread.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = self._connect()
                with self._lock:
                    self._links += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=(source, target), daemon=True).start()


class DatabaseProxy(Proxy):
    """The way to a PostgreSQL server."""

    def __init__(self, url: str) -> None:
        self._server = parse_dsn(url)
        super().__init__(self._connected)
        user, name = quote(self._server.get("user", "postgres")), quote(self._server["dbname"])
        password = ":" + quote(self._server["password"]) if "password" in self._server else ""
        self.url = f"postgresql://{user}{password}@127.0.0.1:{self.port}/{name}?sslmode=disable"

    def _connected(self) -> socket.socket:
        host, port = self._server.get("host", "localhost"), int(self._server.get("port", 5432))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        link = socket.socket(socket.AF_UNIX)
        link.connect(f"{host}/.s.PGSQL.{port}")
        return link


def _forward(source: socket.socket, target: socket.socket) -> None:
    """Copies until one side ends, and then ends both."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for link in (source, target):
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)

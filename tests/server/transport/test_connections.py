"""Connections are ended by the peer's address, and no other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.server.transport.connections import Connections, address_of, shut_down

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["127.0.0.1", "::1", "mapped"])
def pairs(request: pytest.FixtureRequest) -> Iterator[list[Pair]]:
    """Two connections as a client and its server hold them."""
    host = "127.0.0.1" if request.param == "mapped" else request.param
    family = socket.AF_INET if request.param == "127.0.0.1" else socket.AF_INET6
    with socket.socket(family) as listener:
        if request.param == "mapped":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            listener.bind(("::" if request.param == "mapped" else host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        listener.listen()
        made = []
        for _ in range(2):
            client = socket.create_connection((host, listener.getsockname()[1]), 5)
            made.append((client, listener.accept()[0]))
        yield made
        for client, server in made:
            client.close()
            server.close()


def peer(client: socket.socket) -> str:
    """The client as gRPC names it."""
    host, port = client.getsockname()[:2]
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def is_open(client: socket.socket) -> bool:
    client.settimeout(0.1)
    try:
        return client.recv(1) != b""
    except TimeoutError:
        return True


async def test_the_connection_of_a_peer_ends_and_no_other(pairs: list[Pair]) -> None:
    descriptors = open_files()
    Connections().end(peer(pairs[0][0]))
    await asyncio.sleep(0)
    assert not is_open(pairs[0][0])
    assert is_open(pairs[1][0])
    assert open_files() == descriptors, "nothing is left open by the search"


async def test_ends_that_follow_closely_are_one_search(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []
    second = asyncio.Event()

    def search(peers: set[tuple[str, int]]) -> int:
        searches.append(len(peers))
        found = shut_down(peers)
        if len(searches) == 2:
            second.set()
        return found

    monkeypatch.setattr("tallystick.server.transport.connections.shut_down", search)
    monkeypatch.setattr("tallystick.server.transport.connections.REST", 1000.0)
    connections = Connections()
    connections.end("ipv4:192.0.2.1:1")
    for client, _ in pairs:
        connections.end(peer(client))
    assert searches == [1]
    await asyncio.wait_for(second.wait(), 60)
    assert searches == [1, 2]
    assert not any(is_open(client) for client, _ in pairs)


async def test_calls_that_still_come_need_no_further_search(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[set[tuple[str, int]]] = []
    monkeypatch.setattr("tallystick.server.transport.connections.shut_down", searches.append)
    monkeypatch.setattr("tallystick.server.transport.connections.LATE_SECONDS", 0.1)
    connections = Connections()
    for _ in range(100):
        connections.end("ipv4:192.0.2.1:1")
    await asyncio.sleep(0.05)
    assert searches == [{("192.0.2.1", 1)}]
    # A new connection may have the same port.
    await asyncio.sleep(0.1)
    connections.end("ipv4:192.0.2.1:1")
    assert len(searches) == 2


def test_files_and_other_sockets_are_passed_over(tmp_path: Path) -> None:
    left, right = socket.socketpair()
    with (tmp_path / "file").open("w"), left, right, socket.socket() as unconnected:
        assert shut_down({("127.0.0.1", 1)}) == 0
        assert unconnected.fileno() >= 0
        left.send(b"x")
        assert right.recv(1) == b"x"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ipv4:192.0.2.1:4711", ("192.0.2.1", 4711)),
        ("ipv6:%5B2001:db8::1%5D:4711", ("2001:db8::1", 4711)),
        ("ipv6:[2001:db8::1]:4711", ("2001:db8::1", 4711)),
        ("unix:/tmp/socket", None),
        ("ipv4:192.0.2.1", None),
        ("", None),
    ],
)
def test_peers_are_named_as_grpc_does(name: str, address: tuple[str, int] | None) -> None:
    assert address_of(name) == address

"""HAProxy in front of a server, with the configuration of docker/: members pass with their own certificates, floods do not."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from benchmarks.attacks.proxy import proxy
from tests.contract import requests
from tests.contract.raw_caller import RawCaller
from tests.contract.requests import QUERY
from tests.contract.system import System

PROGRAM = shutil.which("haproxy") or "/usr/sbin/haproxy"
pytestmark = pytest.mark.skipif(not Path(PROGRAM).exists(), reason="HAProxy is not installed (Debian: apt-get install haproxy)")

AT_ONCE = 64
"""Connections of one address that docker/haproxy.cfg lets be open."""
IN_TEN_SECONDS = 100
SILENCE_SECONDS = 5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How a client of HTTP/2 begins (RFC 9113, 3.4). The server ends a connection after ten seconds that does not."""


@pytest.fixture(scope="module")
def port(system: System) -> Iterator[int]:
    """The proxy's, before the exchange."""
    with proxy(PROGRAM, int(system.exchange.worker.address.rsplit(":", 1)[1])) as listening:
        yield listening


@pytest.fixture
def bank(system: System, port: int) -> Iterator[RawCaller]:
    """bank-a, through the proxy."""
    caller = system["bank-a"].exchange.at(f"localhost:{port}")
    yield caller
    caller.close()


def test_calls_pass_with_the_members_own_certificate(system: System, bank: RawCaller, port: int) -> None:
    reply = bank.call(QUERY, requests.query(system.mint.stranger()))
    assert reply.ok, reply
    bank.verified_receipt(reply)
    # The server sees whose certificate it is: the proxy has none of its own.
    other = system["bank-a"].exchange.with_certificate(system["bank-b"].exchange.tls, f"localhost:{port}")
    assert other.call(QUERY, requests.query(system.mint.stranger())).reason == "CERTIFICATE_MISMATCH"
    other.close()


def test_one_address_has_so_many_connections_and_the_others_all_theirs(system: System, bank: RawCaller, port: int) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(_handshake(system, port, "127.0.0.9")) for _ in range(AT_ONCE)]
        with pytest.raises(OSError, match=r"."):
            _handshake(system, port, "127.0.0.9").close()
        assert all(_is_open(each) for each in held)
        assert bank.call(QUERY, requests.query(system.mint.stranger())).ok
    # Those that ended leave their places.
    _until_served(system, port, "127.0.0.9")


def test_one_address_opens_only_so_many_in_ten_seconds(system: System, bank: RawCaller, port: int) -> None:
    _handshake(system, port, "127.0.0.10").close()
    until = time.monotonic() + 120
    while _is_served(system, port, "127.0.0.10"):
        # On a busy machine these may have taken longer than the ten seconds.
        assert time.monotonic() < until
        for _ in range(IN_TEN_SECONDS):
            # Those that are too many are reset, some of them before this end knows of its connection.
            with suppress(OSError):
                _connect(port, "127.0.0.10").close()
    assert bank.call(QUERY, requests.query(system.mint.stranger())).ok


def test_whoever_does_not_begin_with_tls_goes(port: int) -> None:
    with _connect(port, "127.0.0.11") as silent:
        silent.settimeout(6 * SILENCE_SECONDS)
        assert silent.recv(1) == b""
    with _connect(port, "127.0.0.11") as plain:
        plain.settimeout(6 * SILENCE_SECONDS)
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert _ended(plain)


def _connect(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))


def _handshake(system: System, port: int, source: str) -> ssl.SSLSocket:
    """A connection with a member's certificate, up to the first words of both. Raises OSError when it is refused."""
    folder, tls = system["lender-c"].folder, ssl.create_default_context(cafile=system["lender-c"].folder / "exchange-ca.crt")
    tls.load_cert_chain(folder / "exchange-client.crt", folder / "exchange-client.key")
    tls.set_alpn_protocols(["h2"])
    plain = _connect(port, source)
    try:
        connection = tls.wrap_socket(plain, server_hostname="localhost")
        connection.settimeout(30)
        connection.sendall(PREFACE)
        if not connection.recv(9):
            raise ConnectionResetError("ended by the server")
        return connection
    except OSError:
        plain.close()
        raise


def _is_served(system: System, port: int, source: str) -> bool:
    try:
        _handshake(system, port, source).close()
    except OSError:
        return False
    return True


def _until_served(system: System, port: int, source: str) -> None:
    until = time.monotonic() + 120
    while not _is_served(system, port, source):
        assert time.monotonic() < until
        time.sleep(0.5)


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _is_open(connection: ssl.SSLSocket) -> bool:
    connection.settimeout(0.01)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return True
    return False

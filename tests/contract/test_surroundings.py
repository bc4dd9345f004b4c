"""A connection that does not come about because of this machine: a proxy of its environment, or its clock. The message says so."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.contract import requests
from tests.contract.installation import Installation
from tests.contract.system import System

from tallystick.client.protocol.surroundings import about_proxy
from tallystick.server.installation import certificates

QUERY = ("query", "--type", "2", "--country", "DE", "--number", "C01X00000", "--purpose", "02", "--consent", "c")

SECRET = "http://user:hunter2@"
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None) if shutil.which("faketime") else None
needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="needs the package faketime, for a process with another clock")


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    variables = {**inherited, "TALLYSTICK_PROFILE": str(folder), **environment}
    command = [sys.executable, "-m", "tallystick.client.cli", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)


def run_in_vain(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A query that fails however long it waits: for long only if the machine is so busy that no attempt ended."""
    done = run(folder, *QUERY, "--timeout", "3", **environment)
    return run(folder, *QUERY, "--timeout", "40", **environment) if "no answer within" in done.stderr else done


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port at which each connection is served by a thread."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    link, _ = listener.accept()
                    threading.Thread(target=serve, args=(link,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def refuse(link: socket.socket) -> None:
    link.recv(4096)
    link.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    link.close()


def connect(link: socket.socket) -> None:
    """What a proxy does that lets CONNECT through."""
    request = link.recv(4096)
    host, _, port = request.split()[1].decode().rpartition(":")
    server = socket.create_connection((host, int(port)))
    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    def forward(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    threading.Thread(target=forward, args=(server, link), daemon=True).start()
    forward(link, server)


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_that_lets_nothing_through_is_named_and_its_password_is_not(own_system: System, variable: str) -> None:
    member = own_system["bank-a"]
    with listening(refuse) as port:
        done = run_in_vain(member.folder, **{variable: f"{SECRET}127.0.0.1:{port}"})
        assert (done.returncode, f"the proxy that {variable} names" in done.stderr) == (3, True), done.stderr
        assert "no_grpc_proxy=localhost" in done.stderr
        assert "hunter2" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
        # As it says.
        assert run(member.folder, *QUERY, **{variable: f"{SECRET}127.0.0.1:{port}"}, no_grpc_proxy="localhost").returncode == 0
        assert run(member.folder, *QUERY, **{variable: ""}).returncode == 0


def test_a_proxy_that_nobody_answers_at_is_named(own_system: System) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = run_in_vain(own_system["bank-a"].folder, https_proxy=f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert (done.returncode, "https_proxy" in done.stderr) == (3, True)


def test_the_way_leads_through_a_proxy_that_lets_connect(own_system: System) -> None:
    with listening(connect) as port:
        done = run(own_system["bank-a"].folder, *QUERY, https_proxy=f"http://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr


def test_a_proxy_that_grpc_does_not_use_is_named_when_the_server_is_not_reached(own_system: System, tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    shutil.copytree(own_system["bank-a"].folder, folder)
    settings = folder / "exchange.toml"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        text = settings.read_text().replace(own_system.exchange.worker.address, f"localhost:{closed.getsockname()[1]}")
        settings.write_text(text)
        upper = run_in_vain(folder, HTTPS_PROXY="http://127.0.0.1:9")
        assert (upper.returncode, "HTTPS_PROXY is set, which gRPC does not read" in upper.stderr) == (3, True), upper.stderr
        socks = run_in_vain(folder, https_proxy="socks5://u:hunter2@127.0.0.1:9")
        assert (socks.returncode, "the proxy that https_proxy names was not used" in socks.stderr) == (3, True), socks.stderr
        assert "hunter2" not in socks.stderr
        plain = run_in_vain(folder)
        assert (plain.returncode, "proxy" in plain.stderr) == (3, False)


@pytest.mark.parametrize(
    ("environment", "target", "named"),
    [
        ({}, "exchange.example:7443", None),
        ({"http_proxy": "http://p:1"}, "exchange.example:7443", "http_proxy"),
        ({"http_proxy": "http://p:1", "https_proxy": "http://p:2"}, "exchange.example:7443", "https_proxy"),
        ({"https_proxy": "http://p:1", "grpc_proxy": "http://p:2"}, "exchange.example:7443", "grpc_proxy"),
        ({"https_proxy": "http://p:1", "grpc_proxy": ""}, "exchange.example:7443", None),
        ({"https_proxy": "http://p:1", "no_proxy": "exchange.example"}, "exchange.example:7443", None),
        ({"https_proxy": "http://p:1", "no_proxy": "a.b, .EXAMPLE "}, "exchange.example:7443", None),
        (
            {"https_proxy": "http://p:1", "no_proxy": "exchange.example", "no_grpc_proxy": ""},
            "exchange.example:7443",
            "https_proxy",
        ),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, "exchange.example:7443", "https_proxy"),
        ({"https_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "10.1.2.3:7443", None),
        ({"https_proxy": "http://p:1", "no_proxy": "10.0.0.0/8,x/y"}, "11.1.2.3:7443", "https_proxy"),
        ({"https_proxy": "http://p:1", "no_proxy": "fd00::/8"}, "[fd00::7]:7443", None),
        ({"https_proxy": "p:1"}, "exchange.example:7443", "https_proxy"),
        ({"ALL_PROXY": "http://p:1"}, "exchange.example:7443", "ALL_PROXY"),
    ],
)
def test_the_variable_that_applies_is_told_as_grpc_decides(environment: dict[str, str], target: str, named: str | None) -> None:
    told = about_proxy(target, environment)
    assert (named is None) == (told == "")
    if named is not None:
        assert named in told.split()


def at_another_time(folder: Path, offset: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command on a machine whose clock is wrong by so much."""
    return run(folder, *arguments, LD_PRELOAD=str(FAKETIME), FAKETIME=offset, FAKETIME_DONT_FAKE_MONOTONIC="1")


@needs_faketime
@pytest.mark.parametrize(
    ("offset", "says"),
    [("+20d", "20 days|19 days and 23 hours"), ("+2h", "2 hours|1 hour and 59 minutes"), ("+50s", "(50|4.|3.) seconds")],
)
def test_a_clock_that_is_fast_is_told_by_how_much(own_system: System, offset: str, says: str) -> None:
    done = at_another_time(own_system["bank-a"].folder, offset, "submissions")
    assert (done.returncode, "SIGNATURE_STALE" in done.stderr) == (4, True), done.stderr
    # Seconds may pass on the way.
    assert re.search(f"created is ({says})", done.stderr), done.stderr
    assert "ahead of the server's clock, which says" in done.stderr
    assert "set this machine's clock" in done.stderr


def long_ago(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Certificates that are issued now are valid since so long, longer than their authority."""
    original = certificates._builder

    def backdated(*arguments: Any, **named: Any) -> x509.CertificateBuilder:
        builder = original(*arguments, **named)
        monkeypatch.setattr(builder, "_not_valid_before", datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days))
        return builder

    monkeypatch.setattr(certificates, "_builder", backdated)


@needs_faketime
def test_a_clock_that_is_slow_is_told_by_how_much(own_system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First by the member's own certificate, then by the server's, and where both are older by the server's clock."""
    folder = tmp_path / "profile"
    shutil.copytree(own_system["bank-a"].folder, folder)
    own = at_another_time(folder, "-20d", "submissions")
    assert (own.returncode, "certificate: is valid from" in own.stderr, "clock" in own.stderr) == (2, True, True), own.stderr
    long_ago(monkeypatch, 60)
    for name, server in (("exchange", own_system.exchange.installation), ("token-authority", own_system.authority.installation)):
        renew(folder, name, server)
    theirs = at_another_time(folder, "-20d", "submissions")
    assert (theirs.returncode, "behind at the least; set it" in theirs.stderr) == (3, True), theirs.stderr
    assert "19 days and 23 hours" in theirs.stderr
    far = at_another_time(folder, "+4y", "submissions")
    assert far.returncode == 2
    assert "clock" in far.stderr


def renew(folder: Path, name: str, server: Installation) -> None:
    tls = server.issue("bank-a")
    (folder / f"{name}-client.crt").write_bytes(tls.certificate)
    (folder / f"{name}-client.key").write_bytes(tls.key)


@pytest.mark.parametrize(
    ("age", "says"),
    [(14 * 86_400 + 7_200, "14 days and 2 hours behind"), (-14 * 86_400 - 60, "14 days ahead of"), (-(2**33), "ahead of")],
)
def test_the_server_says_by_how_much_a_signature_misses_its_clock(own_system: System, age: int, says: str) -> None:
    reply = own_system["bank-a"].exchange.call(requests.QUERY, requests.query(own_system.mint.stranger()), age=age)
    assert (reply.reason, says in reply.text) == ("SIGNATURE_STALE", True), reply.text

"""What is measured: an exchange, a token authority and the peer, started as processes, and their processor times."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.peers.processes import SERVING
from benchmarks.ports import free_port

START_SECONDS = 60.0
DAEMON = ("-m", "tallystick.server.cli")


@dataclass(frozen=True, slots=True)
class Running:
    """A server process with its workers, and the PostgreSQL under it, if any."""

    process: psutil.Process
    postmaster: psutil.Process | None
    port: int

    def processes(self) -> list[psutil.Process]:
        """The server's process, and PostgreSQL's."""
        return [self.process] if self.postmaster is None else [self.process, self.postmaster]

    def processor_seconds(self) -> tuple[float, float]:
        """Seconds of processor time so far: of the server's processes, and of PostgreSQL's."""
        return tree_seconds(self.process), 0.0 if self.postmaster is None else tree_seconds(self.postmaster)


@contextmanager
def server(folder: Path, role: str, *options: str, workers: int, python: str = sys.executable) -> Iterator[Running]:
    """Makes a server in `folder`, runs it, and stops it at the end. `python` is that of another checkout to run that one's."""
    port = free_port()
    place = ("--origin", f"{role}.example/log", "--listen", f"127.0.0.1:{port}")
    daemon("init", str(folder), "--role", role, *place, *options, python=python)
    command = [python, *DAEMON, "--config", str(folder / "tallystickd.toml"), "serve", "--workers", str(workers)]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(port, process, folder / "serve.log")
            yield Running(psutil.Process(process.pid), _postmaster(folder / "database"), port)
        finally:
            process.terminate()
            process.wait(60)


def member(folder: Path, member_id: str, roles: str, profile: Path, *, python: str = sys.executable) -> None:
    """Admits a member at the server of `folder`, with a profile for it."""
    config = ("--config", str(folder / "tallystickd.toml"))
    purposes = ("--purposes", "all") if "inquirer" in roles else ()
    created = ("member", "create", member_id, "--name", member_id, "--roles", roles, *purposes, "--dev-profile", str(profile))
    daemon(*config, *created, python=python)


@contextmanager
def fastapi_orm(url: str, database: Path, workers: int) -> Iterator[Running]:
    """Runs the peer of `peers/fastapi_orm.py` over the PostgreSQL at `url`, whose data is in `database`."""
    port = free_port()
    command: tuple[str, ...] = ("uvicorn", "benchmarks.peers.fastapi_orm:app", "--port", str(port), "--workers", str(workers))
    with _peer(
        (*command, "--no-access-log", "--log-level", "warning"), {"PEER_DATABASE": url}, database.parent / "http.log"
    ) as process:
        _wait_for_http(port)
        yield Running(process, _postmaster(database), port)


@contextmanager
def grpcio_orm(url: str, database: Path, key: bytes, exchange: Path, workers: int) -> Iterator[Running]:
    """Runs the peer of `peers/grpcio_orm.py` over the same; it takes requests that `key` signed."""
    port, log = free_port(), database.parent / "grpcio.log"
    command = ("benchmarks.peers.grpcio_orm", str(port), str(exchange), str(workers))
    with _peer(command, {"PEER_DATABASE": url, "PEER_KEY": key.hex()}, log) as process:
        _wait_for_processes(process, log, workers)
        yield Running(process, _postmaster(database), port)


@contextmanager
def echo(folder: Path, answer_bytes: int, exchange: Path, workers: int) -> Iterator[Running]:
    """Runs the peer of `peers/echo.py`, which answers so many bytes. There is no PostgreSQL under it."""
    port, log = free_port(), folder / "echo.log"
    command = ("benchmarks.peers.echo", str(port), str(exchange), str(workers))
    with _peer(command, {"PEER_BYTES": str(answer_bytes)}, log) as process:
        _wait_for_processes(process, log, workers)
        yield Running(process, None, port)


@contextmanager
def _peer(module: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    root = Path(__file__).resolve().parent.parent
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=root, env={**os.environ, **environment}, stdout=output, stderr=output
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def daemon(*arguments: str, python: str = sys.executable) -> str:
    """Runs one `tallystickd` command to its end; returns what it printed."""
    done = subprocess.run([python, *DAEMON, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tallystickd {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def workers(server: psutil.Process) -> list[psutil.Process]:
    """The worker processes of a running server."""
    return [child for child in server.children() if "tallystick.server.process.worker" in child.cmdline()]


def tree_seconds(process: psutil.Process) -> float:
    """Processor seconds so far of a process and of all that it started."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        # Of those that have ended and were waited for, their parent holds the sum.
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    def up() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()[-500:]}")
        return b"serving on" in log.read_bytes()

    _poll(up, f"port {port}")


def _wait_for_processes(process: psutil.Process, log: Path, count: int) -> None:
    def up() -> bool:
        # One of several processes may fail and the others go on: it shows in what they print.
        if b"Traceback" in log.read_bytes() or process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"the peer ended: {log.read_text()[-500:]}")
        return log.read_bytes().count(SERVING) >= count

    _poll(up, str(log))


def _wait_for_http(port: int) -> None:
    def up() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            return False

    _poll(up, f"port {port}")


def _poll(up: object, what: str) -> None:
    assert callable(up)
    until = time.monotonic() + START_SECONDS
    while not up():
        if time.monotonic() > until:
            raise RuntimeError(f"nothing serves at {what}")
        time.sleep(0.1)


def seconds_each(before: Sequence[float], after: Sequence[float], units: int) -> tuple[float, float]:
    """Processor seconds for one unit of work: the server's, and PostgreSQL's."""
    return (after[0] - before[0]) / units, (after[1] - before[1]) / units

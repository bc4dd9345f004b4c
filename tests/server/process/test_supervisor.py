"""The supervisor with stand-in workers that keep a worker's promises: the ready line, SIGTERM, the shared port."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WORKER = """
import os, signal, socket, sys, threading, time
from pathlib import Path

arguments = sys.argv[1:]
ready = int(arguments[arguments.index("--ready-fd") + 1])
folder = Path(os.environ["TEST_FOLDER"])
mode = os.environ.get("TEST_MODE", "")
first = not (folder / "started").exists()
with open(folder / "started", "a") as file:
    file.write(f"{os.getpid()} {'shared' if '--reuse-port' in arguments else 'alone'}\\n")
if mode == "says why":
    os.write(ready, b"error: no \\x1b[31mcertificate\\n")
    sys.exit(1)
if mode == "says nothing":
    sys.exit(7)
if mode == "hangs":
    time.sleep(60)
stop = threading.Event()
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
host, port = os.environ["TALLYSTICK_LISTEN"].rsplit(":", 1)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if "--reuse-port" in arguments:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.bind((host, int(port)))
server.listen()

def serve():
    while True:
        connection, _ = server.accept()
        connection.sendall(f"{os.getpid()} {os.environ.get('GIVEN', '')}".encode())
        connection.close()

threading.Thread(target=serve, daemon=True).start()
os.write(ready, b"\\n")
os.close(ready)
if mode == "notices":
    sys.stdin.read()
    (folder / "noticed").touch()
else:
    stop.wait()
    (folder / f"finished-{os.getpid()}").touch()
"""

DRIVER = """
import sys
from tallystick.server.process import supervisor
from tallystick.server.telemetry.logging import configure_events
from tallystick.server.errors import Problem

count, port, grace, start = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
supervisor.START_SECONDS = start
supervisor.KILL_MARGIN_SECONDS = 0.0
configure_events()
plan = supervisor.WorkerPlan(
    count=count, host="127.0.0.1", port=port, grace_seconds=grace, environment={"GIVEN": "yes"},
    command=[sys.executable, sys.argv[5]],
)
try:
    supervisor.Supervisor(plan).run(lambda address: print(address, flush=True))
except Problem as problem:
    sys.exit(f"problem: {problem}")
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "worker.py").write_text(textwrap.dedent(WORKER))
    started: list[subprocess.Popen[str]] = []

    def run(count: int = 1, *, port: int = 0, mode: str = "", grace: float = 10, limit: float = 30) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", DRIVER, str(count), str(port), str(grace), str(limit), str(tmp_path / "worker.py")]
        environment = {**os.environ, "TEST_FOLDER": str(tmp_path), "TEST_MODE": mode}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
    for line in (tmp_path / "started").read_text().splitlines() if (tmp_path / "started").exists() else []:
        pid = int(line.split()[0])
        with contextlib.suppress(OSError):
            # Its number may be another process's by now.
            if str(tmp_path / "worker.py").encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def address(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stdout is not None
    host, _, port = process.stdout.readline().strip().rpartition(":")
    return host, int(port)


def ask(where: tuple[str, int]) -> tuple[int, str]:
    """The worker that answers, and what it was given."""
    with socket.create_connection(where, 60) as connection:
        pid, _, given = connection.makefile().read().partition(" ")
    if not pid:
        raise ConnectionError("the worker ended")
    return int(pid), given


def exists(pid: int) -> bool:
    """Whether there is such a process; one that its parent has not waited for yet counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def finish(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_worker_serves_and_finishes(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = start()
    pid, given = ask(address(process))
    assert given == "yes"
    status, _ = finish(process, number)
    assert status == 0
    assert (tmp_path / f"finished-{pid}").exists()
    assert (tmp_path / "started").read_text() == f"{pid} alone\n"


def test_several_workers_share_the_port(start: Start, tmp_path: Path) -> None:
    process = start(3)
    where = address(process)
    seen: set[int] = set()

    def all_seen() -> bool:
        seen.add(ask(where)[0])
        return len(seen) == 3

    assert eventually(all_seen)
    assert {line.split()[1] for line in (tmp_path / "started").read_text().splitlines()} == {"shared"}
    assert finish(process)[0] == 0
    assert {int(path.name.split("-")[1]) for path in tmp_path.glob("finished-*")} == seen


def test_the_port_is_held_while_a_worker_is_away(start: Start) -> None:
    process = start(2)
    where = address(process)
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(where)
    finish(process)


def test_a_worker_that_dies_is_started_again(start: Start, tmp_path: Path) -> None:
    process = start()
    where = address(process)
    first, _ = ask(where)
    os.kill(first, signal.SIGKILL)

    def another() -> bool:
        with contextlib.suppress(ConnectionError):
            return ask(where)[0] != first
        return False

    assert eventually(another)
    status, errors = finish(process)
    assert status == 0
    assert '"reason": "killed by SIGKILL"' in errors
    assert '"event": "worker_serves_again"' in errors


def test_a_worker_that_cannot_start_says_why(start: Start) -> None:
    _, errors = start(2, mode="says why").communicate(timeout=120)
    assert errors.startswith("problem: worker ")
    assert "does not start: no  [31mcertificate" in errors


def test_a_worker_that_ends_at_once(start: Start) -> None:
    process = start(mode="says nothing")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "worker 1 does not start: exit status 7" in errors


def test_a_worker_that_never_serves(start: Start, tmp_path: Path) -> None:
    _, errors = start(mode="hangs", limit=3).communicate(timeout=120)
    assert "it did not serve within" in errors
    pid = int((tmp_path / "started").read_text().split()[0])
    assert not exists(pid)


@pytest.mark.parametrize("count", [1, 2])
def test_a_port_in_use_is_told(start: Start, count: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        process = start(count, port=other.getsockname()[1])
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "choose another port" in errors


def test_a_deaf_worker_is_killed_after_its_grace(start: Start) -> None:
    process = start(mode="deaf", grace=0.5)
    pid, _ = ask(address(process))
    status, errors = finish(process)
    assert status == 0
    assert "worker_killed" in errors
    assert not exists(pid)


def test_a_second_signal_does_not_wait(start: Start) -> None:
    process = start(mode="deaf", grace=600)
    pid, _ = ask(address(process))
    process.terminate()
    time.sleep(0.5)
    assert process.poll() is None
    assert finish(process)[0] == 0
    assert not exists(pid)


def test_workers_can_tell_that_the_supervisor_is_gone(start: Start, tmp_path: Path) -> None:
    process = start(mode="notices")
    ask(address(process))
    process.kill()
    assert eventually((tmp_path / "noticed").exists)

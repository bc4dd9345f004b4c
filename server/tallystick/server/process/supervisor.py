"""The supervisor: starts the workers as new processes, starts those again that die, and stops them all in order.

Workers are never forked after gRPC is loaded; this process does not load it. With several workers the kernel spreads
connections over their sockets (SO_REUSEPORT), and this process holds the address from before the first worker to after
the last: nobody else can take it in between. A single worker binds without SO_REUSEPORT, so that no stranger can share
its port.

A worker is `python -m tallystick.server.process.worker [--config PATH] [--reuse-port] --ready-fd N`. It finds the database's URL
in TALLYSTICK_DATABASE and its address in TALLYSTICK_LISTEN. It writes a line to the descriptor once it serves, or one
that begins with "error: " when it cannot. It finishes what it has begun when it gets SIGTERM, or when its standard input
ends: the latter tells it that this process is gone.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from tallystick.server.errors import Problem

events = structlog.get_logger()

WORKER_COMMAND = (sys.executable, "-m", "tallystick.server.process.worker")
START_SECONDS = 60.0
"""How long a worker may take until it serves."""
TICK_SECONDS = 0.2
"""How soon a worker's end, or a signal, is noticed."""
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A worker that served this long and dies is started again after the first backoff, whatever happened before."""
KILL_MARGIN_SECONDS = 5.0
"""A worker ends by itself within its grace; this much later it is killed."""
MAX_READY_LINE = 1000
FEW_OPEN_FILES = 16_384
"""Below it the operator is told: a connection takes one."""
_DEFAULTS = {"GRPC_VERBOSITY": "NONE", "MALLOC_ARENA_MAX": "2"}
"""What is read when gRPC and the C library are loaded; the environment may say otherwise. gRPC's own lines are no JSON, and would
be among the events. With an arena for each thread the C library keeps several times the memory that a flood took."""
ERROR_PREFIX = "error: "


class StartProblem(Problem):
    """The server does not come up; the text says why."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How workers are run."""

    count: int
    host: str
    port: int
    """0: any free one."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is set for workers beside this process's own environment."""
    config: Path | None = None
    grace_seconds: float = 20.0
    command: Sequence[str] = WORKER_COMMAND


@dataclass(slots=True)
class _Worker:
    """One place for a worker, and the process that fills it."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    ready_pipe: int | None = None
    """Where its line comes from, until it came."""
    line: bytes = b""
    serving: bool = False
    started: float = 0.0
    backoff: float = 0.0
    restart_at: float = 0.0


class Supervisor:
    """Runs the workers of one server until SIGTERM or SIGINT. For the main thread: it takes these signals over."""

    def __init__(self, plan: WorkerPlan, *, on_worker_end: Callable[[int], None] = lambda pid: None) -> None:
        self._plan = plan
        self._on_worker_end = on_worker_end
        self._workers = [_Worker(number) for number in range(1, plan.count + 1)]
        self._selector = selectors.DefaultSelector()
        self._port = plan.port
        self._up = False
        self._signals = 0
        """How many came: the first asks the workers to finish, the second does not wait for them."""
        self.unasked_ends = 0
        """How many workers ended, once all served, that nobody had asked to."""

    @property
    def serving(self) -> int:
        """How many workers serve."""
        return sum(worker.serving for worker in self._workers)

    @property
    def address(self) -> str:
        """Where it serves, as HOST:PORT."""
        host = f"[{self._plan.host}]" if ":" in self._plan.host else self._plan.host
        return f"{host}:{self._port}"

    def run(self, serving: Callable[[str], None]) -> None:
        """Starts the workers, calls `serving` with the address once all serve, and returns when all have ended.

        Raises StartProblem when the address is not free or a worker does not come up; what was started is stopped then.
        """
        _raise_open_files()
        with self._counted_signals(), self._reserved_address():
            try:
                for worker in self._workers:
                    self._start(worker)
                while not self._signals:
                    self._turn()
                    if not self._up and all(worker.serving for worker in self._workers):
                        self._up = True
                        serving(self.address)
            finally:
                self._stop_all()

    @contextmanager
    def _counted_signals(self) -> Iterator[None]:
        def count(_number: int, _frame: object) -> None:
            self._signals += 1

        previous = {number: signal.signal(number, count) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def _reserved_address(self) -> Iterator[None]:
        """Finds out that the address is free and, for several workers, holds it: bound, and never listening."""
        several = self._plan.count > 1
        with _bind(self._plan.host, self._plan.port, shared=several) as held:
            self._port = held.getsockname()[1]
            if not several:
                held.close()
            yield

    def _turn(self) -> None:
        for key, _ in self._selector.select(TICK_SECONDS):
            self._read_line(key.data)
        for worker in self._workers:
            self._look_after(worker)

    def _start(self, worker: _Worker) -> None:
        read, write = os.pipe()
        several = self._plan.count > 1
        command = [
            *self._plan.command,
            *(["--config", str(self._plan.config)] if self._plan.config else []),
            *(["--reuse-port"] if several else []),
            *("--ready-fd", str(write)),
        ]
        environment = {**_DEFAULTS, **os.environ, **self._plan.environment, "TALLYSTICK_LISTEN": self.address}
        try:
            # A session of its own: Ctrl-C in a terminal reaches this process alone, which then stops the workers in order.
            worker.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, stdin=subprocess.PIPE, pass_fds=(write,), env=environment, start_new_session=True
            )
        finally:
            os.close(write)
        worker.ready_pipe, worker.line, worker.serving, worker.started = read, b"", False, time.monotonic()
        self._selector.register(read, selectors.EVENT_READ, worker)

    def _read_line(self, worker: _Worker) -> None:
        if worker.ready_pipe is None:
            return
        data = os.read(worker.ready_pipe, MAX_READY_LINE)
        worker.line = (worker.line + data)[:MAX_READY_LINE]
        if data and b"\n" not in data:
            return
        self._forget_pipe(worker)
        worker.serving = bool(worker.line) and not worker.line.startswith(ERROR_PREFIX.encode())
        if worker.serving and self._up:
            events.info("worker_serves_again", worker=worker.number)

    def _forget_pipe(self, worker: _Worker) -> None:
        if worker.ready_pipe is not None:
            self._selector.unregister(worker.ready_pipe)
            os.close(worker.ready_pipe)
            worker.ready_pipe = None

    def _look_after(self, worker: _Worker) -> None:
        now = time.monotonic()
        if worker.process is None:
            if now >= worker.restart_at:
                self._start(worker)
            return
        if not worker.serving and now - worker.started > START_SECONDS:
            worker.line = f"{ERROR_PREFIX}it did not serve within {START_SECONDS:.0f} seconds".encode()
            worker.process.kill()
            worker.process.wait()
        status = worker.process.poll()
        if status is not None:
            self._ended(worker, worker.process, status)

    def _ended(self, worker: _Worker, process: subprocess.Popen[bytes], status: int) -> None:
        if worker.ready_pipe is not None:
            self._read_line(worker)
            self._forget_pipe(worker)
        self._release(worker, process)
        reason = _reason(worker.line, status)
        if not self._up:
            raise StartProblem(f"worker {worker.number} does not start: {reason}")
        self.unasked_ends += 1
        now = time.monotonic()
        steady = worker.serving and now - worker.started >= STEADY_SECONDS
        worker.backoff = FIRST_BACKOFF_SECONDS if steady else _next_backoff(worker.backoff)
        worker.restart_at, worker.serving = now + worker.backoff, False
        events.error("worker_ended", worker=worker.number, reason=reason, starts_again_in=worker.backoff)

    def _release(self, worker: _Worker, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        self._on_worker_end(process.pid)
        worker.process = None

    def _stop_all(self) -> None:
        """Asks every worker to finish, waits for a bounded time, and kills what is left then."""
        running = [(worker, worker.process) for worker in self._workers if worker.process is not None]
        for _, process in running:
            process.terminate()
        deadline = time.monotonic() + self._plan.grace_seconds + KILL_MARGIN_SECONDS
        patience = max(self._signals, 1)
        while any(process.poll() is None for _, process in running):
            if time.monotonic() > deadline or self._signals > patience:
                break
            time.sleep(TICK_SECONDS / 4)
        for worker, process in running:
            if process.poll() is None:
                events.warning("worker_killed", worker=worker.number)
                process.kill()
                process.wait()
            self._forget_pipe(worker)
            self._release(worker, process)
        self._selector.close()


def _next_backoff(backoff: float) -> float:
    return min(max(2 * backoff, FIRST_BACKOFF_SECONDS), MAX_BACKOFF_SECONDS)


def _raise_open_files() -> None:
    """Lets workers open as many files as this user may: a connection is one, and the usual soft limit of 1,024 is soon reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < FEW_OPEN_FILES:
        events.warning("few_open_files", limit=hard)


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartProblem(f"listen: {host} is not an address of this machine: {error.strerror}") from None
    try:
        # As gRPC does: connections of an earlier server that linger in the kernel do not keep the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        if not shared:
            # Only listening tells that nobody else listens, with SO_REUSEADDR set.
            bound.listen(1)
    except OSError as error:
        bound.close()
        raise StartProblem(f"listen: {host}:{port}: {error.strerror}; stop what uses it, or choose another port") from None
    return bound


def _reason(line: bytes, status: int) -> str:
    text = line.decode("utf-8", "replace").strip()
    if text.startswith(ERROR_PREFIX):
        return "".join(character if character.isprintable() else " " for character in text.removeprefix(ERROR_PREFIX))
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}; its own lines in the log say why"

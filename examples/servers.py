"""The token authority and the exchange: made, run as processes of their own, and stopped."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.commands import Commands
from examples.screen import DemoError, Screen, must

AUTHORITY, EXCHANGE = "authority", "exchange"
EXCHANGE_WORKERS = 2
STOP_SECONDS = 60.0
"""A server asked to stop finishes what is begun: that takes well under a second here."""

_TOKEN_KEY = re.compile(r"--token-public-key ([0-9a-f]{64}) --token-sequence ([0-9]+)")


@dataclass(frozen=True, slots=True)
class Member:
    """Who takes part, and as what."""

    member_id: str
    name: str
    roles: str
    purposes: str = "none"


BANK_A = Member("bank-a", "Bank A", "reporter,inquirer", "post-loan-management")
BANK_B = Member("bank-b", "Bank B", "reporter")
BANK_C = Member("bank-c", "Bank C", "inquirer", "credit-card-approval")
AUDITOR = Member("auditor", "The auditor", "auditor")
MEMBERS = (BANK_A, BANK_B, BANK_C, AUDITOR)


def configuration(server: str) -> str:
    """A server's configuration file, seen from the demo's folder."""
    return f"{server}/tallystickd.toml"


def profile(member: Member) -> str:
    """A member's profile folder, seen from the demo's folder."""
    return f"profiles/{member.member_id}"


def make_servers(commands: Commands) -> None:
    """Makes both servers: keys, certificates, configuration, and an embedded PostgreSQL for each."""
    authority_port, exchange_port = _free_ports(2)
    made = commands.run(*_init(AUTHORITY, "token-authority", authority_port))
    told = _TOKEN_KEY.search(made)
    if told is None:
        raise DemoError("tallystickd init did not tell the authority's public key")
    key = ("--token-public-key", told[1], "--token-sequence", told[2])
    commands.run(*_init(EXCHANGE, "exchange", exchange_port), *key)
    # Nobody waits here for the end of the hour in which alerts are held back.
    with (commands.folder / configuration(EXCHANGE)).open("a", encoding="utf-8") as settings:
        settings.write("alert_release_minutes = 0\n")


def _init(server: str, role: str, port: int) -> list[str]:
    origin = f"{server}.example/log"
    return ["tallystickd", "init", server, "--role", role, "--origin", origin, "--listen", f"127.0.0.1:{port}"]


@contextmanager
def serving(commands: Commands, screen: Screen) -> Iterator[None]:
    """Both servers run for the time of the block; raises DemoError when one does not start, or does not stop in order."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(_process(commands, AUTHORITY, 1)),
            stack.enter_context(_process(commands, EXCHANGE, EXCHANGE_WORKERS)),
        ]
        for server, process in zip((AUTHORITY, EXCHANGE), started, strict=True):
            screen.output(_first_line(commands.folder, server, process))
        yield
        for process in started:
            process.terminate()
        codes = [process.wait(STOP_SECONDS) for process in started]
        must(codes == [0, 0], f"the servers did not stop in order: exit codes {codes}")


@contextmanager
def _process(commands: Commands, server: str, workers: int) -> Iterator[subprocess.Popen[str]]:
    arguments = ("tallystickd", "--config", configuration(server), "serve", "--workers", str(workers))
    process = commands.start(*arguments, log=_log(commands.folder, server))
    try:
        yield process
    finally:
        # Nothing to do but after a failure: what was started here ends here.
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _first_line(folder: Path, server: str, process: subprocess.Popen[str]) -> str:
    """Where it serves: its first line, written once all workers do. A server that cannot start ends, and so does the wait."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line.startswith("serving on "):
        raise DemoError(f"the {server} does not start:\n{_log(folder, server).read_text()}")
    return line


def _log(folder: Path, server: str) -> Path:
    return folder / f"{server}.log"


def admit(commands: Commands, screen: Screen, members: Sequence[Member] = MEMBERS) -> None:
    """Admits each member at both servers; admission by one is none at the other."""
    with screen.working("the operators admit the members"), ThreadPoolExecutor(2) as pool:
        admissions = list(pool.map(lambda member: _admit(commands, member), members))
    for line in (line for lines in admissions for line in lines):
        screen.command(line)


def _admit(commands: Commands, member: Member) -> list[str]:
    """One after the other: both write the same profile."""
    who = ("member", "create", member.member_id, "--name", member.name)
    to = ("--dev-profile", profile(member))
    tokens = ("tallystickd", "--config", configuration(AUTHORITY), *who, "--roles", "token-requester", *to)
    queries = ("--purposes", member.purposes) if member.purposes != "none" else ()
    exchange = ("tallystickd", "--config", configuration(EXCHANGE), *who, "--roles", member.roles, *queries, *to)
    return [commands.run_quietly(*tokens), commands.run_quietly(*exchange)]


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses now. They are held together, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]

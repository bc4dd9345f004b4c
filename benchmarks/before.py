"""Single queries of this checkout beside those of another one, in turns, on one machine.

python -m benchmarks.before OTHER [--rounds N] [--share F]

OTHER is a checkout with an environment of its own (make venv). Each round asks both the same number of queries, and the one that
went first goes second in the next. Printed are the medians, and those of the rounds' ratios: what the machine does beside falls on
both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil
import uvloop
from benchmarks import parties, traffic
from rich.console import Console
from rich.table import Table

from tallystick.client import Profile
from tallystick.crypto import oprf

SUBJECTS = 2000
ACCOUNTS_EACH = 2
MONTHS = 24
WORKERS = 2
CALLS = {1: 400, 16: 2000, 64: 4000}
SEQUENCE = 1

Costs = dict[str, float]
"""What one round found: seconds of a call, and of processor time for one."""


@dataclass(slots=True)
class Exchange:
    """One of the two, with data in it."""

    running: parties.Running
    profile: Profile
    rounds: dict[int, list[Costs]] = field(default_factory=lambda: {callers: [] for callers in CALLS})

    def ask(self, callers: int, tokens: list[bytes], epoch_id: bytes) -> None:
        """Sends one query for each token, from so many callers, and keeps what they cost."""
        work = [traffic.query(token, epoch_id) for token in tokens]
        endpoint = self.profile.exchange
        assert endpoint is not None
        before = self.running.processor_seconds()
        measured = uvloop.run(traffic.send_signed(self.profile, endpoint, traffic.QUERY, callers, work))
        server, database = parties.seconds_each(before, self.running.processor_seconds(), len(work))
        self.rounds[callers].append(
            {"p50": measured.percentile(0.5), "call": measured.seconds / len(work), "server": server, "PostgreSQL": database}
        )

    def report(self, tokens: list[bytes], epoch_id: bytes) -> None:
        """Reports accounts of all subjects."""
        accounts = [(token, number) for token in tokens for number in range(ACCOUNTS_EACH)]
        work = [traffic.report(accounts[i : i + 1000], epoch_id, MONTHS) for i in range(0, len(accounts), 1000)]
        assert self.profile.exchange is not None
        uvloop.run(traffic.send_signed(self.profile, self.profile.exchange, traffic.REPORT, 1, work))


@contextmanager
def exchange(checkout: Path, folder: Path, public_key: str) -> Iterator[Exchange]:
    """Runs the exchange of a checkout, and stops it at the end."""
    daemon = [str(checkout / ".venv" / "bin" / "python"), "-m", "tallystick.server.cli"]
    config = ["--config", str(folder / "tallystickd.toml")]
    port, profile = parties.free_port(), folder.with_suffix(".bank")
    token_key = ["--token-public-key", public_key, "--token-sequence", str(SEQUENCE)]
    place = ["--origin", "exchange.example/log", "--listen", f"127.0.0.1:{port}"]
    _run(checkout, [*daemon, "init", str(folder), "--role", "exchange", *place, *token_key])
    log = folder / "serve.log"
    with log.open("wb") as out:
        command = [*daemon, *config, "serve", "--workers", str(WORKERS)]
        process = subprocess.Popen(command, cwd=checkout, stdout=out, stderr=out)
        try:
            _wait_for(process, log)
            member = ["bank-a", "--name", "Bank A", "--roles", "reporter,inquirer", "--purposes", "all"]
            _run(checkout, [*daemon, *config, "member", "create", *member, "--dev-profile", str(profile)])
            postmaster = psutil.Process(int((folder / "database" / "postmaster.pid").read_text().split()[0]))
            running = parties.Running(psutil.Process(process.pid), postmaster, port)
            yield Exchange(running, Profile.load(profile))
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + parties.START_SECONDS
    while b"serving on" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the server does not serve: {log.read_text()[-500:]}")
        time.sleep(0.1)


def _run(checkout: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)


def show(console: Console, other: Exchange, this: Exchange) -> None:
    """Prints what a query costs in each, and the one as a part of the other."""
    table = Table(title="µs a query, medians of all rounds")
    for heading in ("callers", "what", "other", "this", "this / other", "rounds"):
        table.add_column(heading, justify="right")
    for callers, found in this.rounds.items():
        for what in found[0]:
            theirs, ours = ([each[what] * 1e6 for each in side.rounds[callers]] for side in (other, this))
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            table.add_row(
                str(callers),
                what,
                f"{statistics.median(theirs):,.0f}",
                f"{statistics.median(ours):,.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} - {max(ratios):.2f}",
            )
    console.print(table)


@click.command()
@click.argument("other", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path))
@click.option("--rounds", default=5, show_default=True, help="How often each is measured.")
@click.option("--share", default=1.0, show_default=True, help="This part of the calls.")
def main(other: Path, rounds: int, share: float) -> None:
    """Measures single queries of this checkout beside those of OTHER."""
    console = Console() if sys.stdout.isatty() else Console(width=110)
    here = Path(__file__).resolve().parent.parent
    tokens = traffic.random_tokens(SUBJECTS)
    public_key = tokens[0]
    epoch_id = oprf.epoch_id(SEQUENCE, public_key)
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name, ExitStack() as stack:
        sides = [
            stack.enter_context(exchange(checkout, Path(name) / folder, public_key.hex()))
            for checkout, folder in ((other, "other"), (here, "this"))
        ]
        for side in sides:
            side.report(tokens, epoch_id)
        for number in range(rounds):
            for callers, calls in CALLS.items():
                chosen = [tokens[i % SUBJECTS] for i in range(int(calls * share))]
                for side in sides if number % 2 else reversed(sides):
                    side.ask(callers, chosen, epoch_id)
        show(console, *sides)


if __name__ == "__main__":
    main()

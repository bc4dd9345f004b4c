"""The attacks on the transport, each while an honest member goes on: what it notices, and what the workers hold.

python -m benchmarks.attacks.run [--proxy PROGRAM] [--only NAME]… [--rounds N] [--seconds S]
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil
import uvloop
from benchmarks import parties
from benchmarks.attacks.floods import ATTACKS
from benchmarks.attacks.honest import Fared, Member
from benchmarks.attacks.proxy import proxy
from rich.console import Console
from rich.table import Table

from tallystick.client import Profile
from tallystick.contract.limits import TRANSPORT_MAX_MESSAGE
from tallystick.crypto import oprf
from tallystick.server.transport.arrival import LOOKAHEAD, MAX_CALLS, MAX_HELD_OF_ONE, MAX_READS

WORKERS = 2
QUIET_SECONDS = 4.0
PAUSE_SECONDS = 2.0
"""After an attack, before anything is measured again: its connections end."""
MUST_ANSWER = 0.99
MOST_SLOWDOWN = 5.0
FOREIGN_CORES = 0.3
"""A stretch in which strangers took more of the processors than that is disturbed, and measured again."""
TRIES = 2
FIRST_SOURCE = 2
"""The attacker's address is 127.0.0.2, then .3 and so on: by it a proxy tells it from the honest member, and from the last one."""
CONNECTION = 100 * 1024
"""Bytes that an idle connection takes, rounded up from what `idle connections` shows."""
MiB = 1024 * 1024


@dataclass(slots=True)
class Result:
    """One attack: the medians of its rounds count."""

    median: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    slowdown: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)
    bound: int = 0
    failures: list[str] = field(default_factory=list)
    did: dict[str, int] = field(default_factory=dict)


def most_memory(quiet: int, connections: int) -> int:
    """Bytes that one certificate can make a worker hold, over what it holds when it is quiet."""
    arriving = MAX_READS * TRANSPORT_MAX_MESSAGE + (MAX_CALLS - MAX_READS) * LOOKAHEAD
    return quiet + arriving + MAX_HELD_OF_ONE + connections * CONNECTION


class Sampler:
    """The most memory that any worker held, and how much of the processors strangers took."""

    def __init__(self, ours: Sequence[psutil.Process]) -> None:
        self._ours = ours
        self.peak = 0

    async def watch(self, workers: Sequence[psutil.Process]) -> None:
        """Looks until it is cancelled."""
        while True:
            for worker in workers:
                with suppress(psutil.Error):
                    self.peak = max(self.peak, worker.memory_info().rss)
            await asyncio.sleep(0.1)

    def processor_seconds(self) -> tuple[float, float]:
        """Of this machine so far, and of our own processes."""
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system + times.softirq + times.irq
        return busy, sum(parties.tree_seconds(process) for process in self._ours)


class Siege:
    """The exchange, the honest member, and the stranger's certificate."""

    def __init__(self, running: parties.Running, port: int, folder: Path, member: Member) -> None:
        self._port = port
        self._attacks = 0
        self._running = running
        self._folder = folder
        self._member = member
        self.workers = parties.workers(running.process)
        self._sampler = Sampler([*running.processes(), psutil.Process()])

    async def quiet(self) -> tuple[Fared, int]:
        """The honest member by itself; the most memory of a worker."""
        return await self._measured(QUIET_SECONDS)

    async def under(self, name: str, seconds: float) -> tuple[Fared, int, dict[str, int], float]:
        """The honest member under attack: how it fared, the peak, what the attacker did, and cores that strangers took."""
        source = f"127.0.0.{FIRST_SOURCE + self._attacks % 250}"
        self._attacks += 1
        before, began = self._sampler.processor_seconds(), time.monotonic()
        attacker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.attacks.attacker", name, str(seconds), str(self._port), source),
            *(str(self._folder / part) for part in ("tls/ca.crt", "stranger/stranger.crt", "stranger/stranger.key")),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            # Its interpreter has to come up: what is measured is the attack.
            await asyncio.sleep(1.0)
            fared, peak = await self._measured(seconds - 1.0)
            output, _ = await asyncio.wait_for(attacker.communicate(), 30)
            if attacker.returncode:
                raise RuntimeError(f"the attacker failed: {name}")
        finally:
            with suppress(ProcessLookupError):
                attacker.kill()
        after = self._sampler.processor_seconds()
        # The attacker is a child of this process, and counted with it.
        foreign = (after[0] - before[0] - (after[1] - before[1])) / (time.monotonic() - began)
        return fared, peak, json.loads(output), foreign

    async def _measured(self, seconds: float) -> tuple[Fared, int]:
        self._sampler.peak = 0
        watch = asyncio.create_task(self._sampler.watch(self.workers))
        try:
            return await self._member.live(seconds), self._sampler.peak
        finally:
            watch.cancel()


async def besiege(siege: Siege, names: Sequence[str], rounds: int, seconds: float, console: Console) -> dict[str, Result]:
    """Every attack in turn, as often as there are rounds."""
    results = {name: Result() for name in names}
    _, at_rest = await siege.quiet()
    for number in range(rounds):
        for name in names:
            quiet, _ = await siege.quiet()
            for attempt in range(TRIES):
                fared, peak, did, foreign = await siege.under(name, seconds)
                if foreign < FOREIGN_CORES:
                    break
                console.print(f"{name}: others took {foreign:.1f} cores; try {attempt + 1} of {TRIES} does not count for much")
                await asyncio.sleep(5 * PAUSE_SECONDS)
            result = results[name]
            result.median.append(fared.percentile(0.5))
            result.p99.append(fared.percentile(0.99))
            result.slowdown.append(fared.percentile(0.99) / quiet.percentile(0.99))
            result.share.append(fared.share)
            result.peak.append(peak)
            result.bound = max(result.bound, most_memory(at_rest, did["connections"]))
            result.failures += fared.failures
            result.did = did
            console.print(
                f"round {number + 1}, {name}: quiet p99 {quiet.percentile(0.99) * 1e3:.1f} ms, "
                f"under attack {fared.percentile(0.99) * 1e3:.1f} ms, {fared.share:.2%} answered, {peak / MiB:,.0f} MiB; "
                + ", ".join(f"{count:,} {what}" for what, count in sorted(did.items()))
            )
            await asyncio.sleep(PAUSE_SECONDS)
    return results


def show(console: Console, results: dict[str, Result], *, through_proxy: bool) -> bool:
    """Prints the table; whether every bar is held."""
    table = Table(title=f"honest calls under attack, {'through a proxy' if through_proxy else 'no proxy'}; medians of all rounds")
    for heading in ("attack", "answered", "median", "p99", "times the quiet p99", "most memory of a worker", "bars held"):
        table.add_column(heading, justify="left" if heading == "attack" else "right")
    whole = True
    for name, result in results.items():
        share, slowdown, peak = statistics.median(result.share), statistics.median(result.slowdown), max(result.peak)
        held = share >= MUST_ANSWER and slowdown <= MOST_SLOWDOWN and peak <= result.bound
        excused = ATTACKS[name].by_proxy and not through_proxy
        whole = whole and (held or excused)
        median, p99 = statistics.median(result.median), statistics.median(result.p99)
        table.add_row(
            name,
            f"{share:.2%}",
            f"{median * 1e3:.1f} ms",
            f"{p99 * 1e3:.1f} ms",
            f"{slowdown:.1f}",
            f"{peak / MiB:,.0f} of {result.bound / MiB:,.0f} MiB",
            "yes" if held else "by a proxy only" if excused else "NO",
        )
    console.print(table)
    for name, result in results.items():
        for failure in sorted(set(result.failures))[:3]:
            console.print(f"{name}: {result.failures.count(failure)} × {failure}")
    return whole


async def _run(names: Sequence[str], rounds: int, seconds: float, program: str | None, console: Console) -> bool:
    with tempfile.TemporaryDirectory(prefix="tallystick-attacks-") as name:
        folder, profile = Path(name) / "exchange", Path(name) / "bank-a"
        # Of a token authority that has no part in this: the exchange takes its tokens as they come.
        authority = oprf.blind(b"attacks").element
        with parties.server(folder, "exchange", "--token-public-key", authority.hex(), workers=WORKERS) as running:
            parties.member(folder, "bank-a", "reporter,inquirer", profile)
            config = ("--config", str(folder / "tallystickd.toml"))
            parties.daemon(*config, "certificate", "client", "stranger", "--to", str(folder / "stranger"))
            with proxy(program, running.port) if program else nullcontext(running.port) as port:
                member = Member(Profile.load(profile), oprf.epoch_id(1, authority), port)
                siege = Siege(running, port, folder, member)
                await member.connect(siege.workers)
                try:
                    results = await besiege(siege, names, rounds, seconds, console)
                finally:
                    await member.close()
        return show(console, results, through_proxy=program is not None)


@click.command()
@click.option("--only", "names", multiple=True, type=click.Choice(list(ATTACKS)), help="This attack; repeatable.")
@click.option("--rounds", default=3, show_default=True, help="How often each is run.")
@click.option("--seconds", default=10.0, show_default=True, help="How long each goes on.")
@click.option("--proxy", "program", help="HAProxy 2.7 or later, to run in front.  [default: none]")
def main(names: tuple[str, ...], rounds: int, seconds: float, program: str | None) -> None:
    """Attacks an exchange of its own, on this machine, and measures what an honest member notices."""
    console = Console() if sys.stdout.isatty() else Console(width=150)
    sys.exit(0 if uvloop.run(_run(names or list(ATTACKS), rounds, seconds, program, console)) else 1)


if __name__ == "__main__":
    main()

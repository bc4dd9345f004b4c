"""This checkout beside another one, in turns, on one machine: queries, reports, bytes an account.

python -m benchmarks.before OTHER [--rounds N] [--share F]

OTHER is a checkout with an environment of its own (make venv). Each round asks both the same, and the one that went first goes
second in the next. Printed are the medians, and those of the rounds' ratios: what the machine does beside falls on both. Where
build/bench.json is, the two ratios that are owed against what was before are merged into it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import psycopg2
import uvloop
from benchmarks import parties, results, traffic
from benchmarks.ratios import BYTES, OWED, REPORTED, by_round, of_rounds
from rich.console import Console
from rich.table import Table

from tallystick.client import Profile
from tallystick.client.profile.profile import Endpoint
from tallystick.crypto import oprf
from tallystick.server.installation.embedded import embedded_postgresql

SUBJECTS = 2000
ACCOUNTS_EACH = 2
MONTHS = 24
WORKERS = 2
CALLS = {1: 400, 16: 2000, 64: 4000}
SEQUENCE = 1

Costs = dict[str, float]
"""What one round found: seconds of a call, and of processor time for one."""


QUERIES = {f"query, {callers} callers": callers for callers in CALLS}
NEW, AGAIN = "reported record, new", "reported record, repeated"


@dataclass(slots=True)
class Exchange:
    """One of the two, with data in it."""

    running: parties.Running
    profile: Profile
    database: str
    """Its URL."""
    rounds: dict[str, list[Costs]] = field(default_factory=dict)

    def ask(self, what: str, tokens: list[bytes], epoch_id: bytes) -> None:
        """Sends one query for each token, from so many callers, and keeps what they cost."""
        signed = traffic.sign(self.profile, self._endpoint, traffic.QUERY, [traffic.query(token, epoch_id) for token in tokens])
        address = self._endpoint.address
        self._measure(what, len(tokens), traffic.send_lean(address, traffic.QUERY, QUERIES[what], signed))

    def report(self, what: str, tokens: list[bytes], epoch_id: bytes) -> None:
        """Reports accounts of all subjects."""
        accounts = [(token, number) for token in tokens for number in range(ACCOUNTS_EACH)]
        work = [traffic.report(accounts[i : i + 1000], epoch_id, MONTHS) for i in range(0, len(accounts), 1000)]
        self._measure(what, len(accounts), traffic.send_signed(self.profile, self._endpoint, traffic.REPORT, 2, work))

    def account_bytes(self) -> tuple[float, float]:
        """Bytes of an account's row, and its share of the table with all indices and all room that updates left."""
        connection = psycopg2.connect(self.database)
        connection.autocommit = True
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("VACUUM account")
            cursor.execute(
                "SELECT avg(pg_column_size(account.*)), pg_total_relation_size('account') / count(*)::float8 FROM account"
            )
            row, share = cursor.fetchone() or (0.0, 0.0)
            return float(row), float(share)

    @property
    def _endpoint(self) -> Endpoint:
        assert self.profile.exchange is not None
        return self.profile.exchange

    def _measure(self, what: str, units: int, sending: Coroutine[Any, Any, traffic.Measured]) -> None:
        before = self.running.processor_seconds()
        measured = uvloop.run(sending)
        server, database = parties.seconds_each(before, self.running.processor_seconds(), units)
        found = {"p50": measured.percentile(0.5), "each": measured.seconds / units, "server": server, "PostgreSQL": database}
        self.rounds.setdefault(what, []).append(found)


@contextmanager
def exchange(checkout: Path, folder: Path, public_key: str) -> Iterator[Exchange]:
    """Runs the exchange of a checkout, and stops it at the end."""
    python, profile = str(checkout / ".venv" / "bin" / "python"), folder.with_suffix(".bank")
    token_key = ("--token-public-key", public_key, "--token-sequence", str(SEQUENCE))
    with parties.server(folder, "exchange", *token_key, workers=WORKERS, python=python) as running:
        parties.member(folder, "bank-a", "reporter,inquirer", profile, python=python)
        with embedded_postgresql(folder / "database") as database:
            yield Exchange(running, Profile.load(profile), database)


def show(console: Console, other: Exchange, this: Exchange) -> None:
    """Prints what each costs in both, and the one as a part of the other."""
    table = Table(title="µs, medians of all rounds")
    for heading in ("", "what", "other", "this", "this / other", "rounds"):
        table.add_column(heading, justify="right")
    for name, found in this.rounds.items():
        for what in found[0]:
            theirs, ours = ([each[what] * 1e6 for each in side.rounds[name]] for side in (other, this))
            ratio = by_round(ours, theirs)
            table.add_row(
                name,
                what,
                f"{statistics.median(theirs):,.0f}",
                f"{statistics.median(ours):,.0f}",
                f"{ratio.value:.2f}",
                f"{ratio.low:.2f} - {ratio.high:.2f}",
            )
    console.print(table)


def keep(console: Console, other: Exchange, this: Exchange) -> None:
    """Prints the ratios that are owed against what was before, and merges them into the results of a run, if there are any."""
    theirs, ours = ([each["each"] for each in side.rounds[NEW]] for side in (other, this))
    (before, share_before), (now, share_now) = other.account_bytes(), this.account_bytes()
    found = {REPORTED: by_round(theirs, ours), BYTES: of_rounds([now / before])}
    for name, ratio in found.items():
        console.print(f"{name}: {ratio.value:.2f} ({ratio.low:.2f} - {ratio.high:.2f}), owed {OWED[name].bound()}")
    console.print(
        f"bytes of a row: {before:,.0f} before, {now:,.0f} now; of table and indices {share_before:,.0f} and {share_now:,.0f}"
    )
    if results.PATH.exists():
        results.merge(results.PATH, ratios={name: asdict(ratio) for name, ratio in found.items()})


@click.command()
@click.argument("other", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path))
@click.option("--rounds", default=5, show_default=True, help="How often each is measured.")
@click.option("--share", default=1.0, show_default=True, help="This part of the calls.")
def main(other: Path, rounds: int, share: float) -> None:
    """Measures this checkout beside OTHER."""
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
        for number in range(rounds):
            order = sides if number % 2 else sides[::-1]
            new = traffic.random_tokens(int(SUBJECTS * share))
            for what in (NEW, AGAIN):
                for side in order:
                    side.report(what, new, epoch_id)
            for what, callers in QUERIES.items():
                asked = [new[i % len(new)] for i in range(int(CALLS[callers] * share))]
                for side in order:
                    side.ask(what, asked, epoch_id)
        show(console, *sides)
        keep(console, *sides)


if __name__ == "__main__":
    main()

"""What watches cost: reports of watched subjects beside unwatched ones, the way of an alert, and a sweep of a million watches.

python -m benchmarks.watching [--rounds N] [--watches N]

Each round reports as many subjects of which a tenth is watched by another member as subjects of which none is, in turns; what the
machine does beside falls on both. Alerts are released at once here, so their way is from the answer to the report to the watcher's
answer. A million watches are rows that are written into the database, each on the ground of an account of its own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import click
import grpc
import psutil
import psycopg2
import uvloop
from benchmarks import parties, traffic
from benchmarks.before import SEQUENCE
from benchmarks.ratios import by_round
from rich.console import Console

from tallystick.client import Exchange, Profile
from tallystick.client.profile.profile import Endpoint
from tallystick.contract.methods import ACKNOWLEDGE_MESSAGES, PULL_MESSAGES, PUT_WATCHES
from tallystick.credit.monitoring import Triggers
from tallystick.crypto import oprf
from tallystick.server.installation.embedded import embedded_postgresql
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.process.sweeper import sweep_round
from tallystick.v1 import account_pb2, codes_pb2, reporting_service_pb2, subject_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

SUBJECTS = 10_000
SHARE = 10
"""One subject of so many is watched."""
BATCH = 1000
MONTHS = 24
LATE = 20
"""One account of so many is overdue in every second round."""
ALERTS = 200
WORKERS = 2


class Bank:
    """A member as it calls the exchange."""

    def __init__(self, profile: Path) -> None:
        self.profile = Profile.load(profile)

    @property
    def endpoint(self) -> Endpoint:
        """Where the exchange is."""
        assert self.profile.exchange is not None
        return self.profile.exchange

    def send(self, path: str, work: Sequence[bytes], callers: int = 2) -> float:
        """Sends requests; returns how many seconds that took."""
        return uvloop.run(traffic.send_signed(self.profile, self.endpoint, path, callers, work)).seconds

    def signed(self, path: str, message: Any) -> tuple[bytes, Any]:
        """One request, signed now."""
        ((data, metadata),) = traffic.sign(self.profile, self.endpoint, path, [message.SerializeToString()])
        return data, metadata


def report_of(element: bytes, number: int, epoch_id: bytes, round_: int) -> reporting_service_pb2.AccountReport:
    """A report that changes the account in every round; some are overdue in every second."""
    account = traffic.account(MONTHS)
    account.as_of.seconds += 10 * round_ - 1000
    account.balance += round_
    if round_ % 2 and number % LATE == 0:
        account.running_overdue.since_date = 20250105
        account.running_overdue.days_past_due = 40
        account.running_overdue.amount = 100_000
    return reporting_service_pb2.AccountReport(
        subject=subject_pb2.SubjectToken(element=element, epoch_id=epoch_id),
        account_reference=account_pb2.AccountReference(secret_id=b"bench-id", digest=element),
        account=account,
    )


def reports_of(elements: Sequence[bytes], epoch_id: bytes, round_: int) -> list[bytes]:
    """Batches of reports."""
    return [
        reporting_service_pb2.SubmitReportsRequest(
            request_id=os.urandom(16),
            reports=[
                report_of(element, begin + place, epoch_id, round_) for place, element in enumerate(elements[begin : begin + BATCH])
            ],
        ).SerializeToString()
        for begin in range(0, len(elements), BATCH)
    ]


def watches_of(elements: Sequence[bytes], epoch_id: bytes) -> list[bytes]:
    """Batches of watches on the ground of accounts that `reports_of` reports."""
    return [
        pb.PutWatchesRequest(
            request_id=os.urandom(16),
            watches=[
                pb.Watch(
                    subject=subject_pb2.SubjectToken(element=element, epoch_id=epoch_id),
                    account_reference=account_pb2.AccountReference(secret_id=b"bench-id", digest=element),
                    purpose=codes_pb2.PURPOSE_POST_LOAN_MANAGEMENT,
                    consent_reference="benchmark-contract",
                )
                for element in elements[begin : begin + BATCH]
            ],
        ).SerializeToString()
        for begin in range(0, len(elements), BATCH)
    ]


def measure_reports(
    console: Console, running: parties.Running, watcher: Bank, reporter: Bank, epoch_id: bytes, rounds: int
) -> None:
    """Reports of subjects of which a tenth is watched, beside those of which none is."""
    watched, unwatched = traffic.random_tokens(SUBJECTS), traffic.random_tokens(SUBJECTS)
    grounds = watched[::SHARE]
    watcher.send(traffic.REPORT, reports_of(grounds, epoch_id, 0))
    putting = watcher.send(PUT_WATCHES.path, watches_of(grounds, epoch_id))
    console.print(f"{len(grounds):,} watches put in {putting:.2f} s")
    taken: dict[bool, list[float]] = {True: [], False: []}
    spent: dict[bool, list[float]] = {True: [], False: []}
    for round_ in range(rounds + 1):
        work = {True: reports_of(watched, epoch_id, round_), False: reports_of(unwatched, epoch_id, round_)}
        seconds, processor = dict.fromkeys((True, False), 0.0), dict.fromkeys((True, False), 0.0)
        # Batch by batch in turns: a checkpoint of the database falls on both.
        for place in range(len(work[True])):
            for side in (True, False) if place % 2 else (False, True):
                before = sum(running.processor_seconds())
                seconds[side] += reporter.send(traffic.REPORT, [work[side][place]], 1)
                processor[side] += sum(running.processor_seconds()) - before
        for side in (True, False):
            if round_:  # the first one makes the accounts
                taken[side].append(seconds[side])
                spent[side].append(processor[side])
    ratio, busy = by_round(taken[False], taken[True]), by_round(spent[False], spent[True])
    rates = [statistics.median(SUBJECTS / each for each in taken[side]) for side in (True, False)]
    console.print(
        f"reports a second, {rounds} rounds: {rates[0]:,.0f} with a tenth watched, {rates[1]:,.0f} with none;"
        f" ratio {ratio.value:.2f} ({ratio.low:.2f} - {ratio.high:.2f}), owed at least 0.90"
    )
    each = [statistics.median(spent[side]) / SUBJECTS * 1e6 for side in (True, False)]
    console.print(
        f"processor time of a report, server and PostgreSQL: {each[0]:,.0f} µs with a tenth watched, {each[1]:,.0f} with none;"
        f" ratio {busy.value:.2f} ({busy.low:.2f} - {busy.high:.2f})"
    )


async def measure_alerts(console: Console, watcher: Bank, reporter: Bank, epoch_id: bytes, elements: Sequence[bytes]) -> None:
    """The way of an alert, from the answer to its report to the watcher's answer, while the watcher waits."""
    address, taken, cursor = watcher.endpoint.address, [], ""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        grpc.aio.secure_channel(address.target, address.credentials(), options=options) as there,
        grpc.aio.secure_channel(address.target, reporter.endpoint.address.credentials(), options=options) as here,
    ):
        for element in elements:
            data, metadata = watcher.signed(PULL_MESSAGES.path, pb.PullMessagesRequest(cursor=cursor, wait_seconds=20))
            pulling = asyncio.ensure_future(_call(there, PULL_MESSAGES.path, data, metadata))
            await asyncio.sleep(0.05)
            submission = reporting_service_pb2.SubmitReportsRequest(
                request_id=os.urandom(16), reports=[report_of(element, 0, epoch_id, 1)]
            )
            data, metadata = reporter.signed(traffic.REPORT, submission)
            await _call(here, traffic.REPORT, data, metadata)
            began = time.perf_counter()
            answer = pb.PullMessagesResponse.FromString(await pulling)
            taken.append(max(0.0, time.perf_counter() - began))
            if len(answer.messages) != 1:
                raise RuntimeError(f"{len(answer.messages)} messages came of one report")
            cursor = answer.next_cursor
        data, metadata = watcher.signed(ACKNOWLEDGE_MESSAGES.path, pb.AcknowledgeMessagesRequest(cursor=cursor))
        await _call(there, ACKNOWLEDGE_MESSAGES.path, data, metadata)
    taken.sort()
    console.print(
        f"way of an alert, {len(taken)} of them: median {statistics.median(taken):.3f} s,"
        f" p99 {taken[int(len(taken) * 0.99)]:.3f} s, owed at most 2 s"
    )


async def _call(channel: grpc.aio.Channel, path: str, data: bytes, metadata: Any) -> bytes:
    call: Callable[..., Awaitable[bytes]] = channel.unary_unary(path)
    return await call(data, metadata=tuple(metadata), timeout=40)


_ACCOUNTS = """
INSERT INTO account (subject, member, account_reference, record, rating_facts, versions, standing, live, update_time)
SELECT sha256(int8send(n)), owner.id, 'bench-id'::bytea || sha256(int8send(n)), pattern.record, pattern.rating_facts,
       pattern.versions, 1, true, now()
FROM generate_series(1::bigint, %(count)s) AS n,
     (SELECT id FROM member WHERE member_id = %(owner)s) AS owner,
     (SELECT record, rating_facts, versions FROM account WHERE standing = 1 LIMIT 1) AS pattern
"""
_WATCHES = """
INSERT INTO watch (subject, member, account_reference, watch_id, purpose, consent_reference, triggers, end_date, end_reason,
                   sealed_token, baseline)
SELECT sha256(int8send(n)), watcher.id, 'bench-id'::bytea || sha256(int8send(n)), substr(sha256(int8send(-n)), 1, 16), 1,
       'benchmark-contract', %(triggers)s, current_date + 700, 0,
       sha256(int8send(-n)) || sha256(int8send(n)) || '\\x00000000000000000000', ''
FROM generate_series(1::bigint, %(count)s) AS n, (SELECT id FROM member WHERE member_id = %(watcher)s) AS watcher
"""


def measure_sweep(console: Console, folder: Path, watches: int) -> None:
    """A round of the sweep over so many watches, each of a subject with an account of another."""
    settings, keys = Settings.load(folder / "tallystickd.toml"), KeyFolder(folder / "keys").load()
    with embedded_postgresql(folder / "database") as url:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE watch, message")
            cursor.execute(_ACCOUNTS, {"count": watches, "owner": "bank-b"})
            cursor.execute(_WATCHES, {"count": watches, "watcher": "bank-a", "triggers": Triggers.default().to_bytes()})
            cursor.execute("VACUUM ANALYZE watch, account")
            cursor.execute("SELECT pg_total_relation_size('watch') / count(*)::float8 FROM watch")
            ((size,),) = cursor.fetchall()
        console.print(f"{watches:,} watches: {size:,.0f} bytes each, with indices: {size * watches / 2**20:,.0f} MiB")
        for number in (1, 2):
            began, spent = time.perf_counter(), time.process_time()
            messages = asyncio.run(sweep_round(settings, keys, url))
            seconds, busy = time.perf_counter() - began, time.process_time() - spent
            memory = psutil.Process().memory_info().rss / 2**20
            console.print(
                f"round {number} of the sweep: {seconds:,.1f} s ({watches / seconds:,.0f} watches a second),"
                f" {busy:,.1f} s of this process, {messages:,} messages; {memory:,.0f} MiB of memory"
            )
        connection.close()


@click.command()
@click.option("--rounds", default=6, show_default=True, help="How often reports are measured.")
@click.option("--watches", default=1_000_000, show_default=True, help="How many the sweep looks at; 0 leaves it out.")
def main(rounds: int, watches: int) -> None:
    """Measures what watches cost."""
    console = Console() if sys.stdout.isatty() else Console(width=120)
    os.environ["TALLYSTICK_ALERT_RELEASE_MINUTES"] = "0"
    tokens = traffic.random_tokens(ALERTS)
    public_key = tokens[0]
    epoch_id = oprf.epoch_id(SEQUENCE, public_key)
    token_key = ("--token-public-key", public_key.hex(), "--token-sequence", str(SEQUENCE))
    console.print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name:
        folder = Path(name) / "exchange"
        with parties.server(folder, "exchange", *token_key, workers=WORKERS) as running:
            banks = []
            for member_id in ("bank-a", "bank-b"):
                profile = Path(name) / member_id
                parties.member(folder, member_id, "reporter,inquirer", profile)
                banks.append(Bank(profile))
            watcher, reporter = banks
            measure_reports(console, running, watcher, reporter, epoch_id, rounds)
            watcher.send(traffic.REPORT, reports_of(tokens, epoch_id, 0))
            reporter.send(traffic.REPORT, reports_of(tokens, epoch_id, 0))
            watcher.send(PUT_WATCHES.path, watches_of(tokens, epoch_id))
            _take_all(watcher)
            asyncio.run(measure_alerts(console, watcher, reporter, epoch_id, tokens))
        if watches:
            measure_sweep(console, folder, watches)


def _take_all(bank: Bank) -> None:
    """Takes and acknowledges what the rounds before have made."""
    with Exchange(bank.profile) as exchange:
        for _ in exchange.monitoring.messages():
            pass


if __name__ == "__main__":
    main()

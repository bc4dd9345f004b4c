"""What ratings cost: a query with a rating beside one without, and a person's rating beside a bare loop over the months.

python -m benchmarks.rating [--rounds N] [--share F]

Each round asks for the same subjects with a rating and without, in turns; what the machine does beside falls on both. Printed
is the processor time of the server and of PostgreSQL for a query. (`python -m benchmarks.before OTHER` measures queries without
a rating, and reports, beside another checkout.)
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path

import click
import uvloop
from benchmarks import parties, traffic
from benchmarks.before import ACCOUNTS_EACH, SEQUENCE
from benchmarks.ratios import by_round
from benchmarks.watching import Bank
from rich.console import Console

from tallystick.credit.enums import HistoryOutcome
from tallystick.credit.history import Account, CreditHistory, ReportedAccount
from tallystick.credit.rating import RatingFacts, built_in_cards, facts_of, rate_history
from tallystick.crypto import oprf
from tallystick.v1 import codes_pb2, inquiry_service_pb2

SUBJECTS = 2000
MONTHS = 24
CALLERS = 16
WORKERS = 2
PERSON_ACCOUNTS, PERSON_MONTHS = 3, 60


def rated(query: bytes) -> bytes:
    """The same query with a rating."""
    message = inquiry_service_pb2.QueryCreditHistoryRequest.FromString(query)
    message.inquiry.sections.append(inquiry_service_pb2.SECTION_RATING)
    return message.SerializeToString()


def measure_person(console: Console) -> None:
    """The rating of one person who pays, and of one who loses points on everything, by the functions of the package."""
    for what, late in (("who pays", False), ("with four reasons", True)):
        _measure_person(console, what, late)


def _measure_person(console: Console, what: str, late: bool) -> None:
    accounts = [traffic.account(PERSON_MONTHS) for _ in range(PERSON_ACCOUNTS)]
    for place, account in enumerate(accounts if late else ()):
        for month in account.months[place::7]:
            month.disposition = codes_pb2.DISPOSITION_OVERDUE_2
            month.billed_amount, month.paid_amount = 1_950_000, 0
    stored = [facts_of(account) for account in accounts]
    card, today = built_in_cards()[0].card, dt.datetime.now(dt.UTC).date()
    history = CreditHistory(
        outcome=HistoryOutcome.FOUND,
        as_of=dt.datetime.now(dt.UTC),
        accounts=tuple(ReportedAccount(institution=1, own=False, account=Account.from_message(each)) for each in accounts),
    )

    def rate() -> object:
        return card.rate([RatingFacts.from_bytes(each) for each in stored], today)

    def bare() -> int:
        return sum(month.disposition for account in accounts for month in account.months)

    def microseconds(function: Callable[[], object], number: int) -> float:
        return statistics.median(timeit.repeat(function, number=number, repeat=15)) / number * 1e6

    rating, loop = microseconds(rate, 1000), microseconds(bare, 1000)
    console.print(
        f"a person {what}, {PERSON_ACCOUNTS} accounts of {PERSON_MONTHS} months, from facts: {rating:.1f} µs, owed at most 30;"
        f" a bare loop over the months {loop:.1f} µs, ratio {rating / loop:.2f}"
    )
    facts = microseconds(lambda: [facts_of(account) for account in accounts], 200)
    console.print(
        f"the facts of them, as merging makes them: {facts:.0f} µs; from a kept answer, records and all: "
        f"{microseconds(lambda: rate_history(card, history), 100):.0f} µs"
    )


def measure_queries(console: Console, running: parties.Running, bank: Bank, epoch_id: bytes, rounds: int, share: float) -> None:
    """Queries of the same subjects with and without a rating."""
    tokens = traffic.random_tokens(int(SUBJECTS * share))
    accounts = [(token, number) for token in tokens for number in range(ACCOUNTS_EACH)]
    bank.send(traffic.REPORT, [traffic.report(accounts[i : i + 1000], epoch_id, MONTHS) for i in range(0, len(accounts), 1000)])
    taken: dict[bool, list[float]] = {True: [], False: []}
    spent: dict[bool, list[float]] = {True: [], False: []}
    for round_ in range(rounds + 1):
        for side in (True, False) if round_ % 2 else (False, True):
            work = [traffic.query(token, epoch_id) for token in tokens]
            signed = traffic.sign(bank.profile, bank.endpoint, traffic.QUERY, [rated(each) if side else each for each in work])
            before = sum(running.processor_seconds())
            measured = uvloop.run(traffic.send_lean(bank.endpoint.address, traffic.QUERY, CALLERS, signed))
            if round_:  # the first one warms up
                taken[side].append(measured.seconds / len(tokens))
                spent[side].append((sum(running.processor_seconds()) - before) / len(tokens))
    busy, slower = by_round(spent[True], spent[False]), by_round(taken[True], taken[False])
    each = {side: statistics.median(spent[side]) * 1e6 for side in spent}
    console.print(
        f"processor time of a query, {rounds} rounds: {each[True]:,.0f} µs with a rating, {each[False]:,.0f} without;"
        f" ratio {busy.value:.2f} ({busy.low:.2f} - {busy.high:.2f}), owed at most 1.25"
    )
    console.print(f"time of a query, {CALLERS} callers: ratio {slower.value:.2f} ({slower.low:.2f} - {slower.high:.2f})")


@click.command()
@click.option("--rounds", default=9, show_default=True, help="How often each is measured.")
@click.option("--share", default=1.0, show_default=True, help="This part of the subjects.")
def main(rounds: int, share: float) -> None:
    """Measures ratings."""
    console = Console() if sys.stdout.isatty() else Console(width=140)
    measure_person(console)
    public_key = traffic.random_tokens(1)[0]
    epoch_id = oprf.epoch_id(SEQUENCE, public_key)
    token_key = ("--token-public-key", public_key.hex(), "--token-sequence", str(SEQUENCE))
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name:
        folder = Path(name) / "exchange"
        with parties.server(folder, "exchange", *token_key, workers=WORKERS) as running:
            parties.member(folder, "bank-a", "reporter,inquirer", Path(name) / "bank-a")
            measure_queries(console, running, Bank(Path(name) / "bank-a"), epoch_id, rounds, share)


if __name__ == "__main__":
    main()

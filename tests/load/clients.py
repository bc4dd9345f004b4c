"""Four members that report and query at once, and remember what they were told."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from tallystick.client import AsyncExchange, Identity, Options, Patience, Purpose, QueryResult, Report, ReportResult
from tallystick.credit.enums import AccountType, Disposition, ReportOutcome, SubjectKind
from tallystick.credit.history import Account, AccountMonth
from tallystick.crypto import resident_id_check_digit

BANKS = ("bank-a", "bank-b", "bank-c", "bank-d")
KNOWN = 200
"""Subjects whose accounts stand still, so that every answer about them is known beforehand."""
GROWING = 400
"""Subjects that are reported about while the queries run."""
BATCH = 20
CALLERS = 16
PATIENT = Options(patience=Patience(timeout=20, attempts=200, total=600, first_wait=0.05), in_flight=4, keep_state=False)


@dataclass
class Told:
    """What one member was told, and so may rely on."""

    account_secret: bytes
    queries: list[tuple[str, QueryResult]] = field(default_factory=list)
    """Consent reference and answer."""
    batches: list[list[ReportResult]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def subject(number: int) -> Identity:
    """An artificial person."""
    first17 = f"110101{1950 + number // 12_000:04d}{number // 1000 % 12 + 1:02d}01{number % 1000:03d}"
    return Identity(kind="person", type="10", country="CN", number=first17 + resident_id_check_digit(first17))


def account(balance: int) -> Account:
    """An account that can be told apart by its balance."""
    today = datetime.now(UTC)
    last_month = date(today.year - (today.month == 1), (today.month - 2) % 12 + 1, 1)
    return Account(
        as_of=today.replace(microsecond=0),
        account_type=AccountType.R2,
        status=1,
        currency="CNY",
        opened_date=date(2015, 1, 5),
        subject_kind=SubjectKind.PERSON,
        balance=balance,
        months=(AccountMonth(month=last_month, disposition=Disposition.PAID_AS_AGREED),),
    )


async def report_known(profiles: Path) -> None:
    """Each bank reports one account for each of the known subjects; its balance says whose and which."""
    for position, bank in enumerate(BANKS):
        async with AsyncExchange.from_profile(profiles / bank, PATIENT) as exchange:
            reports = (Report(subject(i), f"known-{i}", account(balance_of(i, position))) for i in range(KNOWN))
            async for result in exchange.report_many(reports):
                assert result.outcome is ReportOutcome.ACCEPTED, result.violations


def balance_of(number: int, position: int) -> int:
    """The balance of the account that the bank at `position` reported for a known subject."""
    return number * 10 + position


async def run_bank(profiles: Path, position: int, queries: int, batches: int, stop: asyncio.Event | None = None) -> Told:
    """One member's share of the load; with `stop`, until it is set."""
    bank = BANKS[position]
    async with AsyncExchange.from_profile(profiles / bank, PATIENT) as exchange:
        told = Told(exchange.profile.account_secret or b"")
        identities = [subject(i) for i in range(KNOWN + GROWING)]
        async for _ in exchange.tokenise(identities):
            pass
        # Tests share one exchange: what one of them sends must not be taken for a second effect of another's.
        run = f"{bank}-{secrets.token_hex(4)}"
        numbers = _until(stop, queries)
        batch_numbers = _until(stop, batches)
        callers = [_query(exchange, run, position, numbers, told) for _ in range(CALLERS)]
        await asyncio.gather(*callers, _report(exchange, run, batch_numbers, told))
    return told


def _until(stop: asyncio.Event | None, count: int) -> Iterator[int]:
    numbers = itertools.count() if stop is not None else iter(range(count))
    return (number for number in itertools.takewhile(lambda _: stop is None or not stop.is_set(), numbers))


async def _query(exchange: AsyncExchange, run: str, position: int, numbers: Iterator[int], told: Told) -> None:
    for number in numbers:
        who = number % KNOWN
        consent = f"{run}-{number}"
        result = await exchange.query(subject(who), Purpose.LOAN_APPROVAL, consent)
        told.queries.append((consent, result))
        balances = sorted(reported.account.balance or 0 for reported in result.history.accounts)
        own = [reported.account.balance for reported in result.history.accounts if reported.own]
        if balances != [balance_of(who, each) for each in range(len(BANKS))] or own != [balance_of(who, position)]:
            told.wrong.append(f"{consent}: {balances}, own {own}")


async def _report(exchange: AsyncExchange, run: str, numbers: Iterator[int], told: Told) -> None:
    for number in numbers:
        reports = [
            Report(subject(KNOWN + (number * BATCH + i) % GROWING), f"{run}-{number}-{i}", account(number)) for i in range(BATCH)
        ]
        told.batches.append([result async for result in exchange.report_many(reports)])


async def run_all(profiles: Path, queries: int, batches: int, stop: asyncio.Event | None = None) -> Sequence[Told]:
    """All members at once; each makes its share of so many queries and batches."""
    share = (queries // len(BANKS), batches // len(BANKS))
    return await asyncio.gather(*(run_bank(profiles, i, *share, stop) for i in range(len(BANKS))))

"""After the loan: bank A watches its borrowers, bank B's next month comes in, and bank A is warned of those who fail there.

The functions of banks run in processes of their own, and give back what can be sent there.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from examples import banks
from examples.artificial_ids import artificial_identity
from examples.banks import Timing, notice_of
from examples.card_file import CardClient
from examples.market import bank_of
from examples.reported_accounts import account_before, account_of
from examples.screen import Screen, must
from examples.servers import BANK_A, BANK_B, profile
from tallystick.client import AccountWatch, Exchange, Report, ReportOutcome
from tallystick.credit import Account, Alert, TriggerType, WarningClass, WarningPolicy, Watch
from tallystick.credit.monitoring import Triggers, account_facts

NONE = "no alert"


@dataclass(frozen=True, slots=True)
class Told:
    """What bank A was told of one client."""

    number: int
    type: TriggerType
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Month:
    """What the month brought."""

    watches: Timing
    reports: Timing
    delivery: Timing
    told: tuple[Told, ...]
    classes: dict[int, WarningClass]
    """The class of each client of bank A that has one."""


def hold(folder: Path, screen: Screen, clients: Sequence[CardClient], months: tuple[date, ...]) -> Month:
    """Lets the month pass, and raises DemoError when anything of it goes wrong."""
    bank_a, bank_b = folder / profile(BANK_A), folder / profile(BANK_B)
    watched = [client for client in clients if bank_of(client.number) is BANK_A]
    numbers = [client.number for client in watched]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        with screen.working("bank B reports its second accounts, up to the month before the last"):
            pool.submit(banks.tokenise, bank_b, numbers).result()
            pool.submit(report, bank_b, watched, months, newest=False).result()
        with screen.working("bank A watches its borrowers"):
            watches = pool.submit(watch, bank_a, numbers).result()
        with screen.working("bank B's next month comes in"):
            reports = pool.submit(report, bank_b, watched, months, newest=True).result()
        with screen.working("bank A takes its messages"):
            delivery, told, classes = pool.submit(follow, bank_a, numbers).result()
    expected = Counter(each for client in watched for each in facts_of(client, months))
    must(Counter(told) == expected, f"bank A was told {len(told)} things, and {expected.total()} were due")
    return Month(watches, reports, delivery, tuple(told), classes)


def facts_of(client: CardClient, months: tuple[date, ...]) -> list[Told]:
    """What bank A is to be told of a client, by the rules and the file alone."""
    before, after = account_before(client, months).to_message(), account_of(client, months).to_message()
    triggers = Triggers.default()
    facts = account_facts(before, after, datetime.now(UTC).date())
    return [Told(client.number, fact.type, fact.before, fact.after) for fact in facts if triggers.wants(fact)]


def report(profile: Path, clients: Sequence[CardClient], months: tuple[date, ...], *, newest: bool) -> Timing:
    """Bank B reports its accounts of bank A's clients: with the newest month, or up to the one before it."""
    reports = [_report(client, account_of(client, months) if newest else account_before(client, months)) for client in clients]
    with Exchange.from_profile(profile) as bank:
        begin = time.monotonic()
        results = list(bank.report_many(reports))
        end = time.monotonic()
    for result in results:
        must(result.outcome is ReportOutcome.ACCEPTED, f"a report was not accepted: {result.violations}")
    return Timing(len(results), begin, end)


def _report(client: CardClient, account: Account) -> Report:
    return Report(artificial_identity(client.number), f"SECOND-{client.number:05d}", account, notice_of(account))


def watch(profile: Path, numbers: Sequence[int]) -> Timing:
    """Puts a watch over each of these clients, on the ground of bank A's own account."""
    watches = [
        AccountWatch(artificial_identity(number), banks.account_number(number), Watch(consent_reference=f"contract-{number}"))
        for number in numbers
    ]
    with Exchange.from_profile(profile) as bank:
        begin = time.monotonic()
        results = list(bank.monitoring.put(watches))
        end = time.monotonic()
    for result in results:
        must(result.accepted, f"a watch was not accepted: {result.violations}")
    return Timing(len(results), begin, end)


def follow(profile: Path, numbers: Sequence[int]) -> tuple[Timing, list[Told], dict[int, WarningClass]]:
    """Takes all messages there are; what each told of which client, and the class of each client by the default policy."""
    policy = WarningPolicy.default()
    alerts: dict[int, list[Alert]] = {}
    with Exchange.from_profile(profile) as bank:
        known = {
            reference: number for number in numbers for reference in bank.monitoring.references([banks.account_number(number)])
        }
        begin = time.monotonic()
        messages = list(bank.monitoring.messages())
        end = time.monotonic()
    for message in messages:
        content = message.content
        if isinstance(content, Alert):
            alerts.setdefault(known[message.account_reference], []).append(content)
    told = [Told(number, each.type, each.before, each.after) for number, ofs in alerts.items() for each in ofs]
    warnings = {number: policy.classify(ofs) for number, ofs in alerts.items()}
    classes = {number: warning.warning_class for number, warning in warnings.items() if warning is not None}
    return Timing(len(messages), begin, end), told, classes


@dataclass(frozen=True, slots=True)
class Outcome:
    """The clients of one class, and how many of them defaulted in the month after."""

    name: str
    clients: int
    defaulted: int

    @property
    def rate(self) -> float:
        """The share that defaulted."""
        return self.defaulted / self.clients if self.clients else 0.0


def outcomes(clients: Sequence[CardClient], classes: dict[int, WarningClass]) -> list[Outcome]:
    """Of bank A's clients: by class, the most urgent first, and those without any alert."""
    counted: Counter[tuple[str, bool]] = Counter()
    for client in clients:
        if bank_of(client.number) is BANK_A:
            counted[str(classes.get(client.number, NONE)), client.defaulted] += 1
    names = [*(str(each) for each in reversed(WarningClass)), NONE]
    return [Outcome(name, counted[name, True] + counted[name, False], counted[name, True]) for name in names]


def together(found: Sequence[Outcome], name: str, *names: str) -> Outcome:
    """Several classes as one."""
    chosen = [each for each in found if each.name in names]
    return Outcome(name, sum(each.clients for each in chosen), sum(each.defaulted for each in chosen))


def show(screen: Screen, clients: Sequence[CardClient], month: Month) -> None:
    """What bank A was told, and what it was worth."""
    found = outcomes(clients, month.classes)
    screen.table(
        f"{month.watches.count:,} watched borrowers of bank A, by the class of their early warning",
        ("class", ">borrowers", ">defaulted", ">default rate"),
        [(each.name, f"{each.clients:,}", f"{each.defaulted:,}", f"{each.rate:.1%}") for each in found if each.clients],
    )
    warned = together(found, "warned", *(str(each) for each in WarningClass if each is not WarningClass.GREEN))
    others = together(found, "not warned", NONE, str(WarningClass.GREEN))
    screen.say(
        f"Of the {warned.clients:,} whom bank A was warned of {warned.rate:.1%} defaulted in the following month, of the "
        f"{others.clients:,} others {others.rate:.1%}. Many of the others had been late before the watch began: an alert tells "
        "what has become worse, a query how it stands."
    )
    must(warned.rate > others.rate > 0, f"the warnings do not tell good from bad: {warned.rate:.3f}, {others.rate:.3f}")
    screen.proved(
        f"{len(month.told):,} alerts, each due by the file and none left out; {month.delivery.count:,} messages in "
        f"{month.delivery.seconds:.1f} seconds, {month.watches.count:,} watches in {month.watches.seconds:.1f}"
    )

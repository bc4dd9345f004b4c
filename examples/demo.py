"""The demo, in the order in which it is told. Run it by `make demo`, or as `python -m examples.demo` at the repository's root.

Exits with 0 only if everything that it shows is what it must be.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NoReturn

from examples import after_the_loan, market, own_book
from examples.artificial_ids import artificial_id, spaced
from examples.audit import Audit
from examples.banks import Screened, Timing
from examples.card_file import CardClient, CardFileError, read_card_file
from examples.commands import Commands
from examples.market import Market
from examples.outcomes import Band, Group, decision_bands, groups, held_out, rating_bands, rule_counts
from examples.rating.parts import parts_of
from examples.reported_accounts import reporting_months
from examples.screen import DemoError, Screen, must
from examples.servers import BANK_A, admit, make_servers, serving
from tallystick.client import TallystickError
from tallystick.credit.decisions import Decision
from tallystick.credit.rating import built_in_cards, reason_text
from tallystick.server.errors import Problem

FOLDER = Path(__file__).parent.parent / ".demo"
"""Everything that the demo makes; .gitignore covers it."""


def main() -> int:
    """Runs the demo; returns its exit code."""
    begin = time.monotonic()
    screen = Screen()
    signal.signal(signal.SIGTERM, _leave)
    # Settings of the shell must not reach the demo's servers.
    for name in [name for name in os.environ if name.startswith("TALLYSTICK_")]:
        del os.environ[name]
    try:
        with _emptied(FOLDER):
            _tell(screen)
    except (DemoError, CardFileError, TallystickError, Problem) as error:
        screen.failed(str(error))
        return 1
    except KeyboardInterrupt:
        screen.failed("interrupted")
        return 130
    screen.say(
        f"\nAll of it was checked on the way, in {time.monotonic() - begin:.0f} seconds. What was made is in {FOLDER.name}/."
    )
    return 0


def _tell(screen: Screen) -> None:
    clients = read_card_file()
    months = reporting_months(datetime.now(UTC).date())
    screen.step("Real repayment histories, artificial persons")
    _introduce(screen, clients, months)
    commands = Commands(FOLDER, screen)
    screen.step("A token authority and an exchange: separate keys, databases and logs; TLS with client certificates")
    make_servers(commands)
    with serving(commands, screen):
        screen.step("Three banks and an auditor are admitted, at each server by its own operator")
        admit(commands, screen)
        screen.step("Banks A and B report 30,000 accounts; bank C screens 3,000 applicants")
        day = market.hold(FOLDER, screen, clients, months)
        _show_rates(screen, day)
        screen.step("Bank C's decisions by the default policy, and what happened the next month")
        _show_outcomes(screen, day.screening.applicants)
        screen.step("The same applicants by their rating, and what happened the next month")
        _show_ratings(screen, clients, day.screening.applicants)
        screen.step("Bank A looks at its own book; nothing is sent")
        own_book.show(FOLDER, commands, screen, [client for client in clients if market.bank_of(client.number) is BANK_A], months)
        audit = Audit(commands, screen)
        screen.step("Who asked about one subject, why, and with whose consent")
        subject = next(each for each in day.screening.applicants if each.decision is Decision.REFER and each.applicant.client)
        entry = audit.look_again(subject.applicant)
        audit.who_asked(subject, entry)
        screen.step("After the loan: bank A watches its borrowers, and bank B's next month comes in")
        _introduce_watching(screen)
        after_the_loan.show(screen, clients, after_the_loan.hold(FOLDER, screen, clients, months))
        screen.step("The log is what was signed")
        audit.verify()
        screen.step("One byte is changed in the database, behind the exchange's back")
        audit.catch(entry)
    screen.proved("both servers finished what was begun and exited with 0")


def _introduce(screen: Screen, clients: Sequence[CardClient], months: tuple[date, ...]) -> None:
    defaults = sum(client.defaulted for client in clients)
    screen.say(
        f"{len(clients):,} credit-card clients of a bank in Taiwan, April to September 2005 (UCI data set 350, CC BY 4.0): limit, "
        f"and for each month repayment status, bill and payment. {defaults:,} of them defaulted in October."
    )
    screen.say("What is constructed (examples/README.md has the details):")
    screen.say(
        f"- Persons: client 1 is {spaced(artificial_id(1))}. No region begins with 99, and nobody born in 1850 is alive; date and "
        "check digit are valid."
    )
    screen.say("- Banks: the file is of one bank. Here odd clients are bank A's and even ones bank B's; each has one account.")
    screen.say(
        f"- Calendar: windows count back from today, so April to September 2005 are reported as {months[-1]:%B %Y} to "
        f"{months[0]:%B %Y}."
    )
    screen.say(
        "- Status: -2 (no consumption) becomes * (nothing due), -1 (paid in full) and 0 (revolving) become N (paid as agreed), "
        "k months late becomes code k, 7 at the most. The file holds no days past due and no overdue amounts: both stay "
        '"not known". Amounts are reported in cents of TWD.'
    )
    screen.say("- Notices: the file holds none. Each client with a late month is said to have been told 30 days before the report.")


def _introduce_watching(screen: Screen) -> None:
    screen.say(
        "Constructed: each of bank A's clients has a second account at bank B, which shows what the file says of the client. It "
        "has reported it up to the month before the last; bank A puts its watches; then the last month comes in. Here alerts are "
        "released at once (alert_release_minutes = 0); a real exchange holds them to the end of the hour, so that none says who "
        "reported when."
    )


def _show_rates(screen: Screen, day: Market) -> None:
    def row(what: str, timing: Timing, unit: str) -> tuple[str, ...]:
        return what, f"{timing.count:,}", unit, f"{timing.seconds:.1f}", f"{timing.count / timing.seconds:,.0f}"

    screened = day.screening
    screen.table(
        f"On {os.cpu_count()} processors: banks, authority, exchange, two PostgreSQL",
        ("what", ">count", "unit", ">seconds", ">per second"),
        (
            row("banks A and B tokenise their clients", day.reporters_tokens, "tokens"),
            row("banks A and B report", day.reports, "accounts of 6 months"),
            row("bank C tokenises its applicants", day.inquirer_tokens, "tokens"),
            row("bank C queries and screens", screened.timing, "applicants"),
        ),
    )
    screen.proved(f"{day.reports.count:,} reports accepted; every answer to bank C is what the file says, field by field")
    screen.proved(f"every batch came with a signed receipt; bank C found all {screened.receipts_included} of its own in the log")


def _show_outcomes(screen: Screen, screened: Sequence[Screened]) -> None:
    found = groups(screened)
    screen.table(
        "Decisions",
        ("decision", ">applicants", ">share", ">on record", ">defaulted", ">default rate", ">strangers"),
        [_group_row(group, len(screened)) for group in found],
    )
    screen.table(
        "Why: how often each rule spoke, and how often as decided",
        ("calls for", "rule", ">applicants", ">as decided"),
        [(count.decision.value, count.rule, str(count.applicants), str(count.as_decided)) for count in rule_counts(screened)],
    )
    screen.say(
        "The policy's thresholds were chosen by somebody who had seen these outcomes: the rates show that the records separate, "
        "and are no estimate for other borrowers."
    )
    _check_outcomes(screened, found)
    screen.proved(
        f"{market.STRANGERS} strangers: no record of any, and each referred to a person; "
        "declined applicants defaulted more often than referred ones, and those more often than approved ones"
    )


def _show_ratings(screen: Screen, clients: Sequence[CardClient], screened: Sequence[Screened]) -> None:
    card = built_in_cards()[0].card
    parts = dict(zip((client.number for client in clients), parts_of(clients), strict=True))
    left = held_out(screened, parts)
    bands, decisions = rating_bands(left), decision_bands(left)
    screen.table(
        f"{len(left)} of them, of whom {card.name} was not made",
        ("", ">applicants", ">defaulted", ">default rate"),
        [(each.name, str(each.applicants), str(each.defaulted), f"{each.default_rate:.1%}") for each in (*bands, *decisions)],
    )
    best, worst = _halves(bands)
    must(best.default_rate * 2 < worst.default_rate, "the grades do not tell good from bad")
    reasons = next(each.rating.reasons for each in screened if each.rating is not None and len(each.rating.reasons) == 4)
    screen.say("What one of them can be told, in the words of the rating:")
    for reason in reasons:
        screen.say(f"  {reason.code}: {reason_text(reason)}")
    screen.say("No probability goes with it: rates are those of this file. docs/rating.md has the model card.")
    screen.proved(
        "every rating was reckoned again by bank C from the accounts beside it; "
        f"of grades 1 and 2 {best.default_rate:.1%} defaulted, of the others {worst.default_rate:.1%}"
    )


def _halves(bands: Sequence[Band]) -> tuple[Band, Band]:
    """The first two grades, and all others."""
    best = [each for each in bands if each.name in ("grade 1", "grade 2")]
    others = [each for each in bands if each not in best]
    first, second = (
        Band(name, sum(each.applicants for each in some), sum(each.defaulted for each in some))
        for name, some in (("the best", best), ("the others", others))
    )
    return first, second


def _group_row(group: Group, total: int) -> tuple[str, ...]:
    rate = "" if group.default_rate is None else f"{group.default_rate:.1%}"
    share = f"{group.applicants / total:.1%}"
    return group.decision.value, str(group.applicants), share, str(group.known), str(group.defaulted), rate, str(group.strangers)


def _check_outcomes(screened: Sequence[Screened], found: Sequence[Group]) -> None:
    for each in screened:
        unknown = (Decision.REFER, "no-record") in each.rules
        must(unknown == (each.applicant.client is None), f"applicant {each.applicant.serial}: the rule no-record is wrong")
    by_decision = {group.decision: group for group in found}
    must(by_decision[Decision.REFER].strangers == market.STRANGERS, "not every stranger was referred")
    rates = [by_decision[decision].default_rate or 0.0 for decision in (Decision.APPROVE, Decision.REFER, Decision.DECLINE)]
    must(0 < rates[0] < rates[1] < rates[2], f"the decisions do not tell good from bad: default rates {rates}")


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """The folder, empty, and for this run alone; raises DemoError when another demo runs in it."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"another demo is running in {folder}") from None
        for each in folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif each.name != "lock":
                each.unlink()
        yield


def _leave(_signal: int, _frame: object) -> NoReturn:
    """On SIGTERM, everything that was started is stopped on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

"""What the banks do with the SDK. Each of these functions runs in a process of its own, and gives back what can be sent there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from pathlib import Path

from examples.artificial_ids import artificial_identity
from examples.card_file import CardClient
from examples.reported_accounts import account_of
from examples.screen import DemoError, must
from tallystick.client import Exchange, Inquiry, Purpose, Report, ReportOutcome, Section
from tallystick.credit.decisions import Decision
from tallystick.credit.enums import HistoryOutcome
from tallystick.credit.history import Account, CreditHistory
from tallystick.credit.overdue import is_overdue
from tallystick.credit.rating import built_in_cards, rate_history
from tallystick.credit.ratings import Rating
from tallystick.credit.screening import ScreeningPolicy

PURPOSE = Purpose.CREDIT_CARD_APPROVAL
NOTICE = timedelta(days=30)
"""How long before its report a client is told of a bad record; the file holds no notices, so this is constructed."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, by the clock that all processes of this machine share."""

    count: int
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """From begin to end."""
        return self.end - self.begin

    def __or__(self, other: Timing) -> Timing:
        """Both together, when they ran side by side."""
        return Timing(self.count + other.count, min(self.begin, other.begin), max(self.end, other.end))


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks bank C for a card."""

    serial: int
    """The number of the artificial person."""
    client: CardClient | None
    """None for a stranger, of whom the exchange has no record."""

    @property
    def consent_reference(self) -> str:
        """Bank C's reference to the applicant's written consent."""
        return f"demo-consent-{self.serial}"


@dataclass(frozen=True, slots=True)
class Screened:
    """What came of one applicant."""

    applicant: Applicant
    decision: Decision
    rules: tuple[tuple[Decision, str], ...]
    """The rules that spoke, with what each calls for."""
    entry_index: int
    """Where the exchange's log holds the query."""
    rating: Rating | None = None
    """By the scorecard of the exchange."""


@dataclass(frozen=True, slots=True)
class Screening:
    """What came of all of them."""

    timing: Timing
    applicants: tuple[Screened, ...]
    receipts_included: int
    """How many receipts of the run were found in the exchange's log."""


def tokenise(profile: Path, serials: Sequence[int]) -> Timing:
    """Makes the tokens of these artificial persons; they stay in the profile's sealed cache."""
    identities = [artificial_identity(serial) for serial in serials]
    with Exchange.from_profile(profile) as bank:
        begin = time.monotonic()
        tokens = set(bank.tokenise(identities))
        end = time.monotonic()
    must(len(tokens) == len(serials), f"{len(serials)} persons have {len(tokens)} tokens")
    return Timing(len(tokens), begin, end)


def report(profile: Path, clients: Sequence[CardClient], months: tuple[date, ...]) -> Timing:
    """Reports the accounts of these clients."""
    reports = [_report(client, months) for client in clients]
    with Exchange.from_profile(profile) as bank:
        begin = time.monotonic()
        results = list(bank.report_many(reports))
        end = time.monotonic()
    for result in results:
        must(result.outcome is ReportOutcome.ACCEPTED, f"a report was not accepted: {result.violations}")
        must(not result.warnings, f"a report lacks something: {result.warnings}")
    return Timing(len(results), begin, end)


def _report(client: CardClient, months: tuple[date, ...]) -> Report:
    """The report of a client's account; who is late was told of it a month before, as the law has it."""
    account = account_of(client, months)
    return Report(artificial_identity(client.number), account_number(client.number), account, notice_of(account))


def account_number(number: int) -> str:
    """The bank's own number of a client's account."""
    return f"CARD-{number:05d}"


def notice_of(account: Account) -> date | None:
    """When the client was told of a bad record; None where there is none."""
    late = account.running_overdue is not None or any(is_overdue(month.disposition) for month in account.months)
    return account.as_of.astimezone(UTC).date() - NOTICE if late else None


def screen(profile: Path, applicants: Sequence[Applicant], months: tuple[date, ...]) -> Screening:
    """Queries all applicants, judges them by the default policy, compares every answer with the file, and reckons every rating
    again."""
    policy = ScreeningPolicy.default()
    rating = (Section.RATING,)
    inquiries = [Inquiry(artificial_identity(each.serial), PURPOSE, each.consent_reference, sections=rating) for each in applicants]
    card = built_in_cards()[0].card
    with Exchange.from_profile(profile) as bank:
        begin = time.monotonic()
        results = [outcome.unwrap() for outcome in bank.query_many(inquiries)]
        judged = [policy.evaluate(result.history) for result in results]
        end = time.monotonic()
        receipts = {result.receipt.index: result.receipt for result in results}
        log = bank.audit_verify(receipts.values(), read_entries=False)
    must(log.verified, f"the log does not keep what receipts promise: {log.differences}")
    must(log.receipts_included == len(receipts), f"of {len(receipts)} receipts {log.receipts_included} are in the log")
    for applicant, result in zip(applicants, results, strict=True):
        _compare(applicant, result.history, months)
        must(result.history.rating == rate_history(card, result.history), f"the rating of {applicant.serial} is not the card's")
    screened = tuple(
        Screened(
            applicant,
            one.decision,
            tuple((reason.decision, reason.rule) for reason in one.reasons),
            result.receipt.index,
            result.history.rating,
        )
        for applicant, result, one in zip(applicants, results, judged, strict=True)
    )
    return Screening(Timing(len(screened), begin, end), screened, log.receipts_included)


def _compare(applicant: Applicant, history: CreditHistory, months: tuple[date, ...]) -> None:
    """The answer is what the file says, field by field; of a stranger there is no record."""
    if applicant.client is None:
        must(history.outcome is HistoryOutcome.NO_RECORD, f"a stranger ({applicant.serial}) has a record")
        return
    expected = account_of(applicant.client, months)
    if [told.account for told in history.accounts] != [expected]:
        raise DemoError(f"the answer about client {applicant.serial} is not what was reported")

"""A credit history as a credit officer reads it."""

from __future__ import annotations

from rich.console import Console

from tallystick.client.cli.output import table
from tallystick.credit.codes import (
    describe,
    describe_account_type,
    describe_disposition,
    describe_purpose,
    describe_status,
    disposition_code,
    format_amount,
)
from tallystick.credit.history import CreditHistory, ReportedAccount
from tallystick.credit.languages import Language
from tallystick.credit.screening import Screening

_MONTHS_SHOWN = 24
_INQUIRIES_SHOWN = 10


def print_history(console: Console, history: CreditHistory, screening: Screening, language: Language) -> None:
    """Prints decision, reasons, accounts, overdue and inquiries; the reasons in a language."""
    console.print(f"Decision: {screening.decision.value}   (as of {history.as_of:%Y-%m-%d %H:%M} UTC)")
    if screening.reasons:
        rows = [(reason.decision.value, reason.rule, reason.told(language)) for reason in screening.reasons]
        console.print(table("Reasons", ("calls for", "rule", "why"), rows))
    if not history.accounts:
        console.print("No record: no member has reported an account of this subject.")
    else:
        columns = ("institution", "account", "status", "quality", "balance", "overdue now", "months, newest first")
        console.print(table("Accounts", columns, map(_account, history.accounts)))
        if history.truncated:
            console.print("More accounts are reported than these: those with overdue come first, and others were left out.")
        _print_overdue(console, history)
    _print_inquiries(console, history)


def _account(reported: ReportedAccount) -> tuple[str, ...]:
    account = reported.account
    balance = format_amount(account.currency, account.balance) if account.balance is not None else "not known"
    running = account.running_overdue
    months = "".join(disposition_code(month.disposition) for month in account.months[:_MONTHS_SHOWN])
    return (
        f"{reported.institution} (own)" if reported.own else str(reported.institution),
        describe_account_type(account.account_type),
        describe_status(account.account_type, account.status),
        describe(account.asset_quality),
        balance,
        f"{running.days_past_due} days" if running else "",
        months,
    )


def _print_overdue(console: Console, history: CreditHistory) -> None:
    overdue = history.overdue
    rows = [
        (f"{window.months} months", window.overdue_months, window.overdue_accounts, _worst(window.worst_disposition))
        for window in overdue.windows
    ]
    console.print(table("Overdue", ("within", "months overdue", "accounts", "worst"), rows))
    if overdue.worst_month is not None:
        worst = _worst(overdue.worst_disposition)
        console.print(f"Worst ever: {worst} in {overdue.worst_month:%Y-%m}")


def _worst(disposition: int) -> str:
    return describe_disposition(disposition) if disposition else "none"


def _print_inquiries(console: Console, history: CreditHistory) -> None:
    inquiries = history.inquiries
    console.print(
        f"Inquiries by others: {inquiries.count_1_month} within a month, {inquiries.count_6_months} within six months "
        f"by {inquiries.institutions_6_months} institutions"
        + (" (at least: of so many inquiries only the newest of each institution are counted)" if inquiries.truncated else ""),
        highlight=False,
    )
    latest = [(each.date.isoformat(), describe_purpose(each.purpose)) for each in inquiries.inquiries[:_INQUIRIES_SHOWN]]
    if latest:
        console.print(table("Latest inquiries", ("day", "purpose"), latest))

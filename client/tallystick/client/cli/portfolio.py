"""The command of a month's page: the exchange's counts, the bank's own book, and the messages that it kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.groups import Commands
from tallystick.client.cli.notices import OwnBook
from tallystick.client.cli.parameters import keep_apart, read_as, timeout_option
from tallystick.client.cli.policy import load_warning_policy
from tallystick.client.exceptions import InputInvalid
from tallystick.client.exchange import Exchange
from tallystick.client.files import cells
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.messages import read_messages
from tallystick.client.files.places import is_written_in_place
from tallystick.client.files.texts import write_text
from tallystick.client.pages.extra import check_installed
from tallystick.client.pages.portfolio import BookCounts, KeptMessages, Portfolio
from tallystick.client.pages.rendering import render

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)


@click.group(cls=Commands)
def portfolio() -> None:
    """Look at your watched borrowers as a whole."""


@portfolio.command()
@click.option("--month", callback=read_as(cells.month), required=True, help="One of the last two months, such as 2026-10.")
@click.option("--out", type=_NEW_FILE, help="Write the page here: one HTML file that needs nothing beside it.")
@click.option("--book", type=_FILE, help="Your own book, as of `tallystick notices`: how many accounts, how many of them overdue.")
@click.option("--messages", type=_FILE, help="What `tallystick watch follow --json` wrote: which of your accounts were told of.")
@click.option("--policy", type=_FILE, help="Your own warning policy (TOML). [default: the built-in one]")
@click.option("--limit", type=click.IntRange(1, 100_000), default=500, show_default=True, help="How many accounts to list.")
@click.option(
    "--amounts",
    type=click.Choice([each.value for each in Amounts]),
    help="What amounts of the book are; the page has none of them. [default: minor, and no decimals]",
)
@click.option("--encoding", help="Of a book in CSV that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@timeout_option
@command
def digest(
    tool: Tool,
    month: dt.date,
    out: Path | None,
    book: Path | None,
    messages: Path | None,
    policy: Path | None,
    limit: int,
    amounts: str | None,
    encoding: str | None,
    timeout: float | None,
) -> int:
    """Write the page of a month: what was told of your watched borrowers, counted by class, trigger and transition.

    With --book and --messages it joins them with your own accounts, the most urgent first. With --json the counts are printed
    instead. Nothing of your files is sent anywhere.
    """
    _check_outputs(tool, out, book, messages)
    if out is None:
        with tool.exchange() as exchange:
            output.write_json(exchange.monitoring.digest(month, timeout=timeout))
        return 0
    keep_apart({"--book": book, "--messages": messages, "--policy": policy}, {"--out": out})
    # Before anything is asked: an answer that nobody sees would be an entry of the log.
    check_installed()
    warnings, kept = load_warning_policy(policy), _kept(messages, month)
    own = OwnBook(tool, book, Amounts(amounts) if amounts else None, encoding) if book is not None else None
    with tool.beside(out), tool.exchange() as exchange:
        counts = _counted(exchange, own, month, kept) if own is not None else None
        page = Portfolio(
            digest=exchange.monitoring.digest(month, timeout=timeout),
            member=exchange.profile.signer.member_id,
            origin=exchange.profile.exchange.counterpart.origin,
            made=dt.datetime.now(dt.UTC).replace(microsecond=0),
            policy=warnings,
            book=counts,
            unreadable=own.faulty if own is not None else 0,
            messages=kept,
            limit=limit,
        )
    write_text(out, render(page))
    tool.remark(_summary(page))
    return 1 if page.unreadable else 0


def _check_outputs(tool: Tool, out: Path | None, book: Path | None, messages: Path | None) -> None:
    if out is not None and tool.as_json:
        raise click.UsageError("--json prints the counts instead of a page: leave out --out, or --json")
    if out is None and not tool.as_json:
        raise click.UsageError("give --out FILE, or --json for the counts alone")
    if out is None and (book is not None or messages is not None):
        raise click.UsageError("--book and --messages are for a page, and --json prints the counts alone: leave them out")
    if out is not None and not is_written_in_place(out) and out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--out: {out}: the page is HTML: give it a name that ends in .html")


def _kept(messages: Path | None, month: dt.date) -> KeptMessages | None:
    """The messages of the month in a file."""
    if messages is None:
        return None
    kept = KeptMessages(month)
    for message in read_messages(messages):
        kept.take(message)
    return kept


def _counted(exchange: Exchange, own: OwnBook, month: dt.date, kept: KeptMessages | None) -> BookCounts:
    """The book, counted; each account that was told of gets its entry."""
    counts = BookCounts(month)
    for entry in own.entries():
        counts.take(entry)
        if kept is None or not kept.accounts:
            continue
        try:
            (reference,) = exchange.monitoring.references([entry.account_number])
        except InputInvalid:
            continue  # such a number was never reported, so it is not watched
        if (account := kept.accounts.get(reference)) is not None:
            account.entry, account.number = entry, entry.account_number
    return counts


def _summary(page: Portfolio) -> str:
    counts = "no counts: fewer than 50 borrowers are watched"
    if not page.digest.too_small:
        counts = f"{sum(row.alerts for row in page.digest.rows)} alerts"
    accounts = f", {len(page.messages.accounts)} of your accounts" if page.messages is not None else ""
    return f"{page.digest.month:%Y-%m}: {counts}{accounts}"

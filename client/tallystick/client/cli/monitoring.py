"""Commands of monitoring: put watches, end them, list them, and follow what they tell."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import ReceiptFile, Tool, command
from tallystick.client.cli.delivery import Delivery, book_references
from tallystick.client.cli.groups import Commands
from tallystick.client.cli.meanings import epilog, identity_types
from tallystick.client.cli.parameters import keep_apart, standard_input, timeout_option
from tallystick.client.cli.policy import load_warning_policy
from tallystick.client.cli.tally import Tally
from tallystick.client.files.tables import TableWriter
from tallystick.client.files.watches import WatchRow, read_watches
from tallystick.client.flows.monitoring import LONGEST_WAIT, AccountWatch
from tallystick.credit.codes import describe, describe_purpose
from tallystick.credit.enums import TriggerType, WatchState
from tallystick.credit.monitoring import ListedWatch

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)
_STATES = {state.name.lower(): state for state in WatchState if state}


@click.group(cls=Commands)
def watch() -> None:
    """Watch your borrowers: be told what others report of them after the loan.

    A watch takes an account of yours that is open or owed and that you reported within 92 days, and ends with it.
    """


@watch.command(epilog=epilog(identity_types()))
@click.argument("file", type=_FILE, callback=standard_input)
@click.option("--rejects", type=_NEW_FILE, help="Write what was rejected here: row, field, reason, description.")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipts here.")
@click.option("--encoding", help="Of a CSV file that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@command
def put(tool: Tool, file: Path, rejects: Path | None, keep_receipts: Path | None, encoding: str | None) -> int:
    """Put a watch for each row of FILE (CSV or Parquet, "-" is standard input; docs/files.md has the layout).

    Each watch is accepted or rejected by itself. Putting it again renews it for 24 months, with the triggers of the new row.
    """
    keep_apart({"FILE": file}, {"--rejects": rejects, "--keep-receipts": keep_receipts})
    rows = read_watches(file, encoding)
    with ExitStack() as stack:
        stack.enter_context(tool.beside(rejects, keep_receipts))
        exchange = stack.enter_context(tool.exchange())
        tally: Tally[WatchRow, AccountWatch] = Tally(tool, stack, rejects, "watches", lambda row: row.watch)
        receipts = stack.enter_context(ReceiptFile(keep_receipts))
        stack.enter_context(tool.concluding(tally.show, lambda: tally.counts.total() > 0))
        shown = stack.enter_context(output.progress(tool.remarks, "watches put"))
        for result in exchange.monitoring.put(tally.sendable(rows)):
            receipts.keep(result.receipt)
            tally.take(result)
            shown.add()
        tally.end()
    return 1 if tally.counts["rejected"] else 0


@watch.command()
@click.argument("watch_ids", nargs=-1, metavar="[WATCH_ID]...")
@click.option("--accounts", type=_FILE, help="End the watches of the accounts of this file: a column account_number.")
@click.option("--all", "everything", is_flag=True, help="End all that have not ended.")
@timeout_option
@command
def end(tool: Tool, watch_ids: tuple[str, ...], accounts: Path | None, everything: bool, timeout: float | None) -> int:
    """End watches, by their ids or by your own account numbers. What they had to tell is discarded."""
    if sum((bool(watch_ids), accounts is not None, everything)) != 1:
        raise click.UsageError("give watch ids, or --accounts FILE, or --all")
    ids = [_watch_id(text) for text in watch_ids]
    with tool.exchange() as exchange:
        unknown = 0
        if not watch_ids:
            listed = [each for each in exchange.monitoring.list(timeout=timeout) if each.state is not WatchState.ENDED]
            if accounts is not None:
                wanted = book_references(exchange, accounts)
                listed = [each for each in listed if each.account_reference in wanted]
                unknown = len(wanted) - len({each.account_reference for each in listed})
            ids = [each.watch_id for each in listed]
        ended = exchange.monitoring.end(ids, timeout=timeout) if ids else 0
    if tool.as_json:
        output.write_json({"ended": ended, "not_watched": unknown})
    else:
        tool.results.print(f"{ended} watches ended", highlight=False)
        if unknown:
            tool.remark(f"{unknown} of the accounts have no watch that could be ended")
    return 1 if unknown or (watch_ids and ended < len(ids)) else 0


def _watch_id(text: str) -> bytes:
    try:
        watch_id = bytes.fromhex(text)
    except ValueError:
        watch_id = b""
    if len(watch_id) != 16:
        raise click.BadParameter(f"{text!r} is no watch id: it has 32 hexadecimal characters (tallystick watch list)")
    return watch_id


@watch.command("list")
@click.option("--state", type=click.Choice(sorted(_STATES)), help="Only those in this state.")
@click.option("--accounts", type=_FILE, help="Show your own account numbers: a file with a column account_number.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to list; of --out, all.")
@click.option("--out", type=_NEW_FILE, help="Write all of them here, CSV or Parquet.")
@timeout_option
@command
def list_watches(tool: Tool, state: str | None, accounts: Path | None, limit: int, out: Path | None, timeout: float | None) -> None:
    """List your own watches, in no meaningful order. Those that ended are listed for 100 days."""
    keep_apart({"--accounts": accounts}, {"--out": out})
    with tool.exchange() as exchange:
        known = book_references(exchange, accounts) if accounts is not None else {}
        watches = exchange.monitoring.list(_STATES[state] if state else WatchState.UNSPECIFIED, timeout=timeout)
        if out is not None:
            with TableWriter(out, _LISTED) as writer:
                for each in watches:
                    writer.write(_row(each, known))
            return
        listed, more = output.first(watches, limit)
    if tool.as_json:
        for each in listed:
            output.write_json(dict(zip(_LISTED, _row(each, known), strict=True)))
    else:
        tool.results.print(output.table("Watches", _LISTED, (_row(each, known) for each in listed)))
    tool.end_list(more=more)


_LISTED = ("watch_id", "account", "state", "reason", "end_date", "purpose", "consent_reference", "triggers")


def _row(watch: ListedWatch, known: dict[bytes, str]) -> tuple[str, ...]:
    return (
        watch.watch_id.hex(),
        known.get(watch.account_reference, watch.account_reference.hex()),
        describe(watch.state),
        describe(watch.reason) if watch.reason else "",
        watch.end_date.isoformat(),
        describe_purpose(watch.purpose),
        watch.consent_reference,
        "; ".join(_trigger(type_, threshold) for type_, threshold in watch.triggers.items()),
    )


def _trigger(type_: TriggerType, threshold: int) -> str:
    name = type_.name.lower()
    return f"{name}:{threshold}" if threshold else name


@watch.command()
@click.option("--accounts", type=_FILE, help="Show your own account numbers: a file with a column account_number.")
@click.option("--policy", type=_FILE, help="Your own warning policy (TOML). [default: the built-in one]")
@click.option("--exec", "program", help="Run this for each message, the message as JSON on its standard input; no shell.")
@click.option("--once", is_flag=True, help="Tell what there is now, and end.")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipts here.")
@command
def follow(
    tool: Tool, accounts: Path | None, policy: Path | None, program: str | None, once: bool, keep_receipts: Path | None
) -> None:
    """Tell what others report of your watched borrowers, as it is released, until you press Ctrl-C.

    Messages come in pages of up to 100. A page is acknowledged once all of it was shown, or the program of --exec ended with 0 for
    each; after a break some may come again, under the same message_id. Each alert has the class and action of the warning policy.
    """
    keep_apart({"--accounts": accounts, "--policy": policy}, {"--keep-receipts": keep_receipts})
    warnings = load_warning_policy(policy)
    with ExitStack() as stack:
        exchange = stack.enter_context(tool.exchange())
        known = book_references(exchange, accounts) if accounts is not None else {}
        receipts = stack.enter_context(ReceiptFile(keep_receipts))
        delivery = Delivery(tool, known, warnings, program)
        stack.enter_context(tool.concluding(delivery.show, lambda: delivery.told > 0))
        cursor = ""
        while True:
            pulled = exchange.monitoring.pull(cursor, wait=dt.timedelta(0) if once else LONGEST_WAIT)
            receipts.keep(pulled.receipt)
            for message in pulled.messages:
                delivery.tell(message)
            if pulled.next_cursor != cursor:
                acknowledged = exchange.monitoring.acknowledge(pulled.next_cursor)
                receipts.keep(acknowledged.receipt)
                cursor = acknowledged.cursor
            elif once:
                return

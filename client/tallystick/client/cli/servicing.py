"""Commands of the servicing record: record a file of events, list those of one account."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import ReceiptFile, Tool, command
from tallystick.client.cli.groups import Commands
from tallystick.client.cli.meanings import epilog, identity_types
from tallystick.client.cli.parameters import identity_options, keep_apart, required_identity, standard_input, timeout_option
from tallystick.client.cli.tally import Tally
from tallystick.client.files.events import EventRow, read_events
from tallystick.client.flows.servicing import AccountEvent
from tallystick.credit.codes import describe
from tallystick.credit.servicing import RepaymentPlan, ServicingEvent

_RECORD = "record"
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)


class _EventCommands(Commands):
    """A group in which what is no command of it is the file to record."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [_RECORD, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_EventCommands, invoke_without_command=True, subcommand_metavar="FILE | COMMAND [ARGS]...")
@click.pass_context
def event(context: click.Context) -> None:
    """Record what you did after the loan (visits, letters, lawsuits, repayment plans), and list it.

    "event FILE" is "event record FILE". No other member is told of it; auditors see it in the log.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@event.command(_RECORD, epilog=epilog(identity_types()))
@click.argument("file", type=_FILE, callback=standard_input)
@click.option("--rejects", type=_NEW_FILE, help="Write what was rejected here: row, field, reason, description.")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipts here.")
@click.option("--encoding", help="Of a CSV file that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@command
def record(tool: Tool, file: Path, rejects: Path | None, keep_receipts: Path | None, encoding: str | None) -> int:
    """Record the events of FILE (CSV or Parquet, "-" is standard input; docs/files.md has the layout).

    Each event is accepted or rejected by itself. Running it again is safe: an event that is recorded already, under the same
    event_id and with the same content, changes nothing.
    """
    keep_apart({"FILE": file}, {"--rejects": rejects, "--keep-receipts": keep_receipts})
    rows = read_events(file, encoding)
    with ExitStack() as stack:
        stack.enter_context(tool.beside(rejects, keep_receipts))
        exchange = stack.enter_context(tool.exchange())
        tally: Tally[EventRow, AccountEvent] = Tally(tool, stack, rejects, "events", lambda row: row.event)
        receipts = stack.enter_context(ReceiptFile(keep_receipts))
        stack.enter_context(tool.concluding(tally.show, lambda: tally.counts.total() > 0))
        shown = stack.enter_context(output.progress(tool.remarks, "events recorded"))
        for result in exchange.servicing.record(tally.sendable(rows)):
            receipts.keep(result.receipt)
            tally.take(result)
            shown.add()
        tally.end()
    return 1 if tally.counts["rejected"] else 0


@event.command("list", epilog=epilog(identity_types()))
@identity_options(required=True)
@click.option("--account", required=True, help="Your own account number; only a keyed hash of it is sent.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to list.")
@timeout_option
@command
def list_events(
    tool: Tool,
    kind: str,
    type_: str,
    country: str | None,
    number: str,
    account: str,
    limit: int,
    timeout: float | None,
) -> None:
    """List your own events of one account, the last recorded first."""
    identity = required_identity(kind, type_, country, number)
    with tool.exchange() as exchange:
        listed, more = output.first(exchange.servicing.list(identity, account, timeout=timeout), limit)
    if tool.as_json:
        for each in listed:
            output.write_json(each)
    else:
        columns = ("event_id", "date", "type", "channel", "outcome", "next", "plan")
        tool.results.print(output.table("Events", columns, map(_shown, listed)))
    tool.end_list(more=more)


def _shown(event: ServicingEvent) -> tuple[object, ...]:
    return (
        event.event_id,
        event.date.isoformat(),
        describe(event.type),
        describe(event.channel) if event.channel else "",
        describe(event.outcome) if event.outcome else "",
        event.next_date.isoformat() if event.next_date else "",
        _plan(event.plan) if event.plan is not None else "",
    )


def _plan(plan: RepaymentPlan) -> str:
    amount = f" of {plan.instalment_amount} (minor units)" if plan.instalment_amount else ""
    months = f", {plan.months_changed:+} months" if plan.months_changed else ""
    difficulty = ", financial difficulty" if plan.financial_difficulty else ""
    times = "1 instalment" if plan.instalments == 1 else f"{plan.instalments} instalments"
    return f"{describe(plan.kind)}: {times}{amount} from {plan.first_due_date.isoformat()}{months}{difficulty}"

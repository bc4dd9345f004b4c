"""Commands of a reporting institution: report a file, withdraw an account, look at submissions."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import ReceiptFile, Tool, command
from tallystick.client.cli.parameters import identity_options, keep_apart, read_as, required_identity
from tallystick.client.files import cells
from tallystick.client.files.accounts import AccountRows, Reject, read_accounts
from tallystick.client.files.tables import TableWriter
from tallystick.client.flows.reporting import Report, ReportResult, SubmissionDetails
from tallystick.credit.enums import ReportOutcome, WithdrawalReason

_SHOWN_REJECTS = 10
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--rejects", type=_NEW_FILE, help="Write what was rejected here: row, field, reason, description.")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipts here.")
@command
def report(tool: Tool, file: Path, rejects: Path | None, keep_receipts: Path | None) -> int:
    """Report the accounts of FILE (CSV or Parquet; docs/files.md has the layout).

    Each account is accepted or rejected by itself. Running it again is safe: what is known already changes nothing.
    """
    keep_apart({"FILE": file}, {"--rejects": rejects, "--keep-receipts": keep_receipts})
    with ExitStack() as stack:
        exchange = stack.enter_context(tool.exchange())
        tally = _Tally(tool, stack, rejects)
        receipts = stack.enter_context(ReceiptFile(keep_receipts))
        shown = stack.enter_context(output.progress(tool.remarks, "accounts reported"))
        for result in exchange.report_many(tally.reports(file)):
            receipts.keep(result.receipt)
            tally.take(result)
            shown.add()
    return tally.finish()


class _Tally:
    """Keeps the rows of the reports that are under way, and counts what becomes of them."""

    def __init__(self, tool: Tool, stack: ExitStack, rejects: Path | None) -> None:
        self._tool = tool
        self._under_way: deque[AccountRows] = deque()
        self._outcomes: Counter[ReportOutcome] = Counter()
        self._submissions: dict[uuid.UUID, None] = {}
        self._shown = 0
        columns = ("row", "field", "reason", "description")
        self._writer = stack.enter_context(TableWriter(rejects, columns, ("row",))) if rejects else None

    def reports(self, file: Path) -> Iterator[Report]:
        """The reports of the file; what cannot be read as one is rejected on the way."""
        for account in read_accounts(file):
            if account.report is None:
                self._outcomes[ReportOutcome.REJECTED] += 1
                self._reject(account.rejects)
            else:
                self._under_way.append(account)
                yield account.report

    def take(self, result: ReportResult) -> None:
        account = self._under_way.popleft()
        self._outcomes[result.outcome] += 1
        if result.request_id is not None:
            self._submissions[result.request_id] = None
        self._reject(tuple(account.reject(violation) for violation in result.violations))

    def _reject(self, rejects: tuple[Reject, ...]) -> None:
        for each in rejects:
            if self._writer is not None:
                self._writer.write((each.row, each.field, each.reason, each.description))
            elif self._shown < _SHOWN_REJECTS:
                self._tool.remark(f"row {each.row}: {each.field}: {each.description} ({each.reason})")
            elif self._shown == _SHOWN_REJECTS:
                self._tool.remark("there are more; give --rejects FILE to have them all")
            self._shown += 1

    def finish(self) -> int:
        rejected = self._outcomes[ReportOutcome.REJECTED]
        summary = {
            "accounts": self._outcomes.total(),
            "accepted": self._outcomes[ReportOutcome.ACCEPTED],
            "superseded": self._outcomes[ReportOutcome.SUPERSEDED],
            "rejected": rejected,
            "submissions": list(self._submissions),
        }
        if self._tool.as_json:
            output.write_json(summary)
        else:
            accounts, accepted, superseded = summary["accounts"], summary["accepted"], summary["superseded"]
            self._tool.results.print(
                f"{accounts} accounts: {accepted} accepted, {superseded} superseded, {rejected} rejected",
                highlight=False,
            )
        return 1 if rejected else 0


@click.command()
@identity_options(required=True)
@click.option("--account", required=True, help="Your own account number; only a keyed hash of it is sent.")
@click.option("--reason", callback=read_as(cells.code(WithdrawalReason)), required=True, help="Why it is withdrawn.")
@click.option("--as-of", callback=read_as(cells.instant), help="Reports as of this instant or earlier are dead. [default: now]")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipt here.")
@command
def withdraw(
    tool: Tool,
    kind: str,
    type_: str,
    country: str,
    number: str,
    account: str,
    reason: WithdrawalReason,
    as_of: datetime | None,
    keep_receipts: Path | None,
) -> None:
    """Withdraw one account: it disappears from every later answer."""
    identity = required_identity(kind, type_, country, number)
    with tool.exchange() as exchange, ReceiptFile(keep_receipts) as receipts:
        result = exchange.withdraw(identity, account, reason, as_of)
        receipts.keep(result.receipt)
    if tool.as_json:
        summary = {"withdrawn": result.withdrawn, "request_id": result.request_id, "entry_index": result.receipt.index}
        output.write_json(summary)
    elif result.withdrawn:
        tool.results.print("withdrawn")
    else:
        tool.results.print(
            "nothing was withdrawn: the exchange knows no such account of yours, or has it as withdrawn, or as of a later instant",
            soft_wrap=True,
        )


@click.command()
@click.argument("request_id", required=False, type=click.UUID)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to list.")
@command
def submissions(tool: Tool, request_id: uuid.UUID | None, limit: int) -> int:
    """Lists your own submissions, newest first; or shows the rejected reports of the one with REQUEST_ID."""
    with tool.exchange() as exchange:
        if request_id is not None:
            return _show_submission(tool, exchange.get_submission(request_id))
        listed, more = output.first(exchange.list_submissions(), limit)
    if tool.as_json:
        for each in listed:
            output.write_json(each)
    else:
        columns = ("request_id", "at", "accepted", "rejected", "entry")
        rows = [
            (s.request_id, s.create_time.isoformat(timespec="seconds"), s.accepted_count, s.rejected_count, s.entry_index)
            for s in listed
        ]
        tool.results.print(output.table("Submissions", columns, rows))
    tool.end_list(more=more)
    return 0


def _show_submission(tool: Tool, details: SubmissionDetails) -> int:
    submission = details.submission
    if tool.as_json:
        output.write_json({"submission": submission, "verdicts": details.verdicts})
    else:
        tool.results.print(
            f"{submission.request_id}: {submission.accepted_count} accepted, {submission.rejected_count} rejected, "
            f"entry {submission.entry_index}",
            highlight=False,
        )
        rows = [
            (place, violation.field, violation.reason, violation.description)
            for place, verdict in enumerate(details.verdicts)
            for violation in verdict.violations
        ]
        if rows:
            tool.results.print(output.table("Rejected", ("report", "field", "reason", "description"), rows))
    return 1 if submission.rejected_count else 0

"""Commands of a reporting institution: report a file, withdraw an account, look at submissions."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import ReceiptFile, Tool, command
from tallystick.client.cli.meanings import epilog, identity_types, withdrawal_reasons
from tallystick.client.cli.parameters import (
    identity_options,
    keep_apart,
    read_as,
    required_identity,
    standard_input,
    timeout_option,
)
from tallystick.client.cli.runs import Run
from tallystick.client.exchange import Exchange
from tallystick.client.files import cells
from tallystick.client.files.accounts import AccountRows, Reject, read_accounts
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.tables import TableWriter, check_resumable
from tallystick.client.flows.report_batches import Batch
from tallystick.client.flows.reporting import (
    NumberedReports,
    Report,
    ReportedBatch,
    Submission,
    SubmissionDetails,
    Withdrawal,
)
from tallystick.credit.enums import ReportOutcome, WithdrawalReason

MAX_ROWS_UNDER_WAY = 2_000
"""Accounts that go with one batch at the most, be they fit to be sent or not."""
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)


@click.command(epilog=epilog(identity_types()))
@click.argument("file", type=_FILE, callback=standard_input)
@click.option("--rejects", type=_NEW_FILE, help="Write what was rejected here: row, field, reason, description.")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipts here.")
@click.option(
    "--amounts",
    type=click.Choice([each.value for each in Amounts]),
    help="Whether 123.45 CNY is 12345 (minor) or 123.45 (major). [default: minor, and no decimals]",
)
@click.option("--encoding", help="Of a CSV file that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@click.option("--resume", is_flag=True, help="Go on with an earlier run of this file that ended early.")
@click.option(
    "--withdraw-former",
    is_flag=True,
    help="Also withdraw each account by its number exactly as spelled: it was another before numbers were normalised.",
)
@command
def report(
    tool: Tool,
    file: Path,
    rejects: Path | None,
    keep_receipts: Path | None,
    amounts: str | None,
    encoding: str | None,
    resume: bool,
    withdraw_former: bool,
) -> int:
    """Report the accounts of FILE (CSV or Parquet, "-" is standard input; docs/files.md has the layout).

    Each account is accepted or rejected by itself. Running it again is safe: what is known already changes nothing. What ends a run
    early leaves what was done: --resume goes on from there.
    """
    keep_apart({"FILE": file}, {"--rejects": rejects, "--keep-receipts": keep_receipts})
    if resume and rejects is not None:
        check_resumable(rejects)
    said = Amounts(amounts) if amounts else None
    accounts = read_accounts(file, said, encoding)
    with ExitStack() as stack:
        stack.enter_context(tool.beside(rejects, keep_receipts))
        exchange = stack.enter_context(tool.exchange())
        run = Run(
            tool,
            exchange.profile.state_folder,
            "report",
            file,
            {
                "--amounts": amounts,
                "--encoding": encoding,
                "--withdraw-former": withdraw_former,
                "--rejects": rejects,
                "--keep-receipts": keep_receipts,
            },
            resume=resume,
        )
        tally = _Tally(tool, stack, rejects, run)
        receipts = stack.enter_context(ReceiptFile(keep_receipts))
        stack.enter_context(run)
        stack.enter_context(tool.concluding(tally.show, lambda: run.progress.items > 0))
        shown = stack.enter_context(output.progress(tool.remarks, "accounts reported"))
        for batch in exchange.report_batches(tally.batches(run.input(accounts)), run=run.run):
            for result in batch.results:
                receipts.keep(result.receipt)
                if withdraw_former and result.accepted and result.report.was_referred_to_otherwise:
                    receipts.keep(_withdraw_former(exchange, result.report).receipt)
            shown.add(tally.take(batch))
        run.finish()
    return 1 if tally.rejected else 0


def _withdraw_former(exchange: Exchange, report: Report) -> Withdrawal:
    return exchange.withdraw(
        report.identity,
        report.account_number,
        WithdrawalReason.REPORTED_IN_ERROR,
        report.account.as_of,
        as_spelled=True,
    )


class _Tally:
    """Keeps the rows of the batches that are under way, and counts what becomes of them."""

    def __init__(self, tool: Tool, stack: ExitStack, rejects: Path | None, run: Run) -> None:
        self._tool = tool
        self._run = run
        self._under_way: deque[list[AccountRows]] = deque()
        self._rejects = output.FirstRemarks(tool.remark, "there are more; give --rejects FILE to have them all")
        more = 'there are more warnings; "tallystick submissions REQUEST_ID" shows all of a submission'
        self._warnings = output.FirstRemarks(tool.remark, more)
        columns = ("row", "field", "reason", "description")
        self._writer = stack.enter_context(TableWriter(rejects, columns, ("row",), resume_at=run.resume_at)) if rejects else None

    @property
    def rejected(self) -> int:
        """How many accounts were rejected."""
        return self._run.progress.counts[ReportOutcome.REJECTED.name]

    def batches(self, accounts: Iterable[AccountRows]) -> Iterator[NumberedReports]:
        """The accounts in batches; those that cannot be read as reports go with the batch that they stand in, and are not sent."""
        number, batch, rows = self._run.progress.batches, Batch(), list[AccountRows]()
        for account in accounts:
            # Before this one is added: a batch goes with the rows that came until then.
            crowded = len(rows) >= MAX_ROWS_UNDER_WAY
            cut = batch.rest() if crowded else []
            full = batch.add(account.report) if account.report is not None else []
            if crowded or full:
                self._under_way.append(rows)
                yield number, cut or full
                number, rows = number + 1, []
            rows.append(account)
        # A batch that is cut short because the run ends would be another than the next run makes of this number.
        if rows and self._run.complete:
            self._under_way.append(rows)
            yield number, batch.rest()

    def take(self, batch: ReportedBatch) -> int:
        """Counts what became of a batch; returns how many accounts it had."""
        rows, results = self._under_way.popleft(), iter(batch.results)
        progress = self._run.progress
        for account in rows:
            if account.report is None:
                progress.counts[ReportOutcome.REJECTED.name] += 1
                self._reject(account.rejects)
                continue
            result = next(results)
            progress.counts[result.outcome.name] += 1
            self._reject(tuple(account.reject(violation) for violation in result.violations))
            self._warn(tuple(account.reject(violation) for violation in result.warnings))
        for request_id in {str(result.request_id): None for result in batch.results if result.request_id is not None}:
            progress.submissions.append(request_id)
        self._run.batch_done(len(rows), self._writer.written() if self._writer is not None else 0)
        return len(rows)

    def _reject(self, rejects: tuple[Reject, ...]) -> None:
        for each in rejects:
            if self._writer is not None:
                self._writer.write((each.row, each.field, each.reason, each.description))
            else:
                self._rejects.make(f"row {each.row}: {each.field}: {each.description} ({each.reason})")

    def _warn(self, warnings: tuple[Reject, ...]) -> None:
        self._run.progress.warned += bool(warnings)
        for each in warnings:
            self._warnings.make(f"row {each.row}: accepted with a warning: {each.field}: {each.description}")

    def show(self) -> None:
        """Prints what became of the accounts: of all, or of those until the run ended early."""
        counts, complete = self._run.progress.counts, self._run.complete
        accepted, superseded = counts[ReportOutcome.ACCEPTED.name], counts[ReportOutcome.SUPERSEDED.name]
        if self._tool.as_json:
            summary = {"accounts": counts.total(), "accepted": accepted, "superseded": superseded, "rejected": self.rejected}
            summary["warned"] = self._run.progress.warned
            output.write_json({**summary, "submissions": self._run.progress.submissions, "complete": complete})
        else:
            until = "" if complete else "until the run ended early: "
            warned = f"; {self._run.progress.warned} taken with a warning" if self._run.progress.warned else ""
            self._tool.results.print(
                f"{until}{counts.total()} accounts: {accepted} accepted, {superseded} superseded, {self.rejected} rejected{warned}",
                highlight=False,
            )


@click.command(epilog=epilog(withdrawal_reasons(), identity_types()))
@identity_options(required=True)
@click.option("--account", required=True, help="Your own account number; only a keyed hash of it is sent.")
@click.option("--reason", callback=read_as(cells.code(WithdrawalReason)), required=True, help="Why: of the list below.")
@click.option("--as-of", callback=read_as(cells.instant), help="Reports as of this instant or earlier are dead. [default: now]")
@click.option("--as-spelled", is_flag=True, help="The account as it was before numbers were normalised.")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipt here.")
@timeout_option
@command
def withdraw(
    tool: Tool,
    kind: str,
    type_: str,
    country: str | None,
    number: str,
    account: str,
    reason: WithdrawalReason,
    as_of: datetime | None,
    as_spelled: bool,
    keep_receipts: Path | None,
    timeout: float | None,
) -> None:
    """Withdraw one account: it disappears from every later answer."""
    identity = required_identity(kind, type_, country, number)
    with tool.exchange() as exchange, ReceiptFile(keep_receipts) as receipts:
        result = exchange.withdraw(identity, account, reason, as_of, as_spelled=as_spelled, timeout=timeout)
        receipts.keep(result.receipt)
    with tool.beside(keep_receipts):
        tool.conclude(lambda: _show_withdrawal(tool, result))


def _show_withdrawal(tool: Tool, result: Withdrawal) -> None:
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
        columns = ("request_id", "at", "accepted", "superseded", "rejected", "entry")
        rows = [
            (
                s.request_id,
                s.create_time.isoformat(timespec="seconds"),
                s.accepted_count,
                _superseded(s),
                s.rejected_count,
                s.entry_index,
            )
            for s in listed
        ]
        tool.results.print(output.table("Submissions", columns, rows))
    tool.end_list(more=more)
    return 0


def _superseded(submission: Submission) -> str:
    return "not known" if submission.superseded_count is None else str(submission.superseded_count)


def _show_submission(tool: Tool, details: SubmissionDetails) -> int:
    submission = details.submission
    if tool.as_json:
        output.write_json({"submission": submission, "verdicts": details.verdicts})
    else:
        tool.results.print(
            f"{submission.request_id}: {submission.accepted_count} accepted, {_superseded(submission)} superseded, "
            f"{submission.rejected_count} rejected, entry {submission.entry_index}",
            highlight=False,
        )
        told = {"Rejected": [v.violations for v in details.verdicts], "Warnings": [v.warnings for v in details.verdicts]}
        for title, verdicts in told.items():
            rows = [(place, v.field, v.reason, v.description) for place, each in enumerate(verdicts) for v in each]
            if rows:
                tool.results.print(output.table(title, ("report", "field", "reason", "description"), rows))
    return 1 if submission.rejected_count else 0

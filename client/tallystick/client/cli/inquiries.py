"""Commands of a querying institution: query one subject, screen a file of applicants."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import ReceiptFile, Tool, command
from tallystick.client.cli.history import print_history
from tallystick.client.cli.parameters import identity_options, keep_apart, read_as, required_identity
from tallystick.client.cli.policy import load_policy
from tallystick.client.files import cells
from tallystick.client.files.applicants import Applicant, DecisionWriter, problem_of, read_applicants
from tallystick.client.flows.inquiries import Inquiry, InquiryOutcome
from tallystick.credit.enums import Purpose
from tallystick.credit.screening import ScreeningPolicy

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@identity_options(required=True)
@click.option(
    "--purpose", callback=read_as(cells.code(Purpose)), required=True, help='The agreed purpose, such as "loan_approval" or "02".'
)
@click.option("--consent", required=True, help="Your reference to the subject's written consent, without spaces.")
@click.option("--policy", "policy_file", type=_FILE, help="Screen by this policy. [default: the built-in one]")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipt here.")
@command
def query(
    tool: Tool,
    kind: str,
    type_: str,
    country: str,
    number: str,
    purpose: Purpose,
    consent: str,
    policy_file: Path | None,
    keep_receipts: Path | None,
) -> None:
    """Query what all members reported of one subject, and screen it by a policy."""
    keep_apart({"--policy": policy_file}, {"--keep-receipts": keep_receipts})
    policy = load_policy(policy_file)
    identity = required_identity(kind, type_, country, number)
    with tool.exchange() as exchange, ReceiptFile(keep_receipts) as receipts:
        result = exchange.query(identity, purpose, consent)
        receipts.keep(result.receipt)
    screening = policy.evaluate(result.history)
    if tool.as_json:
        output.write_json(
            {
                "decision": screening.decision,
                "reasons": [{"rule": r.rule, "decision": r.decision, "text": r.text} for r in screening.reasons],
                "history": result.history,
                "request_id": result.request_id,
                "entry_index": result.receipt.index,
            }
        )
    else:
        print_history(tool.results, result.history, screening)
        verified = f"the exchange's receipt was verified: entry {result.receipt.index} of {result.receipt.origin}"
        tool.results.print(verified, markup=False, soft_wrap=True)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--out", required=True, type=_NEW_FILE, help="Write the decisions here (CSV or Parquet).")
@click.option("--policy", "policy_file", type=_FILE, help="Screen by this policy. [default: the built-in one]")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipts here.")
@command
def screen(tool: Tool, file: Path, out: Path, policy_file: Path | None, keep_receipts: Path | None) -> int:
    """Query and screen the applicants of FILE (CSV or Parquet; docs/files.md has both layouts).

    Each applicant gets a row in the output, in the same order, under the applicant_id of the input and no other identifier.
    """
    keep_apart({"FILE": file, "--policy": policy_file}, {"--out": out, "--keep-receipts": keep_receipts})
    policy = load_policy(policy_file)
    with ExitStack() as stack:
        exchange = stack.enter_context(tool.exchange())
        run = _Run(policy, stack.enter_context(DecisionWriter(out)))
        receipts = stack.enter_context(ReceiptFile(keep_receipts))
        shown = stack.enter_context(output.progress(tool.remarks, "applicants screened"))
        for outcome in exchange.query_many(run.inquiries(file)):
            if outcome.result is not None:
                receipts.keep(outcome.result.receipt)
            run.take(outcome)
            shown.add()
        run.finish()
    if tool.as_json:
        output.write_json({"applicants": run.counts.total(), **run.counts})
    else:
        counts = ", ".join(f"{count} {what}" for what, count in sorted(run.counts.items()))
        tool.results.print(f"{run.counts.total()} applicants: {counts or 'none'}")
    return 1 if run.counts["error"] else 0


class _Run:
    """Keeps the applicants that are under way, and writes a row for each in the order of the file."""

    def __init__(self, policy: ScreeningPolicy, writer: DecisionWriter) -> None:
        self._policy = policy
        self._writer = writer
        self._under_way: deque[Applicant] = deque()
        self.counts: Counter[str] = Counter()

    def inquiries(self, file: Path) -> Iterator[Inquiry]:
        """The inquiries of the file; rows that are no inquiries wait for their turn in the output."""
        for applicant in read_applicants(file):
            self._under_way.append(applicant)
            if applicant.inquiry is not None:
                yield applicant.inquiry

    def take(self, outcome: InquiryOutcome) -> None:
        self._write_problems()
        applicant = self._under_way.popleft()
        if outcome.result is not None:
            screening = self._policy.evaluate(outcome.result.history)
            self._writer.decided(applicant.applicant_id, outcome.result, screening)
            self.counts[screening.decision.value] += 1
        elif outcome.error is not None:
            self._writer.failed(applicant.applicant_id, *problem_of(outcome.error))
            self.counts["error"] += 1

    def finish(self) -> None:
        """Writes the rows that come after the last inquiry."""
        self._write_problems()

    def _write_problems(self) -> None:
        while self._under_way and (problem := self._under_way[0].problem) is not None:
            applicant = self._under_way.popleft()
            self._writer.failed(applicant.applicant_id, problem.column, problem.reason, problem.description)
            self.counts["error"] += 1

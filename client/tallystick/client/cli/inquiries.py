"""Commands of a querying institution: query one subject, screen a file of applicants."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import ReceiptFile, Tool, command
from tallystick.client.cli.history import print_history
from tallystick.client.cli.meanings import epilog, identity_types, purposes
from tallystick.client.cli.parameters import (
    identity_options,
    keep_apart,
    read_as,
    required_identity,
    standard_input,
    timeout_option,
)
from tallystick.client.cli.policy import check_by_scorecards, load_policy, screened_by
from tallystick.client.cli.rating import print_rating, rating_value
from tallystick.client.cli.runs import Run
from tallystick.client.cli.words import Words, language_option
from tallystick.client.exceptions import AnswerMalformed
from tallystick.client.files import cells
from tallystick.client.files.applicants import Applicant, DecisionWriter, problem_of, read_applicants
from tallystick.client.files.tables import check_resumable
from tallystick.client.flows.inquiries import InquiryOutcome, NumberedInquiries, QueriedBatch, QueryResult
from tallystick.contract.limits import MAX_INQUIRIES
from tallystick.credit.enums import Purpose, Section
from tallystick.credit.languages import LANGUAGES, Language
from tallystick.credit.screening import Reason, Screening, ScreeningPolicy

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_INPUT = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)

CHINESE: Final[Mapping[str, str]] = {
    "the exchange's receipt was verified: entry {index} of {origin}": "回执已验证：{origin}日志的第{index}条",
}
"""By the English text."""


@click.command(epilog=epilog(purposes(), identity_types()))
@identity_options(required=True)
@click.option("--purpose", callback=read_as(cells.code(Purpose)), required=True, help="Why you ask: of the list below.")
@click.option(
    "--consent",
    required=True,
    help="Your reference to the subject's written consent: 1 to 64 printable ASCII characters without spaces.",
)
@click.option("--policy", "policy_file", type=_FILE, help="Screen by this policy. [default: the built-in one]")
@click.option("--rating", "rated", is_flag=True, help="Ask for the rating too. [default: if the policy looks at it]")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipt here.")
@language_option
@timeout_option
@command
def query(
    tool: Tool,
    kind: str,
    type_: str,
    country: str | None,
    number: str,
    purpose: Purpose,
    consent: str,
    policy_file: Path | None,
    rated: bool,
    keep_receipts: Path | None,
    language: Language,
    timeout: float | None,
) -> None:
    """Query what all members reported of one subject, and screen it by a policy."""
    keep_apart({"--policy": policy_file}, {"--keep-receipts": keep_receipts})
    policy = load_policy(policy_file)
    identity = required_identity(kind, type_, country, number)
    with tool.exchange() as exchange, ReceiptFile(keep_receipts) as receipts:
        check_by_scorecards(policy, exchange, timeout)
        result = exchange.query(identity, purpose, consent, sections=_sections(policy, rated=rated), timeout=timeout)
        receipts.keep(result.receipt)
    with tool.beside(keep_receipts):
        try:
            _show(tool, result, screened_by(policy, result.history), language)
        except OSError as error:
            error.add_note(f"the query was made: it is entry {result.receipt.index} of the log")
            raise


def _sections(policy: ScreeningPolicy, *, rated: bool) -> frozenset[Section]:
    """What is asked for beside the accounts."""
    return policy.sections | ({Section.RATING} if rated else frozenset())


def _show(tool: Tool, result: QueryResult, screening: Screening, language: Language) -> None:
    rating = result.history.rating
    if tool.as_json:
        output.write_json(
            {
                "decision": screening.decision,
                "reasons": [_reason(each) for each in screening.reasons],
                "history": result.history,
                **({} if rating is None else {"rating": rating_value(rating)}),
                "request_id": result.request_id,
                "entry_index": result.receipt.index,
            }
        )
    else:
        print_history(tool.results, result.history, screening, language)
        if rating is not None:
            print_rating(tool, rating, language)
        verified = "the exchange's receipt was verified: entry {index} of {origin}"
        line = Words(language, CHINESE)(verified, index=result.receipt.index, origin=result.receipt.origin)
        tool.results.print(line, markup=False, soft_wrap=True)


def _reason(reason: Reason) -> dict[str, object]:
    """For programs: the reason with its text in both languages."""
    texts = {language: reason.told(language) for language in LANGUAGES}
    return {"rule": reason.rule, "decision": reason.decision, "text": reason.text, "texts": texts}


@click.command(epilog=epilog(purposes(), identity_types()))
@click.argument("file", type=_INPUT, callback=standard_input)
@click.option("--out", required=True, type=_NEW_FILE, help="Write the decisions here (CSV or Parquet).")
@click.option("--policy", "policy_file", type=_FILE, help="Screen by this policy. [default: the built-in one]")
@click.option("--rating", "rated", is_flag=True, help="Ask for the ratings too. [default: if the policy looks at them]")
@click.option("--keep-receipts", type=_NEW_FILE, help="Append the exchange's receipts here.")
@click.option("--encoding", help="Of a CSV file that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@click.option("--resume", is_flag=True, help="Go on with an earlier run of this file that ended early.")
@language_option
@command
def screen(
    tool: Tool,
    file: Path,
    out: Path,
    policy_file: Path | None,
    rated: bool,
    keep_receipts: Path | None,
    encoding: str | None,
    resume: bool,
    language: Language,
) -> int:
    """Query and screen the applicants of FILE (CSV or Parquet, "-" is standard input; docs/files.md has both layouts).

    Each applicant gets a row in the output, in the same order, under the applicant_id of the input and no other identifier. What
    ends a run early leaves what was done: --resume goes on from there.
    """
    keep_apart({"FILE": file, "--policy": policy_file}, {"--out": out, "--keep-receipts": keep_receipts})
    if resume:
        check_resumable(out)
    policy = load_policy(policy_file)
    applicants = read_applicants(file, encoding)
    with ExitStack() as stack:
        stack.enter_context(tool.beside(out, keep_receipts))
        exchange = stack.enter_context(tool.exchange())
        check_by_scorecards(policy, exchange)
        said = {
            "--encoding": encoding,
            "--out": out,
            "--keep-receipts": keep_receipts,
            "--policy": policy_file,
            **({"--rating": rated} if rated else {}),
            **({"--language": language} if language != "en" else {}),
            "--policy (its content)": hashlib.sha256(repr(policy).encode()).hexdigest()[:12],
        }
        run = Run(tool, exchange.profile.state_folder, "screen", file, said, resume=resume)
        writer = stack.enter_context(DecisionWriter(out, resume_at=run.resume_at, language=language))
        receipts = stack.enter_context(ReceiptFile(keep_receipts))
        stack.enter_context(run)
        screened = _Screened(policy, writer, run, _sections(policy, rated=rated))
        stack.enter_context(tool.concluding(lambda: screened.show(tool), lambda: run.progress.items > 0))
        shown = stack.enter_context(output.progress(tool.remarks, "applicants screened"))
        for batch in exchange.query_batches(screened.batches(run.input(applicants)), run=run.run):
            for outcome in batch.outcomes:
                receipts.keep(outcome.receipt)
            shown.add(screened.take(batch))
        run.finish()
    return 1 if run.progress.counts["error"] else 0


class _Screened:
    """Keeps the applicants of the batches that are under way, and writes a row for each in the order of the file."""

    def __init__(self, policy: ScreeningPolicy, writer: DecisionWriter, run: Run, sections: Collection[Section]) -> None:
        self._policy = policy
        self._sections = tuple(sections)
        self._writer = writer
        self._run = run
        self._under_way: deque[list[Applicant]] = deque()

    def batches(self, applicants: Iterable[Applicant]) -> Iterator[NumberedInquiries]:
        """The applicants in batches; rows that are no inquiries go with the batch that they stand in, and are not sent."""
        iterator, number = iter(applicants), self._run.progress.batches
        while rows := list(itertools.islice(iterator, MAX_INQUIRIES)):
            if len(rows) < MAX_INQUIRIES and not self._run.complete:
                return  # cut short because the run ends, it would be another than the next run makes of this number
            self._under_way.append(rows)
            yield number, [replace(row.inquiry, sections=self._sections) for row in rows if row.inquiry is not None]
            number += 1

    def take(self, batch: QueriedBatch) -> int:
        """Writes the rows of a batch; returns how many applicants it had."""
        rows, outcomes = self._under_way.popleft(), iter(batch.outcomes)
        for applicant in rows:
            self._run.progress.counts[self._write(applicant, outcomes)] += 1
        self._run.batch_done(len(rows), self._writer.written())
        return len(rows)

    def _write(self, applicant: Applicant, outcomes: Iterator[InquiryOutcome]) -> str:
        """Writes an applicant's row; returns the decision, or "error"."""
        if (problem := applicant.problem) is not None:
            self._writer.failed(applicant.applicant_id, problem.column, problem.reason, problem.description)
            return "error"
        outcome = next(outcomes)
        if outcome.result is None:
            self._writer.failed(applicant.applicant_id, *problem_of(outcome.error or AnswerMalformed("no outcome")))
            return "error"
        screening = screened_by(self._policy, outcome.result.history)
        self._writer.decided(applicant.applicant_id, outcome.result, screening)
        return screening.decision.value

    def show(self, tool: Tool) -> None:
        """Prints the decisions: all, or those until the run ended early."""
        counts, complete = self._run.progress.counts, self._run.complete
        if tool.as_json:
            output.write_json({"applicants": counts.total(), **counts, "complete": complete})
            return
        shown = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        until = "" if complete else "until the run ended early: "
        tool.results.print(f"{until}{counts.total()} applicants: {shown or 'none'}")

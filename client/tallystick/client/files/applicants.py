"""Applicants files, one row an applicant, and the decisions file that a screening of them writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.client.exceptions import IdentityInvalid, InputInvalid, Refused, TallystickError
from tallystick.client.files import cells
from tallystick.client.files.accounts import read_identity
from tallystick.client.files.cells import CellInvalid, Cells
from tallystick.client.files.reading import TableReader
from tallystick.client.files.survey import survey
from tallystick.client.files.tables import TableWriter
from tallystick.client.flows.inquiries import Inquiry, QueryResult
from tallystick.credit.codes import disposition_code
from tallystick.credit.enums import Purpose
from tallystick.credit.screening import Screening

REQUIRED = ("applicant_id", "id_kind", "id_type", "id_country", "id_number", "purpose", "consent_reference")

DECISION_COLUMNS = (
    "applicant_id",
    "decision",
    "rules",
    "reasons",
    "outcome",
    "records",
    "records_overdue_now",
    "worst_disposition",
    "entry_index",
    "error_field",
    "error_reason",
    "error",
)
NUMBERS = ("records", "records_overdue_now", "entry_index")

_purpose = cells.code(Purpose)


@dataclass(frozen=True, slots=True)
class Applicant:
    """One row: an inquiry, or what is wrong with it."""

    row: int
    applicant_id: str
    inquiry: Inquiry | None
    problem: CellInvalid | None = None


def read_applicants(path: Path, encoding: str | None = None) -> Iterator[Applicant]:
    """The applicants of a file, in its order, a row at a time. Raises FileInvalid.

    A regular file is read through once before its first applicant comes: see tallystick.client.files.survey."""
    if path.is_file():
        survey(TableReader(path, REQUIRED, (), encoding=encoding), numbers=("id_number",))
    return applicants_of(TableReader(path, REQUIRED, (), encoding=encoding))


def applicants_of(table: TableReader) -> Iterator[Applicant]:
    """The applicants of a table, in its order."""
    positions = {name: position for position, name in enumerate(table.columns)}
    for number, values in table:
        row = Cells(positions, values)
        applicant_id = row.text("applicant_id")
        inquiry = Inquiry(
            read_identity(row),
            row.take("purpose", _purpose, Purpose.UNSPECIFIED),
            row.take("consent_reference", str, ""),
            row.take("applicant_id", str, ""),
        )
        if row.faults:
            yield Applicant(number, applicant_id, None, row.faults[0])
        else:
            yield Applicant(number, applicant_id, inquiry)


def decided(applicant_id: str, result: QueryResult, screening: Screening) -> tuple[str | int | None, ...]:
    """The row of DECISION_COLUMNS for an applicant who was screened."""
    history = result.history
    return (
        applicant_id,
        screening.decision.value,
        ";".join(reason.rule for reason in screening.reasons),
        " | ".join(reason.text for reason in screening.reasons),
        history.outcome.name.lower(),
        len(history.accounts),
        history.overdue.accounts_overdue_now,
        disposition_code(history.overdue.worst_disposition),
        result.receipt.index,
        "",
        "",
        "",
    )


def failed(applicant_id: str, field: str, reason: str, description: str) -> tuple[str | int | None, ...]:
    """The row for an applicant about whom nothing could be asked: there is no decision."""
    return applicant_id, "", "", "", "error", None, None, "", None, field, reason, description


class DecisionWriter(TableWriter):
    """Writes a decisions file. Of the applicant it holds the caller's own reference and nothing else."""

    def __init__(self, path: Path, *, resume_at: int | None = None) -> None:
        super().__init__(path, DECISION_COLUMNS, NUMBERS, resume_at=resume_at)

    def decided(self, applicant_id: str, result: QueryResult, screening: Screening) -> None:
        """A row for an applicant who was screened."""
        self.write(decided(applicant_id, result, screening))

    def failed(self, applicant_id: str, field: str, reason: str, description: str) -> None:
        """A row for an applicant about whom nothing could be asked: there is no decision."""
        self.write(failed(applicant_id, field, reason, description))


def problem_of(error: TallystickError) -> tuple[str, str, str]:
    """Column, reason and description of what is wrong with one inquiry."""
    if isinstance(error, IdentityInvalid):
        return f"id_{error.field}", error.reason, error.description
    if isinstance(error, InputInvalid):
        return error.field, error.reason, error.description
    if isinstance(error, Refused) and error.violations:
        first = error.violations[0]
        return first.field.removeprefix("inquiry."), first.reason, first.description
    return "", error.reason if isinstance(error, Refused) else "", str(error)

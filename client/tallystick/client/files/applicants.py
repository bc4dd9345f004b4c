"""Applicants files, one row an applicant, and the decisions file that a screening of them writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
from tallystick.credit.languages import Language
from tallystick.credit.ratings import Rating
from tallystick.credit.screening import Screening
from tallystick.credit.validation import stated_violations
from tallystick.crypto import identity_faults

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
    "rating",
    "score",
    "grade",
)
NUMBERS = ("records", "records_overdue_now", "entry_index", "score", "grade")

_BETWEEN = "; "

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
    return map(_checked, applicants_of(TableReader(path, REQUIRED, (), encoding=encoding)))


def _checked(applicant: Applicant) -> Applicant:
    """An applicant of whom all that is wrong is told, as of an account: who asks about one would hear of the first alone."""
    if applicant.inquiry is None or not (faults := _all_faults(applicant.inquiry, ())):
        return applicant
    return Applicant(applicant.row, applicant.applicant_id, None, _joined(faults))


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
            yield Applicant(number, applicant_id, None, _joined(_all_faults(inquiry, row.faults)))
        else:
            yield Applicant(number, applicant_id, inquiry)


def decided(
    applicant_id: str, result: QueryResult, screening: Screening, language: Language = "en"
) -> tuple[str | int | None, ...]:
    """The row of DECISION_COLUMNS for an applicant who was screened; `language` is that of the reasons."""
    history = result.history
    return (
        applicant_id,
        screening.decision.value,
        ";".join(reason.rule for reason in screening.reasons),
        " | ".join(reason.told(language) for reason in screening.reasons),
        history.outcome.name.lower(),
        len(history.accounts),
        history.overdue.accounts_overdue_now,
        disposition_code(history.overdue.worst_disposition),
        result.receipt.index,
        "",
        "",
        "",
        *_rated(history.rating),
    )


def _rated(rating: Rating | None) -> tuple[str | int | None, ...]:
    """The columns of a rating; empty where nobody asked for it."""
    return ("", None, None) if rating is None else (rating.outcome.name.lower(), rating.score, rating.grade)


def failed(applicant_id: str, field: str, reason: str, description: str) -> tuple[str | int | None, ...]:
    """The row for an applicant about whom nothing could be asked: there is no decision."""
    return applicant_id, "", "", "", "error", None, None, "", None, field, reason, description, "", None, None


class DecisionWriter(TableWriter):
    """Writes a decisions file. Of the applicant it holds the caller's own reference and nothing else."""

    def __init__(self, path: Path, *, resume_at: int | None = None, language: Language = "en") -> None:
        super().__init__(path, DECISION_COLUMNS, NUMBERS, resume_at=resume_at)
        self._language = language

    def decided(self, applicant_id: str, result: QueryResult, screening: Screening) -> None:
        """A row for an applicant who was screened."""
        self.write(decided(applicant_id, result, screening, self._language))

    def failed(self, applicant_id: str, field: str, reason: str, description: str) -> None:
        """A row for an applicant about whom nothing could be asked: there is no decision."""
        self.write(failed(applicant_id, field, reason, description))


def _all_faults(inquiry: Inquiry, known: Sequence[CellInvalid]) -> list[CellInvalid]:
    """What is known to be wrong with an applicant's row and what the exchange's rules find beside it: one fault a column."""
    found = {fault.column: fault for fault in reversed(known)}
    identity = inquiry.identity
    for each in identity_faults(identity.kind, identity.type, identity.country, identity.number):
        found.setdefault(f"id_{each.field}", CellInvalid(f"id_{each.field}", each.reason, each.description))
    for stated in stated_violations(inquiry.purpose, inquiry.consent_reference):
        found.setdefault(stated.field, CellInvalid(stated.field, stated.reason, stated.description))
    return sorted(found.values(), key=lambda fault: REQUIRED.index(fault.column))


def _joined(faults: Sequence[CellInvalid]) -> CellInvalid:
    """The faults of a row as one, each description with its column before it where there are several."""
    if len(faults) == 1:
        return faults[0]
    described = [f"{fault.column}: {fault.description}" for fault in faults]
    return CellInvalid(*(_BETWEEN.join(part) for part in ([f.column for f in faults], [f.reason for f in faults], described)))


def _column(field: str) -> str:
    """The column that a field of an inquiry comes from; "" for what is none's."""
    first = re.split(r"[.\[]", re.sub(r"^(inquiry|inquiries\[\d+\])\.", "", field))[0]
    column = "id_number" if first in ("subject", "identity") else first
    return column if column in REQUIRED else ""


def problem_of(error: TallystickError) -> tuple[str, str, str]:
    """Column, reason and description of what is wrong with one inquiry."""
    if isinstance(error, IdentityInvalid):
        return f"id_{error.field}", error.reason, error.description
    if isinstance(error, InputInvalid):
        return _column(error.field), error.reason, error.description
    if isinstance(error, Refused) and error.violations:
        named = {_column(each.field): CellInvalid(_column(each.field), each.reason, each.description) for each in error.violations}
        joined = _joined([*named.values()])
        return joined.column, joined.reason, joined.description
    reason = error.reason if isinstance(error, Refused) else ""
    return "id_number" if reason == "EVALUATION_QUOTA_EXCEEDED" else "", reason, str(error)

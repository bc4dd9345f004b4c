"""All that is wrong with a row is named at once: who has mended one column of a file should not find the next one a run later."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.client.files.rows import ROW, only, write_csv

from tallystick.client import Identity, Refused, Report, Violation
from tallystick.client.files.applicants import problem_of, read_applicants
from tallystick.credit.enums import AccountType, ReportOutcome, SubjectKind
from tallystick.credit.history import Account


@pytest.mark.parametrize(
    ("wrong", "columns"),
    [
        ({"as_of": "yesterday", "status": "99"}, {"as_of", "status"}),
        ({"as_of": "yesterday", "id_number": "C01X00T47!"}, {"as_of", "id_number"}),
        ({"balance": "much", "opened_date": "soon", "currency": "XXX"}, {"balance", "opened_date", "currency"}),
        ({"account_type": "X9", "status": "99"}, {"account_type"}),
        ({"account_type": "X9", "id_type": "77", "id_country": "QQ"}, {"account_type", "id_type", "id_country"}),
        ({"role": "friend", "liability_amount": "5"}, {"role"}),
        ({"month": "September", "disposition": "8", "days_past_due": "no"}, {"month", "disposition", "days_past_due"}),
        ({"disposition": "8", "account_number": "6.22204E+15", "status": "99"}, {"disposition", "account_number", "status"}),
        ({"id_kind": "ghost", "closed_date": "1999-01-01"}, {"id_kind", "closed_date"}),
        (
            {"running_since_date": "2025-09-03", "running_days_past_due": "", "asset_quality": "fine"},
            {"running_days_past_due", "asset_quality"},
        ),
        (
            {"days_past_due": "99999999", "id_country": "QQ", "special_transactions": "{"},
            {"days_past_due", "id_country", "special_transactions"},
        ),
    ],
)
def test_all_that_is_wrong_with_a_row_is_named_at_once(tmp_path: Path, wrong: dict[str, str], columns: set[str]) -> None:
    """What cannot be read here, and what the exchange would find beside it; nothing that only follows from the one."""
    found = only(write_csv(tmp_path / "a.csv", [{**ROW, **wrong}])).rejects
    assert {each.field for each in found} == columns
    assert len(found) == len(columns)


def test_each_row_of_an_account_is_named_and_in_order(tmp_path: Path) -> None:
    months = [{"month": "2025-09"}, {"month": "2025-08", "disposition": "8"}, {"month": "2025-09"}]
    found = only(write_csv(tmp_path / "a.csv", [{**ROW, "status": "99", **month} for month in months])).rejects
    assert [(each.row, each.field) for each in found] == [(2, "status"), (3, "disposition"), (4, "month")]


def test_what_keeps_a_report_here_does_not_hide_what_the_exchange_would_find(system: Any) -> None:
    """A number that does not hold is found before anything is sent, and a status that the type cannot have by the exchange."""
    identity = Identity(kind="person", type="10", country="DE", number="123")
    account = Account(
        as_of=datetime(2025, 9, 30, tzinfo=UTC),
        account_type=AccountType.D1,
        status=99,
        currency="XXX",
        opened_date=date(2024, 1, 1),
        subject_kind=SubjectKind.PERSON,
    )
    with system.open() as exchange:
        result = exchange.report(Report(identity, "n" * 500, account))
    assert result.outcome is ReportOutcome.REJECTED
    found = {violation.field for violation in result.violations}
    assert found == {"identity.country", "identity.number", "account_number", "account.status", "account.currency"}
    assert len(found) == len(result.violations)
    assert system.exchange.calls == []


APPLICANT = {
    "applicant_id": "A-1",
    "id_kind": "person",
    "id_type": "2",
    "id_country": "DE",
    "id_number": "C01X00T47",
    "purpose": "02",
    "consent_reference": "C-1",
}


@pytest.mark.parametrize(
    ("wrong", "columns"),
    [
        ({"id_number": "?"}, "id_number"),
        ({"id_number": "?", "consent_reference": "two words"}, "id_number; consent_reference"),
        ({"id_country": "QQ", "id_number": "", "purpose": "curiosity"}, "id_country; id_number; purpose"),
        (dict.fromkeys(APPLICANT, ""), "; ".join(APPLICANT)),
    ],
)
def test_all_that_is_wrong_with_an_applicant_is_named(tmp_path: Path, wrong: dict[str, str], columns: str) -> None:
    rows = [{**APPLICANT, **wrong}, APPLICANT]
    if not any(rows[0].values()):
        rows[0]["applicant_id"] = "A-1"
        columns = columns.removeprefix("applicant_id; ")
    first, second = read_applicants(write_csv(tmp_path / "a.csv", rows, tuple(APPLICANT)))
    assert second.inquiry is not None
    assert first.inquiry is None
    assert first.problem is not None
    assert first.problem.column == columns
    assert len(first.problem.reason.split("; ")) == len(columns.split("; "))
    if ";" in columns:
        assert all(f"{column}: " in first.problem.description for column in columns.split("; "))


def test_the_column_of_a_refusal_is_one_of_the_file() -> None:
    fields = {"inquiry.subject.element": "id_number", "inquiries[3].purpose": "purpose", "inquiry.surprise": ""}
    for field, column in fields.items():
        assert problem_of(Refused("no", reason="X", violations=[Violation(field, "X", "no")]))[0] == column

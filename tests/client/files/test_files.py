"""Files: what is in them comes out as it went in, CSV and Parquet alike, and every fault is named by row and column."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.client.files.rows import COLUMNS, ROW, only, write_csv

from tallystick.client import FileInvalid, Violation
from tallystick.client.files import accounts
from tallystick.client.files.accounts import read_accounts
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.applicants import DECISION_COLUMNS, read_applicants
from tallystick.client.files.events import OPTIONAL as EVENT_COLUMNS
from tallystick.client.files.events import read_events
from tallystick.client.files.reading import TableReader
from tallystick.client.files.tables import TableWriter
from tallystick.client.files.watches import OPTIONAL as WATCH_COLUMNS
from tallystick.client.files.watches import read_watches
from tallystick.client.flows.monitoring import faults_of as watch_faults_of
from tallystick.client.flows.servicing import faults_of
from tallystick.client.identities import canonical
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
    Disposition,
    ObligorRole,
    Purpose,
    SpecialTransactionType,
    SubjectKind,
)
from tallystick.credit.history import Account, AccountMonth, RelatedObligor, RunningOverdue, SpecialTransaction


def reject(path: Path) -> tuple[int, str, str]:
    account = only(path)
    assert account.report is None
    return account.rejects[0].row, account.rejects[0].field, account.rejects[0].reason


FULL_ROW = {
    **ROW,
    "asset_quality": "2",
    "credit_limit": "5000000",
    "balance": "-12",
    "closed_date": "2025-09-29",
    "role": "guarantor",
    "liability_amount": "77",
    "running_since_date": "2025-08-01",
    "running_days_past_due": "60",
    "running_amount": "12345",
    "collection_stage": "reminder",
    "special_transactions": '[{"type": "extension", "date": "2025-09-03", "months_changed": 3}, {"type": 4, "date": '
    '"2025-09-04", "amount": 100}]',
    "related_obligors": '[{"role": "co-borrower", "kind": "person", "liability_amount": 5}]',
    "annotations": "dispute 2",
    "days_past_due": "0",
    "paid_amount": "100",
}


def test_everything_an_account_can_say(tmp_path: Path) -> None:
    second = {
        **FULL_ROW,
        "month": "2025-08-01",
        "disposition": "2",
        "days_past_due": "31",
        "overdue_amount": "7",
        "paid_amount": "",
    }
    account = only(write_csv(tmp_path / "a.csv", [FULL_ROW, second]))
    assert account.rows == (2, 3)
    assert account.report is not None
    assert account.report.account_number == "00017"
    assert account.report.identity.number == "C01X00T47"
    assert account.report.account == Account(
        as_of=dt.datetime(2025, 9, 30, 15, 59, 59, tzinfo=dt.UTC),
        account_type=AccountType.R2,
        status=1,
        currency="CNY",
        opened_date=dt.date(2020, 1, 31),
        subject_kind=SubjectKind.PERSON,
        role=ObligorRole.GUARANTOR,
        asset_quality=AssetQuality.SPECIAL_MENTION,
        credit_limit=5_000_000,
        balance=-12,
        closed_date=dt.date(2025, 9, 29),
        liability_amount=77,
        months=(
            AccountMonth(month=dt.date(2025, 9, 1), disposition=Disposition.PAID_AS_AGREED, days_past_due=0, paid_amount=100),
            AccountMonth(month=dt.date(2025, 8, 1), disposition=Disposition.OVERDUE_2, days_past_due=31, overdue_amount=7),
        ),
        running_overdue=RunningOverdue(
            since_date=dt.date(2025, 8, 1), days_past_due=60, amount=12345, collection_stage=CollectionStage.REMINDER
        ),
        special_transactions=(
            SpecialTransaction(type=SpecialTransactionType.EXTENSION, date=dt.date(2025, 9, 3), months_changed=3),
            SpecialTransaction(type=SpecialTransactionType.PREPAYMENT, date=dt.date(2025, 9, 4), amount=100),
        ),
        related_obligors=(RelatedObligor(role=ObligorRole.CO_BORROWER, kind=SubjectKind.PERSON, liability_amount=5),),
        annotations=(AnnotationType.DISPUTE, AnnotationType.SPECIAL),
    )


def test_parquet_says_the_same_with_its_own_types(tmp_path: Path) -> None:
    text = only(write_csv(tmp_path / "a.csv", [{**ROW, "balance": "12"}]))
    typed = {
        **{name: [value] for name, value in ROW.items()},
        "as_of": [dt.datetime(2025, 9, 30, 15, 59, 59, tzinfo=dt.UTC)],
        "status": [1],
        "opened_date": [dt.date(2020, 1, 31)],
        "month": [dt.datetime(2025, 9, 1)],  # as pandas stores a day
        "balance": [12.0],
        "credit_limit": pyarrow.array([None], pyarrow.int64()),
    }
    pyarrow.parquet.write_table(pyarrow.table(typed), tmp_path / "a.parquet")
    (typed_account,) = read_accounts(tmp_path / "a.parquet", Amounts.MINOR)
    assert typed_account.report == text.report


def test_rows_of_one_account_make_one_report_and_an_account_may_have_no_month(tmp_path: Path) -> None:
    other = {**ROW, "account_number": "00018", "month": "", "disposition": ""}
    rows = [ROW, {**ROW, "month": "2025-08"}, other, ROW]
    found = list(read_accounts(write_csv(tmp_path / "a.csv", rows)))
    assert [account.rows for account in found] == [(2, 3), (4,), (5,)]
    assert [len(account.report.account.months) for account in found if account.report] == [2, 0, 1]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("id_kind", "ghost", "FIELD_MALFORMED"),
        ("id_type", "", "FIELD_REQUIRED"),
        ("as_of", "2025-09-30T23:59:59", "FIELD_MALFORMED"),
        ("as_of", "yesterday", "FIELD_MALFORMED"),
        ("account_type", "2", "FIELD_MALFORMED"),
        ("status", "-1", "FIELD_MALFORMED"),
        ("balance", "1e3", "FIELD_MALFORMED"),
        ("balance", "９", "FIELD_MALFORMED"),
        ("opened_date", "31.01.2020", "FIELD_MALFORMED"),
        ("month", "2025-13", "FIELD_MALFORMED"),
        ("month", "2025-09-02", "FIELD_MALFORMED"),
        ("month", "", "FIELD_REQUIRED"),
        ("disposition", "8", "FIELD_MALFORMED"),
        ("days_past_due", "some", "FIELD_MALFORMED"),
        ("role", "friend", "FIELD_MALFORMED"),
        ("running_amount", "1", "FIELD_REQUIRED"),
        ("special_transactions", "{}", "FIELD_MALFORMED"),
        ("special_transactions", '[{"type": "extension"}]', "FIELD_MALFORMED"),
        ("special_transactions", '[{"type": "extension", "date": "2025-09-03", "surprise": 1}]', "FIELD_MALFORMED"),
        ("special_transactions", "[" * 100_000, "FIELD_MALFORMED"),
        ("related_obligors", '[{"role": 1, "kind": "ghost"}]', "FIELD_MALFORMED"),
        ("annotations", "1,2", "FIELD_MALFORMED"),
    ],
)
def test_a_cell_that_cannot_be_read_rejects_its_account_alone(tmp_path: Path, column: str, value: str, reason: str) -> None:
    good = {**ROW, "account_number": "00018"}
    bad, after = read_accounts(write_csv(tmp_path / "a.csv", [{**ROW, column: value}, good]))
    assert after.report is not None
    assert bad.report is None
    expected = {"running_amount": ["running_since_date", "running_days_past_due"]}.get(column, [column])
    assert [(each.row, each.field, each.reason) for each in bad.rejects] == [(2, each, reason) for each in expected]
    assert "surprise" not in bad.rejects[0].description, "what is in a cell is not told again"


def test_rows_of_one_account_must_agree(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "month": "2025-08", "id_number": "C01X00T48"}]
    assert reject(write_csv(tmp_path / "a.csv", rows)) == (3, "id_number", "FIELDS_INCONSISTENT")
    rows = [ROW, {**ROW, "month": "2025-08", "currency": "EUR", "balance": "7"}]
    found = only(write_csv(tmp_path / "b.csv", rows)).rejects
    assert [(each.row, each.field) for each in found] == [(3, "currency"), (3, "balance")]


def test_an_account_with_endless_rows_is_rejected_in_bounded_memory(tmp_path: Path) -> None:
    rows = [ROW] * (accounts.MAX_ROWS * 3)
    account = only(write_csv(tmp_path / "a.csv", rows))
    assert account.rejects[0].reason == "FIELD_OUT_OF_RANGE"
    assert len(account.rejects) <= accounts.MAX_ROWS
    assert len(account.rows) <= accounts.MAX_ROWS


@pytest.mark.parametrize(
    ("field", "row", "column"),
    [
        ("identity.number", 2, "id_number"),
        ("account_number", 2, "account_number"),
        ("account.currency", 2, "currency"),
        ("account.months[1].disposition", 3, "disposition"),
        ("account.months[1]", 3, "month"),
        ("account.months[9].disposition", 2, "month"),
        ("account.months[1].surprise", 3, "month"),
        ("account_reference", 2, "account_number"),
        ("account_reference.digest", 2, "account_number"),
        ("subject.element", 2, "id_number"),
        ("account.running_overdue.surprise", 2, "running_since_date"),
        ("account", 2, "account_number"),
        ("", 2, "account_number"),
        ("account.running_overdue.amount", 2, "running_amount"),
        ("account.special_transactions[0].date", 2, "special_transactions"),
    ],
)
def test_what_the_exchange_rejects_is_named_by_row_and_column(tmp_path: Path, field: str, row: int, column: str) -> None:
    account = only(write_csv(tmp_path / "a.csv", [ROW, {**ROW, "month": "2025-08"}]))
    rejected = account.reject(Violation(field, "CODE_UNKNOWN", "no"))
    assert (rejected.row, rejected.field) == (row, column)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"id_kind,id_type\n", "missing: id_country"),
        (b",".join(name.encode() for name in (*COLUMNS, "surname")), "unknown columns: surname"),
        (b",".join(name.encode() for name in (*COLUMNS, "month")), "twice"),
        (b",".join(name.encode() for name in COLUMNS) + b"\na,b\n", "row 2 has 2 cells"),
        (b",".join(name.encode() for name in COLUMNS) + b"\n\xff", "UTF-8"),
        (b",".join(name.encode() for name in COLUMNS) + b'\n"open', "row 2: not CSV"),
        (b";".join(name.encode() for name in COLUMNS), "separated by ';'"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(FileInvalid, match=says):
        list(read_accounts(path))


def test_numbers_that_lost_their_zeros_are_refused_in_parquet(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {**{name: [value] for name, value in ROW.items()}, "id_number": [17]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    with pytest.raises(FileInvalid, match="id_number must be text"):
        list(read_accounts(tmp_path / "a.parquet"))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(FileInvalid, match="Parquet"):
        list(read_accounts(tmp_path / "b.parquet"))


def test_in_parquet_nan_is_empty_and_what_is_no_whole_number_rejects_its_account_alone(tmp_path: Path) -> None:
    values = [0.0, float("nan"), float("inf"), 0.5, 1e300]
    columns: dict[str, list[Any]] = {name: [value] * len(values) for name, value in ROW.items()}
    columns |= {"account_number": [f"a-{n}" for n in range(len(values))], "days_past_due": values}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    found = list(read_accounts(tmp_path / "a.parquet"))
    assert [account.report.account.months[0].days_past_due for account in found if account.report] == [0, None]
    assert [(each.row, each.field) for account in found for each in account.rejects] == [(n, "days_past_due") for n in (3, 4, 5)]


def test_the_line_that_is_not_utf_8_is_named_however_large_the_buffer(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{**ROW, "account_number": str(n)} for n in range(3_000)])
    with path.open("ab") as file:
        file.write("M\u00fcller".encode("latin-1"))
    # Before anything is given.
    with pytest.raises(FileInvalid, match="line 3002: not UTF-8"):
        read_accounts(path)


def test_lines_of_commas_alone_are_skipped(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [ROW])
    with path.open("a") as file:
        file.write("," * (len(COLUMNS) - 1) + "\n,,,\n")
    assert only(path).rows == (2,)


def test_an_output_takes_its_place_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("earlier")

    def fail() -> None:
        with TableWriter(path, ("name",)) as writer:
            writer.write(("x",))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    assert path.read_text() == "earlier"
    assert (tmp_path / "out.partial.csv").read_text() == "name\nx\n"
    assert "out.partial.csv" in caught.value.__notes__[0]
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    with TableWriter(link, ("name",)) as writer:
        writer.write(("y",))
    assert link.is_symlink()
    assert path.read_text() == "name\ny\n"
    assert not (tmp_path / "out.partial.csv").exists()
    with pytest.raises(FileInvalid, match=r"none/out\.csv: cannot be written"):
        TableWriter(tmp_path / "none" / "out.csv", ("name",))


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FileInvalid, match=r"tallystick\[parquet\]"):
        list(read_accounts(tmp_path / "a.parquet"))


def test_a_byte_order_mark_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [ROW])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\r\n\r\n"))
    assert only(path).report is not None


def test_applicants_are_read_in_order_with_what_is_wrong_with_them(tmp_path: Path) -> None:
    row = {
        "applicant_id": "app-1",
        "id_kind": "person",
        "id_type": "2",
        "id_country": "DE",
        "id_number": "C01X00T47",
        "purpose": "02",
        "consent_reference": "c-1",
    }
    rows = [row, {**row, "purpose": "curiosity"}, {**row, "applicant_id": ""}, {**row, "purpose": "loan_approval"}]
    found = list(read_applicants(write_csv(tmp_path / "a.csv", rows, tuple(row))))
    assert [applicant.inquiry is not None for applicant in found] == [True, False, False, True]
    assert [applicant.problem.column for applicant in found if applicant.problem] == ["purpose", "applicant_id"]
    assert found[0].inquiry is not None
    assert found[0].inquiry.purpose is Purpose.LOAN_APPROVAL


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@example(rows=[(" ", None), ("'=1", 1), (" '=1", None), ("=1", None)])
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1),
            st.integers(-(2**63), 2**63 - 1) | st.none(),
        )
    )
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[tuple[str, int | None]]
) -> None:
    path = tmp_path_factory.mktemp("table") / f"t.{suffix}"
    with TableWriter(path, ("name", "count"), ("count",)) as writer:
        for row in rows:
            writer.write(row)
    expected = [[name.strip(), "" if count is None else str(count)] for name, count in rows]
    assert [cells for _, cells in TableReader(path, ("name", "count"), ())] == expected


@pytest.mark.parametrize("end", [b'"a quotation mark that is left open', b"three,cells,here\n", b"\x1a\n", b"\xd5\xcb\n"])
def test_what_is_wrong_at_a_file_s_end_is_told_before_its_first_account(tmp_path: Path, end: bytes) -> None:
    path = write_csv(tmp_path / "a.csv", [{**ROW, "account_number": str(n)} for n in range(5_000)])
    with path.open("ab") as file:
        file.write(end)
    with pytest.raises(FileInvalid, match=r"(row|line) 5002"):
        read_accounts(path)


def test_a_pipe_is_read_as_far_as_it_is_needed(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = write_csv(tmp_path / "a.csv", [{**ROW, "account_number": str(n)} for n in range(5_000)])

    def fill() -> None:
        with pipe.open("wb") as file, contextlib.suppress(BrokenPipeError):
            file.write(source.read_bytes() + b'"left open')

    filling = threading.Thread(target=fill)
    filling.start()
    read = read_accounts(pipe)
    assert [next(read).rows for _ in range(1_000)] == [(n,) for n in range(2, 1_002)]
    with pytest.raises(FileInvalid):
        list(read)
    filling.join()


def test_the_examples_of_the_documentation_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "files.md").read_text("utf-8")
    reported, done, watched, asked = [block.partition("```")[0] for block in page.split("```csv\n")[1:]]
    (tmp_path / "accounts.csv").write_text(reported)
    (tmp_path / "events.csv").write_text(done)
    (tmp_path / "watches.csv").write_text(watched)
    (tmp_path / "applicants.csv").write_text(asked)
    found = list(read_accounts(tmp_path / "accounts.csv"))
    assert [account.rows for account in found] == [(2, 3), (4,)]
    assert all(account.report and canonical(account.report.identity) for account in found)
    events = [row.event for row in read_events(tmp_path / "events.csv")]
    assert [event is not None and faults_of(event.event) for event in events] == [[], []]
    watches = [row.watch for row in read_watches(tmp_path / "watches.csv")]
    assert [watch is not None and watch_faults_of(watch.watch) for watch in watches] == [[], []]
    applicants = list(read_applicants(tmp_path / "applicants.csv"))
    assert all(applicant.inquiry and canonical(applicant.inquiry.identity) for applicant in applicants)
    for column in (*COLUMNS, *EVENT_COLUMNS, *WATCH_COLUMNS, *DECISION_COLUMNS):
        assert f"`{column}`" in page

"""Frames of pandas: the rules of docs/files.md, with what pandas makes of missing values, numbers and instants."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.client.files.rows import ROW, write_csv

from tallystick.client import FileInvalid, Identity, Inquiry, Purpose
from tallystick.client.files.accounts import Reject, read_accounts
from tallystick.client.frames import from_frame, inquiries_from_frame, to_frame
from tallystick.credit import ScreeningPolicy
from tallystick.testing import InMemoryExchange, account, person

APPLICANT = {
    "applicant_id": "A-1",
    "id_kind": "person",
    "id_type": "2",
    "id_country": "DE",
    "id_number": "C01X00T47",
    "purpose": "loan_approval",
    "consent_reference": "C-1",
}


def frame_of(*changes: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{**ROW, **each} for each in changes or ({},)])


def test_a_frame_is_read_as_its_file_is(tmp_path: Path) -> None:
    rows = [
        {"balance": "12345", "month": "2025-09", "disposition": "1", "days_past_due": "12"},
        {"balance": "12345", "month": "2025-08", "days_past_due": ""},
        {"account_number": "00018", "credit_limit": "5", "month": "", "disposition": ""},
    ]
    path = write_csv(tmp_path / "accounts.csv", [{**ROW, **row} for row in rows])
    expected = [each.report for each in read_accounts(path)]
    text = pd.read_csv(path, dtype=str)
    assert from_frame(text) == expected
    typed = text.assign(
        balance=pd.array([12345, 12345, None], dtype="Int64"),
        credit_limit=pd.array([None, None, 5], dtype="Int64"),
        status=[1, 1, 1],
        days_past_due=[12.0, float("nan"), float("nan")],
        as_of=pd.to_datetime(text["as_of"]),
        opened_date=pd.to_datetime(text["opened_date"]),
        month=[dt.date(2025, 9, 1), dt.date(2025, 8, 1), pd.NaT],
        disposition=text["disposition"].astype("category"),
        account_type=text["account_type"].astype("category"),
    )
    for index in (typed.index, [7, 7, 7], pd.Index(["x", "y", "z"])):
        assert from_frame(typed.set_axis(index, axis=0)) == expected
    typed.to_parquet(parquet := tmp_path / "accounts.parquet")
    assert [each.report for each in read_accounts(parquet)] == expected


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, ""])
def test_what_is_missing_is_not_known(missing: Any) -> None:
    (report,) = from_frame(frame_of({"balance": missing, "closed_date": missing, "role": missing}))
    assert (report.account.balance, report.account.closed_date) == (None, None)
    rejects: list[Reject] = []
    assert from_frame(frame_of({"opened_date": missing}), rejects=rejects) == []
    assert [(each.row, each.field, each.reason) for each in rejects] == [(0, "opened_date", "FIELD_REQUIRED")]


@pytest.mark.parametrize("column", ["account_number", "id_number", "id_type"])
@pytest.mark.parametrize(
    "values",
    [
        [62220017, 62220018],
        [62220017.0, float("nan")],
        ["62220017", 62220018],
        pd.array([62220017, None], dtype="Int64"),
        pd.Categorical([62220017, 62220018]),
        [Decimal(17), "x"],
    ],
    ids=["int", "float", "mixed", "nullable", "category", "decimal"],
)
def test_numbers_of_documents_and_accounts_are_text(column: str, values: Any) -> None:
    frame = frame_of({"account_number": "1"}, {"account_number": "2"})
    with pytest.raises(FileInvalid, match=rf"^the frame: column {column} must be text"):
        from_frame(frame.assign(**{column: values}))


@pytest.mark.parametrize("value", [12345.0, 123.45, "123.45", Decimal("123.40"), Decimal("12345.00")])
def test_decimals_in_amounts_refuse_the_frame_until_somebody_says_what_they_are(value: Any) -> None:
    frame = frame_of({"account_number": "1"}, {"account_number": "2", "balance": value})
    with pytest.raises(FileInvalid, match=r'column balance, row 1: .*amounts="major".*amounts="minor"'):
        from_frame(frame)
    assert from_frame(frame, amounts="major")[1].account.balance == int(Decimal(str(value)) * 100)
    with pytest.raises(ValueError, match="cents"):
        from_frame(frame, amounts="cents")  # type: ignore[arg-type]


def test_a_missing_amount_makes_a_column_of_decimals_and_is_told() -> None:
    frame = frame_of({"account_number": "1"}, {"account_number": "2"}).assign(balance=[5, None])
    with pytest.raises(FileInvalid, match="column balance, row 0"):
        from_frame(frame)
    assert [each.account.balance for each in from_frame(frame, amounts="minor")] == [5, None]
    assert [each.account.balance for each in from_frame(frame.astype({"balance": "Int64"}))] == [5, None]


@pytest.mark.parametrize(
    ("as_of", "read"),
    [
        (pd.Timestamp("2025-09-30T23:59:59.123456789+08:00"), dt.datetime(2025, 9, 30, 15, 59, 59, tzinfo=dt.UTC)),
        (pd.Timestamp("2025-09-30", tz="Asia/Taipei"), dt.datetime(2025, 9, 29, 16, tzinfo=dt.UTC)),
        (dt.datetime(2025, 9, 30, tzinfo=dt.UTC), dt.datetime(2025, 9, 30, tzinfo=dt.UTC)),
        (pd.Timestamp("2025-09-30T23:59:59"), None),
        (pd.Timestamp("2025-09-30"), None),
    ],
)
def test_an_instant_has_a_time_zone(as_of: Any, read: dt.datetime | None) -> None:
    rejects: list[Reject] = []
    reports = from_frame(frame_of({"as_of": as_of}), rejects=rejects)
    assert [each.account.as_of for each in reports] == ([] if read is None else [read])
    assert [each.field for each in rejects] == ([] if read else ["as_of"])


def test_an_instant_that_no_calendar_has_refuses_the_frame() -> None:
    later = pd.Series([10**12]).astype("datetime64[s]")
    with pytest.raises(FileInvalid, match="row 0: as_of: is no instant"):
        from_frame(frame_of().assign(as_of=later))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda frame: frame.drop(columns="status"), "columns are missing: status"),
        (lambda frame: frame.assign(surplus=1), "unknown columns: surplus"),
        (lambda frame: pd.concat([frame, frame[["status"]]], axis=1), "a column occurs twice"),
        (lambda frame: frame.assign(Status=1), "a column occurs twice"),
        (lambda frame: frame.rename(columns={"status": 7}), "names that are text"),
        (lambda frame: frame.set_axis(pd.MultiIndex.from_product([["a"], frame.columns]), axis=1), "names that are text"),
        (lambda frame: frame.iloc[:0], "no row"),
        (lambda frame: frame.assign(annotations=[["dispute"]]), "row 0: annotations: a cell is neither text"),
        (lambda frame: frame.assign(as_of=pd.PeriodIndex(["2025-09"], freq="M")), "row 0: as_of: a cell is neither text"),
    ],
)
def test_what_is_no_accounts_frame_is_refused_whole(spoil: Any, told: str) -> None:
    rejects: list[Reject] = []
    with pytest.raises(FileInvalid, match=told):
        from_frame(spoil(frame_of()), rejects=rejects)
    assert rejects == []


def test_a_row_is_its_position_and_is_told_before_anything_is_sent() -> None:
    frame = frame_of({"account_number": "1"}, {"account_number": "2", "status": "x"}, {"account_number": "3", "month": "13"})
    frame = frame.set_axis([30, 10, 20], axis=0)
    with pytest.raises(FileInvalid, match=r"^the frame: row 1: status: .*\(and 1 more"):
        from_frame(frame)
    rejects: list[Reject] = []
    assert [each.account_number for each in from_frame(frame, rejects=rejects)] == ["1"]
    assert [(each.row, each.field) for each in rejects] == [(1, "status"), (2, "month")]
    assert frame.iloc[rejects[0].row]["account_number"] == "2"


def test_damaged_numbers_are_recognised() -> None:
    with pytest.raises(FileInvalid, match=r"row 0: account_number: .*E"):
        from_frame(frame_of({"account_number": "6.22204E+18"}))
    rounded = [f"6222040{n:08d}0000" for n in range(1, 10)]
    with pytest.raises(FileInvalid, match="column account_number: most of the long numbers end in zeros"):
        from_frame(frame_of(*({"account_number": each} for each in rounded)))


def test_numpy_s_own_numbers_are_numbers() -> None:
    frame = frame_of({"account_number": "1"}, {"account_number": "2"}).assign(status=pd.Series([1, 1], dtype="uint8"))
    frame["credit_limit"] = pd.Series(list(pd.Series([7, 8]).to_numpy()), dtype=object)
    assert [each.account.credit_limit for each in from_frame(frame)] == [7, 8]


def test_applicants_become_decisions_and_a_frame() -> None:
    memory = InMemoryExchange()
    memory.known(Identity.passport("DE", "C01X00T47"), account(written_off=True))
    frame = pd.DataFrame(
        [APPLICANT, {**APPLICANT, "applicant_id": "A-2", "id_number": "C01X00T48", "consent_reference": "two words"}]
    )
    with memory.exchange() as exchange:
        decisions = to_frame(exchange.query_many(inquiries_from_frame(frame)))
        chinese = to_frame(exchange.query_many(inquiries_from_frame(frame)), language="zh")
    assert "1个账户为呆账或已核销（机构1）" in chinese.loc[0, "reasons"]
    assert "bad debt or written off on 1 account (institution 1)" in decisions.loc[0, "reasons"]
    assert list(decisions["decision"]) == ["decline", pd.NA]
    assert list(decisions["outcome"]) == ["found", "error"]
    assert (decisions["records"].dtype, list(decisions["records"])) == (pd.Int64Dtype(), [1, pd.NA])
    assert decisions.loc[1, "error_field"] == "consent_reference"
    assert pd.read_csv(io.StringIO(decisions.to_csv(index=False)))["decision"].tolist()[0] == "decline"
    rejects: list[Reject] = []
    bad = pd.DataFrame([{**APPLICANT, "purpose": "curiosity"}])
    assert inquiries_from_frame(bad, rejects=rejects) == []
    assert [(each.row, each.field) for each in rejects] == [(0, "purpose")]
    with pytest.raises(FileInvalid, match="row 0: purpose"):
        inquiries_from_frame(bad)


def test_reports_become_a_frame() -> None:
    memory = InMemoryExchange()
    frame = frame_of({"account_number": "1"}, {"account_number": "2", "status": "99"})
    with memory.exchange() as exchange:
        results = to_frame(exchange.report_many(from_frame(frame)))
        asked = list(exchange.query_many([Inquiry(person(), Purpose.LOAN_APPROVAL, "C")]))
        mixed: list[Any] = [*asked, *exchange.report_many(from_frame(frame))]
    assert results[["account_number", "outcome", "error_field"]].values.tolist() == [
        ["1", "accepted", pd.NA],
        ["2", "rejected", "account.status"],
    ]
    for each in (mixed, list(reversed(mixed))):
        with pytest.raises(FileInvalid, match="not both"):
            to_frame(each)


def test_of_nothing_there_is_an_empty_frame() -> None:
    assert len(to_frame([])) == 0
    assert "decision" in to_frame([], ScreeningPolicy.default()).columns


@pytest.mark.parametrize("value", [[ROW], "good.csv", ROW, None])
def test_what_is_no_frame_is_told(value: Any) -> None:
    for read in (from_frame, inquiries_from_frame):
        with pytest.raises(FileInvalid, match="give a DataFrame of pandas"):
            read(value)


@pytest.mark.parametrize("value", ["yuan", "", 2, ["major"]])
def test_what_amounts_are_is_one_of_two_words(value: Any) -> None:
    with pytest.raises(ValueError, match='amounts: must be "minor" or "major"'):
        from_frame(frame_of(), amounts=value)

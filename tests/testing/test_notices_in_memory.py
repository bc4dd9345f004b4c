"""Notices in memory: the exchange's setting, and what `tallystick report` says of its warnings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tallystick.client.cli.context import Tool
from tallystick.client.cli.program import run
from tallystick.testing import InMemoryExchange, person


@pytest.mark.parametrize(
    ("rule", "code", "told"),
    [
        ("off", 0, "2 accounts: 2 accepted, 0 superseded, 0 rejected\n"),
        ("warn", 0, "2 accounts: 2 accepted, 0 superseded, 0 rejected; 1 taken with a warning\n"),
        ("reject", 1, "2 accounts: 1 accepted, 0 superseded, 1 rejected\n"),
    ],
)
def test_a_file_whose_first_bad_report_says_nothing_of_a_notice(
    rule: str, code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory, now = InMemoryExchange(require_notice=rule), dt.datetime.now(dt.UTC)
    header = "id_kind,id_type,id_country,id_number,account_number,as_of,account_type,status,currency,opened_date,month,disposition"
    late = f"{now - dt.timedelta(days=40):%Y-%m}"
    rows = [
        f"person,10,CN,{person(serial).number},{serial},{now:%Y-%m-%dT%H:%M:%SZ},R2,1,CNY,2020-01-01,{late},1,{notice}"
        for serial, notice in ((1, ""), (2, f"{now - dt.timedelta(days=3):%Y-%m-%d}"))
    ]
    file = tmp_path / "accounts.csv"
    file.write_text("\n".join([f"{header},bad_record_notice_date", *rows, ""]), "utf-8")
    profile = memory.write_profile(tmp_path / "profile")
    with memory.serving():
        assert run(["--profile", str(profile), "report", str(file)], Tool()) == code
        captured = capsys.readouterr()
        assert captured.out == told
        said = (
            "row 2: accepted with a warning: bad_record_notice_date: is missing"
            if rule == "warn"
            else "row 2: bad_record_notice_date"
        )
        assert (said in captured.err) == (rule != "off")
        assert "row 3" not in captured.err


def test_many_warnings_are_counted_and_the_first_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory, now = InMemoryExchange(), dt.datetime.now(dt.UTC)
    header = "id_kind,id_type,id_country,id_number,account_number,as_of,account_type,status,currency,opened_date,month,disposition"
    late, as_of = f"{now - dt.timedelta(days=40):%Y-%m}", f"{now:%Y-%m-%dT%H:%M:%SZ}"
    rows = [f"person,10,CN,{person(n).number},{n},{as_of},R2,1,CNY,2020-01-01,{late},1" for n in range(13)]
    file = tmp_path / "accounts.csv"
    file.write_text("\n".join([header, *rows, ""]), "utf-8")
    profile = memory.write_profile(tmp_path / "profile")
    with memory.serving():
        assert run(["--profile", str(profile), "report", str(file)], Tool()) == 0
        captured = capsys.readouterr()
        assert captured.out == "13 accounts: 13 accepted, 0 superseded, 0 rejected; 13 taken with a warning\n"
        assert captured.err.count("accepted with a warning") == 10
        assert captured.err.count("there are more warnings") == 1
        assert run(["--profile", str(profile), "report", str(file), "--json"], Tool()) == 0
        # Reported again it was known to be bad before.
        assert '"warned": 0' in capsys.readouterr().out

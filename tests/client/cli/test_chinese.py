"""`--language zh`: what a credit officer sees is Chinese whole, and says what the English screen says."""

from __future__ import annotations

import datetime as dt
import io
import re
import string
from collections.abc import Mapping
from dataclasses import replace

import pytest
from rich.console import Console
from tests.credit.histories import account, asked, history, running

from tallystick.client.cli import history as history_screen
from tallystick.client.cli import inquiries, rating
from tallystick.client.cli.history import print_history
from tallystick.credit.enums import AccountType, AssetQuality, Disposition, Purpose
from tallystick.credit.history import CreditHistory, OverdueSummary, OverdueWindow
from tallystick.credit.languages import Language
from tallystick.credit.screening import ScreeningPolicy

TEXTS: Mapping[str, str] = {**history_screen.CHINESE, **inquiries.CHINESE, **rating.CHINESE}
MUCH = history(
    account("1N", balance=12_345_678, running_overdue=running(9), asset_quality=AssetQuality.SPECIAL_MENTION),
    account("B7NN", account_type=AccountType.D1, status=4, asset_quality=AssetQuality.LOSS),
    account("N", account_type=AccountType.UNSPECIFIED, status=99),
    own=[2],
    inquiries=replace(asked(1, 5, 100), truncated=True),
)
LATE = OverdueSummary(
    windows=(
        OverdueWindow(months=3),
        OverdueWindow(months=6, overdue_months=2, overdue_accounts=1, worst_disposition=Disposition.OVERDUE_7),
    ),
    worst_disposition=Disposition.BAD_DEBT,
    worst_month=dt.date(2025, 8, 1),
)
HISTORIES = {
    "much": replace(MUCH, truncated=True, overdue=LATE),
    "nothing": history(),
    "one account": history(account("N")),
}


def screen(given: CreditHistory, language: Language) -> str:
    console = Console(file=io.StringIO(), width=400)
    screening = ScreeningPolicy.default().evaluate(given)
    print_history(console, given, screening, language)
    assert isinstance(console.file, io.StringIO)
    # Names of rules are the policy's own.
    text = console.file.getvalue()
    for reason in screening.reasons:
        text = re.sub(rf"│ {re.escape(reason.rule)} +│", "│ │", text)
    return text


@pytest.mark.parametrize("given", HISTORIES.values(), ids=HISTORIES.keys())
def test_the_screen_is_chinese_whole(given: CreditHistory) -> None:
    english, chinese = screen(given, "en"), screen(given, "zh")
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert not re.search("[a-z]", chinese), chinese
    assert not re.search("[\u4e00-\u9fff]", english)
    assert len(english.splitlines()) == len(chinese.splitlines())
    for figure in ("123,456.78 CNY", "2025-09-20 12:00 UTC", "1N", "B7NN", "2025-08"):
        assert (figure in english) == (figure in chinese)


@pytest.mark.parametrize("purpose", [each for each in Purpose if each], ids=str)
def test_every_purpose_is_told(purpose: Purpose) -> None:
    given = history(account("N"), inquiries=asked(1, purpose=purpose))
    chinese = screen(given, "zh").splitlines()[-2]
    assert "未知" not in chinese
    assert (f"{purpose:02d} " in chinese) == (purpose < Purpose.OWN_QUERY)


@pytest.mark.parametrize("text", TEXTS)
def test_both_have_places_for_the_same_values(text: str) -> None:
    def places(given: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(given)} - {None}

    assert places(text) == places(TEXTS[text])
    assert not re.search("[a-z]", re.sub(r"\{.*?\}", "", TEXTS[text]))

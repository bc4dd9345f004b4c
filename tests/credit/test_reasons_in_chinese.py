"""Reasons in Chinese: every rule says in both languages the same, and every code has a name."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import IntEnum

import pytest
from tests.credit.histories import account, history, running
from tests.credit.test_screening import RULES

from tallystick.credit import languages
from tallystick.credit.codes import ACCOUNT_STATUSES
from tallystick.credit.decisions import Decision, Reason
from tallystick.credit.enums import AccountType
from tallystick.credit.history import CreditHistory
from tallystick.credit.languages import in_chinese, status_in_chinese
from tallystick.credit.screening import RULE_KINDS, ScreeningPolicy

SPEAKING = [(rule, given) for rule, given, text in RULES if text is not None]
CODES = [code for kind in languages._NAMES for code in kind]


def only(rule: str, given: CreditHistory) -> Reason:
    policy = ScreeningPolicy.from_toml(f'[[rules]]\nname = "it"\ndecision = "decline"\n{rule}\n')
    (reason,) = policy.evaluate(given).reasons
    return reason


@pytest.mark.parametrize(("rule", "given"), SPEAKING, ids=[f"{index}: {rule}" for index, (rule, _) in enumerate(SPEAKING)])
def test_both_say_the_same(rule: str, given: CreditHistory) -> None:
    reason = only(rule, given)
    assert reason.told() == reason.told("en") == reason.text
    assert reason.told("zh") == reason.chinese
    numbers = set(re.findall(r"\d[\d,.]*\d|\d", reason.text.replace("R2 ", "").replace("D1 non", "")))
    assert numbers <= set(re.findall(r"\d[\d,.]*\d|\d", reason.chinese)), reason
    # Of Latin letters there are codes of the trade and currencies alone.
    assert not re.search("[a-z]", reason.chinese), reason
    assert re.search("[\u4e00-\u9fff]", reason.chinese)


def test_every_kind_of_rule_was_heard() -> None:
    # What ratings say has tests of its own.
    heard = {match[1] for rule, _ in SPEAKING if (match := re.search('kind = "(.+?)"', rule))}
    assert heard >= {*RULE_KINDS} - {"truncated", "rating_below", "not_rated"}
    assert (
        only('kind = "truncated"', replace(history(account()), truncated=True)).chinese
        == "已报送的账户多于本次答复中的1个：并非全部记录"
    )


def test_whose_accounts_they_are() -> None:
    given = history(account(running_overdue=running(9)), account(running_overdue=running(7)), own=[2])
    assert only('kind = "running_overdue"', given).chinese == "2个账户当前逾期，最长9天（机构1及本机构账户）"


def test_what_a_function_of_ones_own_did_not_say_is_told_as_it_was_said() -> None:
    assert Reason("own", Decision.REFER, "opened this year").told("zh") == "opened this year"
    assert Reason("own", Decision.REFER, "opened this year", chinese="今年开立").told("zh") == "今年开立"


@pytest.mark.parametrize("code", [code for code in CODES if code], ids=str)
def test_every_code_has_a_name(code: IntEnum) -> None:
    assert re.search("[\u4e00-\u9fff]", in_chinese(code))
    assert "未知代码" not in in_chinese(code)


def test_every_status_has_a_name() -> None:
    for account_type, statuses in ACCOUNT_STATUSES.items():
        for status in statuses:
            assert status_in_chinese(account_type, status) != "未知", (account_type, status)
    assert status_in_chinese(AccountType.D1, 31) == "未知"
    assert in_chinese(AccountType.UNSPECIFIED) == "未说明"

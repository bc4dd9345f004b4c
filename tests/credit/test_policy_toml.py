"""Reading a policy: every key is known and typed, and what is wrong is told by its place."""

from pathlib import Path

import pytest

from tallystick.credit.decisions import PolicyError
from tallystick.credit.policy_reading import MAX_POLICY_LENGTH, MAX_RULES
from tallystick.credit.screening import RULE_KINDS, ScreeningPolicy

GOOD = '[[rules]]\nname = "a"\nkind = "bad_debt"\ndecision = "decline"\n'


def rule(*lines: str) -> str:
    """A policy of one rule that has a name and a decision."""
    return "\n".join(('[[rules]]\nname = "a"\ndecision = "decline"', *lines))


MALFORMED: list[tuple[str, str]] = [
    ("", "rules"),
    ('name = "p"', "rules"),
    ("rules = 3", "rules"),
    ("rules = []", "rules"),
    ("rules = [1]", "rules[0]"),
    ("[rules]\nname = 1", "rules"),
    (f"version = 1\n{GOOD}", "version"),
    (f"name = 7\n{GOOD}", "name"),
    (f'name = ""\n{GOOD}', "name"),
    ('[[rules]]\nname = "a"\ndecision = "decline"', "rules[0].kind"),
    (rule('kind = "badness"'), "rules[0].kind"),
    (rule("kind = 3"), "rules[0].kind"),
    (rule('kind = ["bad_debt"]'), "rules[0].kind"),
    ('[[rules]]\nkind = "bad_debt"\ndecision = "decline"', "rules[0].name"),
    ('[[rules]]\nname = "a"\nkind = "bad_debt"', "rules[0].decision"),
    ('[[rules]]\nname = ""\nkind = "bad_debt"\ndecision = "decline"', "rules[0].name"),
    ('[[rules]]\nname = "a\\nb"\nkind = "bad_debt"\ndecision = "decline"', "rules[0].name"),
    ('[[rules]]\nname = 5\nkind = "bad_debt"\ndecision = "decline"', "rules[0].name"),
    ('[[rules]]\nname = "a"\nkind = "bad_debt"\ndecision = "reject"', "rules[0].decision"),
    ('[[rules]]\nname = "a"\nkind = "bad_debt"\ndecision = true', "rules[0].decision"),
    (rule('kind = "rating_below"', "score = 200"), "rules[0].score"),
    (rule('kind = "rating_below"', "grade = 11"), "rules[0].grade"),
    (rule('kind = "rating_below"', "score = 5.5"), "rules[0].score"),
    (rule('kind = "rating_below"'), "rules[0]"),
    (rule('kind = "rating_below"', "score = 500", "grade = 3"), "rules[0]"),
    (rule('kind = "rating_below"', "score = 500", 'subject_kind = "firm"'), "rules[0].subject_kind"),
    (rule('kind = "not_rated"', "score = 500"), "rules[0].score"),
    (GOOD + GOOD, "rules[1].name"),
    (GOOD + '[[rules]]\nname = "b"\nkind = "bad_debt"\ndecision = "decline"\ndays = 3', "rules[1].days"),
    (rule('kind = "bad_debt"', "months = 0"), "rules[0].months"),
    (rule('kind = "bad_debt"', "months = 61"), "rules[0].months"),
    (rule('kind = "bad_debt"', "months = true"), "rules[0].months"),
    (rule('kind = "bad_debt"', "months = 1.5"), "rules[0].months"),
    (rule('kind = "bad_debt"', 'months = "12"'), "rules[0].months"),
    (rule('kind = "running_overdue"', "days = 0"), "rules[0].days"),
    (rule('kind = "running_overdue"', "amounts = 5"), "rules[0].amounts"),
    (rule('kind = "running_overdue"', "amounts = {}"), "rules[0].amounts"),
    (rule('kind = "running_overdue"', "amounts = {RMB = 5}"), "rules[0].amounts"),
    (rule('kind = "running_overdue"', "amounts = {CNY = -5}"), "rules[0].amounts"),
    (rule('kind = "running_overdue"', "amounts = {CNY = 5.0}"), "rules[0].amounts"),
    (rule('kind = "overdue_months"'), "rules[0].months"),
    (rule('kind = "overdue_months"', "months = 12", 'at_least = "N"'), "rules[0].at_least"),
    (rule('kind = "overdue_months"', "months = 12", "at_least = 3"), "rules[0].at_least"),
    (rule('kind = "overdue_months"', "months = 12", "count = 0"), "rules[0].count"),
    (rule('kind = "worst_disposition"'), "rules[0].at_least"),
    (rule('kind = "worst_disposition"', 'at_least = "8"'), "rules[0].at_least"),
    (rule('kind = "dispositions"'), "rules[0].dispositions"),
    (rule('kind = "dispositions"', 'dispositions = "G"'), "rules[0].dispositions"),
    (rule('kind = "dispositions"', "dispositions = []"), "rules[0].dispositions"),
    (rule('kind = "dispositions"', 'dispositions = ["Q"]'), "rules[0].dispositions"),
    (rule('kind = "dispositions"', 'dispositions = ["G", "G"]'), "rules[0].dispositions"),
    (rule('kind = "account_status"'), "rules[0].statuses"),
    (rule('kind = "account_status"', "statuses = [1]"), "rules[0].statuses"),
    (rule('kind = "account_status"', "statuses = {X9 = [1]}"), "rules[0].statuses"),
    (rule('kind = "account_status"', "statuses = {C1 = [3]}"), "rules[0].statuses"),
    (rule('kind = "account_status"', "statuses = {C1 = []}"), "rules[0].statuses"),
    (rule('kind = "account_status"', "statuses = {C1 = [true]}"), "rules[0].statuses"),
    (rule('kind = "account_status"', "statuses = {C1 = [[1]]}"), "rules[0].statuses"),
    (rule('kind = "asset_quality"'), "rules[0].at_least"),
    (rule('kind = "asset_quality"', 'at_least = "unclassified"'), "rules[0].at_least"),
    (rule('kind = "asset_quality"', "at_least = 3"), "rules[0].at_least"),
    (rule('kind = "collection_account"', "months = 3"), "rules[0].months"),
    (rule('kind = "truncated"', "count = 3"), "rules[0].count"),
    (rule('kind = "special_transactions"', 'types = ["windfall"]'), "rules[0].types"),
    (rule('kind = "special_transactions"', "types = [1]"), "rules[0].types"),
    (rule('kind = "annotations"', 'types = ["unspecified"]'), "rules[0].types"),
    (rule('kind = "inquiries"', "months = 25", "count = 1"), "rules[0].months"),
    (rule('kind = "inquiries"', "months = 6"), "rules[0].count"),
    (rule('kind = "inquiries"', "months = 6", "count = 101"), "rules[0].count"),
    (rule('kind = "inquiries"', "months = 6", "count = 1", 'purposes = ["curiosity"]'), "rules[0].purposes"),
    (rule('kind = "inquiring_institutions"'), "rules[0].count"),
    (rule('kind = "lending_institutions"', "count = 501"), "rules[0].count"),
    (rule('kind = "open_accounts"', "count = 1", 'types = ["r2"]'), "rules[0].types"),
    (rule('kind = "total_balance"'), "rules[0].amounts"),
    (rule('kind = "utilisation"', "percent = 0"), "rules[0].percent"),
    (rule('kind = "guarantees"', "amounts = {XAU = 1}"), "rules[0].amounts"),
    (rule('kind = "no_record"', "if_none = 1"), "rules[0].if_none"),
]


@pytest.mark.parametrize(("text", "key"), MALFORMED, ids=[f"{index}: {row[1]}" for index, row in enumerate(MALFORMED)])
def test_a_malformed_policy_is_refused_by_the_key_s_name(text: str, key: str) -> None:
    with pytest.raises(PolicyError) as caught:
        ScreeningPolicy.from_toml(text)
    assert caught.value.key == key
    assert str(caught.value).startswith(f"{key}: ")


@pytest.mark.parametrize("text", ["rules", "[[rules]", "a = 1\na = 2", "a = " + "[" * 5000, "\0"])
def test_what_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="is not TOML"):
        ScreeningPolicy.from_toml(text)


def test_a_name_given_for_a_file_is_hinted_at() -> None:
    with pytest.raises(PolicyError, match="Path"):
        ScreeningPolicy.from_toml("policy.toml")


def test_every_kind_is_tried_above() -> None:
    tried = {line.split('"')[1] for text, _ in MALFORMED for line in text.splitlines() if line.startswith('kind = "')}
    assert set(RULE_KINDS) <= tried


def test_a_policy_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'name = "house"\n{GOOD}', "utf-8")
    policy = ScreeningPolicy.from_toml(file)
    assert policy.name == "house"
    assert len(policy.rules) == 1
    assert ScreeningPolicy.from_toml(GOOD).name == "unnamed"


def test_a_file_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    long, binary = tmp_path / "long.toml", tmp_path / "binary.toml"
    long.write_bytes(b"#" * (MAX_POLICY_LENGTH + 1))
    binary.write_bytes(b"\xff\xfe")
    for file in (long, binary):
        with pytest.raises(PolicyError):
            ScreeningPolicy.from_toml(file)
    with pytest.raises(FileNotFoundError):
        ScreeningPolicy.from_toml(tmp_path / "none.toml")


def test_rules_are_bounded() -> None:
    def policy(count: int) -> str:
        return "".join(f'[[rules]]\nname = "{index}"\nkind = "bad_debt"\ndecision = "decline"\n' for index in range(count))

    assert len(ScreeningPolicy.from_toml(policy(MAX_RULES)).rules) == MAX_RULES
    with pytest.raises(PolicyError):
        ScreeningPolicy.from_toml(policy(MAX_RULES + 1))

"""Policies of one's own, of screening and of early warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.client.cli.inputs import QUERY


def test_a_policy_of_ones_own(cli: Any, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('name = "strict"\n[[rules]]\nname = "unknown"\nkind = "no_record"\ndecision = "decline"\n')
    assert cli("policy", "check", policy).out == "strict: 1 rules, all well formed\n"
    assert cli(*QUERY, "--policy", policy, "--json").json[0]["decision"] == "decline"
    policy.write_text('[[rules]]\nname = "unknown"\nkind = "no_such"\ndecision = "decline"\n')
    ran = cli("policy", "check", policy)
    assert ran.code == 2
    assert "rules[0].kind" in ran.err
    assert "bad-debt" in cli("policy", "show").out
    assert {"name", "kind", "decision"} == set(cli("policy", "show", "--json").json[0])


def test_a_warning_policy_of_ones_own(cli: Any, tmp_path: Path) -> None:
    policy = tmp_path / "warnings.toml"
    rule = '[[rules]]\nname = "late"\ntriggers = ["overdue_began"]\nwarning = "{}"\naction = "call"\n'
    policy.write_text('name = "mild"\n' + rule.format("yellow"))
    assert cli("policy", "check", policy).out == "mild: 1 warning rules, all well formed\n"
    assert cli("policy", "check", policy, "--json").json == [{"name": "mild", "rules": 1, "kind": "warning"}]
    policy.write_text(rule.format("purple"))
    ran = cli("policy", "check", policy)
    assert ran.code == 2
    assert "rules[0].warning" in ran.err
    policy.write_text(cli("policy", "show", "--warning").out)
    assert cli("policy", "check", policy).code == 0, "the built-in one is a beginning for one's own"
    assert cli("policy", "show", policy, "--json").json == cli("policy", "show", "--warning", "--json").json
    assert cli("policy", "show", policy, "--warning").code == 2

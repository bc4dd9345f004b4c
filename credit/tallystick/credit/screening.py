"""Screening: a policy of rules over a credit history gives a decision and its reasons.

A policy is a TOML text: a `name`, and `[[rules]]`, each with a `name`, a `kind`, a `decision` and the keys of its kind. The worst
decision of all reasons is the outcome; without any reason it is "approve". default_policy.toml is one, with what it means.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, Self

from tallystick.credit import exposure_rules, repayment_rules
from tallystick.credit.decisions import Decision, PolicyError, Reason, Rule, Screening
from tallystick.credit.history import CreditHistory
from tallystick.credit.policy_rule import PolicyRule
from tallystick.credit.policy_values import keys_of, read_short_text

__all__ = ["RULE_KINDS", "Decision", "PolicyError", "Reason", "Rule", "Screening", "ScreeningPolicy"]

MAX_POLICY_LENGTH: Final = 1 << 20
MAX_RULES: Final = 200

RULE_KINDS: Final[dict[str, type[PolicyRule]]] = {
    kind.kind: kind
    for kind in (
        exposure_rules.NoRecordRule,
        exposure_rules.TruncatedRule,
        repayment_rules.RunningOverdueRule,
        repayment_rules.OverdueMonthsRule,
        repayment_rules.WorstDispositionRule,
        repayment_rules.DispositionsRule,
        repayment_rules.BadDebtRule,
        repayment_rules.AccountStatusRule,
        repayment_rules.AssetQualityRule,
        repayment_rules.CollectionAccountRule,
        repayment_rules.SpecialTransactionsRule,
        repayment_rules.AnnotationsRule,
        exposure_rules.InquiriesRule,
        exposure_rules.InquiringInstitutionsRule,
        exposure_rules.LendingInstitutionsRule,
        exposure_rules.OpenAccountsRule,
        exposure_rules.TotalBalanceRule,
        exposure_rules.UtilisationRule,
        exposure_rules.GuaranteesRule,
    )
}
"""Every kind of rule that a policy can name."""


@dataclass(frozen=True, slots=True)
class ScreeningPolicy:
    """Rules in their order. Policies do not change: with_rule makes another."""

    name: str
    rules: tuple[Rule, ...]

    @classmethod
    def default(cls) -> Self:
        """The policy that comes with this package (default_policy.toml)."""
        return cls.from_toml(resources.files("tallystick.credit").joinpath("default_policy.toml").read_text("utf-8"))

    @classmethod
    def from_toml(cls, source: Path | str) -> Self:
        """Reads a policy from a file (a Path) or from TOML text (a str). Raises PolicyError, naming the key, and OSError."""
        try:
            policy_text = source if isinstance(source, str) else _read(source)
            table = tomllib.loads(policy_text)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            hint = "; to read a file, give a pathlib.Path" if isinstance(source, str) and "\n" not in source else ""
            raise PolicyError("", f"is not TOML: {error}{hint}") from None
        return cls(*_read_policy(table))

    def with_rule(self, rule: Rule) -> Self:
        """This policy and one rule more: any function from a history to a reason, several, or None."""
        if not callable(rule):
            raise PolicyError("", "a rule must be a function of a credit history")
        return replace(self, rules=(*self.rules, rule))

    def evaluate(self, history: CreditHistory) -> Screening:
        """Runs every rule. Raises PolicyError if a function gave something else than reasons; what it raises passes through."""
        reasons = [reason for rule in self.rules for reason in _reasons_of(rule, history)]
        reasons.sort(key=lambda reason: -reason.decision.severity)
        return Screening(reasons[0].decision if reasons else Decision.APPROVE, tuple(reasons))


def _reasons_of(rule: Rule, history: CreditHistory) -> Iterable[Reason]:
    given = rule(history)
    if given is None:
        return ()
    reasons = (given,) if isinstance(given, Reason) else tuple(given) if isinstance(given, Iterable) else (given,)
    for reason in reasons:
        if not isinstance(reason, Reason) or not isinstance(reason.decision, Decision):
            name = getattr(rule, "__name__", type(rule).__name__)
            raise PolicyError("", f"the rule {name} must give a Reason with a Decision, several of them, or None")
    return reasons


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_POLICY_LENGTH + 1)
    if len(data) > MAX_POLICY_LENGTH:
        raise PolicyError("", f"is longer than {MAX_POLICY_LENGTH} bytes")
    return data.decode("utf-8")


def _read_policy(table: dict[str, Any]) -> tuple[str, tuple[Rule, ...]]:
    for key in table:
        if key not in {"name", "rules"}:
            raise PolicyError(key, "is no key of a policy, which has name and rules")
    name = _read_value("name", read_short_text, table["name"]) if "name" in table else "unnamed"
    entries = table.get("rules")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_RULES:
        raise PolicyError("rules", f"expected 1 to {MAX_RULES} tables [[rules]]")
    rules = tuple(_read_rule(f"rules[{index}]", entry) for index, entry in enumerate(entries))
    seen = set()
    for index, rule in enumerate(rules):
        if rule.name in seen:
            raise PolicyError(f"rules[{index}].name", "another rule has this name; reasons are told apart by it")
        seen.add(rule.name)
    return name, rules


def _read_rule(path: str, entry: Any) -> PolicyRule:
    if not isinstance(entry, dict):
        raise PolicyError(path, "expected a table")
    if "kind" not in entry:
        raise PolicyError(f"{path}.kind", f"is missing; give one of {', '.join(RULE_KINDS)}")
    kind = RULE_KINDS.get(entry["kind"]) if isinstance(entry["kind"], str) else None
    if kind is None:
        raise PolicyError(f"{path}.kind", f"expected one of {', '.join(RULE_KINDS)}")
    keys = keys_of(kind)
    for key in entry:
        if key != "kind" and key not in keys:
            raise PolicyError(f"{path}.{key}", f"is no key of the kind {kind.kind}, which has {', '.join(keys)}")
    for key, (_, required) in keys.items():
        if required and key not in entry:
            raise PolicyError(f"{path}.{key}", f"is missing; a rule of the kind {kind.kind} needs it")
    return kind(**{key: _read_value(f"{path}.{key}", read, entry[key]) for key, (read, _) in keys.items() if key in entry})


def _read_value(path: str, read: Any, value: Any) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise PolicyError(path, str(error)) from None
